//! A connected byte stream, to a client or to an origin, with TLS or without.
//!
//! Poll-style, so that an idle connection can wait for several things in one task without
//! allocating; what is in flight uses the two halves (`split`). Reads go into a `Vec`'s spare
//! capacity, which is never zeroed first. A read that doesn't fill that capacity proves the
//! socket empty, and the next one waits without another system call: leave room for it.
//!
//! With TLS an orderly end is the peer's close_notify. Where the connection ends without one, a
//! read fails with `UnexpectedEof`: for a body that ends with its connection that is a cut
//! (RFC 9112 section 9.8), for others an end like any. What is written has left only after a
//! flush, which costs nothing without TLS.

use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use socket2::SockRef;
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp;

use super::arena::READ_BYTES;
use super::deadline::Deadline;
use super::tls::Protocol;
use super::tls::session::Session;

/// How long a close waits for the peer to have read the last answer: long enough for a slow
/// link's acknowledgement, short enough that a drain isn't held up.
pub const LINGER_MAX: Duration = Duration::from_secs(2);

/// Input that a lingering close throws away at most: twice the receive buffer and what is on
/// the road. A peer that goes on sending after that doesn't read.
pub const LINGER_BYTES_MAX: usize = 1 << 20;

/// What the peer is told when a socket is closed, whoever closes it: also a panic, and the kernel
/// at the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// That no more bytes come.
    End,
    /// That the connection broke. Bytes that the peer has not acknowledged by then are lost.
    Reset,
}

impl Farewell {
    pub fn set_on(self, tcp: &TcpStream) {
        let linger = match self {
            Farewell::End => None,
            Farewell::Reset => Some(Duration::ZERO),
        };
        // Fails only on a socket that is no more, and that says nothing any more either.
        let _ = SockRef::from(tcp).set_linger(linger);
    }
}

#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    /// Both halves use it, in turns: they are polled by one task. Boxed, because a connection
    /// without TLS shouldn't pay for it.
    tls: Option<Box<RefCell<Session>>>,
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Stream { tcp, tls: None }
    }
}

impl Stream {
    /// From here on bytes go through `session`, whose handshake was done on this socket.
    pub(super) fn secure(&mut self, session: Session) {
        self.tls = Some(Box::new(RefCell::new(session)));
    }

    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What TLS's handshake agreed on; none without TLS.
    pub fn protocol(&self) -> Option<Protocol> {
        self.tls.as_ref().map(|session| session.borrow().protocol())
    }

