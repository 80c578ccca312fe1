//! What a replayed conversation does, or waits for, next.

use crate::exchange::{Close, End, Message, Response};
use crate::replay::call::{Awaited, Part};

/// What comes next.
pub(super) enum Step {
    Ask,
    /// The next part waits for its time.
    Send(Ready),
    /// The client is to say this.
    Await(Awaited),
    /// The client may say which recording it means.
    Choose,
    /// All was sent; the client closes, or leaves, or time is up.
    Rest {
        is_bounded: bool,
    },
}

/// A part of a recording, detached from it.
pub(super) enum Ready {
    Message(Message),
    End(Ending),
}

/// How a recorded conversation ends.
pub(super) struct Ending {
    pub(super) close: Option<Close>,
    pub(super) end: End,
}

/// The client has said more: what was waited for may have come, and what is due stays due.
pub(super) fn heard(step: &mut Step, agrees: bool) {
    match step {
        Step::Send(_) if agrees => {}
        Step::Rest { .. } => {}
        _ => *step = Step::Ask,
    }
}

impl Ready {
    pub(super) fn of(part: &Part<'_>) -> Ready {
        match part {
            Part::Message(message) => Ready::Message((*message).clone()),
            Part::Head(response) | Part::Body(response) | Part::End(response) => {
                Ready::End(Ending::of(response))
            }
        }
    }
}

impl Ending {
    fn of(response: &Response) -> Ending {
        Ending { close: response.close.clone(), end: response.end }
    }
}
