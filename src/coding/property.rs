//! Laws of decoding that must hold for any input: for fuzzing.

use super::{Decoder, Extent, STEP_BYTES, decode};
use crate::exchange::Coding;

const OUT_MAX: u64 = 1 << 20;

/// Decoding doesn't panic, gives out no more than it may, and doesn't depend on where the input is
/// cut. The first byte chooses the coding, the second the length of the cuts.
///
/// # Panics
/// When that doesn't hold.
pub fn decoding(data: &[u8]) {
    let [which, len, coded @ ..] = data else { return };
    let coding = match which % 4 {
        0 => Coding::Gzip,
        1 => Coding::Deflate,
        2 => Coding::Brotli,
        _ => Coding::Zstd,
    };
    let at_once = decode(coding, coded, Extent::Whole, OUT_MAX);
    let mut out = Vec::new();
    let mut decoder = Decoder::new(coding, OUT_MAX).expect("memory for a decoder");
    let mut pieces = coded.chunks(usize::from(*len).max(1));
    let pushed = pieces.try_for_each(|piece| decoder.push(piece, &mut out));
    assert!(out.len() as u64 <= OUT_MAX + STEP_BYTES as u64, "{} bytes given out", out.len());
    let piecewise = pushed.and_then(|()| decoder.finish()).map(|()| out);
    assert_eq!(at_once.ok(), piecewise.ok(), "the same content however it is cut");
}
