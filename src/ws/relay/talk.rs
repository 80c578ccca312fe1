//! One side of the relay: where its bytes stand among its frames, and the message under way.

use sha2::{Digest as _, Sha256};

use super::{Extension, Notes, Unkept};
use crate::exchange::{Digest, Kind};
use crate::tape::{Part, Side};
use crate::ws::frame::{CONTROL_BYTES_MAX, Event, Frames, Header, Mask, Opcode, RSV1};

/// Bytes of the payload of Ouli's own pings.
pub const PING_BYTES: usize = 8;

/// What one side says.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub(super) frames: Frames,
    pub(super) header: Option<Header>,
    /// At the position of the next byte of the payload.
    pub(super) mask: Option<Mask>,
    pub(super) open: Option<Open>,
    /// The payload of a control frame, as far as it has come.
    pub(super) control: Vec<u8>,
    /// It breaks the protocol.
    pub(super) is_opaque: bool,
    pub(super) has_closed: bool,
    /// Something of it was dropped, because Ouli stops: what follows is dropped as well.
    pub(super) is_cut: bool,
    /// Ouli pinged it with this, and has had no answer.
    pub(super) pinged: Option<[u8; PING_BYTES]>,
    /// The beginning of a frame that may be that answer, and waits to be known.
    pub(super) held: Vec<u8>,
}

/// A message that has begun.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) kind: Kind,
    pub(super) compressed: bool,
    /// Not noted yet.
    pub(super) is_new: bool,
    /// Bytes of the payload, those of the frame under way included.
    pub(super) len: u64,
    /// Of one that may turn out too large to keep.
    pub(super) digest: Option<Box<Sha256>>,
    pub(super) is_kept: bool,
}

impl Talk {
    /// How a header breaks the protocol, as far as the message can't be told after it.
    pub(super) fn violation(
        &self,
        from: Side,
        header: &Header,
        extension: Extension,
    ) -> Option<&'static str> {
        let is_first = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        // RFC 7692 section 6: only the first frame of a message has it.
        let may_be_compressed = extension == Extension::Deflate && is_first;
        let rsv_allowed = if may_be_compressed { RSV1 } else { 0 };
        if header.rsv & !rsv_allowed != 0 {
            return Some(match extension {
                Extension::Unknown => "it uses an extension that Ouli doesn't know",
                _ => "it set RSV bits that have no meaning here",
            });
        }
        // RFC 6455 section 5.1.
        if header.mask.is_some() != (from == Side::Request) {
            return Some(match from {
                Side::Request => "its frames aren't masked",
                Side::Response => "its frames are masked",
            });
        }
        match header.opcode {
            _ if !header.is_length_sound => Some("a frame's length is written wrongly"),
            Opcode::Reserved(_) => Some("it sent a frame of a reserved kind"),
            Opcode::Continuation if self.open.is_none() && !self.has_closed => {
                Some("it continued a message that wasn't begun")
            }
            _ if is_first && self.open.is_some() => Some("it began a message inside another one"),
            opcode if opcode.is_control() && header.len > CONTROL_BYTES_MAX as u64 => {
                Some("it sent a control frame of more than 125 bytes")
            }
            opcode if opcode.is_control() && !header.fin => Some("it split a control frame"),
            _ => None,
        }
    }

    pub(super) fn begin_fragment(&mut self, header: &Header, bytes_max: u64) {
        let kind = if header.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
        let open = self.open.get_or_insert_with(|| Open {
            kind,
            compressed: header.rsv & RSV1 != 0,
            is_new: true,
            len: 0,
            digest: None,
            is_kept: true,
        });
        open.len = open.len.saturating_add(header.len);
        open.is_kept &= open.len <= bytes_max;
        // From its first byte on, or never: of a message in fragments it isn't known in advance.
        if open.is_new && (!header.fin || !open.is_kept) {
            open.digest.get_or_insert_default();
        }
    }

    pub(super) fn look_for_close(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(event) = self.frames.next(bytes, &mut at) {
            if let Event::Header(header) = event {
                self.has_closed |= header.opcode == Opcode::Close;
            }
        }
    }

    pub(super) fn take_control(&mut self, payload: &[u8], mask: Option<Mask>) {
        let start = self.control.len();
        let room = CONTROL_BYTES_MAX.saturating_sub(start).min(payload.len());
        self.control.extend_from_slice(payload.get(..room).unwrap_or_default());
        if let Some(mut mask) = mask {
            mask.apply(self.control.get_mut(start..).unwrap_or_default());
        }
    }

    pub(super) fn end_message(&mut self, by: Side, header: &Header, notes: &mut impl Notes) {
        let Some(mut open) = self.open.take() else { return };
        if open.is_kept {
            // Its last bytes said so where it had any.
            if header.len == 0 {
                let part = Part { begins: open.take_beginning(), ends: true };
                notes.said(by, part, &[], None);
            }
        } else if let Some(digest) = open.digest {
            let digest = Digest(digest.finalize().into());
            let Open { kind, compressed, len, .. } = open;
            notes.unkept(by, Unkept { kind, compressed, len, digest });
        }
    }

    /// Whether what has come of the frame under way may be the answer to Ouli's ping.
    pub(super) fn may_be_own_pong(&self) -> bool {
        let is_pong = self.header.is_some_and(|header| header.opcode == Opcode::Pong);
        let is_begun = !self.frames.is_between();
        self.pinged.is_some() && is_begun && (is_pong || self.frames.is_in_header())
    }

    /// Whether the frame that has just ended was the answer to Ouli's ping, which it was then.
    pub(super) fn is_own_pong(&mut self) -> bool {
        let is_pong = self.header.is_some_and(|header| header.opcode == Opcode::Pong);
        let is_own = is_pong && self.pinged.is_some_and(|payload| self.control == payload);
        if is_own {
            self.pinged = None;
        }
        is_own
    }
}

impl Open {
    pub(super) fn take_beginning(&mut self) -> Option<(Kind, bool)> {
        std::mem::take(&mut self.is_new).then_some((self.kind, self.compressed))
    }
}

pub(super) fn digest_unmasked(digest: &mut Sha256, payload: &[u8], mask: Option<Mask>) {
    let Some(mut mask) = mask else { return digest.update(payload) };
    let mut scratch = [0; 1024];
    for chunk in payload.chunks(scratch.len()) {
        let plain = &mut scratch[..chunk.len()];
        plain.copy_from_slice(chunk);
        mask.apply(plain);
        digest.update(plain);
    }
}
