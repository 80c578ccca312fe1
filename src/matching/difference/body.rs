//! Differences in bodies: by value for JSON, by field for forms, else where the text or the bytes
//! part.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Differences, Place};
use crate::exchange::Digest;
use crate::matching::{BodyPrint, form};
use crate::redact::{MARK, Redactor};

/// What is at hand of a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// None when it is too large to compare.
    pub bytes: Option<&'a [u8]>,
    pub len: u64,
}

type Side<'a> = (BodyPrint<'a>, Content<'a>);

/// Characters shown before the place where two long texts part.
const CONTEXT_CHARS: usize = 24;

impl Differences {
    pub(super) fn compare_bodies(
        &mut self,
        asked: Side<'_>,
        recorded: Side<'_>,
        redactor: &Redactor,
    ) {
        let before = self.count();
        if let (Some(asked_bytes), Some(recorded_bytes)) = (present(asked), present(recorded)) {
            match (asked.0, recorded.0) {
                (BodyPrint::Json(_), BodyPrint::Json(_)) => {
                    self.compare_json(asked_bytes, recorded_bytes, redactor);
                }
                (BodyPrint::Form(_), BodyPrint::Form(_)) => {
                    self.compare_forms(asked_bytes, recorded_bytes, redactor);
                }
                _ => {}
            }
            let is_more = recorded.0 == BodyPrint::Part && asked_bytes.starts_with(recorded_bytes);
            if self.count() == before && !is_more {
                self.compare_bytes(asked_bytes, recorded_bytes);
            }
        }
        if self.count() == before {
            self.note(|| Place::Body, summary(asked), summary(recorded));
        }
    }

    pub(super) fn compare_json(&mut self, asked: &[u8], recorded: &[u8], redactor: &Redactor) {
        let parsed = |bytes| serde_json::from_slice::<Value>(bytes);
        if let (Ok(asked), Ok(recorded)) = (parsed(asked), parsed(recorded)) {
            let mut pointer = String::new();
            JsonPair { differences: self, redactor, pointer: &mut pointer, secret: false }
                .compare(&asked, &recorded);
        }
    }

    fn compare_forms(&mut self, asked: &[u8], recorded: &[u8], redactor: &Redactor) {
        let sorted = |bytes| {
            let mut fields: Vec<_> = form::fields(bytes).collect();
            fields.sort();
            fields
        };
        let (asked, recorded) = (sorted(asked), sorted(recorded));
        let mut asked = asked.iter().peekable();
        let mut recorded = recorded.iter().peekable();
        loop {
            let order = match (asked.peek(), recorded.peek()) {
                (Some(a), Some(r)) if a == r => {
                    asked.next();
                    recorded.next();
                    continue;
                }
                // Two values of one name are one difference.
                (Some(a), Some(r)) => a.0.cmp(&r.0),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return,
            };
            let a = if order.is_le() { asked.next() } else { None };
            let r = if order.is_ge() { recorded.next() } else { None };
            let Some((name, _)) = a.or(r) else { return };
            let shown = |field: Option<&form::Field<'_>>| {
                let value = field.map(|(_, value)| String::from_utf8_lossy(value).into_owned())?;
                let secret = redactor.is_secret_in_body(name);
                Some(move || if secret { MARK.to_owned() } else { value })
            };
            let place = || Place::Form(String::from_utf8_lossy(name).into_owned());
            self.note(place, shown(a), shown(r));
        }
    }

    pub(super) fn compare_bytes(&mut self, asked: &[u8], recorded: &[u8]) {
        let same = asked.iter().zip(recorded).take_while(|(a, r)| a == r).count();
        if same == asked.len().max(recorded.len()) {
            return;
        }
        let (Ok(asked), Ok(recorded)) = (std::str::from_utf8(asked), std::str::from_utf8(recorded))
        else {
            let rest = |side: &[u8]| {
                let here = hex(side.get(same..).unwrap_or_default());
                format!("{here} of {} bytes", side.len())
            };
            return self.note(|| Place::Byte(same), Some(|| rest(asked)), Some(|| rest(recorded)));
        };
        let same = asked.floor_char_boundary(same);
        let before = asked.get(..same).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let shown = |side| format!("{:?}", from(side, same));
        self.note(|| Place::Text { line, column }, Some(|| shown(asked)), Some(|| shown(recorded)));
    }
}

fn present<'a>(side: Side<'a>) -> Option<&'a [u8]> {
    match side.0 {
        BodyPrint::None | BodyPrint::Call | BodyPrint::Conversation(_) => None,
        _ => side.1.bytes,
    }
}

/// A handshake has none; how it differs is told of its head.
pub(super) fn has_body(print: BodyPrint<'_>) -> bool {
    !matches!(print, BodyPrint::None | BodyPrint::Conversation(_))
}

