//! From nodes to bodies: the bytes that a kept body stands for.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;

use super::call::{self, Reading};
use super::exchange::at_ms;
use super::keys::{BODY, BYTES, PIECE, STORED};
use super::notes::{Notes, Object, Step};
use crate::cassette::bodies::digest_from_hex;
use crate::cassette::json::{Member, Node, Value};
use crate::cassette::style::{RENDER_BYTES_MAX, Style};
use crate::coding;
use crate::exchange::{Body, Coding, Digest, Fields, Piece};
use crate::grpc;

/// The keys of a body that say what is in it. Exactly one must be there.
const CONTENTS: [&str; 7] = ["json", "text", "base64", "file", "omitted", "stream", "messages"];

const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// The body of a message, absent where there is no such key, and the coding that is off it.
/// `fields` is `None` where the message's headers are faulty themselves. `call` says how a gRPC
/// call's messages are read; it is `None` where that can't be known for another fault.
pub(super) fn message_body(
    notes: &mut Notes,
    message: &Object<'_, '_>,
    fields: Option<&Fields>,
    call: Option<&Reading<'_>>,
) -> Option<(Body, Option<Coding>)> {
    let none = (Body::Absent, None);
    notes.optional(message, "body", none, |notes, node| {
        let object = notes.object(node, &BODY, "a body, which is an object")?;
        let coding = notes.optional(&object, "coding", None, |notes, node| {
            named_coding(notes, node, fields).map(Some)
        });
        let body = content(notes, &object, fields, call);
        Some((body?, coding?))
    })
}

/// A coding must be the one that the headers name: on replay they go out as they are.
fn named_coding(notes: &mut Notes, node: &Node<'_>, fields: Option<&Fields>) -> Option<Coding> {
    let coding_of = |text: &str| CODINGS.into_iter().find(|coding| coding.name() == text);
    let what = "one of \"gzip\", \"deflate\", \"br\", \"zstd\"";
    let coding = coding_of(notes.text(node, what, |text| coding_of(text).is_some())?)?;
    match fields.map(coding::of) {
        Some(Some(named)) if named != coding => {
            let what = format!("\"{}\", the coding that the headers name", named.name());
            notes.expected(node, &what);
            None
        }
        Some(None) => {
            notes.expected(node, "no coding, since no Content-Encoding header names just one");
            None
        }
        _ => Some(coding),
    }
}

fn content(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    fields: Option<&Fields>,
    call: Option<&Reading<'_>>,
) -> Option<Body> {
    let only = notes.only_content(object, &CONTENTS)?;
    match &*only.key {
        "file" => notes.within(Step::Key("file"), |notes| {
            let (digest, len) = stored(notes, &only.node)?;
            notes.file(only.node.at, digest, len);
            Some(Body::File { digest, len })
        }),
        "omitted" => notes.within(Step::Key("omitted"), |notes| {
            stored(notes, &only.node).map(|(digest, len)| Body::Omitted { digest, len })
        }),
        "stream" => notes.within(Step::Key("stream"), |notes| {
            notes.array(&only.node, "an array of pieces", piece).map(Body::Pieces)
        }),
        "messages" => {
            let (fields, call) = (fields?, call?);
            if let Some(message) = no_messages(object, fields, call) {
                notes.note(only.at, message.to_owned());
                return None;
            }
            notes.within(Step::Key("messages"), |notes| {
                call::messages(notes, &only.node, call).map(Body::Messages)
            })
        }
        _ => inline(notes, object, only).map(Body::Whole),
    }
}

/// What keeps a body from being messages.
fn no_messages(
    object: &Object<'_, '_>,
    fields: &Fields,
    call: &Reading<'_>,
) -> Option<&'static str> {
    if !grpc::is_call(fields) {
        return Some("expected no messages, since the headers name no type application/grpc");
    }
    if call.asked.is_some_and(|asked| !asked.is_call) {
        return Some("expected no messages, since the request is no gRPC call");
    }
    let has_coding = object.get("coding").is_some();
    has_coding.then_some("expected no messages beside \"coding\": each says if it is compressed")
}

