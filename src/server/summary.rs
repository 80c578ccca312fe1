//! What a run tells at its end, on stderr.

use std::fmt;

use crate::http::fault::Fault;
use crate::telemetry::{self, LogFormat};

/// What a run did, told at its end.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// A line per session: `default: 12 exchanges replaced by 3`.
    pub(super) sessions: Vec<String>,
    pub(super) requests: u64,
    pub(super) sent_bytes: u64,
    pub(super) misses: u64,
    pub(super) unused: usize,
    pub(super) refused: u64,
    pub(super) panics: u64,
    /// Connections that were still open when the drain's deadline passed.
    pub(super) cut: usize,
    pub(super) faults: Vec<(Fault, u64)>,
    /// Further lines: bodies that were not kept, files that were recovered.
    pub(super) notes: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.sessions.iter().chain(&self.notes) {
            writeln!(f, "{line}")?;
        }
        write!(f, "{} requests, {} bytes sent", self.requests, self.sent_bytes)?;
        let counts = [
            (self.misses, "misses"),
            (self.unused as u64, "recorded exchanges unused"),
            (self.refused, "connections refused"),
            (self.cut as u64, "connections cut at the drain's deadline"),
            (self.panics, "panics"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        for (fault, count) in &self.faults {
            write!(f, "\n{fault}: {count}")?;
        }
        Ok(())
    }
}

impl Summary {
    /// Writes it to stderr in the log's form.
    pub(super) fn tell(&self, format: LogFormat) {
        match format {
            LogFormat::Human => telemetry::tell(self),
            LogFormat::Json => telemetry::tell(self.to_json()),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let faults: serde_json::Map<_, _> = self
            .faults
            .iter()
            .map(|(fault, count)| (fault.name().into(), (*count).into()))
            .collect();
        serde_json::json!({
            "summary": {
                "sessions": self.sessions,
                "requests": self.requests,
                "sent_bytes": self.sent_bytes,
                "misses": self.misses,
                "unused": self.unused,
                "refused": self.refused,
                "cut": self.cut,
                "panics": self.panics,
                "faults": faults,
                "notes": self.notes,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            sessions: vec!["default: 12 exchanges replaced by 3".into()],
            requests: 5,
            sent_bytes: 700,
            misses: 1,
            refused: 2,
            faults: vec![(Fault::Miss, 1), (Fault::OriginTimeout, 1)],
            notes: vec!["a note".into()],
            ..Summary::default()
        }
    }

    #[test]
    fn a_summary_tells_sessions_first_and_only_what_happened() {
        assert_eq!(
            summary().to_string(),
            "default: 12 exchanges replaced by 3\na note\n\
             5 requests, 700 bytes sent, 1 misses, 2 connections refused\n\
             miss: 1\norigin-timeout: 1"
        );
        assert_eq!(Summary::default().to_string(), "0 requests, 0 bytes sent");
    }

    #[test]
    fn a_summary_for_programs_has_every_figure() {
        let told = summary().to_json();
        let summary = &told["summary"];
        assert_eq!((&summary["requests"], &summary["unused"]), (&5.into(), &0.into()));
        assert_eq!(summary["faults"], serde_json::json!({"miss": 1, "origin-timeout": 1}));
        assert_eq!(summary["sessions"][0], "default: 12 exchanges replaced by 3");
    }
}