/// A body that can't be shown in its parts.
fn summary(side: Side<'_>) -> Option<impl FnOnce() -> String + use<'_>> {
    let (print, len) = (side.0, side.1.len);
    let known = move |kind: &str, digest: Digest| {
        let digest = digest.to_string();
        format!("{len} bytes{kind} (digest {}…)", digest.get(..16).unwrap_or_default())
    };
    has_body(print).then_some(move || match print {
        BodyPrint::None | BodyPrint::Conversation(_) => String::new(),
        BodyPrint::Part => format!("the first {len} bytes of a body"),
        BodyPrint::Call => "the messages of a gRPC call".to_owned(),
        BodyPrint::Bytes(digest) => known("", digest),
        BodyPrint::Json(digest) => known(" of JSON", digest),
        BodyPrint::Form(digest) => known(" of a form", digest),
        BodyPrint::Multipart(digest) => known(" in parts", digest),
    })
}

/// The text from a little before this place on.
fn from(text: &str, place: usize) -> Cow<'_, str> {
    let before = text.get(..place).unwrap_or_default();
    let start = before.char_indices().rev().nth(CONTEXT_CHARS).map_or(0, |(start, _)| start);
    let rest = text.get(start..).unwrap_or_default();
    // Enough for what is shown, so that a megabyte isn't copied to be cut.
    let rest = rest.get(..rest.floor_char_boundary(2 * 4 * super::VALUE_CHARS_MAX)).unwrap_or(rest);
    if start == 0 { Cow::Borrowed(rest) } else { Cow::Owned(format!("…{rest}")) }
}

fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "the end".to_owned(),
        _ => bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}

/// Two JSON values at the same place.
struct JsonPair<'d> {
    differences: &'d mut Differences,
    redactor: &'d Redactor,
    pointer: &'d mut String,
    /// A member's name on the way here says that this is secret.
    secret: bool,
}

impl JsonPair<'_> {
    fn compare(&mut self, asked: &Value, recorded: &Value) {
        match (asked, recorded) {
            (Value::Object(asked), Value::Object(recorded)) => self.objects(asked, recorded),
            (Value::Array(asked), Value::Array(recorded)) => self.arrays(asked, recorded),
            _ if asked == recorded => {}
            (Value::String(a), Value::String(r)) if !self.secret => {
                let same = a.bytes().zip(r.bytes()).take_while(|(a, r)| a == r).count();
                let same = a.floor_char_boundary(same);
                let shown = |side| move || format!("{:?}", from(side, same));
                let pointer = &*self.pointer;
                self.differences.note(
                    || Place::Json(pointer.clone()),
                    Some(shown(a)),
                    Some(shown(r)),
                );
            }
            _ => self.note(Some(asked), Some(recorded)),
        }
    }

    fn objects(&mut self, asked: &Map<String, Value>, recorded: &Map<String, Value>) {
        for (name, value) in asked {
            self.member(name, Some(value), recorded.get(name));
        }
        for (name, value) in recorded.iter().filter(|(name, _)| !asked.contains_key(*name)) {
            self.member(name, None, Some(value));
        }
    }

    fn member(&mut self, name: &str, asked: Option<&Value>, recorded: Option<&Value>) {
        let secret = self.redactor.is_secret_in_body(name.as_bytes());
        self.inside(&name.replace('~', "~0").replace('/', "~1"), secret, asked, recorded);
    }

    fn arrays(&mut self, asked: &[Value], recorded: &[Value]) {
        for n in 0..asked.len().max(recorded.len()) {
            self.inside(&n.to_string(), false, asked.get(n), recorded.get(n));
        }
    }

    fn inside(
        &mut self,
        token: &str,
        secret: bool,
        asked: Option<&Value>,
        recorded: Option<&Value>,
    ) {
        let len = self.pointer.len();
        let outer = self.secret;
        self.secret |= secret;
        self.pointer.push('/');
        self.pointer.push_str(token);
        match (asked, recorded) {
            (Some(asked), Some(recorded)) => self.compare(asked, recorded),
            _ => self.note(asked, recorded),
        }
        self.pointer.truncate(len);
        self.secret = outer;
    }

    fn note(&mut self, asked: Option<&Value>, recorded: Option<&Value>) {
        let secret = self.secret;
        let shown = |value| move || if secret { MARK.to_owned() } else { outline(value) };
        let pointer = &*self.pointer;
        self.differences.note(
            || Place::Json(pointer.clone()),
            asked.map(shown),
            recorded.map(shown),
        );
    }
}

/// Scalars as they are; of what holds others only how many, which also shows no secret inside.
fn outline(value: &Value) -> String {
    match value {
        Value::Object(members) => format!("an object with {} members", members.len()),
        Value::Array(items) => format!("an array of {} items", items.len()),
        Value::String(text) => format!("{:?}", from(text, 0)),
        scalar => scalar.to_string(),
    }
}
