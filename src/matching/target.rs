//! Request targets in canonical form (RFC 3986 section 6.2.2): unreserved characters are never
//! percent-encoded, what may not stand in a URL always is, and hex digits are upper case. Encoded
//! reserved characters stay as they are: `%2F` and `/` differ.

use std::cmp::Ordering;
use std::iter;

use memchr::memchr;

/// A target in its parts: `/a/b` and `x=1&y=2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    /// Without its question mark. No query and an empty one are the same.
    pub(super) query: &'a str,
}

/// Splits a target. Of the absolute form only what follows the authority counts: that it names
/// the endpoint's own origin has been checked before.
pub(super) fn split(target: &str) -> Target<'_> {
    let relative = match target.starts_with('/') {
        true => target,
        false => behind_authority(target),
    };
    let (path, query) = memchr(b'?', relative.as_bytes())
        .and_then(|mark| Some((relative.get(..mark)?, relative.get(mark + 1..)?)))
        .unwrap_or((relative, ""));
    // RFC 9112 section 3.2.1: an empty path is sent as "/".
    Target { path: if path.is_empty() { "/" } else { path }, query }
}

fn behind_authority(target: &str) -> &str {
    let Some((scheme, rest)) = target.split_once("://") else { return target };
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return target;
    }
    rest.find(['/', '?']).and_then(|end| rest.get(end..)).unwrap_or_default()
}

/// The parameters of a query as they stand there. Empty ones don't count.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = &str> {
    let mut rest = query;
    // Parameters are short: a search that is made for long texts takes longer to begin than this.
    let next = move || {
        let end = rest.bytes().position(|byte| byte == b'&');
        let (parameter, behind) = match end {
            Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
            None if rest.is_empty() => return None,
            None => (rest, ""),
        };
        rest = behind;
        Some(parameter)
    };
    iter::from_fn(next).filter(|parameter| !parameter.is_empty())
}

/// What stands in the canonical form as it came.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        plain[byte] = !matches!(
            byte as u8,
            b'%' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
        );
        byte += 1;
    }
    plain
};

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a part is its own canonical form.
pub(super) fn is_plain(part: &str) -> bool {
    part.bytes().all(|byte| PLAIN[usize::from(byte)])
}

/// Appends the canonical form of a path or a query parameter.
pub(super) fn canonical(part: &str, out: &mut Vec<u8>) {
    match is_plain(part) {
        true => out.extend_from_slice(part.as_bytes()),
        false => out.extend(Canonical::new(part)),
    }
}

/// The order of two parts' canonical forms.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let same = |(a, b): &(u8, u8)| a == b && PLAIN[usize::from(*a)];
    let same = a.bytes().zip(b.bytes()).take_while(same).count();
    let rest = |part| str::get(part, same..).unwrap_or_default();
    Canonical::new(rest(a)).cmp(Canonical::new(rest(b)))
}

/// The bytes of a canonical form, one by one, so that parts can be compared without room for them.
#[derive(Clone)]
struct Canonical<'a> {
    rest: &'a [u8],
    /// What of an encoded byte is still to come.
    pending: [u8; 2],
    pending_len: u8,
}

impl<'a> Canonical<'a> {
    fn new(part: &'a str) -> Self {
        Canonical { rest: part.as_bytes(), pending: [0; 2], pending_len: 0 }
    }

    fn encoded(&mut self, byte: u8) -> u8 {
        const HEX: [u8; 16] = *b"0123456789ABCDEF";
        // Read from behind.
        self.pending = [HEX[usize::from(byte & 15)], HEX[usize::from(byte >> 4)]];
        self.pending_len = 2;
        b'%'
    }
}

impl Iterator for Canonical<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.pending_len > 0 {
            self.pending_len -= 1;
            return Some(self.pending[usize::from(self.pending_len)]);
        }
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if byte == b'%' {
            let Some(decoded) = hex_pair(rest) else { return Some(b'%') };
            self.rest = rest.get(2..).unwrap_or_default();
            return Some(match is_unreserved(decoded) {
                true => decoded,
                false => self.encoded(decoded),
            });
        }
        Some(match PLAIN[usize::from(byte)] {
            true => byte,
            false => self.encoded(byte),
        })
    }
}

/// What two hex digits at the front stand for.
pub(super) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| digits.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical_text(part: &str) -> String {
        let mut out = Vec::new();
        canonical(part, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn targets_of_every_form_are_split() {
        for (target, path, query) in [
            ("/a/b?x=1&y", "/a/b", "x=1&y"),
            ("/a?", "/a", ""),
            ("/a?b?c", "/a", "b?c"),
            ("http://h:80/a?x=1", "/a", "x=1"),
            ("http://h", "/", ""),
            ("http://h?x", "/", "x"),
            ("*", "*", ""),
            ("//h/a", "//h/a", ""),
            ("/a?to=http://h/b", "/a", "to=http://h/b"),
            ("/http://h/b", "/http://h/b", ""),
        ] {
            assert_eq!(split(target), Target { path, query }, "{target}");
        }
    }

    #[test]
    fn unreserved_characters_are_decoded_and_illegal_ones_encoded() {
        for (part, expected) in [
            ("/%61%7E%2D", "/a~-"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%2Fb", "/a%2Fb"),
            ("/é", "/%C3%A9"),
            ("/%c3%a9", "/%C3%A9"),
            ("/a b|", "/a%20b%7C"),
            ("/100%", "/100%"),
            ("/%4", "/%4"),
            ("/%zz%25zz", "/%zz%25zz"),
        ] {
            assert_eq!(canonical_text(part), expected);
        }
    }

    proptest! {
        #[test]
        fn parts_are_compared_as_their_canonical_forms(
            parts in prop::array::uniform2("(a|b|%61|%62|%2f|%2F|é|%C3|%|\\[){0,5}"),
        ) {
            let [a, b] = &parts;
            prop_assert_eq!(compare(a, b), canonical_text(a).cmp(&canonical_text(b)));
        }

        #[test]
        fn the_canonical_form_is_its_own_canonical_form(
            // A lone `%` is no encoded byte, but may become a part of one: `%2%44` is `%2D`.
            part in "(/|a|F| |é|\\||~|-|%2f|%44|%7E|%C3){0,20}",
        ) {
            let once = canonical_text(&part);
            prop_assert_eq!(canonical_text(&once), once);
        }
    }
}
