//! UTF-8 that comes in pieces, judged as soon as it can be (RFC 3629 section 3).

/// Longest part of a character that isn't whole.
const PART_BYTES_MAX: usize = 3;

/// Bytes that are no UTF-8, whatever may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Follows a text through its pieces.
#[derive(Clone, Debug, Default)]
pub struct Utf8 {
    /// The beginning of a character that isn't whole.
    part: [u8; PART_BYTES_MAX + 1],
    part_len: usize,
}

impl Utf8 {
    /// Whether no character is begun.
    pub fn is_between(&self) -> bool {
        self.part_len == 0
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// As soon as what came can't be the beginning of a text.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        let mut rest = piece;
        while let ([byte, after @ ..], false) = (rest, self.is_between()) {
            self.extend(*byte)?;
            rest = after;
        }
        let part = part_of(rest)?;
        for byte in part {
            self.extend(*byte)?;
        }
        Ok(())
    }

    /// Takes a byte of a character that isn't whole without it.
    fn extend(&mut self, byte: u8) -> Result<(), Invalid> {
        let place = self.part.get_mut(self.part_len).ok_or(Invalid)?;
        *place = byte;
        self.part_len += 1;
        let part = self.part.get(..self.part_len).unwrap_or_default();
        if part_of(part)?.is_empty() {
            self.part_len = 0;
        }
        Ok(())
    }
}

/// What of a character is begun at the end of these bytes.
fn part_of(bytes: &[u8]) -> Result<&[u8], Invalid> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(&[]),
        Err(error) if error.error_len().is_none() => {
            Ok(bytes.get(error.valid_up_to()..).unwrap_or_default())
        }
        Err(_) => Err(Invalid),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// After how many bytes a text that comes byte by byte is known to be none.
    fn fails_at(bytes: &[u8]) -> Option<usize> {
        let mut utf8 = Utf8::default();
        bytes.iter().position(|byte| utf8.push(&[*byte]).is_err())
    }

    #[test]
    fn what_is_no_text_is_known_at_the_first_byte_that_rules_it_out() {
        for (bytes, at) in [
            (&b"a\xff"[..], 1),
            (b"\x80", 0),
            (b"\xc0\x80", 0),
            (b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80", 6),
            (b"\xe0\x9f", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5", 0),
            (b"\xe2\x82a", 2),
        ] {
            assert_eq!(fails_at(bytes), Some(at), "{}", bytes.escape_ascii());
        }
        assert_eq!(fails_at("\u{3ba}\u{20ac}\u{10ffff}\0".as_bytes()), None);
    }

    proptest! {
        #[test]
        fn the_judgement_is_that_of_the_whole_under_every_cut(
            text in ".{0,40}",
            garbage in prop::collection::vec(any::<u8>(), 0..3),
            cut in 1usize..9,
        ) {
            let bytes = [text.as_bytes(), &garbage].concat();
            let mut utf8 = Utf8::default();
            let pushed = bytes.chunks(cut).try_for_each(|piece| utf8.push(piece));
            let is_text = pushed.is_ok() && utf8.is_between();
            prop_assert_eq!(is_text, std::str::from_utf8(&bytes).is_ok());
            prop_assert_eq!(pushed.is_err(), fails_at(&bytes).is_some());
        }
    }
}
