//! Drives a replayed conversation once its handshake is done: what the client says in, what a
//! recording says out, each message when it is due.
//!
//! `replay::call` decides. The client is read also while it is written to: what it says is only
//! held against the recordings, so that reading ahead costs no memory, and nobody waits for the
//! other. `step` is what comes next, `farewell` what follows when nothing more is replayed.

mod farewell;
mod step;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::voice::{self, Speech};
use crate::config::Pace;
use crate::exchange::{Close, End, Party, ResetCode};
use crate::http::context::Here;
use crate::http::road::Request;
use crate::http::serve::beat::Beat;
use crate::http::serve::call::CHOICE_WAIT;
use crate::http::serve::miss;
use crate::matching::MessageKey;
use crate::net::deadline::Deadline;
use crate::net::drain::Waiter;
use crate::replay::Session;
use crate::replay::call::{Conversation, Next, Stake};
use crate::tape::Side;
use crate::ws::close::Said;
use crate::ws::deflate::Terms;
use crate::ws::frame::{self, Header, Opcode};
use crate::ws::pulse::{Pulses, Verdict};
use crate::ws::receiver::{self, Event, Receiver};
use crate::ws::wire::{Lost, Wire};
use farewell::Ended;
use step::{Ending, Ready, Step, heard};

/// A conversation that has been granted and is to be replayed.
pub struct Replaying {
    session: Arc<Session>,
    conversation: Conversation,
    terms: Option<Terms>,
    pace: Pace,
    /// When the handshake's head was complete.
    started: Instant,
    label: miss::Label,
}

impl Replaying {
    pub(super) fn new(
        request: &Request<'_>,
        path: &str,
        session: Arc<Session>,
        conversation: Conversation,
        terms: Option<Terms>,
    ) -> Self {
        let Request { started, pace, .. } = *request;
        let label = miss::Label::of(request, path);
        Replaying { session, conversation, terms, pace, started, label }
    }

    /// Goes on with it until it is over.
    pub async fn run(self: Box<Self>, here: Rc<Here>, client: Wire) {
        let mut player = Player::new(here, client, *self);
        let ended = poll_fn(|cx| player.poll(cx)).await;
        let (farewell, cut) = player.judge(ended).await;
        player.finish(farewell, cut).await;
    }
}

struct Player {
    here: Rc<Here>,
    client: Wire,
    session: Arc<Session>,
    conversation: Conversation,
    receiver: Receiver,
    key: MessageKey<'static>,
    terms: Option<Terms>,
    step: Step,
    /// What goes to the client: `out[given..]`.
    out: Vec<u8>,
    given: usize,
    speech: Option<Speech>,
    /// Pongs for pings that came in the middle of `speech`, which may be one frame: they go behind.
    pongs: Vec<u8>,
    /// What the client closed with.
    closed: Option<Said>,
    /// Nothing agrees with what it said last, which the miss is to show, or with its close: it is
    /// heard no further.
    is_missed: bool,
    /// When the parts leave. What is waited for the client is part of the recorded gap.
    beat: Beat,
    due: Deadline,
    pulses: Pulses,
    drain: Waiter,
    label: miss::Label,
    started: Instant,
}

/// Bytes that wait for the client before no more are added.
const OUT_MAX: usize = 64 << 10;

/// A message's memory that is kept for the next.
const KEPT_MAX: usize = 4 << 10;

impl Player {
    fn new(here: Rc<Here>, client: Wire, replaying: Replaying) -> Self {
        let Replaying { session, conversation, terms, pace, started, label } = replaying;
        let limits = here.limits();
        let bounds = receiver::Limits {
            message_bytes_max: limits.max_ws_message,
            fragments_max: u32::try_from(limits.ws_max_fragments).unwrap_or(u32::MAX),
            idle_frames_max: u32::try_from(limits.ws_max_idle_frames).unwrap_or(u32::MAX),
        };
        Player {
            pulses: Pulses::new(limits.ws_idle_timeout),
            drain: here.drain.waiter(),
            here,
            client,
            receiver: Receiver::new(bounds, terms),
            key: session.message_key_of_conversation(Vec::new()),
            session,
            conversation,
            terms,
            step: Step::Ask,
            out: Vec::new(),
            given: 0,
            speech: None,
            pongs: Vec::new(),
            closed: None,
            is_missed: false,
            beat: Beat::from(Instant::now(), pace),
            due: Deadline::new(),
            label,
            started,
        }
    }

