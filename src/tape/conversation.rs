//! From a WebSocket conversation's frames to its messages.
//!
//! Pure. The frames of both sides stand on the tape in the order in which Ouli saw things, so how
//! far the client had come when the origin said something can be told from where that stands. Only
//! what isn't whole yet is held as it came; a whole message is inflated, and goes through `keep`.

use std::time::Duration;

use bytes::Bytes;

use super::format::{Frame, Part, Side};
use super::inflate::{Inflated, Inflating};
use super::reader::{KeepMessage, ReadError};
use crate::exchange::{After, Body, Close, Compression, Fields, Kind, Message, Party, Payload};
use crate::ws::close::REASON_BYTES_MAX;

/// A conversation as far as its frames have come.
#[derive(Debug)]
pub(super) struct Conversation {
    client: Speaker,
    origin: Speaker,
    close: Option<Close>,
    /// How far the client had come when somebody closed.
    closed_after: After,
}

/// What a conversation came to.
pub(super) struct Finished {
    pub(super) client: Body,
    pub(super) origin: Body,
    pub(super) close: Option<Close>,
    /// How far the client had come at the end.
    pub(super) after: After,
}

/// One of the two sides.
#[derive(Debug)]
struct Speaker {
    messages: Vec<Message>,
    /// The message that has begun and isn't whole.
    open: Option<Open>,
    inflating: Inflating,
}

#[derive(Debug)]
struct Open {
    after: After,
    kind: Kind,
    compressed: bool,
    bytes: Vec<u8>,
}

impl Conversation {
    /// `granted` are the fields of the answer that granted it.
    pub(super) fn new(granted: &Fields) -> Conversation {
        let (client, origin) = Inflating::of(granted);
        Conversation {
            client: Speaker::new(client),
            origin: Speaker::new(origin),
            close: None,
            closed_after: After::End,
        }
    }

    /// Takes one of a conversation's own frames.
    pub(super) fn push(
        &mut self,
        frame: Frame<'_>,
        keep: KeepMessage<'_>,
    ) -> Result<(), ReadError> {
        match frame {
            Frame::Said { at, side, part, bytes } => self.said(at, side, part, bytes, keep)?,
            Frame::Unkept { at, side, kind, compressed, len, digest } => {
                self.unkept(at, side, (kind, compressed), Payload::Omitted { digest, len });
            }
            Frame::Closed { at, by, code, reason } => self.closed(at, by, code, reason),
            _ => {}
        }
        Ok(())
    }

    fn said(
        &mut self,
        at: Duration,
        side: Side,
        part: Part,
        bytes: &[u8],
        keep: KeepMessage<'_>,
    ) -> Result<(), ReadError> {
        if self.has_closed(side) {
            return Ok(());
        }
        let after = self.after(side);
        let speaker = self.speaker(side);
        if let Some((kind, compressed)) = part.begins {
            speaker.leave_out();
            speaker.open = Some(Open { after, kind, compressed, bytes: Vec::new() });
        }
        if let Some(open) = &mut speaker.open {
            open.bytes.extend_from_slice(bytes);
        }
        if let Some(open) = speaker.open.take_if(|_| part.ends) {
            let message = speaker.message(at, open);
            speaker.messages.push(keep(None, message)?);
        }
        Ok(())
    }

    /// Takes a message of which no more is known.
    fn unkept(
        &mut self,
        at: Duration,
        side: Side,
        (kind, compressed): (Kind, bool),
        payload: Payload,
    ) {
        if self.has_closed(side) {
            return;
        }
        let after = self.after(side);
        let speaker = self.speaker(side);
        let after = speaker.open.take().map_or(after, |open| open.after);
        let compression = match compressed {
            true => {
                speaker.inflating.lose();
                Compression::On
            }
            false => Compression::None,
        };
        speaker.messages.push(Message { at, after, kind, compression, payload });
    }

    /// Takes a close frame; the first counts. No reason is longer than a close frame can hold, and
    /// none stands without a code.
    fn closed(&mut self, at: Duration, by: Party, code: Option<u16>, reason: &str) {
        if self.close.is_some() {
            return;
        }
        self.closed_after = match by {
            Party::Client => After::End,
            Party::Origin | Party::Ouli => self.said_by_client(),
        };
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
        let reason = code.map(|_| reason.to_owned()).unwrap_or_default();
        self.close = Some(Close { at, by, code, reason });
    }

    pub(super) fn finish(self) -> Finished {
        let after = match self.close {
            Some(_) => self.closed_after,
            None => self.said_by_client(),
        };
        Finished {
            client: self.client.body(),
            origin: self.origin.body(),
            close: self.close,
            after,
        }
    }

    /// Whether the side closed first: what comes behind its close isn't heard (RFC 6455 section
    /// 5.5.1).
    fn has_closed(&self, side: Side) -> bool {
        let by = self.close.as_ref().map(|close| close.by);
        match side {
            Side::Request => by == Some(Party::Client),
            Side::Response => by == Some(Party::Origin),
        }
    }

    /// What a message of this side comes after. That of a client says nothing.
    fn after(&self, side: Side) -> After {
        match (side, &self.close) {
            (Side::Request, _) | (_, Some(Close { by: Party::Client, .. })) => After::End,
            (Side::Response, _) => self.said_by_client(),
        }
    }

    fn said_by_client(&self) -> After {
        After::Messages(u32::try_from(self.client.messages.len()).unwrap_or(u32::MAX))
    }

    fn speaker(&mut self, side: Side) -> &mut Speaker {
        match side {
            Side::Request => &mut self.client,
            Side::Response => &mut self.origin,
        }
    }
}

impl Speaker {
    fn new(inflating: Inflating) -> Speaker {
        Speaker { messages: Vec::new(), open: None, inflating }
    }

    /// Of a message that never became whole nothing is kept.
    fn leave_out(&mut self) {
        if self.open.take().is_some_and(|open| open.compressed) {
            self.inflating.lose();
        }
    }

    fn message(&mut self, at: Duration, open: Open) -> Message {
        let Open { after, kind, compressed, bytes } = open;
        let (compression, payload) = match compressed {
            true => self.inflated(bytes),
            false => (Compression::None, Payload::Bytes(bytes.into())),
        };
        Message { at, after, kind, compression, payload }
    }

    fn inflated(&mut self, bytes: Vec<u8>) -> (Compression, Payload) {
        match self.inflating.message(&bytes) {
            Inflated::Plain(plain) => (Compression::Off, Payload::Bytes(Bytes::from(plain))),
            Inflated::Large { digest, len } => (Compression::Off, Payload::Omitted { digest, len }),
            Inflated::Bomb { digest, len } => (Compression::On, Payload::Omitted { digest, len }),
            Inflated::Not => (Compression::On, Payload::Bytes(Bytes::from(bytes))),
        }
    }

    fn body(self) -> Body {
        match self.messages.is_empty() {
            true => Body::Absent,
            false => Body::Messages(self.messages),
        }
    }
}
