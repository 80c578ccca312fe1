//! A connected byte stream, to a client or to an origin.
//!
//! Poll-style, so that a driver can wait for several things in one task without allocating; the
//! `async` methods are the same for when it waits for one. Reads go into a `Vec`'s spare
//! capacity, which is never zeroed first. A read that doesn't fill that capacity proves the
//! socket empty, and the next one waits without another system call: leave room for it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::arena::READ_BYTES;
use super::deadline::Deadline;

/// How long a close waits for the peer to have read the last answer: long enough for a slow
/// link's acknowledgement, short enough that a drain isn't held up.
pub const LINGER_MAX: Duration = Duration::from_secs(2);

/// Input that a lingering close throws away at most: twice the receive buffer and what is on
/// the road. A peer that goes on sending after that doesn't read.
pub const LINGER_BYTES_MAX: usize = 1 << 20;

/// How a peer left.
#[derive(Debug)]
pub enum Gone {
    /// It sends no more. Whether it still reads can't be told from one that closed.
    Ended,
    Reset(io::Error),
}

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
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Stream { tcp }
    }
}

impl Stream {
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Both directions, to be used at the same time from one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        self.tcp.split()
    }

    /// Ready when bytes, the peer's end or an error may be there. It may be a false alarm: a
    /// fresh connection is always taken to be readable.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_read_ready(cx)
    }

    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Reads what is there into the spare capacity of `buffer`; makes room where there is none.
    /// 0 is the peer's orderly end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        make_room(buffer);
        // Polled once and dropped: this future has no state beyond its two borrows.
        pin!(self.tcp.read_buf(buffer)).poll(cx)
    }

    /// Watches a peer that has nothing to say until it is answered. What it says all the same (a
    /// pipelined request) is read into `ahead`, to about `ahead_max` bytes; beyond that its
    /// leaving goes unseen until somebody writes to it.
    pub fn poll_gone(
        &mut self,
        cx: &mut Context<'_>,
        ahead: &mut Vec<u8>,
        ahead_max: usize,
    ) -> Poll<Gone> {
        while ahead.len() < ahead_max {
            match ready!(self.poll_read(cx, ahead)) {
                Ok(0) => return Poll::Ready(Gone::Ended),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Gone::Reset(error)),
            }
        }
        Poll::Pending
    }

    /// Writes what the socket takes; fewer bytes than given mean that it is full.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    /// As `poll_write`, for several buffers in one system call.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, buffers)
    }

    /// Reads without waiting. Errors: `WouldBlock` when nothing is there.
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        make_room(buffer);
        self.tcp.try_read_buf(buffer)
    }

    /// Writes without waiting. Errors: `WouldBlock` when the socket is full.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.try_write(bytes)
    }

    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tcp.try_write_vectored(buffers)
    }

    /// As `poll_read`. Cancel safety: no byte is lost.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// Writes all of it. Cancel safety: how much went out is unknown afterwards.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Tells the peer that no more bytes come; reading goes on.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.tcp).shutdown(Shutdown::Write)
    }

    /// Closes so that what was written can still be read.
    ///
    /// A socket closed with unread input resets its connection, and the reset can overtake the
    /// bytes before it. So the end is sent first, then input is thrown away until the peer has
    /// closed too, `bytes_max` have come or `time_max` is over.
    pub async fn close_lingering(mut self, bytes_max: usize, time_max: Duration) {
        if self.shutdown_write().is_err() {
            return;
        }
        let mut deadline = Deadline::new();
        deadline.set_after(time_max);
        let mut scratch = Vec::with_capacity(READ_BYTES);
        let mut left = bytes_max;
        poll_fn(|cx| {
            while left > 0 {
                if deadline.poll_expired(cx).is_ready() {
                    break;
                }
                scratch.clear();
                match ready!(self.poll_read(cx, &mut scratch)) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => left = left.saturating_sub(read),
                }
            }
            Poll::Ready(())
        })
        .await
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
    use tokio::task::{spawn_local, yield_now};

    #[test]
    fn a_read_makes_room_where_there_is_none_and_keeps_what_was_there() {
        run(async {
            let (mut stream, mut peer) = pair().await;
            peer.write_all(b" world").await.unwrap();
            let mut buffer = b"hello".to_vec();
            buffer.shrink_to_fit();
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 6);
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
            assert_eq!(stream.read(&mut buffer).await.unwrap(), room);
            assert_eq!(buffer.capacity(), room);
        });
    }

    #[test]
    fn a_write_larger_than_the_sockets_buffers_arrives_whole() {
        run(async {
            let (mut stream, peer) = pair().await;
            let sent: Vec<u8> = (0..4u32 << 20).map(|number| number as u8).collect();
            let expected = sent.clone();
            let writing = spawn_local(async move {
                stream.write_all(&sent).await.unwrap();
            });
            let mut peer = Stream::from(peer);
            let mut got = Vec::new();
            while peer.read(&mut got).await.unwrap() > 0 {}
            writing.await.unwrap();
            assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
        });
    }

    #[test]
    fn a_peer_that_leaves_is_seen_behind_what_it_said_before() {
        run(async {
            let (mut stream, mut peer) = pair().await;
            let watching = spawn_local(async move {
                let mut ahead = Vec::new();
                let gone = poll_fn(|cx| stream.poll_gone(cx, &mut ahead, 1 << 16)).await;
                (matches!(gone, Gone::Ended), ahead)
            });
            yield_now().await;
            peer.write_all(b"GET /next").await.unwrap();
            yield_now().await;
            assert!(!watching.is_finished());
            drop(peer);
            assert_eq!(watching.await.unwrap(), (true, b"GET /next".to_vec()));
        });
    }

    #[test]
    fn a_peer_that_resets_is_seen() {
        run(async {
            let (mut stream, peer) = pair().await;
            peer.set_zero_linger().unwrap();
            drop(peer);
            let gone = poll_fn(|cx| stream.poll_gone(cx, &mut Vec::new(), 1 << 16)).await;
            assert!(matches!(gone, Gone::Reset(_)), "{gone:?}");
        });
    }

    #[test]
    fn watching_reads_no_further_ahead_than_it_may() {
        run(async {
            let (mut stream, peer) = pair().await;
            let sending = spawn_local(async move {
                let mut peer = Stream::from(peer);
                let _ = peer.write_all(&[b'x'; 16 << 20]).await;
            });
            let mut ahead = Vec::with_capacity(1 << 16);
            let watch = poll_fn(|cx| stream.poll_gone(cx, &mut ahead, 1 << 16));
            let watched = tokio::time::timeout(Duration::from_millis(50), watch).await;
            assert!(watched.is_err());
            assert!((1 << 16..1 << 17).contains(&ahead.len()), "{}", ahead.len());
            sending.abort();
        });
    }
}
