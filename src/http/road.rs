//! The road of one request: session, permit, then record, replay or auto.
//!
//! The one `match mode` is here. What fails becomes an answer, in `answer_problem`; what can no
//! longer be answered is cut by closing the connection.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::Asked;
use super::client::{self, Client, Rx, Tx};
use super::context::{Here, Shared};
use super::conversation::Conversation;
use super::fault::{Fault, Problem, Whose};
use super::forward::{self, Upload};
use super::line::{ExchangeLine, Source};
use super::serve::Waiting;
use super::{auto, own, serve, target};
use crate::config::fault::quoted;
use crate::config::{Endpoint, Mode, PACE_HINT, PACES, Pace};
use crate::exchange::{RequestHead, ResetCode, Seq, Version};
use crate::http1::framing::Framing;
use crate::http1::halves::{Unread, Unsent};
use crate::net::arena::Arena;
use crate::net::inflight::Slot;
use crate::session;
use crate::ws::handshake;

/// A request whose head is in the arena.
pub struct Incoming<'a, 'c> {
    pub arena: &'a mut Arena,
    pub client: Client<'a, 'c>,
    /// Whether the client wants its connection kept.
    pub keep_alive: bool,
    pub framing: Framing,
}

/// What became of an exchange whose answer was sent.
pub struct Outcome {
    pub source: Source,
    pub status: u16,
    pub then: Then,
    /// What the answer granted.
    pub conversation: Option<Conversation>,
}

impl Outcome {
    pub fn new(source: Source, status: u16, then: Then) -> Self {
        Outcome { source, status, then, conversation: None }
    }

    /// The handshake was granted: whoever has the client's connection goes on with it.
    pub fn switched(source: Source, conversation: Conversation) -> Self {
        let (status, then) = (SWITCHED, Then::Switch);
        Outcome { source, status, then, conversation: Some(conversation) }
    }
}

/// 101, whatever the client is told in its version.
const SWITCHED: u16 = 101;

/// What an exchange means for its connection.
pub struct Travelled {
    pub then: Then,
    /// With `Then::Switch`.
    pub conversation: Option<Conversation>,
}

/// What an answer means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is good for another request.
    Keep,
    /// The client has been told that it ends.
    Close,
    /// It ends in the middle of the answer, as that of the origin did; a stream of HTTP/2 with this
    /// code.
    Cut(ResetCode),
    /// It is a WebSocket conversation from here on.
    Switch,
}

impl Then {
    /// After a whole answer that was sent as `asked`.
    pub fn after(asked: &Asked<'_>) -> Self {
        if asked.keep_alive { Then::Keep } else { Then::Close }
    }
}

/// Why an exchange has no proper end.
#[derive(Debug)]
pub enum Stop {
    /// To be answered, or cut if an answer has begun.
    Fault(Problem),
    /// The client went away.
    Left,
    /// The client takes no more of its answer.
    Stalled,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Stop::Fault(problem)
    }
}

impl From<Unsent> for Stop {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Left => Stop::Left,
            Unsent::Stalled(_) => Stop::Stalled,
        }
    }
}

impl From<Unread> for Stop {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Left => Stop::Left,
            Unread::Stalled(limit) => Stop::Fault(Problem::new(
                Fault::RequestTimeout,
                format!("no more of the request body came for {limit:?}"),
            )),
            Unread::Malformed(refusal) => Stop::Fault(Problem::from(&refusal)),
        }
    }
}

/// Serves one request. Returns what that means for its connection.
pub async fn travel(here: &Here, incoming: Incoming<'_, '_>) -> Travelled {
    let Incoming { arena, mut client, keep_alive, framing } = incoming;
    let started = Instant::now();
    client.deadline.clear();
    crash_point(&arena.head);
    let head = std::mem::take(&mut arena.head);
    here.worker.counters.requests.add(1);
    let travelled = {
        let asked = client::asked_of(here, &head).kept_if(keep_alive);
        let has_no_body = matches!(framing, Framing::None | Framing::Length(0));
        let is_handshake = has_no_body && handshake::is_asked_by(&head);
        let mut request = Request {
            here,
            head: &head,
            asked,
            framing,
            is_handshake,
            started,
            session: "",
            pace: here.endpoint.pace.unwrap_or(here.shared().pace),
            waiting_for_body: Waiting::default(),
            seq: None,
        };
        let ended = request.serve(arena, &mut client).await;
        request.conclude(ended, &mut client).await
    };
    here.worker.counters.sent_bytes.add(client.tx.sent());
    arena.head = head;
    travelled
}

