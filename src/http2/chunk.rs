//! Bytes on their way into a stream, counted until h2 has let go of them.
//!
//! `send_reset` throws away what a stream still has queued. Whoever must cut an answer where its
//! origin cut it waits until nothing is queued any more, and only this count tells.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use h2::SendStream;

/// What h2 has of one stream and has not yet put on the wire. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Queued(Rc<RefCell<Count>>);

#[derive(Debug, Default)]
struct Count {
    chunks: usize,
    /// Whether there ever was one.
    is_used: bool,
    waker: Option<Waker>,
}

impl Queued {
    /// Ready when h2 has let go of every chunk.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut count = self.0.borrow_mut();
        if count.chunks == 0 {
            return Poll::Ready(());
        }
        count.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Queues an empty chunk behind a head that none has followed: nothing else tells when it has
    /// left.
    pub(super) fn follow_head(&self, body: &mut SendStream<Chunk>) {
        if !self.0.borrow().is_used {
            // Fails where the stream is over, and then nothing is queued.
            let _ = body.send_data(self.chunk(Bytes::new()), false);
        }
    }

    pub(super) fn chunk(&self, bytes: Bytes) -> Chunk {
        {
            let mut count = self.0.borrow_mut();
            count.chunks += 1;
            count.is_used = true;
        }
        Chunk { bytes, queued: Some(self.clone()) }
    }
}

/// A run of a body's bytes.
#[derive(Debug)]
pub struct Chunk {
    bytes: Bytes,
    queued: Option<Queued>,
}

impl Chunk {
    /// For who never asks whether it has left.
    pub fn uncounted(bytes: Bytes) -> Self {
        Chunk { bytes, queued: None }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let Some(queued) = self.queued.take() else { return };
        let waker = {
            let mut count = queued.0.borrow_mut();
            count.chunks -= 1;
            if count.chunks == 0 { count.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_empty_when_the_last_chunk_is_dropped_and_says_so() {
        let queued = Queued::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(queued.poll_empty(&mut cx).is_ready());
        let (first, second) = (queued.chunk("ab".into()), queued.chunk("c".into()));
        drop(second);
        assert!(queued.poll_empty(&mut cx).is_pending());
        drop(first);
        assert!(queued.poll_empty(&mut cx).is_ready());
    }
}
