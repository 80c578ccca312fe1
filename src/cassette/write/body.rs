//! What a body holds, and what stands in the cassette for it.

use super::{Members, base64_value, call, layout, millis, node, object, stored_value, string};
use crate::cassette::json::{Node, Value};
use crate::cassette::keep::{Content, Kept, readable};
use crate::cassette::style::Style;
use crate::exchange::Piece;

pub(super) fn push_body(members: &mut Members<'_>, kept: &Kept<'_>) {
    let coding = kept.coding.map(|coding| ("coding", string(coding.name())));
    let level = members.level;
    let content = match &kept.content {
        Content::Absent => return,
        Content::Inline(bytes) => inline_members(bytes),
        Content::File { digest, len } => vec![("file", stored_value(*digest, *len))],
        Content::Omitted { digest, len } => vec![("omitted", stored_value(*digest, *len))],
        Content::Messages(messages) => {
            let mut body = Members::open(members.key("body"), level);
            call::push_messages(body.key("messages"), messages, level + 1);
            return body.close();
        }
        Content::Stream(pieces) => {
            let mut body = Members::open(members.key("body"), level);
            if let Some((key, value)) = coding {
                layout::push_one_line(body.key(key), &value);
            }
            push_stream(body.key("stream"), pieces, level + 1);
            return body.close();
        }
    };
    let body = object(coding.into_iter().chain(content));
    match kept.content {
        // A digest fills most of a line; broken up it reads no better.
        Content::File { .. } | Content::Omitted { .. } => {
            layout::push_one_line(members.key("body"), &body);
        }
        _ => layout::push_value(members.key("body"), &body, level),
    }
}

/// The first that fits of a JSON value, text and base64.
pub(super) fn inline_members(bytes: &[u8]) -> Vec<(&'static str, Value<'_>)> {
    match readable(bytes) {
        Some(text) => text_members(text),
        None => vec![("base64", base64_value(bytes))],
    }
}

/// The first that fits of a JSON value and text.
pub(super) fn text_members(text: &str) -> Vec<(&'static str, Value<'_>)> {
    // A bare number or word may be JSON by chance; as text it reads the same.
    let container = text.starts_with(['{', '[']);
    match Style::detect(text).filter(|_| container) {
        Some((style, node)) if style == Style::default() => vec![("json", node.value)],
        Some((style, node)) => {
            let name = Value::String(style.name().into());
            vec![("json_style", name), ("json", node.value)]
        }
        None => vec![("text", text_value(text))],
    }
}

/// One piece per line, unless it holds several lines of text and would be too long.
fn push_stream(out: &mut String, pieces: &[Piece], level: usize) {
    layout::push_block(out, ('[', ']'), pieces, level, |out, piece| {
        let at_ms = Value::Number(millis(piece.at).to_string().into());
        let (key, value) = match readable(&piece.bytes) {
            Some(text) => ("text", text_value(text)),
            None => ("base64", base64_value(&piece.bytes)),
        };
        let one_line = match &value {
            Value::Array(lines) => lines.iter().filter(|line| !is_empty(line)).count() <= 1,
            _ => true,
        };
        let value = object([("at_ms", at_ms), (key, value)]);
        match one_line {
            true => layout::push_one_line(out, &value),
            false => layout::push_value(out, &value, level + 1),
        }
    });
}

/// A string, or where line feeds stand within, the lines between them.
fn text_value(text: &str) -> Value<'_> {
    let within = text.strip_suffix('\n').unwrap_or(text);
    match within.contains('\n') {
        true => Value::Array(text.split('\n').map(|line| node(string(line))).collect()),
        false => string(text),
    }
}

fn is_empty(node: &Node<'_>) -> bool {
    matches!(&node.value, Value::String(text) if text.is_empty())
}
