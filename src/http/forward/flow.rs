//! One forwarded exchange.

use std::cell::{Cell, RefCell};
use std::pin::pin;

use bytes::Bytes;
use tokio::time::Instant;

use super::gate::Gate;
use super::lane::{Kept, Lane, refused};
use super::origin::{Answering, Broken, Outlet};
use super::upload::Upload;
use super::{outgoing, tape_gone};
use crate::config::Scheme;
use crate::exchange::{End, Fields, RequestHead, ResponseHead};
use crate::http::client::{Client, Rx};
use crate::http::conversation::Conversation;
use crate::http::fault::{Fault, Problem, Whose};
use crate::http::road::{Outcome, Request, Stop};
use crate::http::target;
use crate::http1::framing::Framing;
use crate::http1::head::HeadLimits;
use crate::http1::writer;
use crate::http2::links::Place;
use crate::http2::tunnel::Tunnel;
use crate::net::arena::Arena;
use crate::net::deadline::Deadline;
use crate::net::stream::{LINGER_BYTES_MAX, LINGER_MAX};
use crate::record::{self, Recording};
use crate::ws::Relaying;
use crate::ws::relay::Extension;
use crate::ws::wire::Wire;
use crate::{http1, http2};

/// For an origin that takes plain HTTP/1.1 ill.
const OTHER_KIND: &str =
    "an origin that speaks TLS needs `https://`, one that speaks HTTP/2 without TLS `h2c://`";

/// What the arena lends for the origin's side.
pub(super) struct Buffers {
    /// The head that the origin gets.
    pub(super) sent: RequestHead,
    read: Vec<u8>,
    write: Vec<u8>,
    response: ResponseHead,
}

impl Buffers {
    pub(super) fn take(arena: &mut Arena) -> Self {
        Buffers {
            sent: std::mem::take(&mut arena.sent),
            read: std::mem::take(&mut arena.origin_read),
            write: std::mem::take(&mut arena.origin_write),
            response: std::mem::take(&mut arena.response),
        }
    }

    pub(super) fn give_back(self, arena: &mut Arena) {
        let Buffers { sent, read, write, response } = self;
        arena.sent = sent;
        arena.origin_read = read;
        arena.origin_write = write;
        arena.response = response;
    }
}

/// What both halves of one forwarded exchange share.
pub(super) struct Flow<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) head: outgoing::Head<'a>,
    pub(super) recording: RefCell<Recording>,
    /// Whether a byte of the request has been handed to the kernel for an origin.
    pub(super) wrote: Cell<bool>,
    /// Bytes of the request body that the tape has.
    pub(super) request_bytes_kept: Cell<u64>,
    /// Whether the tape has the end of the request.
    pub(super) request_kept: Cell<bool>,
    /// Whether the origin has been sent all of it.
    pub(super) request_done: Cell<bool>,
    /// When the origin must have answered, while it owes a head.
    pub(super) origin_due: Cell<Option<Instant>>,
    pub(super) gate: Gate,
    /// Whether the final head has come.
    pub(super) answered: Cell<bool>,
}

/// How an exchange with an origin went.
pub(super) enum Ran {
    Answered(Outcome),
    /// A WebSocket conversation was granted, and the client has been told.
    Switched(Wire, Extension),
}

/// How one try at one origin connection ended.
enum Tried {
    Answered(Answered),
    Switched(Extension, Behind),
    /// Nothing of the answer came: the connection turned out dead, or the origin took no notice.
    Dead(Broken),
}

/// What the download of one try came to.
pub(super) enum Came {
    Answer(Answered),
    /// The answer grants a WebSocket conversation, and has been passed on.
    Grant(Extension),
    Nothing(Broken),
}

/// The rest of an origin's connection, behind the handshake.
enum Behind {
    /// What has been read of it already.
    Bytes(Bytes),
    Tunnel(Tunnel),
    /// It ended with the answer.
    Nothing,
}

pub(super) struct Answered {
    pub(super) outcome: Outcome,
    /// Whether the origin's connection is fit for another request.
    pub(super) reusable: bool,
}

