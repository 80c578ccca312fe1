//! Replays a gRPC call: what the client says in, what a recording answers out, each part when it is
//! due.
//!
//! `replay::call` decides; here is the driver, which reads messages, waits and sends.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::beat::Beat;
use super::send::{self, pause};
use super::{miss, prepared, stored};
use crate::exchange::{Compression, Kind, Message, Payload, Response};
use crate::grpc::{self, Event, Splitter};
use crate::http::answer;
use crate::http::client::Client;
use crate::http::fault::{Fault, Problem};
use crate::http::forward::Spool;
use crate::http::line::Source;
use crate::http::road::{Outcome, Request, Stop, Then};
use crate::matching::{MessageKey, MessagePrint};
use crate::replay::Recorded;
use crate::replay::answer::Content;
use crate::replay::call::{Awaited, Call, CallMiss, Due, Next, Part, Stake};

/// How long a client may take to say what tells recordings apart, before the earliest of them is
/// taken: longer than a message that is on its way, shorter than anybody waits on purpose.
pub(super) const CHOICE_WAIT: Duration = Duration::from_millis(50);

/// What became of a call.
pub(in crate::http) enum Replayed {
    Answered(Outcome),
    /// No recording answers it, or none any further. With the content of the message that nothing
    /// agrees with, where it is at hand.
    Missed(CallMiss, Option<Vec<u8>>),
}

/// A call under way.
pub(in crate::http) struct Replaying<'a> {
    request: &'a Request<'a>,
    call: Call<'a>,
    messages: Messages<'a>,
    /// What has been read of the request, for who forwards it when nothing answers.
    aside: Option<Spool>,
    /// Of the answer, once its head was sent.
    status: u16,
    /// When the parts of it leave. What is waited for the client is part of the recorded gap.
    beat: Beat,
}

/// The client's side, message by message.
struct Messages<'s> {
    key: MessageKey<'s>,
    splitter: Splitter,
    /// Bytes of the body that haven't been looked at.
    input: Bytes,
    is_ended: bool,
}

/// What a client does.
enum Said {
    Message(MessagePrint),
    /// Its request is over.
    End,
}

impl Messages<'_> {
    /// The next whole message in what has come.
    fn next(&mut self) -> Option<MessagePrint> {
        let Messages { key, splitter, input, .. } = self;
        let mut events = splitter.events(input);
        while let Some(event) = events.next() {
            match event {
                Event::Began { compressed, .. } => key.begin(Kind::Binary, compressed),
                Event::Data(range) => key.push(&input[range]),
                Event::Ended => {
                    let taken = events.taken();
                    input.advance(taken);
                    return Some(key.finish());
                }
                // Nothing that a recording could agree with, and the end will say so.
                Event::Rest(_) => {}
            }
        }
        input.clear();
        None
    }
}

impl<'a> Replaying<'a> {
    pub(in crate::http) fn new(
        request: &'a Request<'a>,
        call: Call<'a>,
        key: MessageKey<'a>,
        aside: Option<Spool>,
    ) -> Self {
        let (splitter, input) = (Splitter::new(), Bytes::new());
        let messages = Messages { key, splitter, input, is_ended: false };
        let beat = Beat::from(Instant::now(), request.pace);
        Replaying { request, call, messages, aside, status: 0, beat }
    }

    /// What was set aside of the request.
    pub(in crate::http) fn into_aside(self) -> Spool {
        self.aside.unwrap_or_default()
    }

    /// Goes on until the call is over.
    pub(in crate::http) async fn run(
        &mut self,
        client: &mut Client<'_, '_>,
    ) -> Result<Replayed, Stop> {
        client.invite(self.request.head).await?;
        loop {
            let next = match self.call.proceed() {
                Next::Choose(stake) => self.choose(stake, client).await?,
                next => Some(next),
            };
            let missed = match next {
                Some(Next::Send(due)) => match self.send(due, client).await? {
                    Some(then) => return Ok(self.answered(then)),
                    None => continue,
                },
                Some(Next::Over) => return Ok(self.answered(Then::after(&self.request.asked()))),
                Some(Next::Await(awaited)) => self.wait(awaited, client).await?,
                Some(Next::Miss(miss)) => Some(miss),
                // The client has said more.
                Some(Next::Choose(_)) | None => None,
            };
            if let Some(miss) = missed {
                let content = self.messages.key.content().map(<[u8]>::to_vec);
                return Ok(Replayed::Missed(miss, content));
            }
        }
    }

    fn answered(&self, then: Then) -> Replayed {
        Replayed::Answered(Outcome::new(Source::Hit, self.status, then))
    }

    /// Waits for what the client says next; some miss if that doesn't come.
    async fn wait(
        &mut self,
        awaited: Awaited,
        client: &mut Client<'_, '_>,
    ) -> Result<Option<CallMiss>, Stop> {
        if self.messages.is_ended {
            return Ok(Some(self.call.overdue(awaited)));
        }
        let wait = self.request.here.limits().replay_wait;
        match self.said_within(wait, client).await? {
            Some(said) => {
                self.hear(said);
                Ok(None)
            }
            None => Ok(Some(self.call.overdue(awaited))),
        }
    }

