//! What a client's bytes say, where Ouli is the server of a conversation itself.
//!
//! Pure, and strict: the first rule that is broken ends it, and is told. Messages are handed out as
//! they come, unmasked and inflated, in pieces; nothing is put together. So between messages there
//! is no buffer, and inside one none but an inflater's.
//!
//! Events, and the violation that ends them, don't depend on how the bytes were cut. Two things do:
//! the pieces of a message, and how much of one in which a rule is broken comes before that.

mod message;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::close::{self, Said};
use super::deflate::{Inflater, Terms};
use super::frame::{CONTROL_BYTES_MAX, Event as FrameEvent, Frames, Header, Mask, Opcode, RSV1};
use super::violation::Violation;
use crate::exchange::Kind;
use message::Message;

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Plain bytes of a message.
    pub message_bytes_max: u64,
    /// Frames of a message.
    pub fragments_max: u32,
    /// Frames that carry nothing (pings, pongs, empty fragments) since a message ended or the
    /// receiver rested.
    pub idle_frames_max: u32,
}

/// What a client said. Each message is `Began`, any number of `Data`, `Ended`; pings and pongs may
/// stand between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Began {
        kind: Kind,
        /// It is so on the wire.
        is_compressed: bool,
    },
    /// Plain bytes of the message, at least one.
    Data(&'a [u8]),
    Ended,
    /// To be answered with a pong that has this payload (RFC 6455 section 5.5.3).
    Ping(&'a [u8]),
    Pong,
    /// The last event.
    Closed(Said),
    /// The last event: the conversation is to be failed with this.
    Violated(Violation),
}

/// Takes a client's bytes apart.
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    frames: Frames,
    /// Of the frame that is under way.
    mask: Mask,
    opcode: Opcode,
    /// The last frame of its message.
    fin: bool,
    /// The payload of a control frame that is under way.
    control: Vec<u8>,
    message: Option<Message>,
    /// Where permessage-deflate was agreed on.
    inflater: Option<Inflater>,
    /// Unmasked bytes of the input before the next frame's that are still to be inflated.
    compressed: usize,
    idle_frames: u32,
    is_over: bool,
}

/// An event, without its bytes.
enum Found {
    Began { kind: Kind, is_compressed: bool },
    Input(Range<usize>),
    Inflated,
    Ended,
    Ping,
    Pong,
    Closed(Said),
}

impl Receiver {
    /// `terms` are those that were agreed on, if permessage-deflate was.
    pub fn new(limits: Limits, terms: Option<Terms>) -> Receiver {
        let inflater = |terms: Terms| {
            Inflater::new(terms.client_takeover, terms.client_bits, limits.message_bytes_max)
        };
        Receiver {
            limits,
            frames: Frames::new(),
            mask: Mask::new([0; 4]),
            opcode: Opcode::Continuation,
            fin: true,
            control: Vec::new(),
            message: None,
            inflater: terms.map(inflater),
            compressed: 0,
            idle_frames: 0,
            is_over: false,
        }
    }

    /// The next event in `input` from `*at` on, which is moved on and unmasked in place; none where
    /// all of it has been taken. Another input may come only then.
    ///
    /// After a close or a violation there is none any more, whatever comes.
    pub fn next<'a>(&'a mut self, input: &'a mut [u8], at: &mut usize) -> Option<Event<'a>> {
        if self.is_over {
            *at = input.len();
            return None;
        }
        let found = match self.find(input, at) {
            Ok(found) => found?,
            Err(violation) => {
                self.end();
                return Some(Event::Violated(violation));
            }
        };
        Some(match found {
            Found::Began { kind, is_compressed } => Event::Began { kind, is_compressed },
            Found::Input(range) => Event::Data(input.get(range).unwrap_or_default()),
            Found::Inflated => Event::Data(self.plain()),
            Found::Ended => Event::Ended,
            Found::Ping => Event::Ping(&self.control),
            Found::Pong => Event::Pong,
            Found::Closed(said) => {
                self.end();
                Event::Closed(said)
            }
        })
    }

    /// Whether no frame and no message is under way.
    pub fn is_between(&self) -> bool {
        self.message.is_none() && self.frames.is_between()
    }

    /// Something was done for the client, or time went by: forget the frames that carried nothing.
    pub fn rested(&mut self) {
        self.idle_frames = 0;
    }

    fn end(&mut self) {
        self.is_over = true;
        self.message = None;
        self.inflater = None;
    }

    fn plain(&self) -> &[u8] {
        self.inflater.as_ref().map(Inflater::plain).unwrap_or_default()
    }

