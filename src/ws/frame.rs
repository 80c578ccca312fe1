//! Frames (RFC 6455 section 5): found in a run of bytes that comes in pieces, and written.
//!
//! Pure, and without an opinion: every header is told as it stands, the wrong ones too. Payloads
//! are ranges of the input, so nothing is copied and nothing grows.

use std::ops::Range;

/// The longest header: two bytes, a length of eight, a masking key.
pub const HEADER_BYTES_MAX: usize = 14;

/// What the payload of a control frame has at most (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    /// One that RFC 6455 section 5.2 keeps for later.
    Reserved(u8),
}

impl Opcode {
    fn of(code: u8) -> Opcode {
        match code {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            other => Opcode::Reserved(other),
        }
    }

    fn code(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
            Opcode::Reserved(code) => code & 0x0f,
        }
    }

    /// Whether it may stand between the fragments of a message, reserved ones included.
    pub fn is_control(self) -> bool {
        self.code() & 8 != 0
    }
}

/// The first bit that extensions may use; permessage-deflate marks a compressed message with it.
pub const RSV1: u8 = 0b100;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3, from the highest bit to the lowest.
    pub rsv: u8,
    pub opcode: Opcode,
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload.
    pub len: u64,
    /// The length is written as it must be: in as few bytes as it takes, and below 2^63.
    pub is_length_sound: bool,
}

impl Header {
    /// Of a whole, unmasked frame.
    pub fn new(opcode: Opcode, len: usize) -> Header {
        Header { fin: true, rsv: 0, opcode, mask: None, len: len as u64, is_length_sound: true }
    }

    fn parse(bytes: &[u8]) -> Header {
        let at = |n: usize| bytes.get(n).copied().unwrap_or_default();
        let (first, second) = (at(0), at(1));
        let number = |len: usize| {
            let digits = bytes.get(2..2 + len).unwrap_or_default();
            digits.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (len, extra, least, most) = match second & 0x7f {
            126 => (number(2), 2, 126, u64::MAX),
            127 => (number(8), 8, 1 << 16, (1 << 63) - 1),
            len => (u64::from(len), 0, 0, u64::MAX),
        };
        let key = || [2, 3, 4, 5].map(|n| at(n + extra));
        Header {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 0b111,
            opcode: Opcode::of(first & 0x0f),
            mask: (second & 0x80 != 0).then(key),
            len,
            is_length_sound: (least..=most).contains(&len),
        }
    }

    /// Appends it, its length in as few bytes as it takes.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.fin) << 7 | (self.rsv & 0b111) << 4 | self.opcode.code());
        let masked = u8::from(self.mask.is_some()) << 7;
        match self.len {
            0..126 => out.push(masked | self.len as u8),
            126..0x1_0000 => {
                out.push(masked | 126);
                out.extend_from_slice(&(self.len as u16).to_be_bytes());
            }
            _ => {
                out.push(masked | 127);
                out.extend_from_slice(&self.len.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }
}

/// How many bytes the header has that begins with these two.
fn header_bytes(second: u8) -> usize {
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 != 0 { 4 } else { 0 }
}

/// Appends a whole frame.
pub fn write(out: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    let header = Header { len: payload.len() as u64, ..*header };
    header.write(out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.mask {
        Mask::new(key).apply(out.get_mut(start..).unwrap_or_default());
    }
}

/// A masking key on its way through a payload (RFC 6455 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(u32);

impl Mask {
    pub fn new(key: [u8; 4]) -> Mask {
        Mask(u32::from_ne_bytes(key))
    }

    /// Puts it on, or takes it off, the next bytes of the payload.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let wide = u64::from(self.0) << 32 | u64::from(self.0);
        let (chunks, rest) = bytes.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
            *byte ^= key;
        }
        let len = rest.len();
        self.skip(len);
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, len: usize) {
        let key = self.0.to_ne_bytes();
        self.0 = u32::from_ne_bytes([0, 1, 2, 3].map(|n| key[(n + len % 4) % 4]));
    }
}

/// A masking key that nobody can foresee (RFC 6455 section 10.3).
pub fn random_key() -> [u8; 4] {
    random()
}

/// Random bytes from the system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Fails on no system that Ouli runs on; without it frames are valid all the same.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// What stands next in a run of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Header(Header),
    /// Bytes of the payload, at least one: a range of the input, still masked.
    Payload(Range<usize>),
    /// The frame is over. Comes for each, also right behind its header.
    End,
}

/// Finds the frames in a run of bytes that comes in pieces.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    /// Bytes of the header that have come.
    have: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    /// So many bytes of it are still to come.
    Payload(u64),
}

impl Frames {
    pub fn new() -> Frames {
        Frames::default()
    }

    /// Whether no frame is under way, not even a part of its header.
    pub fn is_between(&self) -> bool {
        self.have == 0 && self.state == State::Header
    }

    /// Whether a header has begun and isn't whole.
    pub fn is_in_header(&self) -> bool {
        self.have > 0
    }

