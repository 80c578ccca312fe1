//! A connected byte stream, to a client or to an origin.
//!
//! Poll-style, so that an idle connection can wait for several things in one task without
//! allocating; what is in flight uses the two halves (`split`). Reads go into a `Vec`'s spare
//! capacity, which is never zeroed first. A read that doesn't fill that capacity proves the
//! socket empty, and the next one waits without another system call: leave room for it.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp;

use super::arena::READ_BYTES;
use super::deadline::Deadline;

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

/// The receiving direction of a stream.
pub type ReadHalf<'s> = tcp::ReadHalf<'s>;

/// The sending direction of a stream.
pub type WriteHalf<'s> = tcp::WriteHalf<'s>;

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
    pub fn chose_http2(&self) -> bool {
        false
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

    /// Reads without waiting. Errors: `WouldBlock` when nothing is there.
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        make_room(buffer);
        self.tcp.try_read_buf(buffer)
    }

    /// Tells the peer that no more bytes come; reading goes on.
    fn shutdown_write(&self) -> io::Result<()> {
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

impl tokio::io::AsyncRead for Stream {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl tokio::io::AsyncWrite for Stream {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
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
