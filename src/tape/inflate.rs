//! Taking permessage-deflate off the messages of one side, where that can be done.

use crate::exchange::{Digest, Fields};

/// What a compressed message came to.
pub(super) enum Inflated {
    Plain(Vec<u8>),
    /// It is larger than any that is kept.
    Large {
        digest: Digest,
        len: u64,
    },
    /// It is far larger than that; what is told is of its compressed bytes.
    Bomb {
        digest: Digest,
        len: u64,
    },
    /// It doesn't inflate, or what it refers to isn't known.
    Not,
}

#[derive(Debug)]
pub(super) struct Inflating;

impl Inflating {
    pub(super) fn of(_granted: &Fields) -> (Inflating, Inflating) {
        (Inflating, Inflating)
    }
    pub(super) fn lose(&mut self) {}
    pub(super) fn message(&mut self, _bytes: &[u8]) -> Inflated {
        Inflated::Not
    }
}
