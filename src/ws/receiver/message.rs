//! A message that is under way, and the rules about it.

use super::Limits;
use crate::exchange::Kind;
use crate::ws::deflate::Fault;
use crate::ws::utf8::Utf8;
use crate::ws::violation::Violation;

#[derive(Debug)]
pub(super) struct Message {
    pub(super) is_compressed: bool,
    /// The last step of the inflater made something readable, so that the next one may.
    pub(super) may_have_more: bool,
    /// Follows a text.
    text: Option<Utf8>,
    frames: u32,
    /// Of payload, announced so far, as they are on the wire.
    bytes: u64,
}

impl Message {
    pub(super) fn new(kind: Kind, is_compressed: bool) -> Message {
        let text = (kind == Kind::Text).then(Utf8::default);
        Message { is_compressed, may_have_more: false, text, frames: 0, bytes: 0 }
    }

    /// Another frame of it, with so many bytes.
    pub(super) fn enter(&mut self, len: u64, limits: &Limits) -> Result<(), Violation> {
        let Limits { message_bytes_max: bytes_max, fragments_max, .. } = *limits;
        self.frames = self.frames.saturating_add(1);
        if self.frames > fragments_max {
            return Err(Violation::TooManyFragments { fragments_max });
        }
        self.bytes = self.bytes.saturating_add(len);
        // What is compressed is counted as it inflates.
        if !self.is_compressed && self.bytes > bytes_max {
            return Err(Violation::TooLarge { bytes_max });
        }
        Ok(())
    }

    /// Plain bytes of it. A text is judged at each (RFC 6455 section 8.1).
    pub(super) fn take(&mut self, plain: &[u8]) -> Result<(), Violation> {
        match &mut self.text {
            Some(text) => text.push(plain).map_err(|_| Violation::BadText),
            None => Ok(()),
        }
    }

    pub(super) fn end(&self) -> Result<(), Violation> {
        match &self.text {
            Some(text) if !text.is_between() => Err(Violation::BadText),
            _ => Ok(()),
        }
    }

    pub(super) fn fault(&self, fault: Fault, limits: &Limits) -> Violation {
        match fault {
            Fault::TooLarge => Violation::TooLarge { bytes_max: limits.message_bytes_max },
            Fault::Malformed | Fault::Lost => Violation::BadCompression,
        }
    }
}