    fn find(&mut self, input: &mut [u8], at: &mut usize) -> Result<Option<Found>, Violation> {
        loop {
            if self.inflates(input, *at)? {
                return Ok(Some(Found::Inflated));
            }
            let found = match self.frames.next(input, at) {
                None => return Ok(None),
                Some(FrameEvent::Header(header)) => self.enter(&header)?,
                Some(FrameEvent::Payload(range)) => {
                    self.mask.apply(input.get_mut(range.clone()).unwrap_or_default());
                    self.take(input, range)?
                }
                Some(FrameEvent::End) => self.leave()?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn enter(&mut self, header: &Header) -> Result<Option<Found>, Violation> {
        self.check(header)?;
        self.mask = Mask::new(header.mask.ok_or(Violation::Unmasked)?); // RFC 6455 section 5.1
        let carries_nothing = header.opcode.is_control() || (header.len == 0 && !header.fin);
        if carries_nothing {
            self.count_idle()?;
        }
        self.opcode = header.opcode;
        self.fin = header.fin;
        self.control.clear();
        if header.opcode.is_control() {
            return Ok(None);
        }
        self.enter_message(header)
    }

    /// The rules that a header keeps or breaks by itself.
    fn check(&self, header: &Header) -> Result<(), Violation> {
        let is_control = header.opcode.is_control();
        // RFC 7692 section 6: on the first frame of a message, and on no other.
        let begins = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        let bits = if begins && self.inflater.is_some() { RSV1 } else { 0 };
        if header.rsv & !bits != 0 {
            return Err(Violation::ReservedBits); // RFC 6455 section 5.2
        }
        if matches!(header.opcode, Opcode::Reserved(_)) {
            return Err(Violation::ReservedOpcode); // RFC 6455 section 5.2
        }
        if !header.is_length_sound {
            return Err(Violation::BadLength); // RFC 6455 section 5.2
        }
        if is_control && !header.fin {
            return Err(Violation::FragmentedControl); // RFC 6455 section 5.5
        }
        if is_control && header.len > CONTROL_BYTES_MAX as u64 {
            return Err(Violation::LongControl); // RFC 6455 section 5.5
        }
        Ok(())
    }

    fn count_idle(&mut self) -> Result<(), Violation> {
        let idle_frames_max = self.limits.idle_frames_max;
        if self.idle_frames >= idle_frames_max {
            return Err(Violation::TooManyIdleFrames { idle_frames_max });
        }
        self.idle_frames += 1;
        Ok(())
    }

    fn enter_message(&mut self, header: &Header) -> Result<Option<Found>, Violation> {
        let kind = match header.opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            _ => None,
        };
        let began = match (kind, &self.message) {
            (Some(kind), None) => {
                let is_compressed = header.rsv & RSV1 != 0;
                self.message = Some(Message::new(kind, is_compressed));
                Some(Found::Began { kind, is_compressed })
            }
            (None, Some(_)) => None,
            (Some(_), Some(_)) => return Err(Violation::MessageInside), // RFC 6455 section 5.4
            (None, None) => return Err(Violation::NothingToContinue),   // RFC 6455 section 5.4
        };
        if let Some(message) = &mut self.message {
            message.enter(header.len, &self.limits)?;
        }
        Ok(began)
    }

    /// Takes unmasked payload.
    fn take(&mut self, input: &[u8], range: Range<usize>) -> Result<Option<Found>, Violation> {
        let bytes = input.get(range.clone()).unwrap_or_default();
        match &mut self.message {
            _ if self.opcode.is_control() => self.control.extend_from_slice(bytes),
            Some(message) if message.is_compressed => self.compressed = bytes.len(),
            Some(message) => {
                message.take(bytes)?;
                return Ok(Some(Found::Input(range)));
            }
            None => {}
        }
        Ok(None)
    }

    /// Whether what is compressed in the input before `end` makes something readable.
    fn inflates(&mut self, input: &[u8], end: usize) -> Result<bool, Violation> {
        let (Some(inflater), Some(message)) = (&mut self.inflater, &mut self.message) else {
            return Ok(false);
        };
        if self.compressed == 0 && !message.may_have_more {
            return Ok(false);
        }
        let mut at = end.saturating_sub(self.compressed);
        let input = input.get(..end).unwrap_or_default();
        message.may_have_more =
            inflater.step(input, &mut at).map_err(|fault| message.fault(fault, &self.limits))?;
        self.compressed = end.saturating_sub(at);
        if message.may_have_more {
            message.take(inflater.plain())?;
        }
        Ok(message.may_have_more)
    }

    /// A frame is over.
    fn leave(&mut self) -> Result<Option<Found>, Violation> {
        match self.opcode {
            Opcode::Ping => Ok(Some(Found::Ping)),
            Opcode::Pong => Ok(Some(Found::Pong)),
            Opcode::Close => Ok(Some(Found::Closed(closed(&self.control)?))),
            _ if self.fin => self.leave_message().map(Some),
            _ => Ok(None),
        }
    }

    fn leave_message(&mut self) -> Result<Found, Violation> {
        if let Some(message) = self.message.take() {
            if let (true, Some(inflater)) = (message.is_compressed, &mut self.inflater) {
                inflater.finish().map_err(|fault| message.fault(fault, &self.limits))?;
            }
            message.end()?;
        }
        self.idle_frames = 0;
        Ok(Found::Ended)
    }
}

fn closed(payload: &[u8]) -> Result<Said, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        // RFC 6455 section 5.5.1.
        return if payload.is_empty() { Ok(Said::default()) } else { Err(Violation::HalfCode) };
    };
    if !close::is_code_sound(u16::from_be_bytes(*code)) {
        return Err(Violation::BadCode); // RFC 6455 section 7.4
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Violation::BadReason); // RFC 6455 section 5.5.1
    }
    Ok(close::read(payload))
}