/// The session that the request belongs to, one that can be recorded where that may happen.
fn session_of<'a>(head: &'a RequestHead, shared: &'a Shared) -> Result<&'a str, session::BadName> {
    let name = session::pick(&head.fields, &shared.session)?;
    if shared.mode.forwards() {
        session::refuse_recovered(name)?;
    }
    Ok(name)
}

/// The field by which a request says how fast its replay is to be. Never forwarded or recorded.
pub const PACE: &str = "ouli-pace";

fn asked_pace(head: &RequestHead) -> Result<Option<Pace>, Problem> {
    let mut values = head.fields.get_all(PACE);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = format!("the field `{PACE}` stands there more than once");
        return Err(Problem::new(Fault::BadRequest, detail).hint(PACE_HINT));
    }
    let text = String::from_utf8_lossy(value);
    let refused = || {
        let found = quoted(&text);
        let detail = format!("the field `{PACE}`: expected {PACES}, found {found}");
        Problem::new(Fault::BadRequest, detail).hint(PACE_HINT)
    };
    Pace::parse(&text).map(Some).ok_or_else(refused)
}

/// One request on its road, with all that its steps ask for.
pub struct Request<'a> {
    pub here: &'a Here,
    pub head: &'a RequestHead,
    asked: Asked<'a>,
    pub framing: Framing,
    is_handshake: bool,
    /// When its head was complete.
    pub started: Instant,
    pub session: &'a str,
    /// How fast a replay of it is.
    pub pace: Pace,
    /// Since when its client has been waited for to send the body, if it was.
    pub(super) waiting_for_body: Waiting,
    /// Its place among all requests of a recording run.
    pub seq: Option<Seq>,
}

impl<'a> Request<'a> {
    async fn serve(
        &mut self,
        arena: &mut Arena,
        client: &mut Client<'_, '_>,
    ) -> Result<Outcome, Stop> {
        let here = self.here;
        let path = target::origin_form(&self.head.method, &self.head.target, &here.endpoint.target)
            .map_err(|unservable| unservable_problem(unservable, &here.endpoint))?;
        if own::is_health(&here.endpoint, &self.head.method, &path) {
            let asked = self.asked().kept_if(client.rx.is_ended());
            own::answer_health(here, &mut client.tx, &asked).await?;
            return Ok(Outcome::new(Source::Health, 200, Then::after(&asked)));
        }
        let shared = here.shared();
        self.session = session_of(self.head, shared)
            .map_err(|error| Problem::new(Fault::BadSession, error.to_string()))?;
        if let Some(pace) = asked_pace(self.head)? {
            self.pace = pace;
        }
        if let Some(problem) = self.refused_by_drain() {
            return Err(problem.into());
        }
        // Before any wait: the order of heads is the order of occurrence.
        self.seq = shared.run.as_ref().map(|run| run.next_seq());
        let _slot = self.slot(&mut client.rx).await?;
        match shared.mode {
            Mode::Replay => serve::replay(self, &path, arena, client).await,
            Mode::Record => {
                let body = Upload::flowing();
                Box::pin(forward::forward(self, &path, arena, client, body)).await
            }
            Mode::Auto => Box::pin(auto::replay_or_forward(self, &path, arena, client)).await,
        }
    }

    /// A drain that a full disk has started has the disk to blame. Streams of HTTP/2 that come
    /// during any other were promised by the GOAWAY that goes before them, and are served.
    fn refused_by_drain(&self) -> Option<Problem> {
        if !self.here.drain.is_draining() {
            return None;
        }
        match self.here.shared().disk_fault() {
            Some(error) => Some(Problem::new(Fault::TapeUnavailable, error.to_string())),
            None if self.head.version == Version::Http2 => None,
            None => Some(Problem::new(Fault::Draining, "no new requests are taken")),
        }
    }

    /// Waits for its turn to be served, while its client does.
    async fn slot(&self, rx: &mut Rx<'_, '_>) -> Result<Slot, Stop> {
        let in_flight = &self.here.shared().in_flight;
        if let Some(slot) = in_flight.try_acquire() {
            return Ok(slot);
        }
        tokio::select! {
            biased;
            () = rx.left() => Err(Stop::Left),
            slot = in_flight.acquire() => slot.map_err(|error| {
                Problem::new(Fault::Overloaded, error.to_string())
                    .hint("raise `max_in_flight` or `queue_timeout` in `[limits]`")
                    .into()
            }),
        }
    }

