//! Taking permessage-deflate (RFC 7692) off the messages of one side, where that can be done.
//!
//! What a message comes to is bounded twice: one that is larger than any that is kept is gone
//! through for those that may refer back to it, and one that is far larger than that is not.

use sha2::{Digest as _, Sha256};

use crate::exchange::{Digest, Fields};
use crate::ws::deflate::{Fault, Granted, Inflater, Terms};

/// Bytes of an inflated message that are kept: as many as one may have on the wire by default. A
/// tape is also read where no configuration is.
const KEPT_BYTES_MAX: u64 = 64 << 20;

/// How many times that a message is gone through.
const PASSED_OVER_KEPT: u64 = 16;

/// What a compressed message came to.
#[derive(Debug, PartialEq, Eq)]
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
    /// It doesn't inflate, or what it refers back to isn't known.
    Not,
}

/// Inflates the messages of one side.
#[derive(Debug)]
pub(super) struct Inflating {
    /// None where nobody knows what compressed messages are.
    inflater: Option<Inflater>,
    takeover: bool,
    kept_bytes_max: u64,
}

impl Inflating {
    /// For the client's messages and the origin's, by the answer that granted the conversation.
    pub(super) fn of(granted: &Fields) -> (Inflating, Inflating) {
        Self::bounded(granted, KEPT_BYTES_MAX)
    }

    fn bounded(granted: &Fields, kept_bytes_max: u64) -> (Inflating, Inflating) {
        let terms = match Terms::granted(granted) {
            Granted::Deflate(terms) => Some(terms),
            Granted::None | Granted::Unknown => None,
        };
        let passed_bytes_max = kept_bytes_max.saturating_mul(PASSED_OVER_KEPT);
        let side = |terms: Option<(bool, u8)>| Inflating {
            inflater: terms.map(|(takeover, bits)| Inflater::new(takeover, bits, passed_bytes_max)),
            takeover: terms.is_some_and(|(takeover, _)| takeover),
            kept_bytes_max,
        };
        (
            side(terms.as_ref().map(|terms| (terms.client_takeover, terms.client_bits))),
            side(terms.as_ref().map(|terms| (terms.server_takeover, terms.server_bits))),
        )
    }

    /// A compressed message went by of which not all bytes are known.
    pub(super) fn lose(&mut self) {
        if self.takeover {
            self.inflater = None;
        }
    }

    /// Inflates the side's next compressed message.
    pub(super) fn message(&mut self, bytes: &[u8]) -> Inflated {
        let Some(inflater) = &mut self.inflater else { return Inflated::Not };
        let mut plain = Plain::new(self.kept_bytes_max);
        let pushed = inflater.push(bytes, |piece| plain.take(piece));
        match pushed.and_then(|()| inflater.finish()) {
            Ok(()) => plain.finish(),
            Err(Fault::TooLarge) => {
                let digest = Digest(Sha256::digest(bytes).into());
                Inflated::Bomb { digest, len: bytes.len() as u64 }
            }
            Err(Fault::Malformed | Fault::Lost) => Inflated::Not,
        }
    }
}

/// What has come of a message.
struct Plain {
    bytes: Vec<u8>,
    len: u64,
    kept_bytes_max: u64,
    /// Once it is larger than any that is kept; `bytes` are empty then.
    passing: Option<Sha256>,
}

impl Plain {
    fn new(kept_bytes_max: u64) -> Plain {
        Plain { bytes: Vec::new(), len: 0, kept_bytes_max, passing: None }
    }

    fn take(&mut self, piece: &[u8]) {
        self.len += piece.len() as u64;
        if self.len <= self.kept_bytes_max {
            self.bytes.extend_from_slice(piece);
            return;
        }
        let earlier = std::mem::take(&mut self.bytes);
        let hasher = self.passing.get_or_insert_with(|| Sha256::new_with_prefix(earlier));
        hasher.update(piece);
    }

    fn finish(self) -> Inflated {
        match self.passing {
            Some(hasher) => {
                Inflated::Large { digest: Digest(hasher.finalize().into()), len: self.len }
            }
            None => Inflated::Plain(self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cassette::bodies::digest_of;
    use crate::ws::deflate::Deflater;
    use crate::ws::handshake::EXTENSIONS;

    const KEPT: u64 = 1000;

    /// The client's side.
    fn inflating(granted: &str) -> Inflating {
        Inflating::bounded(&Fields::from_iter([(EXTENSIONS, granted)]), KEPT).0
    }

    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Deflater::new(15).unwrap().message(plain, &mut out);
        out
    }

    /// `Hello`, said with reference to what was said before (RFC 7692 section 7.2.3.2).
    const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

    fn hello() -> Inflated {
        Inflated::Plain(b"Hello".to_vec())
    }

    fn zeros(len: usize) -> (Vec<u8>, Vec<u8>) {
        (vec![0; len], deflated(&vec![0; len]))
    }

    #[test]
    fn a_message_that_is_too_large_is_gone_through_and_one_far_larger_is_not() {
        let mut side = inflating("permessage-deflate");
        let (plain, coded) = zeros(1000);
        assert_eq!(side.message(&coded), Inflated::Plain(plain));
        for len in [1001, 16_000] {
            let (plain, coded) = zeros(len);
            let large = Inflated::Large { digest: digest_of(&plain), len: len as u64 };
            assert_eq!(side.message(&coded), large);
        }
        assert_eq!(side.message(&deflated(b"Hello")), hello());
        assert_eq!(side.message(&AGAIN), hello(), "all before it is known");
        let (_, coded) = zeros(16_001);
        let bomb = Inflated::Bomb { digest: digest_of(&coded), len: coded.len() as u64 };
        assert_eq!(side.message(&coded), bomb);
        assert_eq!(side.message(&deflated(b"Hello")), Inflated::Not, "it might refer back");
    }

    #[test]
    fn what_is_lost_counts_where_later_messages_may_refer_to_it() {
        for (granted, later) in [
            ("permessage-deflate", Inflated::Not),
            ("permessage-deflate; client_no_context_takeover", hello()),
        ] {
            let mut side = inflating(granted);
            side.lose();
            assert_eq!(side.message(&deflated(b"Hello")), later);
            let mut side = inflating(granted);
            assert_eq!(side.message(b"\xff"), Inflated::Not, "damaged");
            assert_eq!(side.message(&deflated(b"Hello")), later);
        }
    }

    #[test]
    fn what_nobody_granted_is_not_inflated() {
        for granted in ["", "x-other", "permessage-deflate, x-other"] {
            assert_eq!(inflating(granted).message(&deflated(b"Hello")), Inflated::Not);
        }
    }
}
