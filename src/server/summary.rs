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

/// `1 exchange`, `2 exchanges`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.sessions.iter().chain(&self.notes) {
            writeln!(f, "{line}")?;
        }
        let requests = counted(self.requests, "request", "requests");
        write!(f, "{requests}, {} sent", counted(self.sent_bytes, "byte", "bytes"))?;
        let counts = [
            (self.misses, "miss", "misses"),
            (self.unused as u64, "recorded exchange unused", "recorded exchanges unused"),
            (self.refused, "connection refused", "connections refused"),
            (
                self.cut as u64,
                "connection cut at the drain's deadline",
                "connections cut at the drain's deadline",
            ),
            (self.panics, "panic", "panics"),
        ];
        for (count, one, many) in counts.into_iter().filter(|(count, ..)| *count > 0) {
            write!(f, ", {}", counted(count, one, many))?;
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

    #[test]
    fn a_summary_for_programs_has_every_figure() {
        let summary = Summary {
            sessions: vec!["default: 1 exchange recorded".into()],
            requests: 5,
            faults: vec![(Fault::Miss, 1), (Fault::OriginTimeout, 2)],
            ..Summary::default()
        };
        let told = summary.to_json();
        let told = &told["summary"];
        assert_eq!((&told["requests"], &told["unused"]), (&5.into(), &0.into()));
        assert_eq!(told["faults"], serde_json::json!({"miss": 1, "origin-timeout": 2}));
        assert_eq!(told["sessions"][0], "default: 1 exchange recorded");
    }

    #[test]
    fn it_reads_as_sentences_and_leaves_out_what_did_not_happen() {
        let summary = Summary {
            sessions: vec!["default: 1 exchange recorded".into()],
            requests: 1,
            sent_bytes: 219,
            ..Summary::default()
        };
        assert_eq!(summary.to_string(), "default: 1 exchange recorded\n1 request, 219 bytes sent");
        let summary = Summary {
            requests: 5,
            sent_bytes: 1000,
            misses: 1,
            unused: 2,
            cut: 1,
            faults: vec![(Fault::Miss, 1)],
            notes: vec!["default: unused: GET /b".into()],
            ..Summary::default()
        };
        assert_eq!(
            summary.to_string(),
            "default: unused: GET /b\n5 requests, 1000 bytes sent, 1 miss, 2 recorded exchanges \
             unused, 1 connection cut at the drain's deadline\nmiss: 1"
        );
    }
}
