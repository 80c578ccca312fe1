//! Where a request is served: what all runtimes share, what one has, and the endpoint it came to.
//!
//! Built by `server`, which is above; the road only reads it, and notes what the summary will tell.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::Tally;
use crate::config::{Endpoint, Limits, Mode, Pace};
use crate::http2::links::Links;
use crate::net::drain;
use crate::net::inflight::InFlight;
use crate::net::{arena, origin, tls};
use crate::record::{self, Omitted, Recorder, Run};
use crate::redact::{Redactor, Scratch};
use crate::replay::source::LoadError;
use crate::replay::{Library, Session};
use crate::telemetry::Counters;

/// What all runtimes share.
pub struct Shared {
    pub limits: Limits,
    pub mode: Mode,
    /// The session of requests that name none.
    pub session: String,
    pub pace: Pace,
    /// Whether each exchange gets a line in the log.
    pub exchange_log: bool,
    pub in_flight: InFlight,
    pub library: Arc<Library>,
    /// None in replay.
    pub run: Option<Arc<Run>>,
    pub notes: Notes,
}

impl Shared {
    /// The first fault of the disk, if there was one.
    pub fn disk_fault(&self) -> Option<&record::Error> {
        self.run.as_ref()?.fault()
    }
}

/// What happened that the summary tells at the end.
#[derive(Debug, Default)]
pub struct Notes {
    pub faults: Tally,
    misses: AtomicU64,
    omitted: Mutex<Vec<String>>,
}

impl Notes {
    pub fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// A body was too large to keep: said now, and again in the summary.
    pub fn omitted(&self, session: &str, omitted: &Omitted) {
        let line = format!(
            "{session}: a body of {} bytes was larger than `max_kept_body` and is kept as length \
             and SHA-256 {} only",
            omitted.len, omitted.digest
        );
        tracing::warn!("{line}");
        self.omitted.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// A line for each body that was too large to keep.
    pub fn omitted_lines(&self) -> Vec<String> {
        self.omitted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One runtime's own.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub arenas: arena::Pool,
    pub origins: origin::Pool,
    pub dialer: origin::Dialer,
    /// Connections to origins that speak HTTP/2.
    pub links: Links,
    /// None in replay.
    pub recorder: Option<Recorder>,
    pub counters: Arc<Counters>,
    /// Room for redacted heads; used within one step, never across a wait.
    pub scratch: RefCell<Scratch>,
    /// Sessions this runtime has met, so that a hit takes no lock.
    pub sessions: RefCell<HashMap<String, Arc<Session>>>,
}

impl Worker {
    /// The recordings of a session, loaded at its first use.
    pub async fn session(&self, name: &str) -> Result<Arc<Session>, Arc<LoadError>> {
        if let Some(session) = self.sessions.borrow().get(name) {
            return Ok(session.clone());
        }
        let session = self.shared.library.session(name).await?;
        // Names come from the network: only those that stand for recordings are remembered.
        if !session.is_empty() {
            self.sessions.borrow_mut().insert(name.to_owned(), session.clone());
        }
        Ok(session)
    }
}

/// Where a request came in: one endpoint on one runtime.
pub struct Here {
    pub worker: Rc<Worker>,
    pub endpoint: Arc<Endpoint>,
    pub redactor: Arc<Redactor>,
    pub origin: Arc<origin::Origin>,
    /// The handshake of clients; none where they speak no TLS.
    pub tls: Option<Arc<tls::Acceptor>>,
    /// `Host` of requests to the origin.
    pub authority_of_origin: String,
    /// The listener's own address, for clients that send no `Host`.
    pub authority: String,
    pub drain: drain::Watch,
    /// Whether the warning about lost cookies has been given.
    pub warned_of_cookies: Arc<AtomicBool>,
}

impl Here {
    pub fn limits(&self) -> &Limits {
        &self.shared().limits
    }

    pub fn shared(&self) -> &Shared {
        &self.worker.shared
    }

    pub fn notes(&self) -> &Notes {
        &self.shared().notes
    }
}
