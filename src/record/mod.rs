//! From an exchange in flight to the tape.
//!
//! A `Run` is one recording run: its id, its files' names, the order of its requests, the sessions
//! it has claimed, and the first fault of its disk. A `Recorder` is one runtime's tape. A
//! `Recording` is one exchange: it turns what happens into frames in a lent buffer, and `flush`
//! hands them to the kernel before anything may go to the client (tape before wire). `hand_over`
//! does so together with other exchanges; a `Handover` is the wait for that.
//!
//! Owns no redaction: whoever calls has taken the secrets out. Knows no cassettes: see `seal`.
//!
//! Invariants: a flush is one write by the calling thread, as is what is handed over together;
//! whatever fails is noted on the run; behind what was lost nothing of its exchange comes to the
//! tape; a body over the threshold is in memory nowhere.

#[cfg(test)]
mod batch_tests;
mod body;
#[cfg(test)]
mod call_tests;
mod conversation;
#[cfg(test)]
mod conversation_tests;
#[cfg(test)]
mod crash_tests;
mod error;
mod handover;
mod recording;
mod run;
#[cfg(test)]
mod tests;

pub use body::Omitted;
pub use error::Error;
pub use handover::Handover;
pub use recording::Recording;
pub use run::{Keep, Recorder, Run};

pub use crate::tape::Part;
pub use crate::tape::lock::SessionHeld;
