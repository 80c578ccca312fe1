//! A conversation's messages: what the next one is, and whether it came back.

use ouli_bench::args::fail;
use ouli_bench::websocket::{self, TEXT};

/// Bytes of every message.
const BYTES: usize = 256;

const FILLER: &[u8] = b"lorem ipsum dolor sit amet ";

/// Odd, so that masks come again only after all others were used.
const MASK_STEP: u32 = 0x9e37_79b9;

/// The messages of one conversation, one after the other.
pub(crate) struct Messages {
    payload: Vec<u8>,
    frame: Vec<u8>,
    number: u32,
    mask: u32,
}

impl Messages {
    /// Those of different `speaker`s differ.
    pub(crate) fn new(speaker: usize) -> Self {
        let head = format!("{speaker:08} 00000000 ").into_bytes();
        let payload = head.iter().chain(FILLER.iter().cycle()).copied().take(BYTES).collect();
        Self { payload, frame: Vec::with_capacity(BYTES + 16), number: 0, mask: speaker as u32 }
    }

    /// The next message as a frame.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.number += 1;
        let mut rest = self.number;
        for digit in self.payload[9..17].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.mask = self.mask.wrapping_add(MASK_STEP);
        self.frame.clear();
        let mask = Some(self.mask.to_ne_bytes());
        websocket::write_frame(&mut self.frame, TEXT, mask, &self.payload);
        &self.frame
    }

    /// How many there have been.
    pub(crate) fn count(&self) -> u32 {
        self.number
    }

    /// Whether `bytes` are the last message, sent back; false while they are only a part. Anything
    /// else ends the program.
    pub(crate) fn is_echo(&self, bytes: &[u8]) -> bool {
        let Some(frame) = websocket::read_frame(bytes).unwrap_or_else(|e| fail(e)) else {
            return false;
        };
        if frame.opcode != TEXT || frame.mask.is_some() {
            fail(format!("unexpected frame: {frame:?}"));
        }
        if bytes.len() > frame.payload.end {
            fail("bytes behind an echo");
        }
        let payload = &bytes[frame.payload];
        if payload != self.payload {
            fail(format!(
                "message {} came back as {}",
                self.number,
                String::from_utf8_lossy(payload)
            ));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_knows_its_echo() {
        let mut messages = Messages::new(7);
        messages.next();
        messages.next();
        let mut echo = Vec::new();
        let expected = format!("00000007 00000002 {}", "lorem ipsum dolor sit amet ".repeat(9));
        websocket::write_frame(&mut echo, TEXT, None, &expected.as_bytes()[..256]);
        assert!(messages.is_echo(&echo));
        assert!(!messages.is_echo(&echo[..200]));
    }
}
