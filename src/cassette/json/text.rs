//! Strings of a JSON text: taking their escapes off.

use std::borrow::Cow;

use super::{Parser, Result, SyntaxError};

/// Bytes that are looked at together, which the compiler makes a few instructions of.
const BLOCK_BYTES: usize = 32;

/// How many bytes there are before the first block that holds a special one.
pub(crate) fn blocks_without(bytes: &[u8], is_special: impl Fn(u8) -> bool) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    let is_plain = |block: &&[u8; BLOCK_BYTES]| {
        !block.iter().fold(false, |special, byte| special | is_special(*byte))
    };
    blocks.iter().take_while(is_plain).count() * BLOCK_BYTES
}

impl<'a> Parser<'a> {
    /// The string that starts at the quote standing here. Borrowed where it has no escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at + 1;
        self.at = start;
        let plain = self.run();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.expected("an escape such as `\\n` in place of it")),
                None => return Err(self.expected("the string's closing quote")),
            }
            text.push_str(self.run());
        }
    }

    /// What stands up to the next quote, backslash or control character.
    fn run(&mut self) -> &'a str {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_special = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;
        let skipped = blocks_without(rest, is_special);
        let (_, tail) = rest.split_at(skipped);
        let len = skipped + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len());
        let run = self.text.get(self.at..self.at + len).unwrap_or_default();
        self.at += len;
        run
    }

    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        self.at += 1;
        let plain = match self.byte() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            _ => return Err(self.expected("one of `\"\\/bfnrtu` after a backslash")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// RFC 8259 section 7: characters beyond the basic plane are two escapes, a surrogate pair.
    fn unicode_escape(&mut self, start: usize) -> Result<char> {
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                let second = match self.skip(b'\\') && self.skip(b'u') {
                    true => self.hex4()?,
                    false if self.byte().is_none() => return Err(self.expected("an escape")),
                    false => 0,
                };
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone_surrogate(start, first));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| lone_surrogate(start, first))
    }

    fn hex4(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| (byte as char).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.expected("four hexadecimal digits after `\\u`"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

fn lone_surrogate(at: usize, code: u32) -> SyntaxError {
    let message = format!("expected a character, found half of a surrogate pair (\\u{code:04x})");
    SyntaxError { at, message, at_end: false }
}

/// A character as a message shows it: quoted when it can be seen, else by its number.
pub(super) fn show_char(found: char) -> String {
    match found {
        '\n' => "the end of the line".to_owned(),
        '\t' => "a tab".to_owned(),
        '\r' => "a carriage return".to_owned(),
        _ if found.is_control() => format!("the control character U+{:04X}", u32::from(found)),
        _ => format!("`{found}`"),
    }
}