/// Why a request's head didn't go out on an HTTP/2 connection.
enum NotSent {
    Broken(http2::client::Broken),
    Unspeakable(Stop),
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        request: &'a Request<'a>,
        head: outgoing::Head<'a>,
        recording: Recording,
        gate: Gate,
    ) -> Self {
        Flow {
            request,
            head,
            recording: RefCell::new(recording),
            wrote: Cell::new(false),
            request_bytes_kept: Cell::new(0),
            request_kept: Cell::new(false),
            request_done: Cell::new(false),
            origin_due: Cell::new(None),
            gate,
            answered: Cell::new(false),
        }
    }

    pub(super) fn method(&self) -> &str {
        &self.request.head.method
    }

    /// Tries it, and once more where that is harmless.
    pub(super) async fn run(
        &self,
        mut lane: Lane,
        buffers: &mut Buffers,
        client: &mut Client<'_, '_>,
        upload: &mut Upload,
    ) -> Result<Ran, Stop> {
        let broken = match self.exchange(&mut lane, buffers, client, upload).await? {
            Tried::Dead(broken) => broken,
            tried => return self.ran(lane, tried),
        };
        if !self.may_go_again(&broken, &lane, upload) {
            return Err(self.broke_off(&broken));
        }
        drop(lane);
        self.request.here.worker.counters.retries.add(1);
        let mut lane = Lane::open(self.request, &mut client.rx, Kept::WontDo).await?;
        // Another version may be spoken there, which says otherwise where the body ends.
        self.head.write(&mut buffers.sent, lane.version());
        let tried = self.exchange(&mut lane, buffers, client, upload).await?;
        self.ran(lane, tried)
    }

    fn ran(&self, lane: Lane, tried: Tried) -> Result<Ran, Stop> {
        match tried {
            Tried::Answered(answered) => Ok(Ran::Answered(self.done(lane, answered))),
            Tried::Switched(extension, behind) => {
                let wire = match (behind, lane) {
                    (Behind::Tunnel(tunnel), lane) => Wire::tunnel(tunnel, lane),
                    (Behind::Bytes(ahead), Lane::H1(connection)) => {
                        Wire::switched(connection.stream, ahead, ())
                    }
                    // A stream's rest is a tunnel.
                    (Behind::Bytes(_) | Behind::Nothing, _) => {
                        let broken = http1::client::Broken::Closed.into();
                        return Err(self.broke_off(&broken));
                    }
                };
                Ok(Ran::Switched(wire, extension))
            }
            Tried::Dead(broken) => Err(self.broke_off(&broken)),
        }
    }

    /// Keeps the connection where it is fit for another request.
    fn done(&self, lane: Lane, answered: Answered) -> Outcome {
        let here = self.request.here;
        match lane {
            // One that was made for a handshake may have kept an origin from choosing HTTP/2.
            Lane::H1(connection) if answered.reusable && !self.request.is_handshake() => {
                here.worker.origins.put(&here.origin, connection);
            }
            Lane::H1(_) => {}
            Lane::H2(mut place) => place.is_whole = answered.reusable,
        }
        answered.outcome
    }

    fn may_go_again(&self, broken: &Broken, lane: &Lane, upload: &Upload) -> bool {
        if broken.is_unseen() {
            return upload.is_complete();
        }
        !lane.is_fresh() && may_go_again(self.method(), self.wrote.get(), upload.has_begun())
    }

    pub(super) fn broke_off(&self, broken: &Broken) -> Stop {
        let detail = format!("{}: {broken}", self.request.here.origin.target);
        match broken.refusal() {
            Some(why) => refused(self.request, detail, why).into(),
            None => {
                let hint = self.is_perhaps_of_another_kind(broken).then_some(OTHER_KIND);
                Problem::new(Fault::OriginBrokeOff, detail).hint_if(hint).into()
            }
        }
    }

    /// Whether this is how an origin takes plain HTTP/1.1 that expects TLS or HTTP/2.
    fn is_perhaps_of_another_kind(&self, broken: &Broken) -> bool {
        let is_plain = self.request.here.endpoint.target.scheme == Scheme::Http;
        let is_odd = matches!(
            broken,
            Broken::H1(http1::client::Broken::BeforeAnswer | http1::client::Broken::Malformed(_))
        );
        is_plain && is_odd && !self.answered.get()
    }

    /// Tries it on one lane.
    async fn exchange(
        &self,
        lane: &mut Lane,
        buffers: &mut Buffers,
        client: &mut Client<'_, '_>,
        upload: &mut Upload,
    ) -> Result<Tried, Stop> {
        self.request_done.set(false);
        self.origin_due.set(None);
        self.expect_head();
        let Buffers { sent, read, write, response } = buffers;
        match lane {
            Lane::H1(connection) => {
                let limits = self.request.here.limits();
                let (reader, writer) = connection.stream.split();
                write.clear();
                writer::request_head(write, &sent.method, &sent.target, &sent.fields);
                let framing = self.request.framing;
                let mut outlet = Outlet::H1 { writer, out: write, framing };
                let mut answering = Answering::H1(http1::client::Answering::new(
                    reader,
                    std::mem::take(read),
                    limits.buffer_size,
                    HeadLimits::from(limits),
                ));
                let ended = self.both(&mut outlet, &mut answering, response, client, upload).await;
                let Answering::H1(answering) = answering else {
                    return self.judged(ended, false, || Behind::Nothing);
                };
                let is_clean = answering.is_clean();
                let tried = self.judged(ended, is_clean, || Behind::Bytes(answering.ahead()));
                *read = answering.into_buffer();
                tried
            }
            Lane::H2(place) => {
                let (sending, answering) = match self.send_head(place, sent) {
                    Ok(both) => both,
                    Err(NotSent::Broken(broken)) => return Ok(Tried::Dead(broken.into())),
                    Err(NotSent::Unspeakable(stop)) => return Err(stop),
                };
                self.wrote.set(true);
                let mut outlet = Outlet::H2(sending);
                let mut answering = Answering::H2(answering);
                let ended = self.both(&mut outlet, &mut answering, response, client, upload).await;
                if matches!(ended, Ok(Came::Answer(_))) && self.request.is_handshake() {
                    // It was refused, so nothing follows: else the stream would be reset, which
                    // costs its connection. One that the origin has reset needs no end.
                    let _ = outlet.finish(&Fields::new(), &self.wrote).await;
                }
                self.judged(ended, true, || behind(outlet, answering))
            }
        }
    }

    fn send_head(
        &self,
        place: &mut Place,
        sent: &RequestHead,
    ) -> Result<(http2::client::Sending, http2::client::Answering), NotSent> {
        let scheme = self.request.here.endpoint.target.scheme;
        let request = http2::heads::request(sent, target::url_scheme(scheme)).map_err(|error| {
            NotSent::Unspeakable(Problem::new(Fault::BadRequest, error.to_string()).into())
        })?;
        let is_end = self.request.framing == Framing::None && !self.request.is_handshake();
        http2::client::send(place, request, is_end).map_err(NotSent::Broken)
    }

    /// Both halves at once, until the answer is over.
    async fn both(
        &self,
        outlet: &mut Outlet<'_>,
        answering: &mut Answering<'_>,
        response: &mut ResponseHead,
        client: &mut Client<'_, '_>,
        upload: &mut Upload,
    ) -> Result<Came, Stop> {
        let Client { rx, tx, deadline } = client;
        let ended = {
            // Made where they are pinned: each would have room for being moved as well.
            let mut up = pin!(self.upload(outlet, rx, upload));
            let mut down = pin!(self.download(answering, response, tx));
            tokio::select! {
                biased;
                // Polled first, so that the request is on its way before its answer is waited for.
                stop = &mut up => Err(stop),
                done = &mut down => done,
                () = self.origin_overdue(deadline) => Err(self.overdue()),
            }
        };
        if matches!(ended, Ok(Came::Answer(_))) && !self.request_kept.get() {
            self.keep_rest(rx, upload).await?;
        }
        ended
    }

    /// The answer is over before its request: what is left of that is kept as far as its client
    /// sends it soon, so that the request is known by all of its body.
    async fn keep_rest(&self, rx: &mut Rx<'_, '_>, upload: &mut Upload) -> Result<(), Stop> {
        if self.request.is_call() || !self.gate.is_open() {
            return Ok(());
        }
        self.keep_ahead(upload)?;
        let mut left = LINGER_BYTES_MAX;
        let until = Instant::now() + LINGER_MAX;
        while left > 0 {
            let Ok(Ok(came)) = tokio::time::timeout_at(until, rx.body()).await else { break };
            let Some(bytes) = came else {
                self.keep_request_end(rx.trailers())?;
                break;
            };
            left = left.saturating_sub(bytes.len());
            self.keep_request(bytes)?;
        }
        Ok(())
    }

    fn judged(
        &self,
        ended: Result<Came, Stop>,
        is_clean: bool,
        behind: impl FnOnce() -> Behind,
    ) -> Result<Tried, Stop> {
        ended.map(|came| match came {
            Came::Answer(Answered { outcome, reusable }) => {
                let reusable = reusable && is_clean && self.request_done.get();
                Tried::Answered(Answered { outcome, reusable })
            }
            Came::Grant(extension) => Tried::Switched(extension, behind()),
            Came::Nothing(broken) => Tried::Dead(broken),
        })
    }

    async fn origin_overdue(&self, deadline: &mut Deadline) {
        std::future::poll_fn(|cx| match self.origin_due.get() {
            None => std::task::Poll::Pending,
            Some(due) => {
                deadline.set(due);
                deadline.poll_expired(cx)
            }
        })
        .await;
    }

    fn overdue(&self) -> Stop {
        let limit = self.request.here.limits().origin_header_timeout;
        Problem::new(
            Fault::OriginTimeout,
            format!("{} sent no answer within {limit:?}", self.request.here.endpoint.target),
        )
        .into()
    }

    /// From here on nothing can be kept, so nothing may pass whole: the program drains.
    pub(super) fn disk_failed(&self, error: record::Error) -> Stop {
        // The run has noted the fault, and the drain has begun.
        tape_gone(error).into()
    }

    /// What goes on once a conversation was granted. Gives the buffer back.
    pub(super) fn into_conversation(
        self,
        origin: Wire,
        extension: Extension,
        buffer: &mut Vec<u8>,
    ) -> Conversation {
        let mut recording = self.recording.into_inner();
        recording.swap_buffer(buffer);
        let Request { started, .. } = *self.request;
        let label = self.request.label();
        Conversation::Relay(Box::new(Relaying { origin, recording, extension, started, label }))
    }

    /// Says on the tape how an exchange ended that had no proper end; gives the buffer back.
    /// `is_committed`: the client has got something of the answer.
    pub(super) fn close(&self, ended: &Result<Outcome, Stop>, is_committed: bool) -> Vec<u8> {
        let mut recording = self.recording.borrow_mut();
        let is_sound = match ended {
            Err(_) if !self.answered.get() => return recording.abandon(),
            // The client got Ouli's answer instead.
            Err(Stop::Fault(_)) if !is_committed => return recording.abandon(),
            // The disk failed: the tape has what the client has seen, as if the recorder had died.
            Err(Stop::Fault(problem)) if problem.fault.whose() != Whose::Client => false,
            // Already ended where the origin cut, and where the client failed after the last byte.
            _ if recording.is_ended() => true,
            _ => recording.end(End::LeftByClient, &Fields::new()).is_ok(),
        };
        if is_sound {
            // A disk that fails here is noted by the run; nobody waits for the answer.
            let _ = recording.request_cut().and_then(|()| recording.flush());
        }
        for omitted in recording.omitted() {
            self.request.here.notes().omitted(self.request.session, &omitted);
        }
        recording.take_buffer()
    }
}

/// What is left of a stream whose handshake is done.
fn behind(outlet: Outlet<'_>, answering: Answering<'_>) -> Behind {
    match (outlet, answering) {
        (Outlet::H2(sending), Answering::H2(answering)) => {
            sending.into_tunnel(answering).map_or(Behind::Nothing, Behind::Tunnel)
        }
        _ => Behind::Nothing,
    }
}

/// Whether a request may be sent a second time, none of whose answer has come (RFC 9110 section
/// 9.2.2). One whose body has begun may not: that can't be had again.
fn may_go_again(method: &str, wrote: bool, body_begun: bool) -> bool {
    let is_idempotent = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE");
    !body_begun && (is_idempotent || !wrote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_had_an_effect_is_not_sent_again() {
        for (method, wrote, body_begun, expected) in [
            ("GET", true, false, true),
            ("PUT", true, false, true),
            ("PUT", true, true, false),
            ("POST", true, false, false),
            ("POST", false, false, true),
            ("POST", false, true, false),
            ("get", true, false, false), // methods are case-sensitive
        ] {
            let may = may_go_again(method, wrote, body_begun);
            assert_eq!(may, expected, "{method} wrote: {wrote} body: {body_begun}");
        }
    }
}