    /// Answers what failed, tells of it, and says what becomes of the connection.
    async fn conclude(
        &self,
        ended: Result<Outcome, Stop>,
        client: &mut Client<'_, '_>,
    ) -> Travelled {
        let Client { rx, tx, .. } = client;
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(Stop::Fault(problem)) => {
                // A call's status stands in its trailers.
                let status = if self.is_call() { 200 } else { problem.fault.status() };
                let then = self.answer_or_cut(&problem, rx, tx).await;
                Outcome::new(Source::Fault(problem.fault), status, then)
            }
            Err(Stop::Left) => Outcome::new(Source::Left, 0, Then::Cut(ResetCode::CANCEL)),
            Err(Stop::Stalled) => Outcome::new(Source::Stalled, 0, Then::Cut(ResetCode::CANCEL)),
        };
        let Outcome { source, status, then, conversation } = outcome;
        self.tell(source, status, tx.sent(), then);
        Travelled { then, conversation }
    }

    async fn answer_or_cut(&self, problem: &Problem, rx: &Rx<'_, '_>, tx: &mut Tx<'_, '_>) -> Then {
        let asked = self.asked().kept_if(rx.is_ended());
        if tx.is_committed() {
            self.here.notes().faults.count(problem.fault);
            // A call's end can say what became of it, where the road itself ends it. An answer
            // that its origin cut ends as that did.
            let may_tell = asked.is_grpc && problem.fault.whose() == Whose::Recording;
            if may_tell && tx.finish(&problem.grpc_trailers()).await.is_ok() {
                return Then::after(&asked);
            }
            tracing::warn!(fault = problem.fault.name(), "answer cut: {}", problem.detail);
            return Then::Cut(ResetCode::INTERNAL_ERROR);
        }
        tx.discard();
        match own::answer_problem(self.here, tx, &asked, problem).await {
            Ok(()) => Then::after(&asked),
            Err(_) => Then::Cut(ResetCode::CANCEL),
        }
    }

    fn tell(&self, source: Source, status: u16, bytes: u64, then: Then) {
        if !self.here.shared().exchange_log {
            return;
        }
        ExchangeLine {
            method: &self.head.method,
            target: &self.here.redactor.target(&self.head.target),
            status,
            bytes,
            took: self.started.elapsed(),
            session: self.session,
            source,
            is_cut: matches!(then, Then::Cut(_)),
        }
        .log();
    }

    /// How it was asked, as of now: an answer whose head leaves after the drain has started says
    /// that its connection ends. Whoever sends a head while some of the request is still to come
    /// says so as well (`kept_if`), since that rest is never read.
    pub fn asked(&self) -> Asked<'a> {
        Asked { keep_alive: self.asked.keep_alive && !self.here.drain.is_draining(), ..self.asked }
    }

    /// Whether it is a gRPC call.
    pub fn is_call(&self) -> bool {
        self.asked.is_grpc
    }

    /// Whether it asks for a WebSocket conversation.
    pub fn is_handshake(&self) -> bool {
        self.is_handshake
    }

    /// What refuses a handshake in HTTP/1.1 may grant it in HTTP/2 (RFC 8441 section 5), so a client
    /// of that can't be told.
    pub fn check_refusal(&self, status: u16, fault: Fault) -> Result<(), Problem> {
        let would_grant = self.is_handshake
            && self.head.version == Version::Http2
            && (200..300).contains(&status);
        if !would_grant {
            return Ok(());
        }
        let detail = format!(
            "the handshake was answered {status} and not 101; over HTTP/2 that would grant it"
        );
        Err(Problem::new(fault, detail))
    }

    /// `GET /chat [session]`, redacted, for lines of the log after its own.
    pub fn label(&self) -> String {
        let target = self.here.redactor.target(&self.head.target);
        format!("{} {target} [{}]", self.head.method, self.session)
    }

    /// Since the request head was complete.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

fn unservable_problem(unservable: target::Unservable, endpoint: &Endpoint) -> Problem {
    let problem = Problem::new(Fault::BadRequest, unservable.to_string());
    match unservable {
        target::Unservable::Connect => problem.hint(
            "Ouli is a reverse proxy: point the client's base URL at it instead of setting \
             http_proxy or https_proxy",
        ),
        target::Unservable::ForeignOrigin => {
            problem.hint(format!("this endpoint stands for {}", endpoint.target))
        }
        target::Unservable::NoPath => problem,
    }
}

/// A seam for the tests: debug builds panic on request, to show that nothing else is harmed.
#[cfg(debug_assertions)]
fn crash_point(head: &RequestHead) {
    if std::env::var("OULI_PANIC_ON").is_ok_and(|target| target == head.target) {
        panic!("asked to panic on {}", head.target);
    }
}

#[cfg(not(debug_assertions))]
fn crash_point(_: &RequestHead) {}
