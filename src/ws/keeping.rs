//! What a relay notes, on its way to the tape and to the log.

use std::time::Duration;

use tokio::time::Instant;

use super::close::Said;
use super::frame::Mask;
use super::pump::name;
use super::relay::{Notes, Unkept};
use crate::exchange::Party;
use crate::record::{self, Recording};
use crate::tape::{Part, Side};

/// Puts on the tape what passes now.
pub(super) struct Keeping<'r> {
    recording: &'r mut Recording,
    at: Duration,
    label: &'r str,
    kept: Result<(), record::Error>,
}

impl<'r> Keeping<'r> {
    pub(super) fn new(recording: &'r mut Recording, started: Instant, label: &'r str) -> Self {
        Keeping { recording, at: started.elapsed(), label, kept: Ok(()) }
    }

    /// Whether the tape has all of it.
    pub(super) fn finish(self) -> Result<(), record::Error> {
        self.kept
    }

    fn note(&mut self, note: impl FnOnce(&mut Recording, Duration) -> Result<(), record::Error>) {
        if self.kept.is_ok() {
            self.kept = note(self.recording, self.at);
        }
    }
}

impl Notes for Keeping<'_> {
    fn said(&mut self, by: Side, part: Part, bytes: &[u8], mask: Option<Mask>) {
        self.note(|recording, at| recording.said(at, by, part, bytes, mask));
    }

    fn unkept(&mut self, by: Side, unkept: Unkept) {
        let Unkept { kind, compressed, len, digest } = unkept;
        tracing::warn!(
            "{}: a message of {len} bytes was larger than `max_ws_message` and is kept as length \
             and SHA-256 {digest} only",
            self.label
        );
        self.note(|recording, at| recording.unkept(at, by, kind, compressed, len, digest));
    }

    fn closed(&mut self, by: Party, said: &Said) {
        self.note(|recording, at| recording.closed(at, by, said.code, &said.reason));
    }

    fn violated(&mut self, by: Side, how: &'static str) {
        let (label, who) = (self.label, name(by));
        tracing::warn!(
            "{label}: {who} breaks the WebSocket protocol: {how}; its bytes pass, and what it says \
             from here on is not recorded"
        );
    }
}
