//! What of a request's body goes into the match key: a digest of its canonical form, computed as
//! the body flows.
//!
//! A body counts decoded when its content coding can be taken off, and coded when it can't, so
//! that a live coded request and the recorded decoded one are the same. Memory is bounded by
//! `match_bytes_max`: a larger body counts by the digest of its bytes, which is also the name of
//! the file that a recording keeps it in.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::coded::Coded;
use super::{form, json, multipart};
use crate::coding;
use crate::config::Limits;
use crate::exchange::{Coding, Digest, Fields};

/// The body's share of a match key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPrint<'a> {
    /// No body, or an empty one.
    None,
    /// Whatever was to come of a body that is recorded only in part. No live body has this print.
    Part,
    /// The messages of a gRPC call, which are compared one by one as they come.
    Call,
    /// A handshake that asks for a WebSocket conversation, whose messages are compared likewise.
    /// With the subprotocols that it [offers](super::handshake::offered).
    Conversation(&'a [u8]),
    /// By its bytes.
    Bytes(Digest),
    /// By value.
    Json(Digest),
    /// By fields.
    Form(Digest),
    /// By parts, whatever the boundary.
    Multipart(Digest),
}

/// How much work a body may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Decoded bytes up to which a body is kept and compared in canonical form.
    pub match_bytes_max: usize,
    /// Decoded bytes up to which a content coding is taken off.
    pub decoded_bytes_max: u64,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Bounds {
        Bounds { match_bytes_max: limits.max_match_body, decoded_bytes_max: limits.max_kept_body }
    }
}

/// Accumulates one request body. Costs nothing until the first byte comes.
pub struct BodyKey {
    kind: Kind,
    bounds: Bounds,
    coded: Option<Coded>,
    /// The decoded content, while it is within bounds.
    kept: Vec<u8>,
    /// Takes over from `kept` when the content passes its bound.
    flowing: Option<Box<Flowing>>,
    /// `kept` isn't the whole content: there was more than may be kept, or it doesn't decode.
    in_part: bool,
    /// Decoded bytes so far.
    len: u64,
}

/// What the content type says about comparing.
enum Kind {
    Json,
    Form,
    /// With its boundary.
    Multipart(Box<[u8]>),
    /// No type, or plain text: JSON if it looks like it, for clients that don't say.
    Unsaid,
    Bytes,
}

struct Flowing {
    bytes: Sha256,
    parts: Option<multipart::Parts>,
}

impl BodyKey {
    /// For a live request with these fields. `buffer` gives its memory and is cleared;
    /// [`into_buffer`](Self::into_buffer) gives it back.
    pub fn new(fields: &Fields, bounds: Bounds, buffer: Vec<u8>) -> BodyKey {
        BodyKey::start(fields, coding::of(fields), bounds, buffer)
    }

    /// For a recorded request whose body has had `taken_off` taken off already.
    pub fn recorded(fields: &Fields, taken_off: Option<Coding>, bounds: Bounds) -> BodyKey {
        let still_on = if taken_off.is_some() { None } else { coding::of(fields) };
        BodyKey::start(fields, still_on, bounds, Vec::new())
    }

    fn start(fields: &Fields, on: Option<Coding>, bounds: Bounds, mut kept: Vec<u8>) -> BodyKey {
        kept.clear();
        BodyKey {
            kind: Kind::of(fields),
            bounds,
            coded: on.map(|coding| Coded::new(coding, bounds.decoded_bytes_max)),
            kept,
            flowing: None,
            in_part: false,
            len: 0,
        }
    }

    /// Whether the print of `len` bytes takes more than the SHA-256 digest that they are known by.
    pub fn needs_content(&self, len: u64) -> bool {
        let in_bounds = usize::try_from(len).is_ok_and(|len| len <= self.bounds.match_bytes_max);
        match self.kind {
            _ if self.coded.is_some() => true,
            Kind::Bytes => false,
            Kind::Multipart(_) => true,
            Kind::Json | Kind::Form | Kind::Unsaid => in_bounds,
        }
    }

