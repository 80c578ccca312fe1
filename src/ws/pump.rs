//! Drives the relay between a client and an origin, and keeps what they say.
//!
//! One task for both directions. A direction reads again only when what it read last has been
//! taken, so a slow side slows the other; and it has a buffer only while it has bytes. The tape has
//! what they mean before they go on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::frame;
use super::keeping::Keeping;
use super::pulse::{Pulses, Verdict};
use super::relay::{Extension, Pass, Relay, other};
use super::wire::{Lost, Wire};
use crate::exchange::{End, Fields, ResetCode};
use crate::http::context::Here;
use crate::net::arena::{Arena, Lease};
use crate::net::drain::Waiter;
use crate::record::{self, Handover, Recording};
use crate::tape::Side;

/// A conversation that has been granted and is to be relayed.
pub struct Relaying {
    pub origin: Wire,
    pub recording: Recording,
    pub extension: Extension,
    /// When the handshake's head was complete.
    pub started: Instant,
    /// `GET /chat [session]`, redacted, for the log.
    pub label: String,
}

/// Relays it until either side ends it, or both are told that Ouli is stopped.
pub async fn relay(here: Rc<Here>, client: Wire, relaying: Relaying) {
    let mut pump = Pump::new(here, client, relaying);
    let ended = poll_fn(|cx| pump.poll(cx)).await;
    pump.conclude(ended).await;
}

/// Why nothing more is relayed.
#[derive(Debug)]
enum Ended {
    /// Both sides have said that it is over, or one has closed its connection after a close.
    Closed,
    /// A side's connection ended without one.
    Lost(Side, Lost),
    /// The disk failed.
    Unkept(record::Error),
}

struct Pump {
    here: Rc<Here>,
    client: Wire,
    origin: Wire,
    relay: Relay,
    recording: Recording,
    started: Instant,
    label: String,
    /// What has been read of each side and not yet been taken by the other.
    from_client: Option<Load>,
    from_origin: Option<Load>,
    /// Ouli's own frames, which go behind that.
    to_client: Vec<u8>,
    to_origin: Vec<u8>,
    /// A side that takes no more. What it said before may still be there to be read.
    deaf: Option<Side>,
    /// The client has closed and sends no more, and may still listen to the origin.
    is_client_done: bool,
    pulses: Pulses,
    drain: Waiter,
}

const SIDES: [Side; 2] = [Side::Request, Side::Response];

/// Bytes on their way through.
struct Load {
    arena: Lease,
    /// How many of them have been taken.
    taken: usize,
    /// They are in `origin_write`, because not all that was read passes.
    pass: Pass,
    /// While the tape doesn't have what they mean.
    handover: Option<Handover>,
}

impl Load {
    fn rest(&self) -> &[u8] {
        let bytes = match self.pass {
            Pass::AsTheyCame => &self.arena.read,
            Pass::Instead => &self.arena.origin_write,
        };
        &bytes[self.taken..]
    }
}

impl Pump {
    fn new(here: Rc<Here>, client: Wire, relaying: Relaying) -> Self {
        let Relaying { origin, recording, extension, started, label } = relaying;
        let limits = here.limits();
        Pump {
            relay: Relay::new(extension, limits.max_ws_message),
            pulses: Pulses::new(limits.ws_idle_timeout),
            drain: here.drain.waiter(),
            here,
            client,
            origin,
            recording,
            started,
            label,
            from_client: None,
            from_origin: None,
            to_client: Vec::new(),
            to_origin: Vec::new(),
            deaf: None,
            is_client_done: false,
        }
    }

