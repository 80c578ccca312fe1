//! The messages of a gRPC call.

use super::body::inline_members;
use super::{base64_value, layout, millis, object, stored_value};
use crate::cassette::call::{KeptMessage, Shown};
use crate::cassette::json::{Parser, Value};
use crate::exchange::{After, Compression, Message, Payload};

/// How a message is marked that is compressed in the cassette as well.
pub(crate) const AS_SENT: &str = "as_sent";

/// One message per line where it fits.
pub(super) fn push_messages(out: &mut String, messages: &[KeptMessage], level: usize) {
    layout::push_block(out, ('[', ']'), messages, level, |out, kept| {
        let mut members = about(&kept.message);
        match (&kept.message.payload, &kept.shown) {
            (Payload::Bytes(_), Shown::Json(text)) => {
                members.extend(json_value(text).map(|value| ("json", value)));
                layout::push_value(out, &object(members), level + 1);
            }
            (Payload::Bytes(bytes), Shown::Text) => {
                members.extend(inline_members(bytes));
                layout::push_value(out, &object(members), level + 1);
            }
            (payload, _) => {
                members.push(plain(payload));
                layout::push_one_line(out, &object(members));
            }
        }
    });
}

/// What stands before a message's content.
fn about(message: &Message) -> Vec<(&'static str, Value<'static>)> {
    let mut members = vec![("at_ms", Value::Number(millis(message.at).to_string().into()))];
    if let After::Messages(count) = message.after {
        members.push(("after", Value::Number(count.to_string().into())));
    }
    members.extend(compression(message));
    members
}

pub(super) fn compression(message: &Message) -> Option<(&'static str, Value<'static>)> {
    match message.compression {
        Compression::None => None,
        Compression::Off => Some(("compressed", Value::Bool(true))),
        Compression::On => Some(("compressed", Value::String(AS_SENT.into()))),
    }
}

pub(super) fn plain(payload: &Payload) -> (&'static str, Value<'static>) {
    match payload {
        Payload::Bytes(bytes) => ("base64", base64_value(bytes)),
        Payload::File { digest, len } => ("file", stored_value(*digest, *len)),
        Payload::Rest(bytes) => ("rest", base64_value(bytes)),
        Payload::Omitted { digest, len } => ("omitted", stored_value(*digest, *len)),
    }
}

/// The value that a message's own JSON text is; it has been read before.
fn json_value(text: &str) -> Option<Value<'_>> {
    Parser::new(text).value().ok().map(|node| node.value)
}