    /// Ready when nothing more is replayed, and what was said before has been taken.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let moved = match self.turn(cx) {
                Ok(moved) => moved,
                Err(ended) => return Poll::Ready(self.reason(ended)),
            };
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// A client that said what nothing agrees with, and was to be told once it had taken the rest,
    /// is missed however it ends.
    fn reason(&mut self, ended: Ended) -> Ended {
        match ended {
            Ended::Left | Ended::Stopped if self.is_missed => {
                self.ask(false).err().unwrap_or(ended)
            }
            ended => ended,
        }
    }

    /// Does what can be done now. False when there is nothing.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let gave = self.give(cx)?;
        let is_given = self.is_given();
        if is_given && self.drain.poll_started(cx).is_ready() {
            return Err(Ended::Stopped);
        }
        let stepped = is_given && self.advance(cx)?;
        let heard = self.listen(cx)?;
        Ok(gave || stepped || heard || self.feel_pulse(cx)?)
    }

    fn is_given(&self) -> bool {
        self.out.is_empty() && self.speech.is_none()
    }

    /// Writes what waits, and goes on with what is being read from a file.
    fn give(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut moved = false;
        loop {
            while self.given < self.out.len() {
                match self.client.poll_write(cx, &self.out[self.given..]) {
                    Poll::Pending => return Ok(self.held_up(moved)),
                    Poll::Ready(Err(_)) => return Err(Ended::Left),
                    Poll::Ready(Ok(count)) => {
                        self.given += count;
                        self.pulses.felt(Side::Request);
                        self.here.worker.counters.sent_bytes.add(count as u64);
                        moved = true;
                    }
                }
            }
            match self.client.poll_flush(cx) {
                Poll::Pending => return Ok(self.held_up(moved)),
                Poll::Ready(Err(_)) => return Err(Ended::Left),
                Poll::Ready(Ok(())) => self.forget_given(),
            }
            let Some(speech) = &mut self.speech else { return Ok(moved) };
            if !speech.go_on(&mut self.out).map_err(Ended::Unsayable)? {
                self.speech = None;
                self.out.append(&mut self.pongs);
            }
        }
    }

    /// What was said waits for the client to take it.
    fn held_up(&self, moved: bool) -> bool {
        self.beat.waits();
        moved
    }

    /// A conversation that waits holds no memory for what it said.
    fn forget_given(&mut self) {
        self.given = 0;
        match self.out.capacity() > KEPT_MAX {
            true => self.out = Vec::new(),
            false => self.out.clear(),
        }
    }

    /// Goes on with the recording, if it is time for that.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        match std::mem::replace(&mut self.step, Step::Ask) {
            Step::Ask => {
                self.step = self.ask(false)?;
                Ok(true)
            }
            Step::Send(ready) if self.due.poll_expired(cx).is_ready() => {
                self.send(ready)?;
                Ok(true)
            }
            Step::Choose if self.due.poll_expired(cx).is_ready() => {
                self.step = self.ask(true)?;
                Ok(true)
            }
            Step::Await(awaited) if self.due.poll_expired(cx).is_ready() => {
                let miss = self.conversation.resume().overdue(awaited);
                Err(Ended::Missed(Box::new(miss), None))
            }
            Step::Rest { is_bounded: true } if self.due.poll_expired(cx).is_ready() => {
                Err(Ended::Cut(ResetCode::INTERNAL_ERROR))
            }
            Step::Rest { .. } if self.closed.is_some() => Err(self.echo()),
            waiting => {
                self.step = waiting;
                Ok(false)
            }
        }
    }

    /// Asks for the next part, or for what it waits.
    fn ask(&mut self, choose: bool) -> Result<Step, Ended> {
        let mut call = self.conversation.resume();
        let next = if choose { call.choose() } else { call.proceed() };
        let step = match next {
            Next::Send(due) => {
                self.due.set(self.beat.next(due.before, due.at));
                Step::Send(Ready::of(&due.part))
            }
            Next::Await(awaited) => {
                self.beat.waits();
                let wait = self.here.limits().replay_wait.saturating_add(call.allowance(awaited));
                match call.may_rest() {
                    true => self.due.clear(),
                    false => self.due.set_after(wait),
                }
                Step::Await(awaited)
            }
            Next::Choose(stake) => {
                self.beat.waits();
                self.due.set_after(match stake {
                    Stake::Part => CHOICE_WAIT,
                    Stake::Silence => self.here.limits().replay_wait,
                });
                Step::Choose
            }
            Next::Miss(miss) => {
                let content = self.key.content().map(<[u8]>::to_vec);
                return Err(Ended::Missed(Box::new(miss), content));
            }
            Next::Over => Step::Rest { is_bounded: false },
        };
        Ok(step)
    }

    fn send(&mut self, ready: Ready) -> Result<(), Ended> {
        self.beat.leave();
        match ready {
            Ready::Message(message) => {
                let library = &self.here.shared().library;
                let path_of = |digest: &_| library.body_path(digest);
                let said = voice::say(&message, self.terms, path_of, &mut self.out);
                self.speech = said.map_err(Ended::Unsayable)?;
                Ok(())
            }
            Ready::End(ending) => self.end(ending),
        }
    }

    fn end(&mut self, Ending { close, end }: Ending) -> Result<(), Ended> {
        match (close, end) {
            (Some(Close { by: Party::Client, .. }), _) | (None, End::Whole) => {
                self.step = Step::Rest { is_bounded: false };
                Ok(())
            }
            (Some(Close { code, reason, .. }), _) => Err(Ended::Closed(Said { code, reason })),
            (None, End::CutByOrigin) => Err(Ended::Cut(ResetCode::INTERNAL_ERROR)),
            (None, End::ResetByOrigin(code)) => Err(Ended::Cut(code)),
            (None, End::LeftByClient | End::RecorderKilled) => {
                self.due.set_after(self.here.limits().replay_wait);
                self.step = Step::Rest { is_bounded: true };
                Ok(())
            }
        }
    }

    /// The client has closed, and is answered with its own words, as most servers do (RFC 6455
    /// section 5.5.1).
    fn echo(&self) -> Ended {
        Ended::Closed(self.closed.clone().unwrap_or_default())
    }

    /// Reads once, if anything is there, and takes what it says.
    fn listen(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let waiting = self.out.len() - self.given + self.pongs.len();
        let pings_more_than_it_takes = waiting > OUT_MAX;
        if pings_more_than_it_takes || self.is_missed {
            return Ok(false);
        }
        match self.client.poll_readable(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(_)) => return Err(self.left()),
            Poll::Ready(Ok(())) => {}
        }
        let mut arena = self.here.worker.arenas.lease();
        match self.client.poll_read(cx, &mut arena.read) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0) | Err(Lost { .. })) => Err(self.left()),
            Poll::Ready(Ok(_)) => {
                self.pulses.felt(Side::Request);
                self.hear(&mut arena.read)?;
                Ok(true)
            }
        }
    }

    /// A client that closed and didn't wait for the answer has had its say.
    fn left(&self) -> Ended {
        match self.closed {
            Some(_) => self.echo(),
            None => Ended::Left,
        }
    }

    fn hear(&mut self, bytes: &mut [u8]) -> Result<(), Ended> {
        let mut at = 0;
        while let Some(event) = self.receiver.next(bytes, &mut at) {
            match event {
                Event::Began { kind, .. } => self.key.begin(kind, false),
                Event::Data(plain) => self.key.push(plain),
                Event::Ended => {
                    let print = self.key.finish();
                    let agrees = self.conversation.resume().message_received(print);
                    heard(&mut self.step, agrees);
                    if !agrees {
                        self.is_missed = true;
                        return Ok(());
                    }
                    self.forget_message();
                }
                Event::Ping(payload) => {
                    let out = if self.speech.is_some() { &mut self.pongs } else { &mut self.out };
                    frame::write(out, &Header::new(Opcode::Pong, 0), payload);
                }
                Event::Pong => {}
                Event::Closed(said) => {
                    self.closed = Some(said);
                    let agrees = self.conversation.resume().request_ended();
                    heard(&mut self.step, agrees);
                    self.is_missed = !agrees;
                }
                Event::Violated(violation) => return Err(Ended::Violated(violation)),
            }
        }
        Ok(())
    }

    /// What is kept of a message is only for a miss to show.
    fn forget_message(&mut self) {
        if self.key.len() > KEPT_MAX as u64 {
            self.key = self.session.message_key_of_conversation(Vec::new());
        }
    }

    fn feel_pulse(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let Poll::Ready([client, _]) = self.pulses.poll(cx) else { return Ok(false) };
        self.receiver.rested();
        match client {
            Verdict::Alive => {}
            // What waits for it may be in the middle of a frame.
            Verdict::Silent if !self.is_given() => {}
            Verdict::Silent => {
                let ping = frame::random::<8>();
                frame::write(&mut self.out, &Header::new(Opcode::Ping, 0), &ping);
            }
            Verdict::Dead => return Err(Ended::Left),
        }
        Ok(true)
    }
}
