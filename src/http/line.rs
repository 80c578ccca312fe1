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
    /// The client stopped taking it.
    Stalled,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Recorded => f.write_str("recorded"),
            Source::Hit => f.write_str("hit"),
            Source::Health => f.write_str("health"),
            Source::Fault(fault) => f.write_str(fault.name()),
            Source::Left => f.write_str("left by its client"),
            Source::Stalled => f.write_str("not taken by its client"),
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
    /// Whether the answer ends before its end.
    pub is_cut: bool,
}

impl fmt::Display for ExchangeLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExchangeLine { method, target, status, bytes, took, session, source, is_cut } = self;
        let ms = took.as_secs_f64() * 1000.0;
        let cut = if *is_cut { ", cut" } else { "" };
        write!(f, "{method} {target} {status} {bytes} B {ms:.1} ms [{session}] {source}{cut}")
    }
}

impl ExchangeLine<'_> {
    pub(super) fn log(&self) {
        tracing::info!("{self}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_the_answer_came_from_and_whether_it_was_cut() {
        let line = ExchangeLine {
            method: "GET",
            target: "/a?key=REDACTED",
            status: 200,
            bytes: 17,
            took: Duration::from_micros(1250),
            session: "pay",
            source: Source::Recorded,
            is_cut: false,
        };
        assert_eq!(line.to_string(), "GET /a?key=REDACTED 200 17 B 1.2 ms [pay] recorded");
        let cut =
            ExchangeLine { is_cut: true, source: Source::Fault(Fault::TapeUnavailable), ..line };
        assert!(cut.to_string().ends_with("[pay] tape-unavailable, cut"));
    }
}
