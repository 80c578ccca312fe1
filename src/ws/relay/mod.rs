//! The relay between the two sides of a conversation: bytes in, bytes and messages out.
//!
//! Without I/O. Bytes pass as they came; their frame headers are read beside them, so that messages
//! can be noted as they flow. A side that breaks the protocol passes as well, and is read no
//! further: what it does is between it and the other.
//!
//! Two things are Ouli's own: a ping to a side that keeps silent, whose answer goes no further, and
//! the end when it is stopped, which waits for the messages that are under way. Both stand between
//! two frames. Nothing of a message is kept here, whatever its size. `talk` is one side.

mod talk;

use super::close::{self, Said};
use super::deflate::Granted;
use super::frame::{self, Event, Header, Mask, Opcode};
use crate::exchange::{Digest, Kind, Party};
use crate::tape::{Part, Side};
pub use talk::PING_BYTES;
use talk::{Talk, digest_unmasked};

/// A message that was too large to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unkept {
    pub kind: Kind,
    pub compressed: bool,
    /// Of its payload as it was sent, unmasked. Bytes.
    pub len: u64,
    pub digest: Digest,
}

/// Who notes what passes.
pub trait Notes {
    /// Bytes of a message, as they were sent; `mask` takes the masking off.
    fn said(&mut self, by: Side, part: Part, bytes: &[u8], mask: Option<Mask>);
    /// The message under way was larger than may be kept, and is over.
    fn unkept(&mut self, by: Side, unkept: Unkept);
    /// The first close of the conversation.
    fn closed(&mut self, by: Party, said: &Said);
    /// A side breaks the protocol, and is read no further.
    fn violated(&mut self, by: Side, how: &'static str);
}

/// What becomes of bytes that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// They go on as they are.
    AsTheyCame,
    /// What goes on in their stead is in the buffer that was given; perhaps nothing.
    Instead,
}

/// How compressed messages are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    None,
    /// permessage-deflate: RSV1 marks them.
    Deflate,
    /// One that Ouli doesn't know: nobody but the two sides knows what RSV bits mean.
    Unknown,
}

impl From<Granted> for Extension {
    fn from(granted: Granted) -> Self {
        match granted {
            Granted::None => Extension::None,
            Granted::Deflate(_) => Extension::Deflate,
            Granted::Unknown => Extension::Unknown,
        }
    }
}

#[derive(Debug)]
pub struct Relay {
    client: Talk,
    origin: Talk,
    extension: Extension,
    /// Bytes of a message's payload that may be kept.
    message_bytes_max: u64,
    /// A close was noted.
    is_closed: bool,
    stopping: Stopping,
}

/// How far the end has come that Ouli itself makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// Each side may end the message that it has begun.
    AwaitMessages,
    /// Both were told, and nothing passes any more.
    Told,
}

impl Relay {
    pub fn new(extension: Extension, message_bytes_max: u64) -> Relay {
        Relay {
            client: Talk::default(),
            origin: Talk::default(),
            extension,
            message_bytes_max,
            is_closed: false,
            stopping: Stopping::No,
        }
    }

    fn talk(&self, side: Side) -> &Talk {
        match side {
            Side::Request => &self.client,
            Side::Response => &self.origin,
        }
    }

    fn talk_mut(&mut self, side: Side) -> &mut Talk {
        match side {
            Side::Request => &mut self.client,
            Side::Response => &mut self.origin,
        }
    }

    /// Whether either side, or Ouli, has closed the conversation.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether both sides have said that it is over.
    pub fn is_over(&self) -> bool {
        self.client.has_closed && self.origin.has_closed
    }

    /// `from` has sent these bytes. What goes to the other side is said; `instead` is cleared
    /// first.
    pub fn received(
        &mut self,
        from: Side,
        bytes: &[u8],
        instead: &mut Vec<u8>,
        notes: &mut impl Notes,
    ) -> Pass {
        instead.clear();
        let talk = self.talk_mut(from);
        let is_plain = talk.pinged.is_none() && talk.held.is_empty();
        match self.stopping {
            Stopping::No if is_plain => {
                let mut at = 0;
                while self.step(from, bytes, &mut at, notes).is_some() {}
                return Pass::AsTheyCame;
            }
            // Only its own close counts.
            _ if self.talk(from).is_cut || self.stopping == Stopping::Told => {
                self.talk_mut(from).look_for_close(bytes);
            }
            _ => self.sift(from, bytes, instead, notes),
        }
        Pass::Instead
    }

