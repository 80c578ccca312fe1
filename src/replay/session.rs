//! One session, loaded: which of its recordings answers a request.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::answer::Answer;
use super::bodies::{Bodies, BodyPath, Unreadable};
use super::choose::{AfterLast, Ledger, Reserved};
use super::index::Index;
use crate::exchange::{Body, Exchange};
use crate::matching::{Asked, Bounds, key};
use crate::redact::Redactor;

/// What holds for every session of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Must know the same query names as the one that live keys are made with.
    pub redactor: Redactor,
    pub bounds: Bounds,
    pub after_last: AfterLast,
}

/// One recorded exchange.
#[derive(Debug)]
pub struct Recorded {
    pub exchange: Exchange,
    /// Made at first use, then kept.
    pub answer: OnceLock<Answer>,
}

/// What a session has for a request.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    Hit(&'a Recorded),
    /// Every occurrence has been given out, and none may be repeated; this was the last.
    Exhausted(&'a Recorded),
    Miss,
}

/// A session's recordings, shared by all runtimes.
pub struct Session {
    pub(super) recorded: Vec<Recorded>,
    pub(super) index: Index,
    pub(super) bodies: Bodies,
    pub(super) redactor: Redactor,
    name: String,
    ledger: Ledger,
    after_last: AfterLast,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The index counts in 32 bits and keeps one value for "none".
const EXCHANGE_COUNT_MAX: u32 = u32::MAX - 1;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("a session has at most {EXCHANGE_COUNT_MAX} exchanges, this one has {0}")]
    TooMany(usize),
    #[error("the body of request {nth} can't be read from `{}`", path.display())]
    Body {
        /// Counted from 1.
        nth: u32,
        path: PathBuf,
        source: io::Error,
    },
}

impl Session {
    /// Blocking: reads the request bodies that lie in files and count by more than their digest,
    /// from where `body_path` says.
    ///
    /// Errors: such a file can't be read.
    pub fn build(
        name: &str,
        exchanges: Vec<Exchange>,
        settings: &Settings,
        body_path: BodyPath,
    ) -> Result<Session, BuildError> {
        let count =
            u32::try_from(exchanges.len()).ok().filter(|count| *count <= EXCHANGE_COUNT_MAX);
        let count = count.ok_or(BuildError::TooMany(exchanges.len()))?;
        let bodies = Bodies { path_of: body_path, bounds: settings.bounds };
        let index = Index::build(count, |n, out| {
            let exchange = &exchanges[n as usize];
            let body = bodies.print(&exchange.request).map_err(|unreadable| {
                let Unreadable { path, source } = unreadable;
                BuildError::Body { nth: n + 1, path, source }
            })?;
            let asked = Asked {
                endpoint: &exchange.endpoint,
                method: &exchange.request.head.method,
                target: &exchange.request.head.target,
                body,
            };
            key::write(out, &asked, &settings.redactor);
            Ok(())
        })?;
        let recorded = exchanges.into_iter().map(Recorded::new).collect();
        Ok(Session {
            name: name.to_owned(),
            recorded,
            index,
            bodies,
            redactor: settings.redactor.clone(),
            ledger: Ledger::new(count),
            after_last: settings.after_last,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// All recordings, in the order of their request heads.
    pub fn recorded(&self) -> &[Recorded] {
        &self.recorded
    }

    /// Whether any recording has this match key. Reserves nothing.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.index.find(key).is_some()
    }

    /// Reserves the answer to a request with this match key: the nth equal request gets the nth
    /// recording. Never waits.
    pub fn choose(&self, key: &[u8]) -> Choice<'_> {
        let reserved = self.index.find(key).and_then(|(occurrences, cursor)| {
            self.ledger.reserve(occurrences, cursor, self.after_last)
        });
        let counter = match reserved {
            Some(Reserved::Given(_) | Reserved::Repeated(_)) => &self.hits,
            Some(Reserved::Exhausted(_)) | None => &self.misses,
        };
        counter.fetch_add(1, Relaxed);
        match reserved {
            Some(Reserved::Given(n) | Reserved::Repeated(n)) => {
                Choice::Hit(&self.recorded[n as usize])
            }
            Some(Reserved::Exhausted(n)) => Choice::Exhausted(&self.recorded[n as usize]),
            None => Choice::Miss,
        }
    }

    /// The recordings that could have answered a request and answered none, in order.
    pub fn unused(&self) -> impl Iterator<Item = &Recorded> {
        self.ledger
            .untaken()
            .filter_map(|n| self.recorded.get(n as usize))
            .filter(|r| r.is_usable())
    }

    /// Requests that were answered from here.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Requests that found nothing here, or nothing left.
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }
}

impl Recorded {
    fn new(exchange: Exchange) -> Recorded {
        Recorded { exchange, answer: OnceLock::new() }
    }

    /// Whether there is something to send: not when the answer's body was too large to keep.
    pub fn is_usable(&self) -> bool {
        !matches!(self.exchange.response.body, Body::Omitted { .. })
    }
}

#[cfg(test)]
mod tests;