    /// Ready when nothing more is relayed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.advance(cx) {
            Ok(()) if self.relay.is_over() && self.is_idle() => Poll::Ready(Ended::Closed),
            Ok(()) => Poll::Pending,
            Err(ended) => Poll::Ready(ended),
        }
    }

    /// Nothing waits to be taken.
    fn is_idle(&self) -> bool {
        self.from_client.is_none()
            && self.from_origin.is_none()
            && self.to_client.is_empty()
            && self.to_origin.is_empty()
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        if self.drain.poll_started(cx).is_ready() {
            self.relay.stop();
        }
        loop {
            // In turns: a side that never pauses leaves the other its share of the task's time, and
            // what one says may be what the other waited for.
            let has_moved = self.flow(cx, Side::Request)? | self.flow(cx, Side::Response)?;
            if self.is_client_done && self.deaf == Some(Side::Request) {
                return Err(Ended::Closed);
            }
            if !(has_moved || self.say_farewell()? || self.feel_pulses(cx)?) {
                return Ok(());
            }
        }
    }

    /// Moves on what one side says, by one read at most. False when that goes no further now, and
    /// something will wake the task when it does.
    fn flow(&mut self, cx: &mut Context<'_>, from: Side) -> Result<bool, Ended> {
        let to = other(from);
        if self.give(cx, from)?.is_pending() || self.give_own(cx, to).is_pending() {
            return Ok(false);
        }
        if from == Side::Request && self.is_client_done {
            return Ok(false);
        }
        if self.deaf == Some(to) {
            return self.discard(cx, from).map(|()| false);
        }
        // Told to stop, it is read again once the other has ended its message too.
        if self.relay.awaits_other(from) {
            *self.load(from) = None;
            return Ok(false);
        }
        // What was read mostly waits for the tape: asked here, that costs no turn of both sides.
        Ok(self.read(cx, from)?.is_ready() && self.give(cx, from)?.is_ready())
    }

    /// Writes what was read of `from`, once the tape has it. Ready when all of it has been taken.
    fn give(&mut self, cx: &mut Context<'_>, from: Side) -> Result<Poll<()>, Ended> {
        let Some(load) = self.load(from) else { return Ok(Poll::Ready(())) };
        if let Some(handover) = &mut load.handover {
            match Pin::new(handover).poll(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(kept) => kept.map_err(Ended::Unkept)?,
            }
            load.handover = None;
        }
        let Some(mut load) = self.load(from).take() else { return Ok(Poll::Ready(())) };
        let to = other(from);
        let (given, count) = write_all(self.wire(to), cx, load.rest());
        load.taken += count;
        let is_done = load.rest().is_empty();
        *self.load(from) = Some(load);
        if count > 0 {
            self.pulses.felt(to);
        }
        if to == Side::Request {
            self.here.worker.counters.sent_bytes.add(count as u64);
        }
        Ok(self.given(to, given, is_done))
    }

    /// Writes Ouli's own frames. Ready when there are none left, and nothing waits to leave.
    fn give_own(&mut self, cx: &mut Context<'_>, to: Side) -> Poll<()> {
        if self.deaf == Some(to) {
            return Poll::Ready(());
        }
        let mut own = std::mem::take(self.own(to));
        let (given, count) = write_all(self.wire(to), cx, &own);
        own.drain(..count);
        let is_done = own.is_empty();
        if !is_done {
            *self.own(to) = own;
        }
        self.given(to, given, is_done)
    }

    fn given(&mut self, to: Side, given: Poll<Result<(), Lost>>, is_done: bool) -> Poll<()> {
        match given {
            Poll::Ready(Err(_)) => {
                self.deaf = Some(to);
                *self.load(other(to)) = None;
                self.own(to).clear();
                Poll::Ready(())
            }
            Poll::Ready(Ok(())) if is_done => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Reads once, if anything is there, and keeps what it means.
    fn read(&mut self, cx: &mut Context<'_>, from: Side) -> Result<Poll<()>, Ended> {
        let mut arena = match self.load(from).take() {
            Some(load) => load.arena,
            None => match self.wire(from).poll_readable(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(lost)) => return Err(self.ended_by(from, lost)),
                Poll::Ready(Ok(())) => self.here.worker.arenas.lease(),
            },
        };
        arena.read.clear();
        match self.wire(from).poll_read(cx, &mut arena.read) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => self.direction_ended(from).map(|()| Poll::Pending),
            Poll::Ready(Err(lost)) => Err(self.ended_by(from, lost)),
            Poll::Ready(Ok(_)) => {
                self.pulses.felt(from);
                let (pass, handover) = self.keep(from, &mut arena).map_err(Ended::Unkept)?;
                *self.load(from) = Some(Load { arena, taken: 0, pass, handover });
                Ok(Poll::Ready(()))
            }
        }
    }

    /// Reads what nobody hears any more: who can't get rid of what it says may not read what the
    /// other said before.
    fn discard(&mut self, cx: &mut Context<'_>, from: Side) -> Result<(), Ended> {
        while self.wire(from).poll_readable(cx).is_ready() {
            let mut arena = self.here.worker.arenas.lease();
            match self.wire(from).poll_read(cx, &mut arena.read) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Err(self.ended_by(other(from), Lost { reset: None }));
                }
                Poll::Ready(Ok(_)) => self.pulses.felt(from),
            }
        }
        Ok(())
    }

    /// Puts on the tape what the bytes mean that were read, and says what of them passes.
    fn keep(
        &mut self,
        from: Side,
        arena: &mut Arena,
    ) -> Result<(Pass, Option<Handover>), record::Error> {
        let Arena { read, origin_write: instead, tape, .. } = arena;
        self.recording.swap_buffer(tape);
        let mut keeping = Keeping::new(&mut self.recording, self.started, &self.label);
        let pass = self.relay.received(from, read, instead, &mut keeping);
        let kept = keeping.finish().and_then(|()| self.recording.hand_over());
        if kept.is_ok() {
            self.recording.swap_buffer(tape);
        }
        kept.map(|handover| (pass, handover))
    }

    /// A side sends no more. A client that has closed is still answered: over HTTP/2 it may end its
    /// direction with its close (RFC 8441 section 5).
    fn direction_ended(&mut self, from: Side) -> Result<(), Ended> {
        if from == Side::Request && self.relay.owes_close_to(from) {
            self.is_client_done = true;
            return Ok(());
        }
        Err(self.ended_by(from, Lost { reset: None }))
    }

    fn ended_by(&self, side: Side, lost: Lost) -> Ended {
        match self.relay.is_closed() {
            true => Ended::Closed,
            false => Ended::Lost(side, lost),
        }
    }

    /// Closes the conversation, once it is time for that because Ouli is stopped.
    fn say_farewell(&mut self) -> Result<bool, Ended> {
        // Asked at each step, so the clock isn't looked at for nothing.
        if !self.drain.is_draining() {
            return Ok(false);
        }
        let mut keeping = Keeping::new(&mut self.recording, self.started, &self.label);
        let Some([to_client, to_origin]) = self.relay.farewell(&mut keeping) else {
            return Ok(false);
        };
        let kept = keeping.finish().and_then(|()| self.recording.flush());
        kept.map_err(Ended::Unkept)?;
        self.to_client.extend_from_slice(&to_client);
        self.to_origin.extend_from_slice(&to_origin);
        Ok(true)
    }

    /// Pings who keeps silent. True when there may be something to send.
    fn feel_pulses(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        for side in SIDES {
            // It isn't read before the other has taken what it said, so its answer wouldn't be.
            if self.load(side).is_some() {
                self.pulses.felt(side);
            }
        }
        let Poll::Ready(verdicts) = self.pulses.poll(cx) else { return Ok(false) };
        if let Some(side) = self.dead(verdicts) {
            let limit = self.here.limits().ws_idle_timeout;
            tracing::warn!("{}: {} answered no ping for {limit:?}", self.label, name(side));
            return Err(self.ended_by(side, Lost { reset: None }));
        }
        for (side, verdict) in SIDES.into_iter().zip(verdicts) {
            let mut ping = Vec::new();
            if verdict != Verdict::Silent {
                continue;
            }
            if self.relay.ping(side, frame::random(), &mut ping) {
                self.own(side).append(&mut ping);
            } else if !self.relay.owes(side) && self.load(other(side)).is_none() {
                self.pulses.excuse(side);
            }
        }
        Ok(true)
    }

    /// The side that shows no life. Of two the one that stopped inside of a frame, where the other
    /// couldn't be asked.
    fn dead(&self, verdicts: [Verdict; 2]) -> Option<Side> {
        match verdicts.map(|verdict| verdict == Verdict::Dead) {
            [false, false] => None,
            [true, true] if !self.relay.is_between(Side::Response) => Some(Side::Response),
            [true, _] => Some(Side::Request),
            [false, true] => Some(Side::Response),
        }
    }

    fn wire(&mut self, side: Side) -> &mut Wire {
        match side {
            Side::Request => &mut self.client,
            Side::Response => &mut self.origin,
        }
    }

    fn load(&mut self, from: Side) -> &mut Option<Load> {
        match from {
            Side::Request => &mut self.from_client,
            Side::Response => &mut self.from_origin,
        }
    }

    fn own(&mut self, to: Side) -> &mut Vec<u8> {
        match to {
            Side::Request => &mut self.to_client,
            Side::Response => &mut self.to_origin,
        }
    }

    /// Says on the tape how it ended, tells of it, and ends both connections like it.
    async fn conclude(mut self, ended: Ended) {
        let (end, cut) = match &ended {
            Ended::Closed => (Some(End::Whole), None),
            Ended::Lost(Side::Request, _) => (Some(End::LeftByClient), Some(ResetCode::CANCEL)),
            Ended::Lost(Side::Response, Lost { reset: Some(code) }) => {
                (Some(End::ResetByOrigin(*code)), Some(*code))
            }
            Ended::Lost(Side::Response, _) => {
                (Some(End::CutByOrigin), Some(ResetCode::INTERNAL_ERROR))
            }
            // The tape has what the client has seen, as if the recorder had died.
            Ended::Unkept(_) => (None, Some(ResetCode::INTERNAL_ERROR)),
        };
        if let Some(end) = end {
            // A disk that fails here is noted by the run; nobody waits for more.
            let ended = self.recording.end(end, &Fields::new());
            let _ = ended.and_then(|()| self.recording.flush());
        }
        if self.here.shared().exchange_log {
            let took = self.started.elapsed().as_secs_f64();
            tracing::info!("{}: {ended}, after {took:.1} s", self.label);
        }
        let Pump { client, origin, from_client, from_origin, .. } = self;
        drop((from_client, from_origin));
        tokio::join!(client.close(cut), origin.close(cut));
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Closed => f.write_str("the conversation was closed"),
            Ended::Lost(side, _) => write!(f, "{} left the conversation", name(*side)),
            Ended::Unkept(error) => write!(f, "the conversation was cut: {error}"),
        }
    }
}

pub(super) fn name(side: Side) -> &'static str {
    match side {
        Side::Request => "the client",
        Side::Response => "the origin",
    }
}

/// Writes as much as is taken now; says how much. Ready when all of it has been taken.
fn write_all(
    wire: &mut Wire,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> (Poll<Result<(), Lost>>, usize) {
    let mut count = 0;
    while count < bytes.len() {
        match wire.poll_write(cx, &bytes[count..]) {
            Poll::Ready(Ok(taken)) => count += taken,
            Poll::Ready(Err(lost)) => return (Poll::Ready(Err(lost)), count),
            Poll::Pending => return (Poll::Pending, count),
        }
    }
    (wire.poll_flush(cx), count)
}
