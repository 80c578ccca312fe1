//! An exchange as a line of the log.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Recorded,
    Hit,
    Health,
    Fault(Fault),
    /// The client didn't wait for it.
    Left,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Recorded => f.write_str("recorded"),
            Source::Hit => f.write_str("hit"),
            Source::Health => f.write_str("health"),
            Source::Fault(fault) => f.write_str(fault.name()),
            Source::Left => f.write_str("left by its client"),
        }
    }
}

/// One exchange as the log shows it. Its target is already redacted.
pub(super) struct ExchangeLine<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub status: u16,
    /// Sent to the client, head included.
    pub bytes: u64,
    pub took: Duration,
    pub session: &'a str,
    pub source: Source,
}

impl ExchangeLine<'_> {
    pub(super) fn log(&self) {
        let ExchangeLine { method, target, status, bytes, took, session, source } = self;
        let ms = took.as_secs_f64() * 1000.0;
        tracing::info!("{method} {target} {status} {bytes} B {ms:.1} ms [{session}] {source}");
    }
}
