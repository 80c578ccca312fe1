//! Laws of counting frames that must hold for any input: for fuzzing.

use super::frames::Frames;

/// As many frames that carry nothing are counted however the bytes are cut and whatever comes
/// before them, and no more than there is room for. The first byte is the length of the cuts.
///
/// # Panics
/// When that doesn't hold.
pub fn counting(data: &[u8]) {
    let [len, bytes @ ..] = data else { return };
    let whole = Frames::default().idle_in(bytes);
    assert!(whole <= bytes.len() / 9, "{whole} frames in {} bytes", bytes.len());
    let after = [super::PREFACE, bytes].concat();
    let mut frames = Frames::after(super::PREFACE.len());
    let pieces = after.chunks(usize::from(*len).max(1));
    let cut: usize = pieces.map(|piece| frames.idle_in(piece)).sum();
    assert_eq!(cut, whole, "cut into pieces of {len}");
}
