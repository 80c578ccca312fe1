//! The log's set-up, and the counters.
//!
//! Logs go to stderr; stdout is for data. Nothing here decides anything.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What the log shows, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Warnings and errors.
    Quiet,
    Normal,
    Verbose,
    Everything,
}

/// Sets up the log for the rest of the process.
pub fn init(log: &Log) {
    let level = match log.level {
        Level::Quiet => LevelFilter::WARN,
        Level::Normal => LevelFilter::INFO,
        Level::Verbose => LevelFilter::DEBUG,
        Level::Everything => LevelFilter::TRACE,
    };
    // Nobody else's: libraries log what they read, header fields with their secrets among it.
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        // It would be told to stderr, by a panic where that is what can't be written.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    // A second set-up in one process (the demo's two runs) leaves the first in place.
    let _ = match log.format {
        LogFormat::Human => registry.with(lines.with_filter(own)).try_init(),
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true).with_filter(own)).try_init()
        }
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
    /// Requests sent again because their kept connection was dead.
    pub retries: Counter,
    pub panics: Counter,
}