    /// As `received`, where not everything passes.
    fn sift(&mut self, from: Side, bytes: &[u8], pass: &mut Vec<u8>, notes: &mut impl Notes) {
        let mut waiting = std::mem::take(&mut self.talk_mut(from).held);
        let (mut at, mut done) = (0, 0);
        while !self.is_stopped(from) {
            let event = self.step(from, bytes, &mut at, notes);
            waiting.extend_from_slice(bytes.get(done..at).unwrap_or_default());
            done = at;
            match event {
                None => break,
                Some(Event::End) if self.talk_mut(from).is_own_pong() => waiting.clear(),
                Some(_) if self.talk(from).may_be_own_pong() => {}
                Some(_) => pass.append(&mut waiting),
            }
        }
        let dropped = bytes.get(at..).filter(|rest| self.is_stopped(from) && !rest.is_empty());
        let talk = self.talk_mut(from);
        match talk.pinged.is_some() && talk.may_be_own_pong() {
            true => talk.held = waiting,
            false => pass.append(&mut waiting),
        }
        if let Some(dropped) = dropped {
            talk.is_cut = true;
            talk.look_for_close(dropped);
        }
    }

    /// Takes the next event of a side's bytes and notes what it means.
    fn step(
        &mut self,
        from: Side,
        bytes: &[u8],
        at: &mut usize,
        notes: &mut impl Notes,
    ) -> Option<Event> {
        let event = self.talk_mut(from).frames.next(bytes, at)?;
        match &event {
            Event::Header(header) => self.header_came(from, header, notes),
            Event::Payload(range) => {
                let payload = bytes.get(range.clone()).unwrap_or_default();
                self.payload_came(from, payload, notes);
            }
            Event::End => self.frame_ended(from, notes),
        }
        Some(event)
    }

    fn header_came(&mut self, from: Side, header: &Header, notes: &mut impl Notes) {
        let (extension, bytes_max) = (self.extension, self.message_bytes_max);
        let talk = self.talk_mut(from);
        talk.header = Some(*header);
        talk.mask = header.mask.map(Mask::new);
        talk.control.clear();
        if talk.is_opaque {
            return;
        }
        if let Some(how) = talk.violation(from, header, extension) {
            talk.is_opaque = true;
            talk.open = None;
            return notes.violated(from, how);
        }
        if !header.opcode.is_control() && !talk.has_closed {
            talk.begin_fragment(header, bytes_max);
        }
    }

    fn payload_came(&mut self, from: Side, payload: &[u8], notes: &mut impl Notes) {
        let talk = self.talk_mut(from);
        let mask = talk.mask;
        if let Some(mask) = &mut talk.mask {
            mask.skip(payload.len());
        }
        let Some(header) = talk.header else { return };
        if header.opcode.is_control() {
            return talk.take_control(payload, mask);
        }
        let is_last = header.fin && talk.frames.left() == 0;
        let Some(open) = &mut talk.open else { return };
        if let Some(digest) = &mut open.digest {
            digest_unmasked(digest, payload, mask);
        }
        if open.is_kept {
            let part = Part { begins: open.take_beginning(), ends: is_last };
            notes.said(from, part, payload, mask);
        }
    }

    fn frame_ended(&mut self, from: Side, notes: &mut impl Notes) {
        let talk = self.talk_mut(from);
        let Some(header) = talk.header else { return };
        match header.opcode {
            Opcode::Close if !talk.is_opaque => self.close_came(from, notes),
            opcode if opcode.is_control() || !header.fin => {}
            _ => talk.end_message(from, &header, notes),
        }
    }

    fn close_came(&mut self, from: Side, notes: &mut impl Notes) {
        let talk = self.talk_mut(from);
        talk.has_closed = true;
        talk.open = None;
        let said = close::read(&talk.control);
        if !std::mem::replace(&mut self.is_closed, true) {
            notes.closed(party(from), &said);
        }
    }

