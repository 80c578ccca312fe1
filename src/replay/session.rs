//! One session, loaded: which of its recordings answers a request.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use super::answer::{Answer, MakeWire, Ready};
use super::bodies::{self, Bodies, BodyPath, Unreadable};
use super::call::{Desk, Protocol, tree};
use super::choose::{AfterLast, Ledger, Reserved};
use super::index::{self, Index};
use super::shelf::Shelf;
use crate::exchange::{After, Body, Exchange, Message, Payload, Request, RequestHead};
use crate::matching::{Asked, BodyKey, BodyPrint, Bounds, Canonical, handshake, key};
use crate::redact::Redactor;

/// What holds for every session of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Must know the same query names as the one that live keys are made with.
    pub redactor: Redactor,
    pub bounds: Bounds,
    pub after_last: AfterLast,
    /// Bytes of a cassette up to which it is read into memory whole.
    pub index_over: u64,
    /// For an index: what it holds of answers so that they need not be made when they are asked for.
    pub make_wire: MakeWire,
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
    Hit(Hit<'a>),
    /// Every occurrence has been given out, and none may be repeated.
    Exhausted,
    Miss,
}

/// A recording that answers a request.
#[derive(Clone, Copy, Debug)]
pub enum Hit<'a> {
    Kept(&'a Recorded, &'a Ready),
    /// To be read from a shelf, by its number there.
    Shelved(&'a Arc<Shelf>, u32),
}

/// A session's recordings, shared by all runtimes.
pub struct Session {
    /// Those in memory: all of them, or what stands on no shelf.
    pub(super) recorded: Vec<Recorded>,
    /// By recording.
    ready: Box<[Ready]>,
    pub(super) shelf: Option<Arc<Shelf>>,
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
            ready: (0..count).map(|_| Ready::new()).collect(),
            shelf: None,
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

    /// With more recordings, which stand on a shelf.
    pub(super) fn with_shelf(self, shelf: Option<Shelf>) -> Session {
        Session { shelf: shelf.map(Arc::new), ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Recordings.
    pub fn len(&self) -> usize {
        self.recorded.len() + self.shelf.as_ref().map_or(0, |shelf| shelf.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The recording of a call or a conversation.
    pub fn recorded(&self, n: usize) -> Option<&Recorded> {
        self.recorded.get(n)
    }

    /// Whether any recording has this match key. Reserves nothing.
    pub fn holds(&self, key: &[u8]) -> bool {
        let on_shelf = || self.shelf.as_ref()?.index.find(key).map(drop);
        self.index.find(key).is_some() || on_shelf().is_some()
    }

    /// Reserves the answer to a request with this match key and body: the nth equal request gets
    /// the nth recording. Never waits.
    ///
    /// Where none is recorded whole, one will do whose origin answered before it had all of the
    /// body, if what it had of it is how this one begins, as far as that can be told.
    pub fn choose(&self, key: &[u8], body: &BodyKey) -> Choice<'_> {
        let choice = self.reserve(key).unwrap_or_else(|| {
            let part = self.reserve_part(key, |begun| self.bodies.may_begin(begun, body));
            part.map_or(Choice::Miss, |reserved| self.kept(reserved))
        });
        let counter = match choice {
            Choice::Hit(_) => &self.hits,
            Choice::Exhausted | Choice::Miss => &self.misses,
        };
        counter.fetch_add(1, Relaxed);
        choice
    }

    /// Reserves the answer of an origin that gave it before anything of the body came, to a request
    /// with the match key of one without a body.
    pub fn choose_early(&self, key: &[u8]) -> Option<Hit<'_>> {
        let part = self.reserve_part(key, |begun| bodies::len(&begun.body) == 0);
        let choice = part.map(|reserved| self.kept(reserved)).or_else(|| self.reserve(key))?;
        let Choice::Hit(hit) = choice else { return None };
        self.hits.fetch_add(1, Relaxed);
        Some(hit)
    }

    /// Among the requests that were recorded whole; none where none has this key.
    fn reserve(&self, key: &[u8]) -> Option<Choice<'_>> {
        if let Some((occurrences, cursor)) = self.index.find(key) {
            let reserved = self.ledger.reserve(occurrences, cursor, self.after_last)?;
            return Some(self.kept(reserved));
        }
        let shelf = self.shelf.as_ref()?;
        Some(match shelf.reserve(key, self.after_last)? {
            Reserved::Given(n) | Reserved::Repeated(n) => Choice::Hit(Hit::Shelved(shelf, n)),
            Reserved::Exhausted(_) => Choice::Exhausted,
        })
    }

    fn kept(&self, reserved: Reserved) -> Choice<'_> {
        match reserved {
            Reserved::Given(n) | Reserved::Repeated(n) => {
                let n = n as usize;
                Choice::Hit(Hit::Kept(&self.recorded[n], &self.ready[n]))
            }
            Reserved::Exhausted(_) => Choice::Exhausted,
        }
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

    /// How many recordings could have answered a request and answered none.
    pub fn unused_count(&self) -> usize {
        let on_shelf = self.shelf.as_ref().map_or(0, |shelf| shelf.unused().count());
        self.unused().count() + on_shelf
    }

    /// Method and target of the first of those, `GET /a`, in order: no more than `most`, those in
    /// memory before those on a shelf.
    ///
    /// Blocking: reads those on a shelf.
    pub fn unused_requests(&self, most: usize) -> Vec<String> {
        let line = |head: &RequestHead| format!("{} {}", head.method, head.target);
        let kept = self.unused().map(|n| line(&self.recorded[n as usize].exchange.request.head));
        let on_shelf = self.shelf.iter().flat_map(|shelf| {
            shelf.unused().filter_map(|n| Some(line(&shelf.request(n).ok()?.head)))
        });
        kept.chain(on_shelf).take(most).collect()
    }

    /// Of those in memory.
    fn unused(&self) -> impl Iterator<Item = u32> {
        let is_usable = |n: &u32| self.recorded.get(*n as usize).is_some_and(Recorded::is_usable);
        self.ledger.untaken().filter(is_usable)
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
pub(super) fn is_part(exchange: &Exchange) -> bool {
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

/// Writes the match key of an exchange that is neither a call, a conversation nor recorded in part.
pub(super) fn ordinary_key(
    exchange: &Exchange,
    bodies: &Bodies,
    redactor: &Redactor,
    key: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let body = bodies.print(&exchange.request)?;
    key::write(key, &asked(exchange, body), redactor);
    Ok(())
}

fn asked<'a>(exchange: &'a Exchange, body: BodyPrint<'a>) -> Asked<'a> {
    let head = &exchange.request.head;
    Asked { endpoint: &exchange.endpoint, method: &head.method, target: &head.target, body }
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
        let offered;
        let body = match tree::protocol(exchange) {
            Some(Protocol::Grpc) => BodyPrint::Call,
            Some(Protocol::WebSocket) => {
                offered = handshake::offered(&exchange.request.head.fields, self.redactor);
                BodyPrint::Conversation(&offered)
            }
            None => {
                match is_part(exchange) {
                    true => key::write(key, &asked(exchange, BodyPrint::Part), self.redactor),
                    false => ordinary_key(exchange, self.bodies, self.redactor, key)?,
                }
                index.put(key, n);
                return Ok(());
            }
        };
        key::write(key, &asked(exchange, body), self.redactor);
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
