//! Recorded answers made ready to be sent: content coded again, and small ones framed ahead.
//!
//! Pure. What is made here is kept with the recording and sent to whoever asks.

use bytes::Bytes;

use crate::coding::{self, EncodeError};
use crate::config::Endpoint;
use crate::exchange::{Body, End, Exchange, Response, Version};
use crate::http::answer::{self, Asked};
use crate::http::hop;
use crate::http1::framing::Framing;
use crate::http1::writer;
use crate::replay::answer::{Answer, Content};

/// Answers up to this size are kept as one run of bytes, head and body.
const WIRE_MAX: usize = 16 << 10;

pub(super) fn prepare(exchange: &Exchange, endpoint: &Endpoint) -> Answer {
    let response = &exchange.response;
    let content = match coded(response) {
        Ok(content) => content,
        Err(error) => Content::Unusable(error.to_string()),
    };
    let wire = wire(exchange, endpoint, &content);
    Answer { content, wire }
}

/// The whole answer as one run of bytes, where it is one for every ordinary request.
fn wire(exchange: &Exchange, endpoint: &Endpoint, content: &Content) -> Option<Bytes> {
    let response = &exchange.response;
    let body = match content {
        Content::None => &[][..],
        Content::Whole(bytes) if bytes.len() <= WIRE_MAX => bytes,
        _ => return None,
    };
    let plain = response.end == End::Whole
        && response.interim.is_empty()
        && exchange.request.head.method != "HEAD"
        && !answer::depends_on_host(&response.head, endpoint);
    if !plain {
        return None;
    }
    let asked = Asked { version: Version::Http11, is_head: false, keep_alive: true, host: "" };
    let framing = framing_of(response, content, &asked);
    let mut out = Vec::with_capacity(response.head.fields.text_bytes() + body.len() + 256);
    answer::write_head(&mut out, &response.head, endpoint, &asked, framing);
    match framing {
        Framing::Chunked => {
            if !body.is_empty() {
                writer::chunk_head(&mut out, body.len());
                out.extend_from_slice(body);
                writer::chunk_end(&mut out);
            }
            writer::last_chunk(&mut out, &hop::passing(&response.trailers));
        }
        Framing::None => {}
        _ => out.extend_from_slice(body),
    }
    Some(out.into())
}

/// The body as it goes out: with its content coding on again.
fn coded(response: &Response) -> Result<Content, EncodeError> {
    Ok(match coding::recode(&response.body, response.coding)? {
        Body::Absent => Content::None,
        Body::Whole(bytes) => Content::Whole(bytes),
        Body::Pieces(pieces) => Content::Pieces(pieces),
        Body::File { digest, len } => Content::File { digest, len, coding: response.coding },
        Body::Omitted { digest, len } => Content::Unusable(format!(
            "its body of {len} bytes was larger than `max_kept_body` and was not kept; its \
             SHA-256 is {digest}"
        )),
    })
}

pub(super) fn framing_of(response: &Response, content: &Content, asked: &Asked<'_>) -> Framing {
    let declared = response
        .head
        .fields
        .get("content-length")
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok());
    let length = match content {
        // A cut answer promises what its origin promised, and breaks the promise where it did.
        _ if response.end != End::Whole => declared,
        _ if response.head.fields.contains("transfer-encoding") => None,
        _ if !response.trailers.is_empty() => None,
        Content::None => Some(0),
        Content::Whole(bytes) => Some(bytes.len() as u64),
        Content::File { len, coding: None, .. } => Some(*len),
        Content::File { coding: Some(_), .. } => None,
        Content::Pieces(pieces) => {
            declared.map(|_| pieces.iter().map(|piece| piece.bytes.len() as u64).sum())
        }
        Content::Unusable(_) => Some(0),
    };
    answer::framing(asked, response.head.status, length)
}