    /// Bytes of the payload under way that are still to come.
    pub fn left(&self) -> u64 {
        match self.state {
            State::Header => 0,
            State::Payload(left) => left,
        }
    }

    /// The next event in `input` from `*at` on, which is moved behind it; none where all of it has
    /// been taken.
    pub fn next(&mut self, input: &[u8], at: &mut usize) -> Option<Event> {
        match self.state {
            State::Payload(0) => {
                self.state = State::Header;
                Some(Event::End)
            }
            State::Payload(left) => {
                let here = input.len().saturating_sub(*at);
                let len = here.min(usize::try_from(left).unwrap_or(usize::MAX));
                if len == 0 {
                    return None;
                }
                self.state = State::Payload(left - len as u64);
                let start = *at;
                *at += len;
                Some(Event::Payload(start..*at))
            }
            State::Header => {
                let header = self.take_header(input, at)?;
                self.state = State::Payload(header.len);
                Some(Event::Header(header))
            }
        }
    }

    fn take_header(&mut self, input: &[u8], at: &mut usize) -> Option<Header> {
        loop {
            let have = usize::from(self.have);
            let wanted = if have < 2 { 2 } else { header_bytes(self.header[1]) };
            if have == wanted {
                self.have = 0;
                return Some(Header::parse(&self.header[..wanted]));
            }
            let rest = input.get(*at..).unwrap_or_default();
            let taken = (wanted - have).min(rest.len());
            if taken == 0 {
                return None;
            }
            self.header[have..have + taken].copy_from_slice(&rest[..taken]);
            self.have += taken as u8;
            *at += taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(input: &[u8]) -> Vec<Event> {
        let (mut frames, mut at) = (Frames::new(), 0);
        std::iter::from_fn(|| frames.next(input, &mut at)).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 6455 section 5.7.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let header = Header { mask: Some(key), ..Header::new(Opcode::Text, 5) };
        let expected = [Event::Header(header), Event::Payload(6..11), Event::End];
        assert_eq!(events(&masked), expected);
        let mut hello = masked[6..].to_vec();
        Mask::new(key).apply(&mut hello);
        assert_eq!(hello, b"Hello");
        let first = Header { fin: false, ..Header::new(Opcode::Text, 3) };
        let ping = Header::new(Opcode::Ping, 0);
        let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x89, 0x00];
        let expected = [
            Event::Header(first),
            Event::Payload(2..5),
            Event::End,
            Event::Header(ping),
            Event::End,
        ];
        assert_eq!(events(&fragments), expected);
    }

    #[test]
    fn lengths_that_are_written_wrongly_are_told() {
        let sound = |bytes: &[u8]| match events(bytes).first() {
            Some(Event::Header(header)) => (header.len, header.is_length_sound),
            other => panic!("{other:?}"),
        };
        assert_eq!(sound(&[0x82, 125]), (125, true));
        assert_eq!(sound(&[0x82, 126, 0, 125]), (125, false));
        assert_eq!(sound(&[0x82, 126, 0, 126]), (126, true));
        assert_eq!(sound(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), (0xffff, false));
        assert_eq!(sound(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), (0x1_0000, true));
        assert!(!sound(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]).1);
    }

    fn header() -> impl Strategy<Value = Header> {
        let len = prop_oneof![0u64..300, 65_000..66_000u64];
        let mask = prop::option::of(any::<[u8; 4]>());
        (any::<bool>(), 0u8..8, 0u8..16, mask, len).prop_map(|(fin, rsv, code, mask, len)| Header {
            fin,
            rsv,
            opcode: Opcode::of(code),
            mask,
            len,
            is_length_sound: true,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_under_every_cut(
            headers in prop::collection::vec(header(), 0..6),
            cut in 1usize..4000,
        ) {
            let payload = |header: &Header| (0..header.len).map(|n| n as u8).collect::<Vec<_>>();
            let mut wire = Vec::new();
            headers.iter().for_each(|header| write(&mut wire, header, &payload(header)));
            let mut frames = Frames::new();
            let (mut read, mut open): (Vec<Header>, Vec<u8>) = Default::default();
            let mut mask = None;
            for piece in wire.chunks(cut) {
                let mut at = 0;
                while let Some(event) = frames.next(piece, &mut at) {
                    match event {
                        Event::Header(header) => {
                            mask = header.mask.map(Mask::new);
                            read.push(header);
                        }
                        Event::Payload(range) => {
                            let start = open.len();
                            open.extend_from_slice(&piece[range]);
                            if let Some(mask) = &mut mask {
                                mask.apply(&mut open[start..]);
                            }
                        }
                        Event::End => {
                            prop_assert_eq!(&open, &payload(read.last().unwrap()));
                            open.clear();
                        }
                    }
                }
                prop_assert_eq!(at, piece.len());
            }
            prop_assert!(frames.is_between());
            prop_assert_eq!(read, headers);
        }
    }
}