    /// Gives the client a moment to say which recording it means; none once it has.
    async fn choose(
        &mut self,
        stake: Stake,
        client: &mut Client<'_, '_>,
    ) -> Result<Option<Next<'a>>, Stop> {
        let wait = match stake {
            Stake::Part => CHOICE_WAIT,
            Stake::Silence => self.request.here.limits().replay_wait,
        };
        if !self.messages.is_ended
            && let Some(said) = self.said_within(wait, client).await?
        {
            self.hear(said);
            return Ok(None);
        }
        Ok(Some(self.call.choose()))
    }

    /// Takes it. That nothing agrees is what `proceed` says next.
    fn hear(&mut self, said: Said) {
        match said {
            Said::Message(print) => self.call.message_received(print),
            Said::End => self.call.request_ended(),
        };
    }

    /// What the client says next, or none within that time.
    async fn said_within(
        &mut self,
        wait: Duration,
        client: &mut Client<'_, '_>,
    ) -> Result<Option<Said>, Stop> {
        let Client { rx, tx, .. } = client;
        if let Some(print) = self.messages.next() {
            return Ok(Some(Said::Message(print)));
        }
        self.beat.waits();
        // The client may wait for what was sent before it says more.
        tx.flush().await?;
        let until = Instant::now() + wait;
        loop {
            let Ok(came) = tokio::time::timeout_at(until, rx.shared()).await else {
                return Ok(None);
            };
            let Some(bytes) = came? else {
                self.messages.is_ended = true;
                return Ok(Some(Said::End));
            };
            if let Some(aside) = &mut self.aside {
                aside.push(&bytes).map_err(|error| {
                    let detail = format!("could not set the request body aside: {error}");
                    Problem::new(Fault::TapeUnavailable, detail)
                })?;
            }
            self.messages.input = bytes;
            if let Some(print) = self.messages.next() {
                return Ok(Some(Said::Message(print)));
            }
        }
    }

    /// Sends a part. Some once it was the last.
    async fn send(
        &mut self,
        due: Due<'_>,
        client: &mut Client<'_, '_>,
    ) -> Result<Option<Then>, Stop> {
        let Due { part, recorded, before, at, .. } = due;
        let Client { rx, tx, .. } = client;
        pause(&mut self.beat, before, at, rx, tx).await?;
        match part {
            Part::Head(response) => self.send_head(recorded, response, client)?,
            Part::Message(message) => {
                self.beat.heeding(pin!(self.send_message(recorded, message, client))).await?;
            }
            Part::Body(response) => self.send_body(recorded, response, client).await?,
            Part::End(response) => return self.send_end(response, client).await.map(Some),
        }
        Ok(None)
    }

    fn send_head(
        &mut self,
        recorded: &Recorded,
        response: &Response,
        client: &mut Client<'_, '_>,
    ) -> Result<(), Stop> {
        if let Content::Unusable(why) = &prepared(recorded).content {
            return Err(miss::unusable(self.request, why));
        }
        let (here, asked) = (self.request.here, self.request.asked());
        let tx = &mut client.tx;
        for interim in &response.interim {
            tx.interim(interim, &here.endpoint, &asked)?;
        }
        let framing = answer::framing(&asked, response.head.status, None);
        tx.begin(&response.head, &here.endpoint, &asked, framing);
        answer::warn_of_lost_cookies(&response.head, &here.endpoint, &here.warned_of_cookies);
        self.status = response.head.status;
        Ok(())
    }

    async fn send_message(
        &self,
        recorded: &Recorded,
        message: &Message,
        client: &mut Client<'_, '_>,
    ) -> Result<(), Stop> {
        let tx = &mut client.tx;
        let coding = grpc::encoding::of(&recorded.exchange.response.head.fields);
        let bytes = match (&message.payload, message.compression) {
            (Payload::Rest(bytes), _) => return Ok(tx.data(bytes).await?),
            (Payload::Omitted { .. }, _) => {
                return Err(miss::unusable(self.request, "a message of it was not kept"));
            }
            (Payload::Bytes(bytes), _) => bytes.clone(),
            (Payload::File { digest, len }, Compression::None | Compression::On) => {
                let len32 = u32::try_from(*len).unwrap_or(u32::MAX);
                let prefix = grpc::prefix(message.compression == Compression::On, len32);
                tx.data(&prefix).await?;
                let path = self.request.here.shared().library.body_path(digest);
                return stored::send(&path, *len, None, tx).await;
            }
            (Payload::File { digest, len }, Compression::Off) => {
                let path = self.request.here.shared().library.body_path(digest);
                stored::read(&path, *len)?
            }
        };
        let (prefix, bytes) = grpc::encoding::on_wire(message.compression, &bytes, coding)
            .map_err(|error| Problem::new(Fault::Internal, error.to_string()))?;
        if !tx.stage(&prefix) {
            tx.data(&prefix).await?;
        }
        if !tx.stage(&bytes) {
            tx.shared(&bytes).await?;
        }
        Ok(())
    }

    async fn send_body(
        &mut self,
        recorded: &Recorded,
        response: &Response,
        client: &mut Client<'_, '_>,
    ) -> Result<(), Stop> {
        let Client { rx, tx, .. } = client;
        send::send_body(self.request, response, prepared(recorded), &mut self.beat, rx, tx).await
    }

    async fn send_end(
        &self,
        response: &Response,
        client: &mut Client<'_, '_>,
    ) -> Result<Then, Stop> {
        let Client { rx, tx, .. } = client;
        send::end(self.request, &self.request.asked(), response, rx, tx).await
    }
}
