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
