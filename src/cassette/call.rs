//! How the messages of a gRPC call are kept, and how they stand in a cassette.
//!
//! A message is kept decompressed where `grpc-encoding` names a coding that it decodes by; whoever
//! replays puts that on again. One that is too large or too binary to be read goes to `bodies/`.

use bytes::Bytes;

use super::bodies::{Bodies, BodyError};
use super::keep::{BINARY_BYTES_MAX, TEXT_BYTES_MAX, readable};
use super::protobuf;
use crate::exchange::{Coding, Compression, Fields, Message, Payload};
use crate::grpc::{self, MessageType, encoding};

/// Decompressed size up to which a message is decompressed: as large as one may be by default.
const DECODED_BYTES_MAX: u64 = 256 << 20;

/// What the messages of one side of a call are.
pub(crate) struct Side {
    /// What `grpc-encoding` names.
    pub(crate) coding: Option<Coding>,
    pub(crate) format: Format,
}

pub(crate) enum Format {
    /// JSON text, which the content type says (`application/grpc+json`).
    Json,
    /// Protobuf of a known type.
    Known(MessageType),
    Unknown,
}

impl Side {
    /// `kind` is what descriptors say of the call's method.
    pub(crate) fn of(fields: &Fields, kind: Option<MessageType>) -> Side {
        let format = match (grpc::format(fields), kind) {
            (Some(b"json"), _) => Format::Json,
            (Some(b"" | b"proto"), Some(kind)) => Format::Known(kind),
            _ => Format::Unknown,
        };
        Side { coding: encoding::of(fields), format }
    }
}

/// A message as a cassette holds it.
pub(crate) struct KeptMessage {
    pub(crate) message: Message,
    pub(crate) shown: Shown,
}

/// How its payload is shown.
pub(crate) enum Shown {
    /// As it is: base64, or its file's name.
    Plain,
    /// As a body would be that is JSON.
    Text,
    /// As this JSON text.
    Json(String),
}

/// What is done to a message as soon as it has been read from a tape, so that no call and no
/// conversation is in memory with all of its large messages: takes `coding` off it where it is
/// compressed, and stores it if it is too large to stand in a cassette whatever it holds.
///
/// # Errors
/// Body files that can't be written.
pub fn keep_message(
    coding: Option<Coding>,
    message: Message,
    bodies: &Bodies,
) -> Result<Message, BodyError> {
    let message = decompressed(message, coding);
    match &message.payload {
        Payload::Bytes(bytes) if bytes.len() > TEXT_BYTES_MAX => stored(message, bodies),
        _ => Ok(message),
    }
}

/// All of a side's messages, ready to be written.
///
/// # Errors
/// As `keep_message`.
pub(crate) fn keep_all(
    side: &Side,
    messages: &[Message],
    bodies: &Bodies,
) -> Result<Vec<KeptMessage>, BodyError> {
    messages.iter().map(|message| keep(side, message.clone(), bodies)).collect()
}

fn keep(side: &Side, message: Message, bodies: &Bodies) -> Result<KeptMessage, BodyError> {
    let message = decompressed(message, side.coding);
    let Payload::Bytes(bytes) = &message.payload else {
        return Ok(KeptMessage { message, shown: Shown::Plain });
    };
    let shown = match &side.format {
        _ if message.compression == Compression::On || bytes.len() > TEXT_BYTES_MAX => Shown::Plain,
        Format::Json if readable(bytes).is_some() => Shown::Text,
        Format::Known(kind) => match protobuf::show(kind, bytes) {
            Some(json) if json.len() <= TEXT_BYTES_MAX => Shown::Json(json),
            _ => Shown::Plain,
        },
        Format::Json | Format::Unknown => Shown::Plain,
    };
    let message = match shown {
        Shown::Plain if bytes.len() > BINARY_BYTES_MAX => stored(message, bodies)?,
        _ => message,
    };
    Ok(KeptMessage { message, shown })
}

fn decompressed(message: Message, coding: Option<Coding>) -> Message {
    let (Compression::On, Payload::Bytes(bytes), Some(coding)) =
        (message.compression, &message.payload, coding)
    else {
        return message;
    };
    match encoding::take_off(coding, bytes, DECODED_BYTES_MAX) {
        Some(plain) => {
            let payload = Payload::Bytes(Bytes::from(plain));
            Message { compression: Compression::Off, payload, ..message }
        }
        None => message,
    }
}

pub(crate) fn stored(message: Message, bodies: &Bodies) -> Result<Message, BodyError> {
    let Payload::Bytes(bytes) = &message.payload else { return Ok(message) };
    let (digest, len) = (bodies.store(bytes)?, bytes.len() as u64);
    Ok(Message { payload: Payload::File { digest, len }, ..message })
}
