//! One TLS connection's state, over a socket that somebody else owns.
//!
//! rustls without an adapter between: the two halves of a stream share one session, plaintext goes
//! straight into the reader's buffer, and the last words of a handshake leave with the first bytes
//! that follow them. Nothing here waits; what would is told to the socket.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::{Connection, ProtocolVersion};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, tcp};

use super::Protocol;
use super::failure::{Broken, OriginFailure};

#[derive(Debug)]
pub(in crate::net) struct Session {
    connection: Connection,
    role: Role,
    /// The first byte that came; tells what was spoken instead of TLS.
    first: Option<u8>,
    said_end: bool,
}

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client {
        /// Whether there is a certificate to show.
        shown: bool,
    },
}

impl Session {
    pub(super) fn new(connection: impl Into<Connection>, role: Role) -> Self {
        Session { connection: connection.into(), role, first: None, said_end: false }
    }

    pub(super) fn first_byte(&self) -> Option<u8> {
        self.first
    }

    /// What ALPN agreed on; HTTP/1.1 where the peer named nothing.
    pub(in crate::net) fn protocol(&self) -> Protocol {
        Protocol::from_alpn(self.connection.alpn_protocol())
    }

    /// What rustls knows of the connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ready when the peer has said something, or its end has come (0). Looks at none of it, so
    /// that a handshake has cost nothing so far.
    pub(super) fn poll_first_bytes(
        &mut self,
        cx: &mut Context<'_>,
        tcp: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        self.poll_read_wire(cx, tcp)
    }