    /// Takes the next bytes of the body, cut anywhere, its transfer coding off.
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let Some(mut coded) = self.coded.take() else { return self.take(bytes) };
        coded.push(bytes, |decoded| self.take(decoded));
        self.coded = Some(coded);
    }

    /// Takes decoded content.
    fn take(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if let Some(flowing) = &mut self.flowing {
            return flowing.push(bytes);
        }
        if self.kept.len() + bytes.len() <= self.bounds.match_bytes_max {
            return self.kept.extend_from_slice(bytes);
        }
        let mut flowing = Flowing::new(&self.kind);
        flowing.push(&self.kept);
        flowing.push(bytes);
        self.kept.clear();
        self.in_part = true;
        self.flowing = Some(Box::new(flowing));
    }

    /// The body has ended.
    pub fn finish(&mut self) -> BodyPrint<'static> {
        if let Some(coded) = self.coded.take()
            && let Err(coded) = coded.finish()
        {
            self.in_part = true;
            return BodyPrint::Bytes(coded);
        }
        match self.flowing.take() {
            Some(flowing) => flowing.finish(),
            None => self.kind.print(&self.kept),
        }
    }

    /// The whole content, decoded. None when it was larger than `match_bytes_max` or doesn't
    /// decode.
    pub fn content(&self) -> Option<&[u8]> {
        (!self.in_part).then_some(&self.kept)
    }

    /// The content as people compare it: without the boundary that its client made up.
    pub(crate) fn content_to_show(&self) -> Option<Cow<'_, [u8]>> {
        let content = self.content()?;
        Some(match &self.kind {
            Kind::Multipart(boundary) => multipart::without_boundary(content, boundary).into(),
            _ => content.into(),
        })
    }

    /// Decoded bytes that have come.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The buffer that was given to `new`, grown perhaps.
    pub fn into_buffer(self) -> Vec<u8> {
        self.kept
    }
}

impl Flowing {
    fn new(kind: &Kind) -> Flowing {
        let parts = match kind {
            Kind::Multipart(boundary) => Some(multipart::Parts::new(boundary)),
            _ => None,
        };
        Flowing { bytes: Sha256::new(), parts }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.update(bytes);
        if let Some(parts) = &mut self.parts {
            parts.push(bytes);
        }
    }

    fn finish(self) -> BodyPrint<'static> {
        match self.parts.and_then(multipart::Parts::finish) {
            Some(digest) => BodyPrint::Multipart(digest),
            None => BodyPrint::Bytes(Digest(self.bytes.finalize().into())),
        }
    }
}

impl Kind {
    fn of(fields: &Fields) -> Kind {
        let Some(content_type) = fields.get("content-type") else { return Kind::Unsaid };
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
        if is("application/json") || is("text/json") || ends_with(essence, b"+json") {
            return Kind::Json;
        }
        if is("application/x-www-form-urlencoded") {
            return Kind::Form;
        }
        if is("text/plain") {
            return Kind::Unsaid;
        }
        let multipart =
            essence.get(..10).is_some_and(|top| top.eq_ignore_ascii_case(b"multipart/"));
        match multipart::boundary(content_type) {
            Some(boundary) if multipart => Kind::Multipart(boundary.into()),
            _ => Kind::Bytes,
        }
    }

    fn print(&self, content: &[u8]) -> BodyPrint<'static> {
        if content.is_empty() {
            return BodyPrint::None;
        }
        if self.may_be_json(content)
            && let Some(digest) = json::digest(content)
        {
            return BodyPrint::Json(digest);
        }
        match self {
            Kind::Form => {
                let mut canonical = Vec::new();
                form::canonical(content, &mut canonical);
                BodyPrint::Form(sha256(&canonical))
            }
            Kind::Multipart(_) => {
                let mut parts = Flowing::new(self);
                parts.push(content);
                parts.finish()
            }
            Kind::Json | Kind::Unsaid | Kind::Bytes => BodyPrint::Bytes(sha256(content)),
        }
    }

    fn may_be_json(&self, content: &[u8]) -> bool {
        match self {
            Kind::Json => true,
            // Curl says "form" when nobody told it otherwise, and no form starts like this.
            Kind::Form | Kind::Unsaid => {
                matches!(content.trim_ascii_start().first(), Some(b'{' | b'['))
            }
            Kind::Multipart(_) | Kind::Bytes => false,
        }
    }
}

fn ends_with(text: &[u8], ending: &[u8]) -> bool {
    let start = text.len().checked_sub(ending.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}
