//! A body of any length whose every byte follows from its offset, so that a reader can check all of
//! a gigabyte without having it: lost, doubled and moved bytes all show.

use std::io::{self, Write};

/// Odd, so that equal words are 2^64 words apart.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Fills `out` with the body's bytes from `offset` on.
pub fn fill(offset: u64, out: &mut [u8]) {
    let mut done = 0;
    while done < out.len() {
        let at = offset + done as u64;
        let word = (at / 8 + 1).wrapping_mul(STEP).to_le_bytes();
        let skip = (at % 8) as usize;
        let len = (8 - skip).min(out.len() - done);
        out[done..done + len].copy_from_slice(&word[skip..skip + len]);
        done += len;
    }
}

/// Bytes written at once.
const PIECE: usize = 64 * 1024;

/// Writes a body of `len` bytes, with its chunks and their end where it has no length.
///
/// # Errors
/// The writer's.
pub fn write(writer: &mut impl Write, len: u64, is_chunked: bool) -> io::Result<()> {
    let mut piece = Vec::with_capacity(PIECE + 16);
    let mut offset = 0;
    while offset < len {
        let size = (len - offset).min(PIECE as u64) as usize;
        piece.clear();
        if is_chunked {
            write!(piece, "{size:x}\r\n")?;
        }
        let start = piece.len();
        piece.resize(start + size, 0);
        fill(offset, &mut piece[start..]);
        if is_chunked {
            piece.extend_from_slice(b"\r\n");
        }
        writer.write_all(&piece)?;
        offset += size as u64;
    }
    if is_chunked { writer.write_all(b"0\r\n\r\n") } else { Ok(()) }
}

/// Checks bytes that arrive in order.
#[derive(Default)]
pub struct Checker {
    offset: u64,
    expected: Vec<u8>,
}

impl Checker {
    /// # Errors
    /// The offset of the piece in which a byte differs.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), u64> {
        self.expected.resize(bytes.len().max(self.expected.len()), 0);
        let expected = &mut self.expected[..bytes.len()];
        fill(self.offset, expected);
        if expected != bytes {
            return Err(self.offset);
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    pub fn checked(&self) -> u64 {
        self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cut_anywhere_check_and_a_lost_byte_shows() {
        let mut whole = vec![0; 1000];
        fill(0, &mut whole);
        for cut in [1, 7, 8, 9, 500] {
            let mut checker = Checker::default();
            assert!(whole.chunks(cut).all(|piece| checker.push(piece).is_ok()));
            assert_eq!(checker.checked(), 1000);
        }
        let mut checker = Checker::default();
        checker.push(&whole[..300]).unwrap();
        assert_eq!(checker.push(&whole[301..]), Err(300));
    }
}
