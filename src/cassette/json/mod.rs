//! A strict JSON parser that keeps what a reader of cassettes needs: where every value stands, a
//! number's own text, and keys in their order.
//!
//! Takes RFC 8259 and nothing more: no comments, no trailing commas, no control characters in
//! strings. Nesting is bounded, so that no file can exhaust the stack. A key that stands twice in
//! an object is kept twice and noted; whether that is a fault is for the caller to say.
//!
//! Pulls: a caller may walk the outer levels itself and take a tree (`Node`) where it wants one,
//! so that a large file never becomes a large tree.

mod de;
mod text;

pub(crate) use de::Error;
pub(crate) use text::blocks_without;

use std::borrow::Cow;
use std::collections::HashSet;

/// Arrays and objects within each other. A parse takes a few hundred bytes of stack per level.
pub(crate) const DEPTH_MAX: usize = 192;

/// Keys of an object up to which they are compared one by one.
const KEYS_COMPARED: usize = 12;

/// A value and the byte offset at which it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) at: usize,
    pub(crate) value: Value<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// As written: neither rounded nor normalised.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member<'a> {
    /// Offset of the key.
    pub(crate) at: usize,
    pub(crate) key: Cow<'a, str>,
    pub(crate) node: Node<'a>,
}

/// Where the text stops being JSON, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    /// `expected …, found …`
    pub(crate) message: String,
    /// The text ended too early: with more of it the answer could be another.
    pub(crate) at_end: bool,
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    depth_max: usize,
    /// Keys that stand in their object for the second time: offset and key.
    repeated: Vec<(usize, String)>,
}

type Result<T> = std::result::Result<T, SyntaxError>;

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Parser<'a> {
        Parser::with_depth(text, DEPTH_MAX)
    }

    /// For text that is to be nested in another.
    pub(crate) fn with_depth(text: &'a str, depth_max: usize) -> Parser<'a> {
        Parser { text, at: 0, depth: 0, depth_max, repeated: Vec::new() }
    }

    /// Keys met a second time in one object since the last call.
    pub(crate) fn take_repeated(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.repeated)
    }

    /// The next byte that isn't white space, and its offset.
    pub(crate) fn peek(&mut self) -> (usize, Option<u8>) {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        (self.at, bytes.get(self.at).copied())
    }

    /// The value that stands here, whole.
    pub(crate) fn value(&mut self) -> Result<Node<'a>> {
        let (at, byte) = self.peek();
        let value = match byte {
            Some(b'"') => Value::String(self.string()?),
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?.into()),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Node { at, value })
    }

    /// Takes the opening bracket or brace that stands here.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.depth_max {
            let message =
                format!("expected at most {} levels of nesting, found more", self.depth_max);
            return Err(SyntaxError { at: self.at, message, at_end: false });
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the next element of an array, or takes its end and says that there is none.
    /// `first` tells where in the array we are.
    pub(crate) fn next_element(&mut self, first: bool) -> Result<bool> {
        if self.closes(b']') {
            return Ok(false);
        }
        if !first {
            self.comma("`,` or `]`", b']')?;
        }
        Ok(true)
    }

    /// Goes to the next value of an object and gives its key and the key's offset, or takes the
    /// object's end.
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<(usize, Cow<'a, str>)>> {
        if self.closes(b'}') {
            return Ok(None);
        }
        if !first {
            self.comma("`,` or `}`", b'}')?;
        }
        let (at, byte) = self.peek();
        if byte != Some(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        let key = self.string()?;
        if self.peek().1 != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(Some((at, key)))
    }

    /// The text holds nothing more.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek().1 {
            None => Ok(()),
            Some(_) => Err(self.expected("nothing more")),
        }
    }

    fn closes(&mut self, bracket: u8) -> bool {
        let closes = self.peek().1 == Some(bracket);
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    fn comma(&mut self, what: &str, bracket: u8) -> Result<()> {
        let (at, byte) = self.peek();
        if byte != Some(b',') {
            return Err(self.expected(what));
        }
        self.at += 1;
        if self.peek().1 == Some(bracket) {
            let message = format!("expected no comma before `{}`", bracket as char);
            return Err(SyntaxError { at, message, at_end: false });
        }
        Ok(())
    }

    fn array(&mut self) -> Result<Value<'a>> {
        self.open()?;
        let mut elements = Vec::new();
        while self.next_element(elements.is_empty())? {
            elements.push(self.value()?);
        }
        Ok(Value::Array(elements))
    }

    fn object(&mut self) -> Result<Value<'a>> {
        self.open()?;
        let mut members: Vec<Member<'a>> = Vec::new();
        while let Some((at, key)) = self.next_key(members.is_empty())? {
            let node = self.value()?;
            members.push(Member { at, key, node });
        }
        self.note_repeated(&members);
        Ok(Value::Object(members))
    }

    fn note_repeated(&mut self, members: &[Member<'a>]) {
        if members.len() <= KEYS_COMPARED {
            for (n, member) in members.iter().enumerate() {
                if members.iter().take(n).any(|earlier| earlier.key == member.key) {
                    self.repeated.push((member.at, member.key.to_string()));
                }
            }
            return;
        }
        let mut seen = HashSet::with_capacity(members.len());
        for member in members {
            if !seen.insert(&member.key) {
                self.repeated.push((member.at, member.key.to_string()));
            }
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.len() < word.len() && word.as_bytes().starts_with(rest) {
            self.at = self.text.len();
            return Err(self.expected(&format!("`{word}`")));
        }
        let ends = |byte: &u8| !byte.is_ascii_alphanumeric();
        if !rest.starts_with(word.as_bytes()) || !rest.get(word.len()).is_none_or(ends) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// RFC 8259 section 6: an optional minus, no leading zeros, digits on both sides of a point.
    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.skip(b'-');
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _signed = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        if self.byte().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(self.expected("the end of the number"));
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<()> {
        if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.expected("a digit"));
        }
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let there = self.byte() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// An error at the next character, which isn't `what`.
    fn expected(&self, what: &str) -> SyntaxError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let message = match rest.chars().next() {
            Some(found) => format!("expected {what}, found {}", text::show_char(found)),
            None => format!("expected {what}, found the end of the file"),
        };
        SyntaxError { at: self.at, message, at_end: rest.is_empty() }
    }
}

/// The whole of `text` as one value.
///
/// # Errors
/// The first place where it isn't JSON.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> Result<Node<'_>> {
    let mut parser = Parser::new(text);
    let node = parser.value()?;
    parser.end()?;
    Ok(node)
}

#[cfg(test)]
mod tests;
