//! JSON by value, as bytes to digest: members sorted by name, no white space, every escape taken
//! off that can be.
//!
//! Numbers keep their text: `1.0` and `1` differ, and integers past 2^53 aren't folded together.
//! Members of the same name keep their order. What breaks RFC 8259 in any way is no JSON.

use std::cell::RefCell;

use super::body::sha256;
use crate::exchange::Digest;

/// Deeper values are no JSON here. It keeps the stack small; documents seldom pass 20.
const DEPTH_MAX: usize = 128;

/// Bytes of room that a thread keeps for the next text; more than that is given back.
const ROOM_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// Lent to one text at a time. A replay digests every JSON body that it gets, and would allocate
    /// some buffers for each.
    static ROOM: RefCell<Room> = RefCell::default();
}

/// The digest of a JSON text's canonical form; none when it isn't JSON. Allocates nothing once the
/// thread has seen texts of that size, up to some tens of kilobytes.
pub(super) fn digest(text: &[u8]) -> Option<Digest> {
    ROOM.with_borrow_mut(|room| {
        let digest = canonical(text, room).then(|| sha256(&room.form));
        if room.capacity_bytes() > ROOM_BYTES_MAX {
            *room = Room::default();
        }
        digest
    })
}

/// Makes the canonical form of a JSON text in `room`, and says true; false when it isn't JSON. The
/// form is longer than the text by a byte for each object at most.
fn canonical(text: &[u8], room: &mut Room) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let Room { form, members, sorted } = room;
    form.clear();
    form.reserve(text.len());
    members.clear();
    let mut parser = Parser { rest: text.as_bytes(), out: form, members, sorted };
    parser.value(DEPTH_MAX).is_some() && {
        parser.skip_space();
        parser.rest.is_empty()
    }
}

/// What a form is made in.
#[derive(Debug, Default)]
struct Room {
    form: Vec<u8>,
    /// Members of all objects that are open, innermost last.
    members: Vec<Member>,
    sorted: Vec<u8>,
}

impl Room {
    fn capacity_bytes(&self) -> usize {
        let members = self.members.capacity() * size_of::<Member>();
        self.form.capacity() + members + self.sorted.capacity()
    }
}

/// Where a member stands in the output.
#[derive(Clone, Copy, Debug)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

struct Parser<'a> {
    rest: &'a [u8],
    out: &'a mut Vec<u8>,
    members: &'a mut Vec<Member>,
    sorted: &'a mut Vec<u8>,
}

