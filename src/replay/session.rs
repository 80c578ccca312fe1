//! One session, loaded: which of its recordings answers a request.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use super::answer::Answer;
use super::bodies::{self, Bodies, BodyPath, Unreadable};
use super::call::{Desk, Protocol, tree};
use super::choose::{AfterLast, Ledger, Reserved};
use super::index::{self, Index};
use crate::exchange::{After, Body, Exchange, Message, Payload, Request};
use crate::matching::{Asked, BodyKey, BodyPrint, Bounds, Canonical, handshake, key};
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
    pub(super) tree: tree::Tree,
    pub(super) bodies: Bodies,
    pub(super) redactor: Redactor,
    pub(super) ledger: Ledger,
    pub(super) desk: Mutex<Desk>,
    pub(super) after_last: AfterLast,
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    name: String,
    /// Whether any request was recorded only in part.
    has_parts: bool,
}

/// The index counts keys in 32 bits and keeps one value for "none".
const EXCHANGE_COUNT_MAX: u32 = u32::MAX - 1;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "a session has at most {EXCHANGE_COUNT_MAX} exchanges and messages of clients, this one has {0}"
    )]
    TooMany(usize),
    #[error("the body of request {nth} can't be read from `{}`", path.display())]
    Body {
        /// Counted from 1.
        nth: u32,
        path: PathBuf,
        source: io::Error,
    },
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Session {
    /// Blocking: reads the request bodies that lie in files and count by more than their digest,
    /// from where `body_path` says. `canonical` knows the values of gRPC messages.
    ///
    /// Errors: such a file can't be read.
    pub fn build(
        name: &str,
        mut exchanges: Vec<Exchange>,
        settings: &Settings,
        body_path: BodyPath,
        canonical: Option<Arc<dyn Canonical>>,
    ) -> Result<Session, BuildError> {
        exchanges.iter_mut().for_each(settle_handshake);
        let key_count = exchanges.iter().map(|one| 1 + tree::messages(one).len()).sum();
        let fits = u32::try_from(key_count).is_ok_and(|count| count <= EXCHANGE_COUNT_MAX);
        let count = u32::try_from(exchanges.len()).ok().filter(|_| fits);
        let count = count.ok_or(BuildError::TooMany(key_count))?;
        let bodies = Bodies { path_of: body_path, bounds: settings.bounds, canonical };
        let mut keys =
            Keys { bodies: &bodies, redactor: &settings.redactor, tree: tree::Builder::default() };
        let mut index = index::Builder::new(key_count);
        let mut key = Vec::new();
        for (n, exchange) in (0..count).zip(&exchanges) {
            keys.put(&mut index, n, exchange, &mut key).map_err(|unreadable| {
                let Unreadable { path, source } = unreadable;
                BuildError::Body { nth: n + 1, path, source }
            })?;
        }
        let index = index.finish();
        let tree = keys.tree.finish(&index, &exchanges);
        let has_parts = exchanges.iter().any(is_part);
        let recorded = exchanges.into_iter().map(Recorded::new).collect();
        Ok(Session {
            name: name.to_owned(),
            recorded,
            index,
            tree,
            bodies,
            redactor: settings.redactor.clone(),
            ledger: Ledger::new(count),
            desk: Mutex::default(),
            after_last: settings.after_last,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            has_parts,
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

    /// Reserves the answer to a request with this match key and body: the nth equal request gets
    /// the nth recording. Never waits.
    ///
    /// Where none is recorded whole, one will do whose origin answered before it had all of the
    /// body, if what it had of it is how this one begins, as far as that can be told.
    pub fn choose(&self, key: &[u8], body: &BodyKey) -> Choice<'_> {
        let reserved = match self.index.find(key) {
            Some((occurrences, cursor)) => {
                self.ledger.reserve(occurrences, cursor, self.after_last)
            }
            None => self.reserve_part(key, |begun| self.bodies.may_begin(begun, body)),
        };
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

    /// Reserves the answer of an origin that gave it before anything of the body came, to a request
    /// with the match key of one without a body.
    pub fn choose_early(&self, key: &[u8]) -> Option<&Recorded> {
        let reserved =
            self.reserve_part(key, |begun| bodies::len(&begun.body) == 0).or_else(|| {
                let (occurrences, cursor) = self.index.find(key)?;
                self.ledger.reserve(occurrences, cursor, self.after_last)
            });
        let (Reserved::Given(n) | Reserved::Repeated(n)) = reserved? else { return None };
        self.hits.fetch_add(1, Relaxed);
        self.recorded.get(n as usize)
    }

    /// Among the requests with this head that were recorded only in part.
    fn reserve_part(&self, key: &[u8], fits: impl Fn(&Request) -> bool) -> Option<Reserved> {
        let mut part = Vec::new();
        if !self.has_parts || !key::write_part(&mut part, key) {
            return None;
        }
        let (occurrences, cursor) = self.index.find(&part)?;
        let fits = |n: u32| {
            let recorded = self.recorded.get(n as usize);
            recorded.is_some_and(|recorded| fits(&recorded.exchange.request))
        };
        self.ledger.reserve_fitting(occurrences, cursor, self.after_last, fits)
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

/// Whether an ordinary request is recorded only as far as its client sent it before it was
/// answered.
fn is_part(exchange: &Exchange) -> bool {
    !exchange.request.is_whole && tree::protocol(exchange).is_none()
}

/// A client says nothing before its handshake is answered (RFC 6455 section 4.1), and nothing any
/// more after a refusal: so neither waits for it.
fn settle_handshake(exchange: &mut Exchange) {
    if tree::protocol(exchange) != Some(Protocol::WebSocket) {
        return;
    }
    let is_refused = !exchange.is_conversation();
    let response = &mut exchange.response;
    response.after = After::Messages(0);
    if is_refused {
        response.end_after = After::Messages(0);
    }
}

/// What the recordings of a session are found by.
struct Keys<'b> {
    bodies: &'b Bodies,
    redactor: &'b Redactor,
    tree: tree::Builder,
}

impl Keys<'_> {
    /// `key` is only memory.
    fn put(
        &mut self,
        index: &mut index::Builder,
        n: u32,
        exchange: &Exchange,
        key: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let (endpoint, request) = (&exchange.endpoint, &exchange.request);
        let (head, protocol) = (&request.head, tree::protocol(exchange));
        let offered;
        let body = match protocol {
            Some(Protocol::Grpc) => BodyPrint::Call,
            Some(Protocol::WebSocket) => {
                offered = handshake::offered(&head.fields, self.redactor);
                BodyPrint::Conversation(&offered)
            }
            None if is_part(exchange) => BodyPrint::Part,
            None => self.bodies.print(request)?,
        };
        let asked = Asked { endpoint, method: &head.method, target: &head.target, body };
        key::write(key, &asked, self.redactor);
        if protocol.is_none() {
            index.put(key, n);
            return Ok(());
        }
        let mut message_key = self.bodies.message_key(exchange);
        let messages = tree::messages(exchange).iter();
        let prints = messages.map(|one| self.bodies.message_print(&mut message_key, one));
        self.tree.put(index, (n, exchange), key, prints)
    }
}

impl Recorded {
    fn new(exchange: Exchange) -> Recorded {
        Recorded { exchange, answer: OnceLock::new() }
    }

    /// Whether there is something to send: not when the answer's body, or one of its messages, was
    /// too large to keep.
    pub fn is_usable(&self) -> bool {
        let is_omitted = |message: &Message| matches!(message.payload, Payload::Omitted { .. });
        match &self.exchange.response.body {
            Body::Omitted { .. } => false,
            Body::Messages(messages) => !messages.iter().any(is_omitted),
            Body::Absent | Body::Whole(_) | Body::Pieces(_) | Body::File { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests;
