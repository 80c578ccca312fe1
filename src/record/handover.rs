//! The wait for frames that several exchanges write together.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Error, Recorder};
use crate::tape::batch::Ticket;

/// Completes when the frames are on the tape. Whoever is polled again first writes for all: the
/// runtime puts a task that wakes itself behind those that are ready now, so they have come by
/// then as far as they can. No timer, no other task, and nothing to lose where one who waits is
/// dropped: the others write its frames along.
///
/// Errors: nothing of the frames is on the tape.
pub struct Handover {
    recorder: Recorder,
    ticket: Ticket,
    has_waited: bool,
}

impl Handover {
    pub(super) fn new(recorder: Recorder, ticket: Ticket) -> Self {
        Handover { recorder, ticket, has_waited: false }
    }
}

impl Future for Handover {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(fate) = self.ticket.fate() {
            return Poll::Ready(fate.map_err(Error::from));
        }
        if !std::mem::replace(&mut self.has_waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.recorder.redeem(&self.ticket))
    }
}
