//! What a reader notes on its way through a document: where it is, and what is wrong there.
//!
//! A step of the reader takes a node, notes whatever it finds wrong with it, and gives `None`
//! then. So all of a document is looked at, and something is made only of what is right.

use super::FINDINGS_MAX;
use super::keys::Keys;
use crate::cassette::bodies::Bodies;
use crate::cassette::json::{Member, Node, Parser, Value};
use crate::cassette::style::{Escapes, push_scalar};
use crate::exchange::Digest;
use crate::spelling::nearest;

/// Characters of a wrong value that a message shows.
const FOUND_CHARS_MAX: usize = 40;

#[derive(Default)]
pub(crate) struct Notes {
    faults: Vec<Fault>,
    /// Faults beyond `FINDINGS_MAX`, which are counted only.
    untold: usize,
    /// The body files that the document names: where, and which.
    files: Vec<(Fault, Digest, u64)>,
    path: Vec<Step>,
    /// Bytes of the file before the text that offsets count from.
    base: usize,
}

pub(crate) struct Fault {
    /// Offset in the file.
    pub(crate) at: usize,
    pub(crate) path: String,
    pub(crate) message: String,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Key(&'static str),
    Index(usize),
}

/// An object whose keys are known to be known.
#[derive(Clone, Copy)]
pub(crate) struct Object<'n, 'a> {
    pub(crate) at: usize,
    members: &'n [Member<'a>],
}

