//! Reads the headers of HTTP/2 frames beside the stream of bytes, and counts those that carry
//! nothing.
//!
//! h2 answers pings and settings, forgets resets and skips empty frames one by one, for as long as
//! they come. A peer that sends nothing else makes work and asks for none. Pure; payloads are
//! passed over, so nothing is kept of them.

/// Length, type, flags and stream of a frame (RFC 9113 section 4.1).
const HEADER_BYTES: usize = 9;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// END_STREAM on DATA, ACK on SETTINGS and PING.
const FLAG_1: u8 = 1;

/// Finds the frames in a run of bytes that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that have come.
    have: usize,
    /// Bytes of the payload, or of the preface, that are still to come.
    skip: usize,
}

impl Frames {
    /// Where `bytes` of something else come before the first frame.
    pub(super) fn after(bytes: usize) -> Self {
        Frames { skip: bytes, ..Frames::default() }
    }

    /// Takes the next bytes, cut anywhere; says how many frames that carry nothing begin in them.
    pub(super) fn idle_in(&mut self, mut bytes: &[u8]) -> usize {
        let mut idle = 0;
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = &bytes[passed..];
            if bytes.is_empty() {
                return idle;
            }
            let taken = (HEADER_BYTES - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEADER_BYTES {
                self.have = 0;
                let [high, mid, low, kind, flags, ..] = self.header;
                self.skip = u32::from_be_bytes([0, high, mid, low]) as usize;
                idle += usize::from(is_idle(kind, flags, self.skip));
            }
        }
    }
}

/// Whether a frame asks for work and brings none. Window updates are not among them: they go with
/// what they make room for, and cost an addition.
fn is_idle(kind: u8, flags: u8, len: usize) -> bool {
    match kind {
        kind::DATA => len == 0 && flags & FLAG_1 == 0,
        kind::HEADERS | kind::WINDOW_UPDATE => false,
        kind::CONTINUATION => len == 0,
        kind::SETTINGS | kind::PING => flags & FLAG_1 == 0,
        kind::PRIORITY | kind::RST_STREAM => true,
        // Unknown kinds are passed over by RFC 9113 section 5.5, however many come.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use proptest::prelude::*;

    use super::*;
    use crate::http2::property;

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let size = (len as u32).to_be_bytes();
        let mut bytes = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER_BYTES + len, 0xff);
        bytes
    }

    #[test]
    fn frames_that_carry_nothing_are_told_from_those_that_do() {
        for (kind, flags, len, idle) in [
            (kind::DATA, 0, 0, 1),
            (kind::DATA, FLAG_1, 0, 0),
            (kind::DATA, 0, 5, 0),
            (kind::HEADERS, 0, 0, 0),
            (kind::CONTINUATION, 0, 0, 1),
            (kind::PRIORITY, 0, 5, 1),
            (kind::RST_STREAM, 0, 4, 1),
            (kind::SETTINGS, 0, 6, 1),
            (kind::SETTINGS, FLAG_1, 0, 0),
            (kind::PING, 0, 8, 1),
            (kind::PING, FLAG_1, 8, 0),
            (kind::WINDOW_UPDATE, 0, 4, 0),
            (0xbb, 0, 9, 1),
        ] {
            let counted = Frames::default().idle_in(&frame(kind, flags, len));
            assert_eq!(counted, idle, "kind {kind} flags {flags} length {len}");
        }
    }

    proptest! {
        #[test]
        fn the_count_does_not_depend_on_the_cuts(
            frames in prop::collection::vec((0u8..11, 0u8..2, 0usize..300), 0..20),
            cut in 1u8..40,
        ) {
            let bytes = frames.iter().flat_map(|(kind, flags, len)| frame(*kind, *flags, *len));
            property::counting(&iter::once(cut).chain(bytes).collect::<Vec<u8>>());
        }
    }
}
