//! One forwarded exchange.

use std::cell::{Cell, RefCell};

use tokio::time::Instant;

use super::gate::Gate;
use super::{Upload, tape_gone};
use crate::exchange::{End, Fields, RequestHead, ResponseHead};
use crate::http::fault::{Fault, Problem, Whose};
use crate::http::road::{Client, Outcome, Request, Stop};
use crate::http1::client::{Answering, Broken};
use crate::http1::halves::Rx;
use crate::http1::head::HeadLimits;
use crate::http1::writer;
use crate::net::arena::Arena;
use crate::net::deadline::Deadline;
use crate::net::origin::{Connection, DialError, Origin};
use crate::net::stream::Stream;
use crate::record::{self, Recording};

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
    pub(super) recording: RefCell<Recording>,
    /// Whether a byte of the request has been handed to the kernel for an origin.
    pub(super) wrote: Cell<bool>,
    /// Whether a byte of the request body has been taken from where it came: it can't be had
    /// again.
    pub(super) body_begun: Cell<bool>,
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

/// How one try at one origin connection ended.
pub(super) enum Tried {
    Answered {
        outcome: Outcome,
        /// Whether the origin's connection is fit for another request.
        reusable: bool,
    },
    /// A kept connection turned out dead, and nothing of the answer came.
    Dead(Broken),
}

impl<'a> Flow<'a> {
    pub(super) fn new(request: &'a Request<'a>, recording: Recording, gate: Gate) -> Self {
        Flow {
            request,
            recording: RefCell::new(recording),
            wrote: Cell::new(false),
            body_begun: Cell::new(false),
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

    pub(super) async fn run(
        &self,
        buffers: &mut Buffers,
        client: &mut Client<'_, '_>,
        upload: &mut Upload,
    ) -> Result<Outcome, Stop> {
        let here = self.request.here;
        let origins = &here.worker.origins;
        let origin = &here.origin;
        let mut kept = origins.take(origin);
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.dial(client.rx).await?,
            };
            let tried = self.exchange(&mut connection.stream, buffers, client, upload).await?;
            match tried {
                Tried::Answered { outcome, reusable } => {
                    if reusable {
                        origins.put(origin, connection);
                    }
                    return Ok(outcome);
                }
                // Once: the second try is on a fresh connection.
                Tried::Dead(_) if !connection.is_fresh() && self.may_go_again() => {
                    here.worker.counters.retries.add(1);
                }
                Tried::Dead(broken) => {
                    return Err(self.broke_off(&broken));
                }
            }
        }
    }

    fn may_go_again(&self) -> bool {
        may_go_again(self.method(), self.wrote.get(), self.body_begun.get())
    }

    async fn dial(&self, rx: &mut Rx<'_>) -> Result<Connection, Stop> {
        let here = self.request.here;
        let dialling = here.worker.dialer.dial(&here.origin);
        tokio::select! {
            biased;
            dialled = dialling => dialled.map_err(|error| {
                let fault = match error {
                    DialError::TimedOut { .. } => Fault::OriginTimeout,
                    _ => Fault::OriginUnreachable,
                };
                hinted(Problem::new(fault, error.to_string()), error.hint()).into()
            }),
            () = rx.left() => Err(Stop::Left),
        }
    }

    pub(super) fn broke_off(&self, broken: &Broken) -> Stop {
        let Origin { target, tls, .. } = &*self.request.here.origin;
        let detail = format!("{target}: {broken}");
        match (broken.refusal(), tls) {
            (Some(why), Some(tls)) => {
                hinted(Problem::new(Fault::OriginUnreachable, detail), tls.hint(why).as_deref())
            }
            _ => Problem::new(Fault::OriginBrokeOff, detail),
        }
        .into()
    }

    /// Tries it on one connection.
    async fn exchange(
        &self,
        stream: &mut Stream,
        buffers: &mut Buffers,
        client: &mut Client<'_, '_>,
        upload: &mut Upload,
    ) -> Result<Tried, Stop> {
        let limits = self.request.here.limits();
        let (reader, mut writer) = stream.split();
        let mut answering = Answering::new(
            reader,
            std::mem::take(&mut buffers.read),
            limits.buffer_size,
            HeadLimits::from(limits),
        );
        self.origin_due.set(Some(Instant::now() + limits.origin_header_timeout));
        self.request_done.set(false);
        buffers.write.clear();
        let head = &buffers.sent;
        writer::request_head(&mut buffers.write, &head.method, &head.target, &head.fields);
        let Client { rx, tx, deadline } = client;
        let ended = {
            let up = self.upload(&mut writer, &mut buffers.write, rx, upload);
            let down = self.download(&mut answering, &mut buffers.response, tx);
            tokio::pin!(up, down);
            tokio::select! {
                biased;
                // Polled first, so that the request is on its way before its answer is waited for.
                stop = &mut up => Err(stop),
                done = &mut down => done,
                () = self.origin_overdue(deadline) => Err(self.overdue()),
            }
        };
        let clean = answering.is_clean();
        buffers.read = answering.into_buffer();
        match ended? {
            Tried::Answered { outcome, reusable } => {
                let reusable = reusable && clean && self.request_done.get();
                Ok(Tried::Answered { outcome, reusable })
            }
            dead => Ok(dead),
        }
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

    /// Says on the tape how an exchange ended that had no proper end; gives the buffer back.
    /// `is_committed`: the client has got something of the answer.
    pub(super) fn close(self, ended: &Result<Outcome, Stop>, is_committed: bool) -> Vec<u8> {
        let mut recording = self.recording.into_inner();
        match ended {
            Err(_) if !self.answered.get() => return recording.abandon(),
            // The client got Ouli's answer instead.
            Err(Stop::Fault(_)) if !is_committed => return recording.abandon(),
            // The disk failed: the tape has what the client has seen, as if the recorder had died.
            Err(Stop::Fault(problem)) if problem.fault.whose() != Whose::Client => {}
            // Already ended where the origin cut, and where the client failed after the last byte.
            _ if recording.is_ended() => {}
            _ => {
                // A disk that fails here is noted by the run; nobody waits for the answer.
                let _ = recording
                    .end(End::LeftByClient, &Fields::new())
                    .and_then(|()| recording.flush());
            }
        }
        for omitted in recording.omitted() {
            self.request.here.notes().omitted(self.request.session, &omitted);
        }
        recording.into_buffer()
    }
}

fn hinted(problem: Problem, hint: Option<&str>) -> Problem {
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
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
