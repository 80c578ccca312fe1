//! What two sides of a WebSocket conversation say, on its way to the tape.
//!
//! A message goes there in parts as it flows, so nothing of it is held here.

use std::time::Duration;

use super::{Error, Recording};
use crate::exchange::{Digest, Kind, Party};
use crate::tape::Side;
use crate::tape::format::{Frame, Part};
use crate::ws::frame::Mask;

impl Recording {
    /// Exchanges the memory in which frames wait for other memory: a conversation that is silent
    /// needs none. Nothing must be waiting.
    pub fn swap_buffer(&mut self, buffer: &mut Vec<u8>) {
        debug_assert!(self.waiting.is_empty(), "what waits is flushed first");
        std::mem::swap(&mut self.waiting, buffer);
    }

    /// From here on come messages: the head that has been given grants a conversation.
    pub fn converse(&mut self) {
        self.finish_bodies();
    }

    /// What one read gave of a message. `mask` is still on the bytes, and stands where they do.
    ///
    /// Errors: as of `response_data`.
    pub fn said(
        &mut self,
        at: Duration,
        side: Side,
        part: Part,
        bytes: &[u8],
        mask: Option<Mask>,
    ) -> Result<(), Error> {
        self.push_unbroken(&Frame::Said { at, side, part, bytes }, mask)
    }

    /// The message under way is over, and was larger than any that is kept. `len` and `digest` are
    /// of all its bytes as they were on the wire, unmasked.
    ///
    /// Errors: as of `response_data`.
    pub fn unkept(
        &mut self,
        at: Duration,
        side: Side,
        kind: Kind,
        compressed: bool,
        len: u64,
        digest: Digest,
    ) -> Result<(), Error> {
        self.push_unbroken(&Frame::Unkept { at, side, kind, compressed, len, digest }, None)
    }

    /// Somebody sent a close frame; the first counts.
    ///
    /// Errors: as of `response_data`.
    pub fn closed(
        &mut self,
        at: Duration,
        by: Party,
        code: Option<u16>,
        reason: &str,
    ) -> Result<(), Error> {
        self.push_unbroken(&Frame::Closed { at, by, code, reason }, None)
    }
}
