//! A stream under h2 that is watched: whether the peer shows life, and whether it floods.
//!
//! Bytes that were read before h2 took over come first.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use crate::net::deadline::Deadline;
use crate::net::stream::{LINGER_BYTES_MAX, LINGER_MAX};
use crate::net::tls::OriginFailure;

/// What is known of a peer from the bytes that it sends. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Vitals(Rc<Cells>);

#[derive(Debug)]
struct Cells {
    /// Reads that brought something.
    reads: Cell<u64>,
    /// Frames that carried nothing, less the work that was done.
    idle_frames: Cell<usize>,
    idle_frames_max: usize,
    /// What TLS said that the peer has against this connection.
    refusal: RefCell<Option<OriginFailure>>,
}

impl Vitals {
    pub(super) fn new(idle_frames_max: usize) -> Self {
        Vitals(Rc::new(Cells {
            reads: Cell::new(0),
            idle_frames: Cell::new(0),
            idle_frames_max,
            refusal: RefCell::new(None),
        }))
    }

    pub(super) fn reads(&self) -> u64 {
        self.0.reads.get()
    }

    pub(super) fn floods(&self) -> bool {
        self.0.idle_frames.get() > self.0.idle_frames_max
    }

    /// Something was done for the peer, which excuses so many frames: gRPC's clients ping with
    /// the data that they get, and cancel calls that they had answers to.
    pub(super) fn worked(&self, excused: usize) {
        self.0.idle_frames.set(self.0.idle_frames.get().saturating_sub(excused));
    }

    pub(super) fn take_refusal(&self) -> Option<OriginFailure> {
        self.0.refusal.take()
    }

    fn failed(&self, error: io::Error) -> io::Error {
        if let Some(refusal) = OriginFailure::in_error(&error) {
            *self.0.refusal.borrow_mut() = Some(refusal.clone());
        }
        error
    }

    fn note(&self, idle_frames: usize) {
        self.0.reads.set(self.0.reads.get() + 1);
        self.0.idle_frames.set(self.0.idle_frames.get() + idle_frames);
    }
}

#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    /// Read before, in `ahead[taken..]`.
    ahead: Vec<u8>,
    taken: usize,
    frames: Frames,
    vitals: Vitals,
    linger: Option<Linger>,
}

impl<S> Watched<S> {
    /// `preface`: bytes that come before the peer's first frame.
    pub(super) fn new(stream: S, ahead: Vec<u8>, preface: usize, vitals: Vitals) -> Self {
        let frames = Frames::after(preface);
        Watched { stream, ahead, taken: 0, frames, vitals, linger: None }
    }
}

/// Throws input away until the peer has closed too.
#[derive(Debug)]
struct Linger {
    deadline: Deadline,
    bytes_left: usize,
}

impl Linger {
    fn new() -> Self {
        let mut deadline = Deadline::new();
        deadline.set_after(LINGER_MAX);
        Linger { deadline, bytes_left: LINGER_BYTES_MAX }
    }

    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut (impl AsyncRead + Unpin)) -> Poll<()> {
        let mut scratch = [0; 4 << 10];
        while self.bytes_left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.deadline.poll_expired(cx),
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                Poll::Ready(Ok(())) => {
                    self.bytes_left = self.bytes_left.saturating_sub(buffer.filled().len());
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    /// Waits for ever once the peer floods: whoever drives the connection looks and ends it.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.vitals.floods() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if this.taken < this.ahead.len() {
            let rest = &this.ahead[this.taken..];
            let count = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..count]);
            this.taken += count;
            if this.taken == this.ahead.len() {
                (this.ahead, this.taken) = (Vec::new(), 0);
            }
        } else {
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer));
            read.map_err(|error| this.vitals.failed(error))?;
        }
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            this.vitals.note(this.frames.idle_in(came));
            if this.vitals.floods() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// As `Stream::close_lingering`: input that nobody has read would turn the close into a reset,
    /// which can overtake the last frames.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(cx, &mut this.stream).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (mut peer, stream) = tokio::io::duplex(64);
        let vitals = Vitals::new(9);
        let mut watched = Watched::new(stream, b"PRI ".to_vec(), 6, vitals.clone());
        peer.write_all(b"* ").await.unwrap();
        peer.write_all(&PING).await.unwrap();
        drop(peer);
        let mut all = Vec::new();
        watched.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [b"PRI * ", &PING[..]].concat());
        assert_eq!(vitals.0.idle_frames.get(), 1);
        assert!(vitals.reads() >= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_read_no_further_unless_work_excuses_it() {
        let (mut peer, stream) = tokio::io::duplex(4096);
        let vitals = Vitals::new(3);
        let mut watched = Watched::new(stream, Vec::new(), 0, vitals.clone());
        peer.write_all(&PING.repeat(4)).await.unwrap();
        let mut buffer = [0; 1024];
        assert_eq!(watched.read(&mut buffer).await.unwrap(), 4 * PING.len());
        assert!(vitals.floods());
        peer.write_all(&PING).await.unwrap();
        let more = tokio::time::timeout(Duration::from_secs(1), watched.read(&mut buffer));
        assert!(more.await.is_err(), "nothing more is read");
        vitals.worked(4);
        assert_eq!(watched.read(&mut buffer).await.unwrap(), PING.len());
    }
}