/// None means: not JSON.
impl Parser<'_> {
    fn skip_space(&mut self) {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let len = self.rest.iter().position(|byte| !space(byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[len..];
    }

    /// The next byte that isn't white space, without taking it.
    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.rest.first().copied()
    }

    fn take(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        self.out.extend_from_slice(word.as_bytes());
        Some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take()?;
        self.out.push(b'[');
        if self.peek()? == b']' {
            self.take()?;
        } else {
            loop {
                self.value(depth)?;
                self.skip_space();
                match self.take()? {
                    b',' => self.out.push(b','),
                    b']' => break,
                    _ => return None,
                }
            }
        }
        self.out.push(b']');
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.take()?;
        self.out.push(b'{');
        let first = self.members.len();
        if self.peek()? == b'}' {
            self.take()?;
        } else {
            loop {
                self.member(depth)?;
                self.skip_space();
                match self.take()? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        self.sort_members(first);
        self.out.push(b'}');
        Some(())
    }

    fn member(&mut self, depth: usize) -> Option<()> {
        let start = self.out.len();
        if self.peek()? != b'"' {
            return None;
        }
        self.string()?;
        let name_end = self.out.len();
        self.skip_space();
        if self.take()? != b':' {
            return None;
        }
        self.out.push(b':');
        self.value(depth)?;
        self.out.push(b',');
        self.members.push(Member { start, name_end, end: self.out.len() });
        Some(())
    }

    /// Brings the members from `first` on, which are the end of the output, into order.
    fn sort_members(&mut self, first: usize) {
        let out = &mut *self.out;
        let members = &mut self.members[first..];
        if !members.is_sorted_by_key(|member| &out[member.start..member.name_end]) {
            let start = members[0].start;
            // Members of one name keep their order. A stable sort would allocate.
            members.sort_unstable_by(|a, b| {
                let names = out[a.start..a.name_end].cmp(&out[b.start..b.name_end]);
                names.then(a.start.cmp(&b.start))
            });
            self.sorted.clear();
            for member in members.iter() {
                self.sorted.extend_from_slice(&out[member.start..member.end]);
            }
            out[start..].copy_from_slice(self.sorted);
        }
        self.members.truncate(first);
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Option<()> {
        let text = self.rest;
        if self.rest.first() == Some(&b'-') {
            self.take();
        }
        match self.take()? {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.rest.first() == Some(&b'.') {
            self.take();
            self.digits()?;
        }
        if matches!(self.rest.first(), Some(b'e' | b'E')) {
            self.take();
            if matches!(self.rest.first(), Some(b'+' | b'-')) {
                self.take();
            }
            self.digits()?;
        }
        self.out.extend_from_slice(&text[..text.len() - self.rest.len()]);
        Some(())
    }

    fn skip_digits(&mut self) {
        let len = self.rest.iter().position(|byte| !byte.is_ascii_digit());
        self.rest = &self.rest[len.unwrap_or(self.rest.len())..];
    }

    fn digits(&mut self) -> Option<()> {
        let before = self.rest.len();
        self.skip_digits();
        (self.rest.len() < before).then_some(())
    }

    /// Quotes and backslashes stay escaped, and lone surrogates, which no text can hold; control
    /// characters stand raw, since the form needn't be JSON again.
    fn string(&mut self) -> Option<()> {
        self.take()?;
        self.out.push(b'"');
        loop {
            let plain = plain_len(self.rest)?;
            self.out.extend_from_slice(&self.rest[..plain]);
            self.rest = &self.rest[plain..];
            match self.take()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        self.out.push(b'"');
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let byte = match self.take()? {
            b'u' => return self.unicode_escape(),
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'/' => b'/',
            byte @ (b'"' | b'\\') => {
                self.out.push(b'\\');
                byte
            }
            _ => return None,
        };
        self.out.push(byte);
        Some(())
    }

    fn unicode_escape(&mut self) -> Option<()> {
        let unit = self.hex4()?;
        let c = match unit {
            0xd800..0xdc00 => {
                let before = self.rest;
                match self.low_surrogate() {
                    Some(low) => char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)),
                    None => {
                        self.rest = before;
                        None
                    }
                }
            }
            unit => char::from_u32(unit),
        };
        match c {
            Some('"') => self.out.extend_from_slice(b"\\\""),
            Some('\\') => self.out.extend_from_slice(b"\\\\"),
            Some(c) => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
        }
        Some(())
    }

    fn low_surrogate(&mut self) -> Option<u32> {
        self.rest = self.rest.strip_prefix(b"\\u")?;
        self.hex4().filter(|unit| (0xdc00..0xe000).contains(unit))
    }

    fn hex4(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
    }
}

/// How many bytes stand before the first that means something in a string: a quote, a backslash, or
/// a control character. Strings are most of most texts, so it looks at 32 bytes at a time, and
/// at eight once they hold one.
fn plain_len(text: &[u8]) -> Option<usize> {
    let (blocks, _) = text.as_chunks::<32>();
    // All of a block, whatever is found, and in numbers: that becomes vector instructions.
    let has_special = |block: &[u8; 32]| {
        let specials = block.iter().fold(0, |any, byte| {
            any | u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
        });
        specials != 0
    };
    let passed = 32 * blocks.iter().take_while(|block| !has_special(block)).count();
    let (words, rest) = text[passed..].as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        if let Some(at) = first_special(u64::from_le_bytes(*word)) {
            return Some(passed + n * 8 + at);
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    rest.iter().position(special).map(|at| passed + words.len() * 8 + at)
}

/// The place of the first such byte among eight.
fn first_special(word: u64) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below `least`, up to the first such byte. Beyond it a
    // borrow may set others.
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word & HIGH;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let special = below(word, 0x20) | equal(word, b'"') | equal(word, b'\\');
    (special != 0).then(|| (special.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(text: &str) -> Option<String> {
        let mut room = Room::default();
        canonical(text.as_bytes(), &mut room).then(|| String::from_utf8(room.form).unwrap())
    }

    #[test]
    fn equal_values_have_equal_forms() {
        for (a, b) in [
            (r#"{"b":1,"a":[true,null]}"#, "{ \"a\" : [ true,\n null ] , \"b\":1}"),
            (r#""\u0041\/\n""#, "\"A/\\u000a\""),
            (r#""\ud83d\ude00""#, r#""😀""#),
            (r#"{"a":{"y":1,"x":2}}"#, r#"{"a":{"x":2,"y":1}}"#),
            (r#"{"\u0062":1,"a":2}"#, r#"{"a":2,"b":1}"#),
            (r#""\uD800""#, r#""\ud800""#),
            (r#""\u0022\u005c""#, r#""\"\\""#),
        ] {
            assert!(form(a).is_some(), "{a}");
            assert_eq!(form(a), form(b), "{a} {b}");
        }
    }

    #[test]
    fn different_values_have_different_forms() {
        for (a, b) in [
            ("1", "1.0"),
            ("1e2", "1E2"),
            ("9007199254740993", "9007199254740992"),
            ("-0", "0"),
            ("[1,2]", "[2,1]"),
            ("\"1\"", "1"),
            ("{}", "[]"),
            ("null", "\"null\""),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
            (r#"{"a":1,"a":1}"#, r#"{"a":1}"#),
            (r#""\ud800""#, r#""\\ud800""#),
            (r#"{"a":"1,b:2"}"#, r#"{"a":"1","b":2}"#),
        ] {
            assert!(form(a).is_some() && form(b).is_some(), "{a} {b}");
            assert_ne!(form(a), form(b), "{a} {b}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_no_json() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"",
            "1 2",
            "[1 2]",
            "{\"a\" 1}",
            "NaN",
            "\u{feff}1",
        ] {
            assert_eq!(form(text), None, "{text:?}");
        }
        assert!(!canonical(b"\"\xff\"", &mut Room::default()));
    }

    proptest! {
        #[test]
        fn what_ends_the_plain_part_of_a_string_is_found_wherever_it_stands(
            text in prop::collection::vec(
                prop_oneof![40 => 0x23..=0x5bu8, 1 => any::<u8>(), 1 => 0x1e..=0x23u8, 1 => 0x5b..=0x5du8],
                0..100,
            ),
        ) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            prop_assert_eq!(plain_len(&text), text.iter().position(special));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(form(&nested(DEPTH_MAX)).is_some());
        assert!(form(&nested(DEPTH_MAX + 1)).is_none());
        assert!(form(&nested(1_000_000)).is_none());
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((".{0,3}", inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn with_members_reversed(value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Array(items) => {
                items.iter().map(with_members_reversed).collect::<Vec<_>>().into()
            }
            serde_json::Value::Object(members) => serde_json::Value::Object(
                members.iter().rev().map(|(k, v)| (k.clone(), with_members_reversed(v))).collect(),
            ),
            leaf => leaf.clone(),
        }
    }

    proptest! {
        #[test]
        fn order_of_members_and_white_space_do_not_count(value in any_json()) {
            let compact = serde_json::to_string(&value).unwrap();
            let other = serde_json::to_string_pretty(&with_members_reversed(&value)).unwrap();
            prop_assert!(form(&compact).is_some());
            prop_assert_eq!(form(&compact), form(&other));
        }

        #[test]
        fn forms_are_equal_exactly_when_values_are(a in any_json(), b in any_json()) {
            let (left, right) = (a.to_string(), b.to_string());
            prop_assert_eq!(form(&left) == form(&right), a == b);
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+ -]{0,12}") {
            let known: Result<serde_json::Value, _> = serde_json::from_str(&text);
            // serde_json refuses lone surrogates; RFC 8259 section 8.2 allows them.
            if !text.contains("\\u") {
                prop_assert_eq!(form(&text).is_some(), known.is_ok());
            }
        }

        #[test]
        fn the_form_is_hardly_longer_than_the_text(text in ".{0,40}", value in any_json()) {
            for text in [text, value.to_string()] {
                let mut room = Room::default();
                canonical(text.as_bytes(), &mut room);
                let objects = text.matches('{').count();
                prop_assert!(room.form.len() <= text.len() + objects);
            }
        }
    }
}