    /// A ping for a side that has kept silent, to be sent to it behind what it was sent so far.
    /// False where it can't be sent between two frames now.
    pub fn ping(&mut self, to: Side, payload: [u8; PING_BYTES], out: &mut Vec<u8>) -> bool {
        let is_framed = self.is_framed(to) && self.is_framed(other(to));
        let can = self.is_between(other(to)) && !self.is_closed && is_framed;
        if can {
            self.talk_mut(to).pinged = Some(payload);
            own_frame(out, to, Opcode::Ping, &payload);
        }
        can
    }

    /// Whether a side is expected to say more, though it can't be asked: the rest of a frame, or its
    /// close. Of one that breaks the protocol nobody knows.
    pub fn owes(&self, side: Side) -> bool {
        let talk = self.talk(side);
        self.is_closed || talk.is_opaque || !talk.frames.is_between()
    }

    /// Ouli is to stop: from here on no message begins.
    pub fn stop(&mut self) {
        if self.stopping == Stopping::No {
            self.stopping = Stopping::AwaitMessages;
        }
    }

    /// Whether a side has ended its message, because Ouli stops, and waits for the other's.
    pub fn awaits_other(&self, from: Side) -> bool {
        self.stopping == Stopping::AwaitMessages && !self.is_closed && self.is_stopped(from)
    }

    /// Whether no more of a side's bytes pass, because Ouli stops. (Where a side closes the
    /// conversation itself, its close and what is behind it pass.)
    pub fn is_stopped(&self, from: Side) -> bool {
        match self.stopping {
            Stopping::No => false,
            Stopping::AwaitMessages => {
                let talk = self.talk(from);
                let is_between = talk.open.is_none() && talk.frames.is_between();
                talk.is_cut || (is_between && !self.is_closed)
            }
            Stopping::Told => true,
        }
    }

    /// Closes the conversation once both sides have ended the messages that they had begun: what
    /// each is to be sent, behind what it was sent so far. Only once, and not where a side has
    /// closed it itself.
    pub fn farewell(&mut self, notes: &mut impl Notes) -> Option<[Vec<u8>; 2]> {
        let sides = [Side::Request, Side::Response];
        if !sides.into_iter().all(|side| self.awaits_other(side)) {
            return None;
        }
        self.stopping = Stopping::Told;
        self.is_closed = true;
        let said = Said { code: Some(close::GOING_AWAY), reason: close::STOPPED.to_owned() };
        notes.closed(Party::Ouli, &said);
        let payload = close::payload(said.code, &said.reason);
        Some(sides.map(|side| {
            let mut out = Vec::new();
            own_frame(&mut out, side, Opcode::Close, &payload);
            out
        }))
    }

    /// Whether a side has closed and the other hasn't answered that yet.
    pub fn owes_close_to(&self, to: Side) -> bool {
        let is_answered = self.talk(other(to)).has_closed || self.stopping == Stopping::Told;
        self.talk(to).has_closed && !is_answered
    }

    /// Whether a side's bytes are frames. An extension that is unknown leaves them so: it has RSV
    /// bits and the payload (RFC 6455 section 9).
    fn is_framed(&self, from: Side) -> bool {
        !self.talk(from).is_opaque || self.extension == Extension::Unknown
    }

    /// Whether nothing of a frame of this side is under way, so that another may stand there.
    pub fn is_between(&self, from: Side) -> bool {
        let talk = self.talk(from);
        talk.frames.is_between() && talk.held.is_empty()
    }
}

fn party(side: Side) -> Party {
    match side {
        Side::Request => Party::Client,
        Side::Response => Party::Origin,
    }
}

/// The side that a side talks to.
pub fn other(side: Side) -> Side {
    match side {
        Side::Request => Side::Response,
        Side::Response => Side::Request,
    }
}

/// A control frame of Ouli's own. To the origin Ouli is a client, and masks.
fn own_frame(out: &mut Vec<u8>, to: Side, opcode: Opcode, payload: &[u8]) {
    let mask = (to == Side::Response).then(frame::random_key);
    frame::write(out, &Header { mask, ..Header::new(opcode, payload.len()) }, payload);
}

#[cfg(test)]
mod tests;
