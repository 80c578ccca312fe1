//! Frames (RFC 6455 section 5.2), right and wrong.

use super::super::message::Printable;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The bit that marks a compressed message.
pub const RSV1: u8 = 0b100;

/// How the length of a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Shortest,
    TwoBytes,
    EightBytes,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    /// The three reserved bits, RSV1 the highest.
    pub rsv: u8,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    /// Unmasked.
    pub payload: Vec<u8>,
    length: Length,
}

impl Frame {
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        let (payload, length) = (payload.into(), Length::Shortest);
        Frame { fin: true, rsv: 0, opcode, mask: None, payload, length }
    }

    pub fn text(text: &str) -> Self {
        Frame::new(TEXT, text)
    }

    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(BINARY, payload)
    }

    pub fn continuation(payload: impl Into<Vec<u8>>) -> Self {
        Frame::new(CONTINUATION, payload)
    }

    pub fn ping(payload: &str) -> Self {
        Frame::new(PING, payload)
    }

    pub fn pong(payload: &str) -> Self {
        Frame::new(PONG, payload)
    }

    pub fn close(code: u16, reason: &str) -> Self {
        Frame::new(CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// More of its message follows.
    pub fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    pub fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    pub fn masked(mut self, key: [u8; 4]) -> Self {
        self.mask = Some(key);
        self
    }

    /// The length in two bytes, although one would do.
    pub fn length_in_two_bytes(mut self) -> Self {
        self.length = Length::TwoBytes;
        self
    }

    /// The length in eight bytes, although fewer would do.
    pub fn length_in_eight_bytes(mut self) -> Self {
        self.length = Length::EightBytes;
        self
    }

    pub fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let (masked, len) = (u8::from(self.mask.is_some()) << 7, self.payload.len());
        match (self.length, len) {
            (Length::Shortest, 0..126) => bytes.push(masked | len as u8),
            (Length::Shortest, 126..0x1_0000) | (Length::TwoBytes, _) => {
                bytes.push(masked | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(self.mask.iter().flatten());
        let begun = bytes.len();
        bytes.extend(&self.payload);
        if let Some(key) = self.mask {
            toggle(key, &mut bytes[begun..]);
        }
        bytes
    }

    /// The first frame in these bytes, and how long it is there; none while it isn't whole.
    pub fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
        let [first, second, ..] = *bytes else { return None };
        let mut at = 2;
        let mut take = |count: usize| {
            at += count;
            bytes.get(at - count..at)
        };
        let (length, len) = match second & 0x7f {
            126 => (Length::TwoBytes, u16::from_be_bytes(take(2)?.try_into().unwrap()).into()),
            127 => (Length::EightBytes, u64::from_be_bytes(take(8)?.try_into().unwrap())),
            len => (Length::Shortest, u64::from(len)),
        };
        let mask: Option<[u8; 4]> = match second & 0x80 {
            0 => None,
            _ => Some(take(4)?.try_into().unwrap()),
        };
        let mut payload = take(usize::try_from(len).unwrap())?.to_vec();
        if let Some(key) = mask {
            toggle(key, &mut payload);
        }
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 0x0f);
        let mut frame = Frame { fin, rsv, opcode, mask, payload, length: Length::Shortest };
        if frame.to_bytes().len() != at {
            frame.length = length;
        }
        Some((frame, at))
    }

    /// Every frame in these bytes, and what is left of one that isn't whole.
    pub fn parse_all(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
        let mut frames = Vec::new();
        while let Some((frame, len)) = Frame::parse(bytes) {
            frames.push(frame);
            bytes = &bytes[len..];
        }
        (frames, bytes)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Frame { fin, rsv, opcode, mask, payload, length } = self;
        let end = if *fin { "" } else { " unfinished" };
        write!(f, "[{opcode}{end} rsv {rsv:03b} mask {mask:02x?} {length:?}: ")?;
        write!(f, "{}]", Printable(payload))
    }
}

/// Puts a mask on, or takes it off. By eights: tests send many megabytes without optimisation.
fn toggle(key: [u8; 4], bytes: &mut [u8]) {
    let key = u64::from_ne_bytes([key, key].concat().try_into().unwrap());
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ key).to_ne_bytes();
    }
    rest.iter_mut().zip(key.to_ne_bytes()).for_each(|(byte, key)| *byte ^= key);
}
