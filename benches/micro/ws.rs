//! Reading WebSocket: frames, masks, compressed messages.

use std::hint::black_box;

use ouli::ws::deflate::{Deflater, Inflater};
use ouli::ws::frame::{self, Frames, Header, Mask, Opcode};

use crate::case::{Body, Case};

const FRAMES: u64 = 16;

pub(crate) const CASES: &[Case] = &[
    Case::of(FRAMES, "ws: frame of 40 bytes, masked", || frames(40)),
    Case::of(FRAMES, "ws: frame of 1 KiB, masked", || frames(1024)),
    Case::new("ws: mask of 1 KiB", mask),
    Case::new("ws: message of 1 KiB, inflated", || inflated(false)),
    Case::new("ws: message of 1 KiB, inflated with context", || inflated(true)),
];

/// Headers read and payloads found; the relay takes masks off on the way to the tape.
fn frames(len: usize) -> Body {
    let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::Text, len) };
    let mut bytes = Vec::new();
    (0..FRAMES).for_each(|_| frame::write(&mut bytes, &header, &vec![b'x'; len]));
    let mut frames = Frames::new();
    Box::new(move || {
        let mut at = 0;
        while let Some(event) = frames.next(black_box(&bytes), &mut at) {
            black_box(event);
        }
    })
}

fn mask() -> Body {
    let mut payload = vec![b'x'; 1024];
    Box::new(move || Mask::new(black_box([1, 2, 3, 4])).apply(black_box(&mut payload)))
}

/// With context: each message refers back to the one before.
fn inflated(takeover: bool) -> Body {
    const BITS: u8 = 15;
    let plain: String =
        (0..20).map(|n| format!(r#"{{"event":"price","item":{n},"value":{}}},"#, n * 37)).collect();
    let mut deflater = Deflater::new(BITS).expect("15 bits are a window");
    let mut first = Vec::new();
    deflater.message(plain.as_bytes(), &mut first);
    let mut inflater = Inflater::new(takeover, BITS, 1 << 20);
    Box::new(move || {
        inflater.push(black_box(&first), |piece| _ = black_box(piece)).expect("sound");
        inflater.finish().expect("whole");
    })
}
