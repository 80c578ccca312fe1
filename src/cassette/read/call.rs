//! From nodes to the messages of a gRPC call.

use bytes::Bytes;

use super::body::{base64, inline, stored};
use super::exchange::at_ms;
use super::keys::MESSAGE;
use super::notes::{Notes, Object, Step};
use crate::cassette::call::{Format, Side};
use crate::cassette::json::{Node, Value};
use crate::cassette::protobuf;
use crate::cassette::write::AS_SENT;
use crate::exchange::{After, Body, Compression, Kind, Message, Payload};
use crate::grpc;

/// The keys of a message that say what is in it. Exactly one must be there.
const CONTENTS: [&str; 5] = ["json", "text", "base64", "file", "rest"];

/// What reading the messages of one side takes.
pub(super) struct Reading<'a> {
    pub(super) side: Side,
    /// The answer's side, where `after` means something.
    pub(super) asked: Option<&'a Asked>,
}

/// What an answer's reader must know of the request.
pub(super) struct Asked {
    pub(super) is_call: bool,
    /// Whole messages; `None` where that can't be known.
    pub(super) sent: Option<u32>,
    /// What the messages of the answer are.
    pub(super) kind: Option<grpc::MessageType>,
}

impl Asked {
    /// How many messages a request with this body has.
    pub(super) fn sent(body: &Body) -> Option<u32> {
        let is_whole = |message: &&Message| !matches!(message.payload, Payload::Rest(_));
        match body {
            Body::Absent => Some(0),
            Body::Messages(messages) => {
                u32::try_from(messages.iter().filter(is_whole).count()).ok()
            }
            _ => None,
        }
    }

    /// How far the request had come.
    pub(super) fn after(&self, notes: &mut Notes, node: &Node<'_>) -> Option<After> {
        if !self.is_call {
            notes.expected(node, "no such key, since the request is no gRPC call");
            return None;
        }
        let most = self.sent.unwrap_or(u32::MAX);
        let what = match self.sent {
            Some(sent) => format!("a number of messages up to {sent}, those of the request"),
            None => "a number of messages".to_owned(),
        };
        let count = notes.number(node, &what, 0..=u64::from(most))?;
        u32::try_from(count).ok().map(After::Messages)
    }
}

pub(super) fn messages(
    notes: &mut Notes,
    node: &Node<'_>,
    reading: &Reading<'_>,
) -> Option<Vec<Message>> {
    let count = if let Value::Array(elements) = &node.value { elements.len() } else { 0 };
    let mut at = 0;
    notes.array(node, "an array of messages", |notes, node| {
        at += 1;
        message(notes, node, reading, at == count)
    })
}

fn message(
    notes: &mut Notes,
    node: &Node<'_>,
    reading: &Reading<'_>,
    is_last: bool,
) -> Option<Message> {
    let object = notes.object(node, &MESSAGE, "a message, which is an object")?;
    let at = notes.required(&object, "at_ms", at_ms);
    let after = notes.optional(&object, "after", After::End, |notes, node| match reading.asked {
        Some(asked) => asked.after(notes, node),
        None => {
            notes.expected(node, "no such key in a request");
            None
        }
    });
    let compression = notes.optional(&object, "compressed", Compression::None, |notes, node| {
        compression(notes, node, &reading.side)
    });
    let payload = payload(notes, &object, reading, is_last);
    let kind = Kind::Binary;
    Some(Message { at: at?, after: after?, kind, compression: compression?, payload: payload? })
}

fn compression(notes: &mut Notes, node: &Node<'_>, side: &Side) -> Option<Compression> {
    match &node.value {
        Value::Bool(true) if side.coding.is_some() => Some(Compression::Off),
        Value::Bool(true) => {
            let what = "\"as_sent\", since no grpc-encoding header names gzip, deflate or zstd";
            notes.expected(node, what);
            None
        }
        _ => not_decompressed(notes, node),
    }
}

/// What is to be said of a message's compression but that it has been taken off.
pub(super) fn not_decompressed(notes: &mut Notes, node: &Node<'_>) -> Option<Compression> {
    match &node.value {
        Value::Bool(false) => Some(Compression::None),
        Value::String(text) if text == AS_SENT => Some(Compression::On),
        _ => {
            notes.expected(node, "true or \"as_sent\"");
            None
        }
    }
}

fn payload(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    reading: &Reading<'_>,
    is_last: bool,
) -> Option<Payload> {
    let only = notes.only_content(object, &CONTENTS)?;
    let node = &only.node;
    match &*only.key {
        "file" => notes.within(Step::Key("file"), |notes| {
            let (digest, len) = stored(notes, node)?;
            if u32::try_from(len).is_err() {
                let message = "expected at most 4294967295 bytes, as long as a message can be";
                notes.note(node.at, message.to_owned());
                return None;
            }
            notes.file(node.at, digest, len);
            Some(Payload::File { digest, len })
        }),
        "rest" if !is_last => {
            notes
                .note(only.at, "expected a whole message, found a rest before the last".to_owned());
            None
        }
        "rest" if object.get("compressed").is_some() => {
            let message =
                "expected no key \"compressed\" beside \"rest\", which has its own prefix";
            notes.note(only.at, message.to_owned());
            None
        }
        "rest" => notes.within(Step::Key("rest"), |notes| {
            base64(notes, node).map(|bytes| Payload::Rest(bytes.into()))
        }),
        "json" => match &reading.side.format {
            Format::Json => inline(notes, object, only).map(Payload::Bytes),
            Format::Known(kind) => protobuf_json(notes, object, node, kind),
            Format::Unknown => {
                let message =
                    "expected \"base64\", since no descriptor set says what this message is";
                notes.note(only.at, message.to_owned());
                None
            }
        },
        _ => inline(notes, object, only).map(Payload::Bytes),
    }
}

fn protobuf_json(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    node: &Node<'_>,
    kind: &grpc::MessageType,
) -> Option<Payload> {
    if let Some(style) = object.member("json_style") {
        let message = "expected no key \"json_style\" beside a protobuf message";
        notes.note(style.at, message.to_owned());
        return None;
    }
    notes.within(Step::Key("json"), |notes| match protobuf::read(kind, node) {
        Ok(bytes) => Some(Payload::Bytes(Bytes::from(bytes))),
        Err((at, message)) => {
            notes.note(at, message);
            None
        }
    })
}
