//! A stream under h2 whose writes of one turn leave together.
//!
//! h2 hands over each frame of data from 256 bytes on in a write of its own, and flushes it: a
//! turn that answers thirty requests would be thirty system calls, and a large body one for each
//! 16 KiB. Here they wait until whoever drives the connection ends the turn, or until there is as
//! much as the kernel takes in one piece.
//!
//! Invariants: bytes leave in their order, each once; between turns nothing waits that the peer
//! would take, and a connection for which nothing waits holds no buffer.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much waits at most: what Linux makes one segment of.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// Slices of one write that are looked at. h2 has two or three: its own bytes and a payload.
const SLICES_MAX: usize = 8;

thread_local! {
    /// The buffer that nobody uses. One is enough: turns of a thread follow each other.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Clones are the same stream.
#[derive(Debug)]
pub(super) struct Gathering<S>(Rc<RefCell<Gathered<S>>>);

#[derive(Debug)]
struct Gathered<S> {
    stream: S,
    /// Written by h2, of which `..sent` is the kernel's already.
    waiting: Vec<u8>,
    sent: usize,
    is_turn: bool,
}

impl<S> Clone for Gathering<S> {
    fn clone(&self) -> Self {
        Gathering(self.0.clone())
    }
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    /// Outside of turns nothing waits.
    pub(super) fn new(stream: S) -> Self {
        Gathering(Rc::new(RefCell::new(Gathered {
            stream,
            waiting: Vec::new(),
            sent: 0,
            is_turn: false,
        })))
    }

    /// From here on what is written waits.
    pub(super) fn begin_turn(&self) {
        self.0.borrow_mut().is_turn = true;
    }

    /// Sends what waits. While that is pending, the rest of it waits for the end of another turn.
    ///
    /// Errors: the connection is broken.
    pub(super) fn poll_end_turn(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.borrow_mut();
        this.is_turn = false;
        this.poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Has the kernel take all that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let rest = &self.waiting[self.sent..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            self.took(count)?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The kernel has taken so much of what waits. Says how much more than that it took.
    fn took(&mut self, count: usize) -> io::Result<usize> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let rest = self.waiting.len() - self.sent;
        if count < rest {
            self.sent += count;
            return Ok(0);
        }
        self.sent = 0;
        self.waiting.clear();
        SPARE.set(std::mem::take(&mut self.waiting));
        Ok(count - rest)
    }

    /// Has slices wait, of `len` bytes together, for which there is room below the bound.
    fn wait(&mut self, slices: &[IoSlice<'_>], len: usize) {
        if self.waiting.capacity() == 0 {
            self.waiting = SPARE.take();
        }
        self.waiting.drain(..std::mem::take(&mut self.sent));
        let needed = self.waiting.len() + len;
        if needed > self.waiting.capacity() {
            let capacity = needed.max(2 * self.waiting.capacity()).min(WAITING_BYTES_MAX);
            self.waiting.reserve_exact(capacity - self.waiting.len());
        }
        slices.iter().for_each(|slice| self.waiting.extend_from_slice(slice));
    }

    /// Takes slices: to wait if there is room for all of them, else to be sent behind what waits.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = &slices[..slices.len().min(SLICES_MAX)];
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            let rest = &self.waiting[self.sent..];
            if self.is_turn && rest.len() + len <= WAITING_BYTES_MAX {
                self.wait(slices, len);
                return Poll::Ready(Ok(len));
            }
            let stream = Pin::new(&mut self.stream);
            if rest.is_empty() {
                return stream.poll_write_vectored(cx, slices);
            }
            let mut all = [IoSlice::new(rest); 1 + SLICES_MAX];
            all[1..][..slices.len()].copy_from_slice(slices);
            let count = ready!(stream.poll_write_vectored(cx, &all[..1 + slices.len()]))?;
            match self.took(count)? {
                0 => {}
                taken => return Poll::Ready(Ok(taken)),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Within a turn its end is the flush.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.borrow_mut();
        if this.is_turn {
            return Poll::Ready(Ok(()));
        }
        this.poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.borrow_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// Takes so many bytes at each write, or none yet.
    #[derive(Debug, Default)]
    struct Peer {
        takes: VecDeque<Option<usize>>,
        got: Vec<u8>,
        writes: usize,
    }

    impl AsyncWrite for Peer {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let most = match self.takes.pop_front() {
                None => usize::MAX,
                Some(None) => return Poll::Pending,
                Some(Some(most)) => most,
            };
            let before = self.got.len();
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.got.extend(all.iter().take(most));
            self.writes += 1;
            Poll::Ready(Ok(self.got.len() - before))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn gathering(takes: impl IntoIterator<Item = Option<usize>>) -> Gathering<Peer> {
        Gathering::new(Peer { takes: takes.into_iter().collect(), ..Peer::default() })
    }

    /// Writes as h2 does: what isn't taken is written again. False where it is to wait.
    fn write(gathering: &mut Gathering<Peer>, bytes: &mut &[u8]) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(9));
            let slices = [IoSlice::new(head), IoSlice::new(tail)];
            match Pin::new(&mut *gathering).poll_write_vectored(&mut cx, &slices) {
                Poll::Ready(count) => *bytes = &bytes[count.unwrap()..],
                Poll::Pending => return false,
            }
        }
        Pin::new(gathering).poll_flush(&mut cx).is_ready()
    }

    fn end_turn(gathering: &Gathering<Peer>) -> Poll<()> {
        let mut cx = Context::from_waker(Waker::noop());
        gathering.poll_end_turn(&mut cx).map(Result::unwrap)
    }

    #[test]
    fn the_frames_of_a_turn_leave_in_one_write() {
        let mut gathering = gathering([]);
        assert!(write(&mut gathering, &mut &b"hello"[..]));
        assert_eq!(gathering.0.borrow().stream.writes, 1, "there is no turn");
        gathering.begin_turn();
        for _ in 0..30 {
            assert!(write(&mut gathering, &mut &[7; 300][..]));
        }
        assert_eq!(gathering.0.borrow().stream.got.len(), 5);
        assert!(end_turn(&gathering).is_ready());
        let gathered = gathering.0.borrow();
        assert_eq!((gathered.stream.got.len(), gathered.stream.writes), (5 + 30 * 300, 2));
        assert_eq!(gathered.waiting.capacity(), 0, "no buffer is held");
    }

    #[test]
    fn large_frames_leave_four_at_a_time_and_no_more_than_the_bound_waits() {
        let mut gathering = gathering([]);
        gathering.begin_turn();
        for _ in 0..64 {
            assert!(write(&mut gathering, &mut &[7; 9 + (16 << 10)][..]));
            assert!(gathering.0.borrow().waiting.capacity() <= WAITING_BYTES_MAX);
        }
        assert!(end_turn(&gathering).is_ready());
        let peer = &gathering.0.borrow().stream;
        assert_eq!((peer.got.len(), peer.writes), (64 * (9 + (16 << 10)), 16));
    }

    #[test]
    fn a_peer_that_takes_nothing_holds_h2_up_at_the_bound() {
        let mut gathering = gathering([None; 9]);
        gathering.begin_turn();
        let all = [7; 9 + (16 << 10)];
        let is_taken: Vec<_> = (0..5).map(|_| write(&mut gathering, &mut &all[..])).collect();
        assert_eq!(is_taken, [true, true, true, false, false]);
        assert!(end_turn(&gathering).is_pending());
    }

    #[test]
    fn what_is_written_outside_of_turns_leaves_behind_what_waits() {
        let mut gathering = gathering([Some(3), None, None, Some(5)]);
        gathering.begin_turn();
        assert!(write(&mut gathering, &mut &b"hello"[..]));
        assert!(end_turn(&gathering).is_pending(), "the peer took three bytes");
        let mut rest = &b" world"[..];
        assert!(!write(&mut gathering, &mut rest), "it takes none now");
        assert_eq!(rest, b" world");
        assert!(write(&mut gathering, &mut rest));
        let gathered = gathering.0.borrow();
        assert_eq!(gathered.stream.got, b"hello world");
        assert_eq!(gathered.waiting.capacity(), 0, "no buffer is held");
    }

    #[test]
    fn a_shutdown_sends_what_waits() {
        let mut gathering = gathering([None]);
        gathering.begin_turn();
        assert!(write(&mut gathering, &mut &b"goodbye"[..]));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut gathering).poll_shutdown(&mut cx).is_pending());
        assert!(Pin::new(&mut gathering).poll_shutdown(&mut cx).is_ready());
        assert_eq!(gathering.0.borrow().stream.got, b"goodbye");
    }

    #[test]
    fn what_a_peer_takes_no_more_is_an_error() {
        let mut gathering = gathering([Some(0)]);
        gathering.begin_turn();
        assert!(write(&mut gathering, &mut &b"hello"[..]));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Err(error)) = gathering.poll_end_turn(&mut cx) else {
            panic!("it was taken");
        };
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_byte_leaves_once_and_in_order(
            frames in prop::collection::vec((0..30_000usize, any::<bool>()), 0..12),
            takes in prop::collection::vec(prop::option::of(1..50_000usize), 0..60),
        ) {
            let mut gathering = gathering(takes);
            let mut given = Vec::new();
            for (n, (len, ends_turn)) in frames.into_iter().enumerate() {
                let frame: Vec<u8> = (0..len).map(|at| (at + n) as u8).collect();
                given.extend_from_slice(&frame);
                let mut frame = &frame[..];
                gathering.begin_turn();
                while !write(&mut gathering, &mut frame) {}
                if ends_turn {
                    while end_turn(&gathering).is_pending() {
                        let capacity = gathering.0.borrow().waiting.capacity();
                        prop_assert!(capacity <= WAITING_BYTES_MAX);
                    }
                    prop_assert_eq!(&gathering.0.borrow().stream.got, &given);
                }
            }
            let mut cx = Context::from_waker(Waker::noop());
            while Pin::new(&mut gathering).poll_shutdown(&mut cx).is_pending() {}
            prop_assert_eq!(&gathering.0.borrow().stream.got, &given);
        }
    }
}
