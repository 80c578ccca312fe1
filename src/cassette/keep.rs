//! How a body is kept: decoded or as it came, in the cassette or in a file of its own.
//!
//! A coding is taken off only where nothing else depends on the coded bytes and all of them
//! decode; whoever replays puts it on again. What is too large or too binary to be read goes to
//! `bodies/`.

use std::borrow::Cow;
use std::path::PathBuf;

use super::bodies::{Bodies, BodyError};
use super::call::{self, KeptMessage};
use crate::coding::{self, Extent};
use crate::exchange::{Body, Coding, Digest, End, Fields, Payload, Piece, Request, Response};
use crate::grpc::MessageType;

/// Text up to this many bytes stands in the cassette: as much as a person would scroll through.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;

/// Other bytes stand in the cassette, as base64, up to this many.
pub(crate) const BINARY_BYTES_MAX: usize = 4 << 10;

/// Decoded size up to which a body that came in memory is decoded there. Tapes keep bodies over
/// 64 KiB in files, so more than this is 250 times what came: a bomb rather than a page.
const DECODED_BYTES_MAX: u64 = 16 << 20;

/// Decoded size up to which a body in a file is decoded: eight times the largest kept by default.
const DECODED_FILE_BYTES_MAX: u64 = 2 << 30;

/// How many times what came a body in a file may be, beyond `DECODED_BYTES_MAX`.
const DECODED_RATIO_MAX: u64 = 250;

/// Header fields that are about the coded bytes: their digest, or which range of them this is.
const BOUND_TO_CODED: [&str; 8] = [
    "content-range",  // RFC 9110 section 14.4
    "content-digest", // RFC 9530 section 2
    "repr-digest",    // RFC 9530 section 3
    "digest",         // RFC 3230
    "content-md5",    // RFC 1864
    "x-goog-hash",    // checked by Google Cloud Storage's clients
    "x-ms-blob-content-md5",
    "x-ms-content-crc64",
];

/// Amazon S3's clients check `x-amz-checksum-crc32` and its like.
const BOUND_PREFIX: &[u8] = b"x-amz-checksum-";

/// A body as a cassette holds it.
pub(crate) struct Kept<'a> {
    pub(crate) coding: Option<Coding>,
    /// The coding that the headers name and that it doesn't decode by.
    pub(crate) undecoded: Option<Coding>,
    pub(crate) content: Content<'a>,
}

pub(crate) enum Content<'a> {
    Absent,
    Inline(Cow<'a, [u8]>),
    Stream(Cow<'a, [Piece]>),
    Messages(Vec<KeptMessage>),
    File { digest: Digest, len: u64 },
    Omitted { digest: Digest, len: u64 },
}

impl Content<'_> {
    /// Some of it is in `bodies/`.
    pub(crate) fn is_stored(&self) -> bool {
        match self {
            Content::File { .. } => true,
            Content::Messages(messages) => {
                messages.iter().any(|one| matches!(one.message.payload, Payload::File { .. }))
            }
            _ => false,
        }
    }
}

/// What `keep` looks at: one side of an exchange.
pub(crate) struct Message<'a> {
    pub(crate) fields: &'a Fields,
    pub(crate) trailers: &'a Fields,
    pub(crate) body: &'a Body,
    /// Already off the body, when it was read from a cassette.
    pub(crate) coding: Option<Coding>,
    /// What a gRPC call's messages are, by the endpoint's descriptors.
    kind: Option<MessageType>,
    /// How much of the content is here; none where it is a part out of the middle (206), or stops
    /// where its origin cut it, and must again.
    extent: Option<Extent>,
}