    /// Ready when the handshake is done. With TLS 1.3 what is to be said at its end (the client's
    /// Finished, the server's tickets) waits for the first write: a packet less.
    ///
    /// After an error the peer has been told why, as far as the socket took it.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        tcp: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        // What `poll_first_bytes` took.
        self.process(tcp)?;
        while self.connection.is_handshaking() {
            // Where the peer takes nothing for now, what it says is heard all the same.
            if let Poll::Ready(Err(error)) = self.poll_flush(cx, tcp) {
                return Poll::Ready(Err(error.into()));
            }
            if ready!(self.poll_receive(cx, tcp))? == 0 {
                return Poll::Ready(Err(Broken::Left));
            }
        }
        if self.connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            ready!(self.poll_flush(cx, tcp))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the socket has, once. 0 is its end.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut impl Socket,
    ) -> Poll<Result<usize, Broken>> {
        let count = ready!(self.poll_read_wire(cx, reader))?;
        Poll::Ready(self.process(reader.tcp()).map(|()| count))
    }

    fn poll_read_wire(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut impl Socket,
    ) -> Poll<io::Result<usize>> {
        let Session { connection, first, .. } = self;
        match connection.read_tls(&mut Polled { reader, cx, first }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            read => Poll::Ready(read),
        }
    }

    /// Decrypts what came.
    fn process(&mut self, tcp: &TcpStream) -> Result<(), Broken> {
        self.connection.process_new_packets().map(drop).map_err(|error| {
            // The alert that says why; if the socket doesn't take it now, nobody waits.
            let _ = self.flush_now(tcp);
            Broken::Tls(error)
        })
    }

    /// Whether a read would give something at once: bytes, an end or an error.
    pub(in crate::net) fn is_readable(&mut self) -> bool {
        let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        !self.connection.reader().fill_buf().is_err_and(would_block)
    }

    /// Plaintext into the room of `out`; none is the peer's orderly end.
    ///
    /// Errors: `UnexpectedEof` where the connection ended without one.
    pub(in crate::net) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut impl Socket,
        out: &mut dyn Sink,
    ) -> Poll<io::Result<usize>> {
        while !self.is_readable() {
            if let Err(broken) = ready!(self.poll_receive(cx, reader)) {
                return Poll::Ready(Err(self.told(broken)));
            }
        }
        Poll::Ready(self.take(out))
    }

    /// As `poll_read`, without waiting. Errors: `WouldBlock` as well.
    pub(in crate::net) fn try_read(
        &mut self,
        tcp: &TcpStream,
        out: &mut dyn Sink,
    ) -> io::Result<usize> {
        while !self.is_readable() {
            self.connection.read_tls(&mut Unwaiting(tcp))?;
            self.process(tcp).map_err(|broken| self.told(broken))?;
        }
        self.take(out)
    }

    /// What ended the session, in words. An origin may take a while to say that it doesn't want
    /// this client: with TLS 1.3 the handshake is done by then.
    fn told(&self, broken: Broken) -> io::Error {
        match (broken, self.role) {
            (Broken::Io(error), _) => error,
            (Broken::Left, _) => io::ErrorKind::UnexpectedEof.into(),
            (Broken::Tls(error), Role::Client { shown }) => {
                io::Error::new(io::ErrorKind::InvalidData, OriginFailure::later(error, shown))
            }
            (Broken::Tls(error), Role::Server) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }

    fn take(&mut self, out: &mut dyn Sink) -> io::Result<usize> {
        let mut reader = self.connection.reader();
        let mut taken = 0;
        while out.room() > 0 {
            let chunk = match reader.fill_buf() {
                Ok(chunk) if !chunk.is_empty() => chunk,
                Err(error) if taken == 0 => return Err(error),
                // What there is comes before the end.
                _ => break,
            };
            let count = chunk.len().min(out.room());
            out.put(&chunk[..count]);
            reader.consume(count);
            taken += count;
        }
        Ok(taken)
    }

    /// Encrypts from `slices` and hands it to the socket. What the socket doesn't take at once
    /// waits for `poll_flush` or the next write, up to rustls' bound of 64 KiB.
    pub(in crate::net) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        tcp: &TcpStream,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            let count = match slices {
                [only] => self.connection.writer().write(only)?,
                _ => self.connection.writer().write_vectored(slices)?,
            };
            match self.poll_flush(cx, tcp) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if count == 0 => return Poll::Pending,
                // There was no room, and now there is.
                Poll::Ready(Ok(())) if count == 0 => {}
                _ => return Poll::Ready(Ok(count)),
            }
        }
    }

    /// Whether the socket has yet to take something that counts as written.
    pub(in crate::net) fn has_unsent(&self) -> bool {
        self.connection.wants_write()
    }

    /// Ready when the socket has taken everything.
    pub(in crate::net) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        tcp: &TcpStream,
    ) -> Poll<io::Result<()>> {
        while self.has_unsent() {
            ready!(self.poll_push(cx, tcp))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands the socket what it takes in one go; 0 when nothing waits.
    pub(in crate::net) fn poll_push(
        &mut self,
        cx: &mut Context<'_>,
        tcp: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.has_unsent() {
                return Poll::Ready(Ok(0));
            }
            match self.connection.write_tls(&mut Unwaiting(tcp)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(tcp.poll_write_ready(cx))?;
                }
                pushed => return Poll::Ready(pushed),
            }
        }
    }

    /// As much as the socket takes without waiting.
    fn flush_now(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while self.has_unsent() {
            self.connection.write_tls(&mut Unwaiting(tcp))?;
        }
        Ok(())
    }

    /// Has the peer told, with what waits, that no more bytes come.
    pub(in crate::net) fn say_end(&mut self) {
        if !std::mem::replace(&mut self.said_end, true) {
            self.connection.send_close_notify();
        }
    }

    /// As `say_end`, as far as the socket takes it without waiting.
    pub(in crate::net) fn say_end_now(&mut self, tcp: &TcpStream) {
        self.say_end();
        // A peer that takes nothing now learns of the end from the socket.
        let _ = self.flush_now(tcp);
    }
}

/// The reading side of a socket.
pub(in crate::net) trait Socket: AsyncRead + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for tcp::ReadHalf<'_> {
    fn tcp(&self) -> &TcpStream {
        self.as_ref()
    }
}

/// Where plaintext goes.
pub(in crate::net) trait Sink {
    fn room(&self) -> usize;
    /// No more than there is room for.
    fn put(&mut self, bytes: &[u8]);
}

/// Its spare capacity: it never grows.
impl Sink for Vec<u8> {
    fn room(&self) -> usize {
        self.capacity() - self.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for ReadBuf<'_> {
    fn room(&self) -> usize {
        self.remaining()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// A socket that is read inside a poll: `WouldBlock` stands for pending, and the task is woken.
struct Polled<'a, 'c, R> {
    reader: &'a mut R,
    cx: &'a mut Context<'c>,
    first: &'a mut Option<u8>,
}

impl<R: AsyncRead + Unpin> Read for Polled<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.reader).poll_read(self.cx, &mut buffer) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                let read = buffer.filled();
                *self.first = self.first.or(read.first().copied());
                Ok(read.len())
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// A socket that is used without waiting.
struct Unwaiting<'a>(&'a TcpStream);

impl Read for Unwaiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Unwaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
