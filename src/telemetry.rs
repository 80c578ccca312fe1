//! What a run tells: the log, a line per exchange, counters and the summary at the end.
//!
//! All of it goes to stderr; stdout is for data. Nothing here decides anything.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::cli::{Level, Log, LogFormat};
use crate::http::fault::Fault;

/// Sets up the log for the rest of the process.
pub fn init(log: &Log) {
    let level = match log.level {
        Level::Quiet => LevelFilter::WARN,
        Level::Normal => LevelFilter::INFO,
        Level::Verbose => LevelFilter::DEBUG,
        Level::Everything => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        // It would be told to stderr, by a panic where that is what can't be written.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second set-up in one process (the demo's two runs) leaves the first in place.
    let _ = match log.format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Writes a line to stderr. Where that can't be written (a full disk, a pipe that nobody reads any
/// more), the work goes on: recordings matter more than being told of them.
pub fn tell(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether each exchange gets a line: on a terminal unless quiet, elsewhere with `-v`.
pub fn tells_exchanges(log: &Log) -> bool {
    match log.level {
        Level::Quiet => false,
        Level::Normal => std::io::stderr().is_terminal(),
        Level::Verbose | Level::Everything => true,
    }
}

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
pub struct ExchangeLine<'a> {
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
    pub fn log(&self) {
        let ExchangeLine { method, target, status, bytes, took, session, source } = self;
        let ms = took.as_secs_f64() * 1000.0;
        tracing::info!("{method} {target} {status} {bytes} B {ms:.1} ms [{session}] {source}");
    }
}

/// A figure that one thread adds to and any may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        // One writer: a plain load and store are enough, and cheaper than a locked addition.
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One runtime's figures.
#[derive(Debug, Default)]
pub struct Counters {
    pub requests: Counter,
    /// To clients, heads included.
    pub sent_bytes: Counter,
    /// Connections over the limit.
    pub refused: Counter,
    /// Requests sent again because their kept connection was dead.
    pub retries: Counter,
    pub panics: Counter,
}

/// What a run did, told at its end.
#[derive(Debug, Default)]
pub struct Summary {
    /// A line per session: `default: 12 exchanges replaced by 3`.
    pub sessions: Vec<String>,
    pub requests: u64,
    pub sent_bytes: u64,
    pub misses: u64,
    pub unused: usize,
    pub refused: u64,
    pub panics: u64,
    /// Connections that were still open when the drain's deadline passed.
    pub cut: usize,
    pub faults: Vec<(Fault, u64)>,
    /// Further lines: bodies that were not kept, files that were recovered.
    pub notes: Vec<String>,
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
    pub fn tell(&self, format: LogFormat) {
        match format {
            LogFormat::Human => tell(self),
            LogFormat::Json => tell(self.to_json()),
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