impl<'a> Message<'a> {
    pub(crate) fn of_request(request: &'a Request, kind: Option<MessageType>) -> Message<'a> {
        Message {
            fields: &request.head.fields,
            trailers: &request.trailers,
            body: &request.body,
            coding: request.coding,
            kind,
            extent: Some(if request.is_whole { Extent::Whole } else { Extent::Begun }),
        }
    }

    pub(crate) fn of_response(response: &'a Response, kind: Option<MessageType>) -> Message<'a> {
        Message {
            fields: &response.head.fields,
            trailers: &response.trailers,
            body: &response.body,
            coding: response.coding,
            kind,
            extent: match response.end {
                _ if response.head.status == 206 => None,
                End::Whole => Some(Extent::Whole),
                End::LeftByClient | End::RecorderKilled => Some(Extent::Begun),
                End::CutByOrigin | End::ResetByOrigin(_) => None,
            },
        }
    }

    /// The coding that may be taken off, if so much of the body decodes.
    fn coding_to_take_off(&self) -> Option<(Coding, Extent)> {
        let bound = self.fields.iter().chain(self.trailers.iter()).any(|field| {
            let name = field.name.to_ascii_lowercase();
            BOUND_TO_CODED.iter().any(|bound| field.is(bound)) || name.starts_with(BOUND_PREFIX)
        });
        let extent = self.extent.filter(|_| !bound && self.coding.is_none())?;
        Some((coding::of(self.fields)?, extent))
    }
}

/// Decides, decodes, and stores what doesn't stand in the cassette. `incoming` says where a body
/// file lies that is not in `bodies` yet.
///
/// # Errors
/// Body files that can't be read or written.
pub(crate) fn keep<'a>(
    message: &Message<'a>,
    bodies: &Bodies,
    incoming: &dyn Fn(Digest) -> Option<PathBuf>,
) -> Result<Kept<'a>, BodyError> {
    let coding = message.coding_to_take_off();
    let is_empty = matches!(message.body, Body::Absent);
    let undecoded = coding.filter(|_| !is_empty).map(|(coding, _)| coding);
    let as_it_is = |content| Kept { coding: message.coding, undecoded, content };
    let decoded = |coding, content| Kept { coding: Some(coding), undecoded: None, content };
    match message.body {
        Body::Absent => Ok(as_it_is(Content::Absent)),
        Body::Whole(bytes) => {
            let plain = coding.and_then(|(coding, extent)| {
                Some((coding, coding::decode(coding, bytes, extent, DECODED_BYTES_MAX).ok()?))
            });
            match plain {
                Some((coding, plain)) => {
                    Ok(decoded(coding, inline_or_file(Cow::Owned(plain), bodies)?))
                }
                None => Ok(as_it_is(inline_or_file(Cow::Borrowed(bytes), bodies)?)),
            }
        }
        Body::Pieces(pieces) => {
            let plain = coding.and_then(|(coding, extent)| {
                let plain = coding::decode_pieces(coding, pieces, extent, DECODED_BYTES_MAX);
                Some((coding, plain.ok()?))
            });
            Ok(match plain {
                Some((coding, plain)) => decoded(coding, Content::Stream(Cow::Owned(plain))),
                None => as_it_is(Content::Stream(Cow::Borrowed(pieces))),
            })
        }
        &Body::File { digest, len } => {
            let arrived = incoming(digest).filter(|path| path.exists());
            if let Some((coding, _)) = coding {
                let source = arrived.clone().unwrap_or_else(|| bodies.path_of(digest));
                let out_max = len
                    .saturating_mul(DECODED_RATIO_MAX)
                    .clamp(DECODED_BYTES_MAX, DECODED_FILE_BYTES_MAX);
                let stored = match bodies.store_decoded(&source, coding, out_max) {
                    // A cassette may be written again without its body files; its use will tell.
                    Err(BodyError::Missing(_)) => None,
                    stored => stored?,
                };
                if let Some((digest, len)) = stored {
                    return Ok(decoded(coding, Content::File { digest, len }));
                }
            }
            if let Some(path) = arrived {
                bodies.adopt(&path, digest)?;
            }
            Ok(as_it_is(Content::File { digest, len }))
        }
        Body::Messages(messages) => {
            let side = call::Side::of(message.fields, message.kind.clone());
            let kept = call::keep_all(&side, messages, bodies)?;
            Ok(as_it_is(Content::Messages(kept)))
        }
        &Body::Omitted { digest, len } => Ok(as_it_is(Content::Omitted { digest, len })),
    }
}

fn inline_or_file<'a>(bytes: Cow<'a, [u8]>, bodies: &Bodies) -> Result<Content<'a>, BodyError> {
    let small = bytes.len() <= BINARY_BYTES_MAX
        || (bytes.len() <= TEXT_BYTES_MAX && readable(&bytes).is_some());
    if small {
        return Ok(Content::Inline(bytes));
    }
    let len = bytes.len() as u64;
    Ok(Content::File { digest: bodies.store(&bytes)?, len })
}

/// `bytes` as text, if people can read it: UTF-8 without control characters other than those that
/// lay out lines.
pub(crate) fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lays_out = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r');
    text.bytes().all(|byte| byte >= 0x20 || lays_out(byte)).then_some(text)
}