impl<'n, 'a> Object<'n, 'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node<'a>> {
        self.member(key).map(|member| &member.node)
    }

    pub(crate) fn member(&self, key: &str) -> Option<&'n Member<'a>> {
        self.members.iter().find(|member| member.key == key)
    }
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.faults.len() + self.untold
    }

    pub(crate) fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| fault.at);
        self.faults
    }

    pub(crate) fn set_base(&mut self, base: usize) {
        self.base = base;
    }

    /// Notes a fault at `at` in what is being read.
    pub(crate) fn note(&mut self, at: usize, message: String) {
        if self.faults.len() == FINDINGS_MAX {
            self.untold += 1;
            return;
        }
        let fault = Fault { at: self.base + at, path: self.path_text(), message };
        self.faults.push(fault);
    }

    /// `expected {what}, found` and what the node is.
    pub(crate) fn expected(&mut self, node: &Node<'_>, what: &str) {
        self.note(node.at, format!("expected {what}, found {}", found(&node.value)));
    }

    pub(crate) fn missing(&mut self, at: usize, key: &str) {
        self.note(at, format!("expected a key \"{key}\", found none"));
    }

    pub(crate) fn repeated(&mut self, at: usize, key: &str) {
        let key = found(&Value::String(key.into()));
        self.note(at, format!("expected each key once, found {key} again"));
    }

    /// Those that the parser has met.
    pub(crate) fn repeated_keys(&mut self, parser: &mut Parser<'_>) {
        for (at, key) in parser.take_repeated() {
            self.repeated(at, &key);
        }
    }

    pub(crate) fn unknown_key(&mut self, at: usize, key: &str, known: &Keys) {
        let expected = match nearest(key, known.keys) {
            Some(near) => format!("\"{near}\""),
            None => format!("one of the keys {}", known.keys.join(", ")),
        };
        self.note(at, format!("expected {expected}, found {}", found(&Value::String(key.into()))));
    }

    pub(crate) fn unknown_endpoint(&mut self, index: usize, at: usize, name: &str, known: &[&str]) {
        let expected = match (nearest(name, known), known) {
            (Some(near), _) => format!("the endpoint \"{near}\""),
            (None, []) => "an endpoint that the cassette lists, which are none".to_owned(),
            (None, _) => format!("one of the endpoints {}", known.join(", ")),
        };
        let name = found(&Value::String(name.into()));
        self.within(Step::Key("exchanges"), |notes| {
            notes.within(Step::Index(index), |notes| {
                notes.within(Step::Key("endpoint"), |notes| {
                    notes.note(at, format!("expected {expected}, found {name}"));
                });
            });
        });
    }

    pub(crate) fn file(&mut self, at: usize, digest: Digest, len: u64) {
        let place = Fault { at: self.base + at, path: self.path_text(), message: String::new() };
        self.files.push((place, digest, len));
    }

    /// Notes every body file that is missing or isn't what it should be.
    pub(crate) fn check_files(&mut self, bodies: &Bodies) {
        for (place, digest, len) in std::mem::take(&mut self.files) {
            if let Err(error) = bodies.verify(digest, len) {
                self.faults.push(Fault { message: error.to_string(), ..place });
            }
        }
    }

    /// What `read` notes is noted one step deeper.
    pub(crate) fn within<T>(&mut self, step: Step, read: impl FnOnce(&mut Notes) -> T) -> T {
        self.path.push(step);
        let value = read(self);
        self.path.pop();
        value
    }

    /// The node as an object of this kind; its unknown keys are noted.
    pub(crate) fn object<'n, 'a>(
        &mut self,
        node: &'n Node<'a>,
        known: &Keys,
        what: &str,
    ) -> Option<Object<'n, 'a>> {
        let Value::Object(members) = &node.value else {
            self.expected(node, what);
            return None;
        };
        for member in members {
            if !known.keys.contains(&&*member.key) {
                self.unknown_key(member.at, &member.key, known);
            }
        }
        Some(Object { at: node.at, members })
    }

    /// What `read` makes of the member under `key`, which must be there.
    pub(crate) fn required<'n, 'a, T>(
        &mut self,
        object: &Object<'n, 'a>,
        key: &'static str,
        read: impl FnOnce(&mut Notes, &'n Node<'a>) -> Option<T>,
    ) -> Option<T> {
        match object.get(key) {
            Some(node) => self.within(Step::Key(key), |notes| read(notes, node)),
            None => {
                self.missing(object.at, key);
                None
            }
        }
    }

    /// What `read` makes of the member under `key`, or `default` where there is none.
    pub(crate) fn optional<'n, 'a, T>(
        &mut self,
        object: &Object<'n, 'a>,
        key: &'static str,
        default: T,
        read: impl FnOnce(&mut Notes, &'n Node<'a>) -> Option<T>,
    ) -> Option<T> {
        match object.get(key) {
            Some(node) => self.within(Step::Key(key), |notes| read(notes, node)),
            None => Some(default),
        }
    }

    /// What `read` makes of each element; `None` if any failed.
    pub(crate) fn array<'n, 'a, T>(
        &mut self,
        node: &'n Node<'a>,
        what: &str,
        mut read: impl FnMut(&mut Notes, &'n Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(elements) = &node.value else {
            self.expected(node, what);
            return None;
        };
        let mut list = Some(Vec::with_capacity(elements.len()));
        for (index, element) in elements.iter().enumerate() {
            match (self.within(Step::Index(index), |notes| read(notes, element)), &mut list) {
                (Some(item), Some(list)) => list.push(item),
                (Some(_), None) => {}
                (None, list) => *list = None,
            }
        }
        list
    }

    /// The node as a string that is fit to be `what`.
    pub(crate) fn text<'n>(
        &mut self,
        node: &'n Node<'_>,
        what: &str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<&'n str> {
        match &node.value {
            Value::String(text) if fits(text) => Some(text),
            _ => {
                self.expected(node, what);
                None
            }
        }
    }

    /// The node as a whole number in this range.
    pub(crate) fn number(
        &mut self,
        node: &Node<'_>,
        what: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let number = whole_number(node).filter(|number| range.contains(number));
        if number.is_none() {
            self.expected(node, what);
        }
        number
    }

    /// The one member of an object that says what is in it; `contents` are the keys that do.
    pub(crate) fn only_content<'n, 'a>(
        &mut self,
        object: &Object<'n, 'a>,
        contents: &[&'static str],
    ) -> Option<&'n Member<'a>> {
        let mut there = contents.iter().filter_map(|key| object.member(key));
        let Some(only) = there.next() else {
            let one_of = contents.join(", ");
            self.note(object.at, format!("expected one of the keys {one_of}, found none"));
            return None;
        };
        if let Some(second) = there.next() {
            let message =
                format!("expected one content, found \"{}\" and \"{}\"", only.key, second.key);
            self.note(only.at.max(second.at), message);
            return None;
        }
        if let Some(style) = object.member("json_style").filter(|_| only.key != "json") {
            let message = "expected a key \"json\" beside \"json_style\", found none";
            self.note(style.at, message.to_owned());
            return None;
        }
        Some(only)
    }

    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) => {
                    text.push_str(if text.is_empty() { "" } else { "." });
                    text.push_str(key);
                }
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

/// Digits only: neither a fraction nor an exponent, however whole it comes out.
pub(crate) fn whole_number(node: &Node<'_>) -> Option<u64> {
    match &node.value {
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}

/// A value as a message shows it.
fn found(value: &Value<'_>) -> String {
    match value {
        Value::Array(elements) if elements.is_empty() => "an empty array".to_owned(),
        Value::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => {
            let cut: String = text.chars().take(FOUND_CHARS_MAX).collect();
            let shown = scalar(&Value::String(cut.as_str().into()));
            if cut.len() < text.len() { format!("{shown}…") } else { shown }
        }
        other => {
            let text = scalar(other);
            let cut: String = text.chars().take(FOUND_CHARS_MAX).collect();
            if cut.len() < text.len() { format!("{cut}…") } else { text }
        }
    }
}

fn scalar(value: &Value<'_>) -> String {
    let mut out = String::new();
    push_scalar(&mut out, value, Escapes::CASSETTE);
    out
}