/// What stands in the cassette itself, under `json`, `text` or `base64`.
pub(super) fn inline(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    content: &Member<'_>,
) -> Option<Bytes> {
    match &*content.key {
        "json" => json(notes, object, &content.node),
        "text" => {
            notes.within(Step::Key("text"), |notes| text(notes, &content.node).map(Bytes::from))
        }
        _ => {
            notes.within(Step::Key("base64"), |notes| base64(notes, &content.node).map(Bytes::from))
        }
    }
}

fn json(notes: &mut Notes, object: &Object<'_, '_>, value: &Node<'_>) -> Option<Bytes> {
    let style = notes.optional(object, "json_style", Style::default(), |notes, node| {
        let what = "a JSON style such as \"spaced\" or \"indent 2, newline\"";
        Style::from_name(notes.text(node, what, |text| Style::from_name(text).is_some())?)
    })?;
    let text = style.render(&value.value);
    if text.len() > RENDER_BYTES_MAX {
        let message =
            format!("expected at most {RENDER_BYTES_MAX} bytes in this style, found more");
        notes.within(Step::Key("json"), |notes| notes.note(value.at, message));
        return None;
    }
    Some(text.into())
}

fn piece(notes: &mut Notes, node: &Node<'_>) -> Option<Piece> {
    let object = notes.object(node, &PIECE, "a piece, which is an object")?;
    let at = notes.required(&object, "at_ms", at_ms);
    let bytes: Option<Bytes> = match (object.get("text"), object.get("base64")) {
        (Some(node), None) => {
            notes.within(Step::Key("text"), |notes| text(notes, node).map(Bytes::from))
        }
        (None, Some(node)) => {
            notes.within(Step::Key("base64"), |notes| base64(notes, node).map(Bytes::from))
        }
        (Some(_), Some(_)) => {
            notes.note(object.at, "expected one of text and base64, found both".to_owned());
            None
        }
        (None, None) => {
            notes.note(object.at, "expected one of the keys text, base64, found none".to_owned());
            None
        }
    };
    Some(Piece { at: at?, bytes: bytes? })
}

/// A string, or the lines of one with a line feed between each and the next.
fn text(notes: &mut Notes, node: &Node<'_>) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.to_string()),
        Value::Array(_) => {
            let lines = notes.array(node, "lines", |notes, node| {
                notes.text(node, "a line, which is a string", |_| true)
            })?;
            Some(lines.join("\n"))
        }
        _ => {
            notes.expected(node, "a string or an array of lines");
            None
        }
    }
}

pub(super) fn base64(notes: &mut Notes, node: &Node<'_>) -> Option<Vec<u8>> {
    let what = "base64 with its padding (RFC 4648 section 4)";
    let text = notes.text(node, what, |_| true)?;
    let bytes = BASE64_STANDARD.decode(text).ok();
    if bytes.is_none() {
        notes.expected(node, what);
    }
    bytes
}

pub(super) fn stored(notes: &mut Notes, node: &Node<'_>) -> Option<(Digest, u64)> {
    let object = notes.object(node, &STORED, "an object with sha256 and bytes")?;
    let digest = notes.required(&object, "sha256", |notes, node| {
        let what = "a SHA-256 digest of 64 lower-case hexadecimal digits";
        digest_from_hex(notes.text(node, what, |text| digest_from_hex(text).is_some())?)
    });
    let len = notes.required(&object, "bytes", |notes, node| {
        notes.number(node, "a whole number of bytes", 0..=u64::MAX)
    });
    Some((digest?, len?))
}

/// Bytes that are mostly text: a string, or an object with their base64.
pub(super) fn bytes(notes: &mut Notes, node: &Node<'_>, what: &str) -> Option<Vec<u8>> {
    match &node.value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Object(_) => {
            let object = notes.object(node, &BYTES, what)?;
            notes.required(&object, "base64", base64)
        }
        _ => {
            notes.expected(node, what);
            None
        }
    }
}