    pub(super) fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Both directions, to be used at the same time from one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let tls = self.tls.as_deref();
        let (reading, writing) = self.tcp.split();
        (ReadHalf { tcp: reading, tls }, WriteHalf { tcp: writing, tls })
    }

    /// Ready when bytes, the peer's end or an error may be there. It may be a false alarm: a
    /// fresh connection is always taken to be readable.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.tls {
            Some(session) if session.borrow_mut().is_readable() => Poll::Ready(Ok(())),
            _ => self.tcp.poll_read_ready(cx),
        }
    }

    /// Reads what is there into the spare capacity of `buffer`; makes room where there is none.
    /// 0 is the peer's orderly end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        make_room(buffer);
        match &mut self.tls {
            // Polled once and dropped: this future has no state beyond its two borrows.
            None => pin!(self.tcp.read_buf(buffer)).poll(cx),
            Some(session) => session.get_mut().poll_read(cx, &mut self.tcp, buffer),
        }
    }

    /// Reads without waiting. Errors: `WouldBlock` when nothing is there.
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        make_room(buffer);
        match &self.tls {
            None => self.tcp.try_read_buf(buffer),
            Some(session) => session.borrow_mut().try_read(&self.tcp, buffer),
        }
    }

    /// Closes an idle connection, and says so under TLS as far as the socket takes it at once.
    pub fn close(self) {
        if let Some(session) = &self.tls {
            session.borrow_mut().say_end_now(&self.tcp);
        }
    }

    /// Closes so that what was written can still be read.
    ///
    /// A socket closed with unread input resets its connection, and the reset can overtake the
    /// bytes before it. So the end is sent first, then input is thrown away until the peer has
    /// closed too, `bytes_max` have come or `time_max` is over.
    pub async fn close_lingering(mut self, bytes_max: usize, time_max: Duration) {
        let mut deadline = Deadline::new();
        deadline.set_after(time_max);
        let told = poll_fn(|cx| match Pin::new(&mut self).poll_shutdown(cx) {
            Poll::Ready(told) => Poll::Ready(told.is_ok()),
            Poll::Pending => deadline.poll_expired(cx).map(|()| false),
        });
        if !told.await {
            return;
        }
        let mut scratch = Vec::with_capacity(READ_BYTES);
        let mut left = bytes_max;
        poll_fn(|cx| {
            while left > 0 {
                if deadline.poll_expired(cx).is_ready() {
                    break;
                }
                scratch.clear();
                // Under TLS as well: what is thrown away needs no decrypting.
                match ready!(pin!(self.tcp.read_buf(&mut scratch)).poll(cx)) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => left = left.saturating_sub(read),
                }
            }
            Poll::Ready(())
        })
        .await
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Stream { tcp, tls } = self.get_mut();
        match tls {
            None => Pin::new(tcp).poll_read(cx, buffer),
            Some(session) => session.get_mut().poll_read(cx, tcp, buffer).map_ok(drop),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Stream { tcp, tls } = self.get_mut();
        match tls {
            None => Pin::new(tcp).poll_write(cx, bytes),
            Some(session) => session.get_mut().poll_write(cx, tcp, &[IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Stream { tcp, tls } = self.get_mut();
        match tls {
            None => Pin::new(tcp).poll_write_vectored(cx, slices),
            Some(session) => session.get_mut().poll_write(cx, tcp, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream { tcp, tls } = self.get_mut();
        match tls {
            None => Poll::Ready(Ok(())),
            Some(session) => session.get_mut().poll_flush(cx, tcp),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream { tcp, tls } = self.get_mut();
        if let Some(session) = tls {
            let session = session.get_mut();
            session.say_end();
            ready!(session.poll_flush(cx, tcp))?;
        }
        Pin::new(tcp).poll_shutdown(cx)
    }
}

/// The receiving direction of a stream.
#[derive(Debug)]
pub struct ReadHalf<'s> {
    tcp: tcp::ReadHalf<'s>,
    tls: Option<&'s RefCell<Session>>,
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ReadHalf { tcp, tls } = self.get_mut();
        match tls {
            None => Pin::new(tcp).poll_read(cx, buffer),
            Some(session) => session.borrow_mut().poll_read(cx, tcp, buffer).map_ok(drop),
        }
    }
}

/// The sending direction of a stream. A write is done when nothing of it is unsent.
#[derive(Debug)]
pub struct WriteHalf<'s> {
    tcp: tcp::WriteHalf<'s>,
    tls: Option<&'s RefCell<Session>>,
}

impl WriteHalf<'_> {
    /// Whether the kernel has yet to take something that counts as written; never without TLS.
    pub fn has_unsent(&self) -> bool {
        self.tls.is_some_and(|session| session.borrow().has_unsent())
    }

    /// Hands the kernel what it takes in one go of that; 0 when nothing is unsent.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn push(&mut self) -> io::Result<usize> {
        let Some(session) = self.tls else { return Ok(0) };
        poll_fn(|cx| session.borrow_mut().poll_push(cx, self.tcp.as_ref())).await
    }

    /// Whether `send_file` can be tried: TLS would have to see the bytes.
    pub fn takes_files(&self) -> bool {
        cfg!(target_os = "linux") && self.tls.is_none()
    }

    /// Has the kernel send what it takes in one go of a file, from where the file stands, at most
    /// `most` bytes; the file then stands behind them. 0 at the file's end.
    ///
    /// Errors: also where the file system can't.
    ///
    /// Cancel safety: no byte is lost.
    ///
    /// Blocking: reads the file, from the page cache as a rule.
    #[cfg(target_os = "linux")]
    pub async fn send_file(&mut self, file: &File, most: usize) -> io::Result<usize> {
        let tcp = self.tcp.as_ref();
        let send = || Ok(rustix::fs::sendfile(tcp, file, None, most)?);
        tcp.async_io(Interest::WRITABLE, send).await
    }

    #[cfg(not(target_os = "linux"))]
    pub async fn send_file(&mut self, _: &File, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.tcp.as_ref()
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let WriteHalf { tcp, tls } = self.get_mut();
        match tls {
            None => Pin::new(tcp).poll_write(cx, bytes),
            Some(session) => {
                session.borrow_mut().poll_write(cx, (*tcp).as_ref(), &[IoSlice::new(bytes)])
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let WriteHalf { tcp, tls } = self.get_mut();
        match tls {
            None => Pin::new(tcp).poll_write_vectored(cx, slices),
            Some(session) => session.borrow_mut().poll_write(cx, (*tcp).as_ref(), slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let WriteHalf { tcp, tls } = self.get_mut();
        match tls {
            None => Poll::Ready(Ok(())),
            Some(session) => session.borrow_mut().poll_flush(cx, (*tcp).as_ref()),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let WriteHalf { tcp, tls } = self.get_mut();
        if let Some(session) = tls {
            let mut session = session.borrow_mut();
            session.say_end();
            ready!(session.poll_flush(cx, (*tcp).as_ref()))?;
        }
        Pin::new(tcp).poll_shutdown(cx)
    }
}

fn make_room(buffer: &mut Vec<u8>) {
    if buffer.capacity() == buffer.len() {
        buffer.reserve(READ_BYTES);
    }
    debug_assert!(buffer.has_remaining_mut());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{pair, run};
    use tokio::io::AsyncWriteExt;

    async fn read(stream: &mut Stream, buffer: &mut Vec<u8>) -> usize {
        poll_fn(|cx| stream.poll_read(cx, buffer)).await.unwrap()
    }

    #[test]
    fn a_read_makes_room_where_there_is_none_and_keeps_what_was_there() {
        run(async {
            let (mut stream, mut peer) = pair().await;
            peer.write_all(b" world").await.unwrap();
            let mut buffer = b"hello".to_vec();
            buffer.shrink_to_fit();
            assert_eq!(read(&mut stream, &mut buffer).await, 6);
            assert_eq!(buffer, b"hello world");
        });
    }

    #[test]
    fn a_read_takes_no_more_than_there_is_room_for() {
        run(async {
            let (mut stream, mut peer) = pair().await;
            peer.write_all(&[b'x'; 100]).await.unwrap();
            let mut buffer = Vec::with_capacity(64);
            let room = buffer.capacity();
            assert_eq!(read(&mut stream, &mut buffer).await, room);
            assert_eq!(buffer.capacity(), room);
        });
    }
}
