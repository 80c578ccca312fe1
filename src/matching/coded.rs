//! A coding taken off content as it flows, with what to count by when it can't be.

use sha2::{Digest as _, Sha256};

use crate::coding::Decoder;
use crate::exchange::{Coding, Digest};

pub(super) enum Coded {
    /// Nothing has come. A decoder is too much for what stays empty.
    Waiting {
        coding: Coding,
        out_max: u64,
    },
    Running(Box<Running>),
}

pub(super) struct Running {
    /// None once the data has turned out not to decode.
    decoder: Option<Decoder>,
    /// Of the coded bytes, which count when they don't decode.
    digest: Sha256,
    step: Vec<u8>,
}

impl Coded {
    /// Gives out at most `out_max` bytes; what holds more counts as not decoding.
    pub(super) fn new(coding: Coding, out_max: u64) -> Coded {
        Coded::Waiting { coding, out_max }
    }

    /// Takes coded bytes and hands on what they make readable.
    pub(super) fn push(&mut self, bytes: &[u8], take: impl FnMut(&[u8])) {
        if let Coded::Waiting { coding, out_max } = *self {
            let decoder = Decoder::new(coding, out_max).ok();
            let running = Running { decoder, digest: Sha256::new(), step: Vec::new() };
            *self = Coded::Running(Box::new(running));
        }
        if let Coded::Running(running) = self {
            running.push(bytes, take);
        }
    }

    /// The content has ended.
    ///
    /// Errors: the digest of the coded bytes, which don't decode from first to last.
    pub(super) fn finish(self) -> Result<(), Digest> {
        let Coded::Running(running) = self else { return Ok(()) };
        let whole = running.decoder.is_some_and(|decoder| decoder.finish().is_ok());
        if whole { Ok(()) } else { Err(Digest(running.digest.finalize().into())) }
    }
}

impl Running {
    fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        self.digest.update(bytes);
        while let Some(decoder) = &mut self.decoder {
            self.step.clear();
            let Ok(step) = decoder.step(bytes, &mut self.step) else {
                self.decoder = None;
                return;
            };
            take(&self.step);
            bytes = bytes.get(step.consumed..).unwrap_or_default();
            if bytes.is_empty() && !step.more {
                return;
            }
        }
    }
}
