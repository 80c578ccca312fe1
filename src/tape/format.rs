//! The tape's format: frames to bytes and back.
//!
//! Pure. A tape is a run of frames, the first of which is its header. A frame on disk is
//!
//! ```text
//! crc32c  u32   of everything behind it
//! length  u32   of everything behind it
//! kind    u8
//! seq     u64   the exchange it belongs to; 0 for the tape's own header
//! payload       what the kind says, see `wire`
//! ```
//!
//! all integers little-endian. The checksum covers the length, so a torn or flipped frame is told
//! from a whole one whatever was hit. An exchange is the frames with its seq, in their order.

use std::borrow::Cow;
use std::time::Duration;

use super::codes::{
    put_close_code, put_end, put_message, put_part, put_party, put_side, take_close_code, take_end,
    take_message, take_part, take_party, take_side,
};
use super::wire::{
    Malformed, Take, put_bytes, put_duration, put_fields, put_len, put_request_head,
    put_response_head, put_u64,
};
use crate::cassette::EndpointNote;
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::{self, Digest, End, Fields, Party, RequestHead, ResponseHead, Seq};
use crate::ws::frame::Mask;

/// Opens the header frame's payload, so that `file` and a person with `xxd` can tell a tape.
const MAGIC: [u8; 8] = *b"oulitape";

/// The version this program writes, and the only one that it reads.
pub const FORMAT: u16 = 2;

/// Checksum and length.
pub const PREFIX_BYTES: usize = 8;

const CRC_BYTES: usize = 4;

/// Kind and seq.
const TAG_BYTES: usize = 9;

/// Whose bytes: the client's request or the origin's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Request,
    Response,
}

/// Which part of a WebSocket message some bytes are: all of it, where it both begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the message is that begins with this part, and whether it is compressed on the wire.
    pub begins: Option<(exchange::Kind, bool)>,
    /// The message is whole with this part.
    pub ends: bool,
}

/// What a tape says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub run: String,
    /// Milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    pub endpoints: Vec<EndpointNote>,
}

/// One record of a tape. Borrowed from the caller when written, from the file's bytes when read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Tape(Cow<'a, Header>),
    Opened {
        session: &'a str,
        endpoint: &'a str,
        recorded_at_ms: u64,
        head: Cow<'a, RequestHead>,
    },
    /// What one read from the client gave. `at` counts from the request head's arrival, here and
    /// below. Frames of the request may also come behind `Ended`.
    RequestData {
        at: Duration,
        bytes: &'a [u8],
    },
    /// Like `RequestData`, for bytes that aren't on the tape: see `BodyFile` and `Overflowed`.
    RequestSpan {
        at: Duration,
        len: u64,
    },
    RequestEnded {
        trailers: Cow<'a, Fields>,
    },
    Interim {
        at: Duration,
        head: Cow<'a, ResponseHead>,
    },
    Answered {
        at: Duration,
        head: Cow<'a, ResponseHead>,
    },
    /// What one read from the origin gave.
    Data {
        at: Duration,
        bytes: &'a [u8],
    },
    /// Like `Data`, for bytes that aren't on the tape.
    Span {
        at: Duration,
        len: u64,
    },
    Ended {
        end: End,
        trailers: Cow<'a, Fields>,
    },
    /// From here on this side's whole body stands in its own file, what was on the tape included.
    BodyFile(Side),
    /// The body in this side's own file is complete.
    BodyDigest {
        side: Side,
        len: u64,
        digest: Digest,
    },
    /// The body passed `max_kept_body`: its bytes aren't kept, what was on the tape included.
    Overflowed(Side),
    /// What is known of an overflowed body now that it is over.
    Omitted {
        side: Side,
        len: u64,
        digest: Digest,
    },
    /// The exchange came to nothing.
    Abandoned,
    /// Bytes of a WebSocket message, in the order of the wire: unmasked, and as compressed as they
    /// came.
    Said {
        at: Duration,
        side: Side,
        part: Part,
        bytes: &'a [u8],
    },
    /// The WebSocket message under way passed `max_ws_message` and is over: its bytes aren't kept,
    /// what is on the tape included. Length and digest are those of its unmasked bytes on the wire.
    Unkept {
        at: Duration,
        side: Side,
        kind: exchange::Kind,
        compressed: bool,
        len: u64,
        digest: Digest,
    },
    /// A close frame of a WebSocket conversation; the first counts.
    Closed {
        at: Duration,
        by: Party,
        code: Option<u16>,
        reason: &'a str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Tape = 1,
    Opened = 2,
    RequestData = 3,
    RequestSpan = 4,
    RequestEnded = 5,
    Interim = 6,
    Answered = 7,
    Data = 8,
    Span = 9,
    Ended = 10,
    BodyFile = 11,
    BodyDigest = 12,
    Overflowed = 13,
    Omitted = 14,
    Abandoned = 15,
    Said = 16,
    Unkept = 17,
    Closed = 18,
}

impl Kind {
    const ALL: [Kind; 18] = [
        Kind::Tape,
        Kind::Opened,
        Kind::RequestData,
        Kind::RequestSpan,
        Kind::RequestEnded,
        Kind::Interim,
        Kind::Answered,
        Kind::Data,
        Kind::Span,
        Kind::Ended,
        Kind::BodyFile,
        Kind::BodyDigest,
        Kind::Overflowed,
        Kind::Omitted,
        Kind::Abandoned,
        Kind::Said,
        Kind::Unkept,
        Kind::Closed,
    ];

    fn from_code(code: u8) -> Option<Kind> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

impl Frame<'_> {
    fn kind(&self) -> Kind {
        match self {
            Frame::Tape(_) => Kind::Tape,
            Frame::Opened { .. } => Kind::Opened,
            Frame::RequestData { .. } => Kind::RequestData,
            Frame::RequestSpan { .. } => Kind::RequestSpan,
            Frame::RequestEnded { .. } => Kind::RequestEnded,
            Frame::Interim { .. } => Kind::Interim,
            Frame::Answered { .. } => Kind::Answered,
            Frame::Data { .. } => Kind::Data,
            Frame::Span { .. } => Kind::Span,
            Frame::Ended { .. } => Kind::Ended,
            Frame::BodyFile(_) => Kind::BodyFile,
            Frame::BodyDigest { .. } => Kind::BodyDigest,
            Frame::Overflowed(_) => Kind::Overflowed,
            Frame::Omitted { .. } => Kind::Omitted,
            Frame::Abandoned => Kind::Abandoned,
            Frame::Said { .. } => Kind::Said,
            Frame::Unkept { .. } => Kind::Unkept,
            Frame::Closed { .. } => Kind::Closed,
        }
    }
}

/// Appends one frame to `out`.
pub fn encode(out: &mut Vec<u8>, seq: Seq, frame: &Frame<'_>) {
    let start = open(out, seq, frame.kind() as u8);
    put(out, frame);
    close(out, start);
}

/// As `encode`, of a part of a message whose bytes are still masked. On the tape they are not.
pub fn encode_masked(out: &mut Vec<u8>, seq: Seq, frame: &Frame<'_>, mut mask: Mask) {
    let start = open(out, seq, frame.kind() as u8);
    put(out, frame);
    if let Frame::Said { bytes, .. } = frame {
        let at = out.len() - bytes.len();
        mask.apply(&mut out[at..]);
    }
    close(out, start);
}

fn put(out: &mut Vec<u8>, frame: &Frame<'_>) {
    match frame {
        Frame::Tape(header) => put_header(out, header),
        Frame::Opened { session, endpoint, recorded_at_ms, head } => {
            put_u64(out, *recorded_at_ms);
            put_bytes(out, session.as_bytes());
            put_bytes(out, endpoint.as_bytes());
            put_request_head(out, head);
        }
        Frame::RequestEnded { trailers } => put_fields(out, trailers),
        Frame::Interim { at, head } | Frame::Answered { at, head } => {
            put_duration(out, *at);
            put_response_head(out, head);
        }
        Frame::RequestData { at, bytes } | Frame::Data { at, bytes } => {
            put_duration(out, *at);
            out.extend_from_slice(bytes);
        }
        Frame::RequestSpan { at, len } | Frame::Span { at, len } => {
            put_duration(out, *at);
            put_u64(out, *len);
        }
        Frame::Ended { end, trailers } => {
            put_end(out, *end);
            put_fields(out, trailers);
        }
        Frame::BodyFile(side) | Frame::Overflowed(side) => put_side(out, *side),
        Frame::BodyDigest { side, len, digest } | Frame::Omitted { side, len, digest } => {
            put_side(out, *side);
            put_u64(out, *len);
            out.extend_from_slice(&digest.0);
        }
        Frame::Abandoned => {}
        Frame::Said { at, side, part, bytes } => {
            put_duration(out, *at);
            put_side(out, *side);
            put_part(out, *part);
            out.extend_from_slice(bytes);
        }
        Frame::Unkept { at, side, kind, compressed, len, digest } => {
            put_duration(out, *at);
            put_side(out, *side);
            put_message(out, *kind, *compressed);
            put_u64(out, *len);
            out.extend_from_slice(&digest.0);
        }
        Frame::Closed { at, by, code, reason } => {
            put_duration(out, *at);
            put_party(out, *by);
            put_close_code(out, *code);
            put_bytes(out, reason.as_bytes());
        }
    }
}

/// Appends a frame of any kind and payload, with the right checksum.
#[cfg(any(test, fuzzing))]
pub fn encode_any(out: &mut Vec<u8>, seq: Seq, kind: u8, payload: &[u8]) {
    let start = open(out, seq, kind);
    out.extend_from_slice(payload);
    close(out, start);
}

/// Begins a frame, and says where.
fn open(out: &mut Vec<u8>, seq: Seq, kind: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.push(kind);
    put_u64(out, seq.0);
    start
}

/// Fills in the prefix of the frame that begins at `start`.
fn close(out: &mut [u8], start: usize) {
    let Some((crc, rest)) = out[start..].split_first_chunk_mut::<CRC_BYTES>() else { return };
    let len = (rest.len() - (PREFIX_BYTES - CRC_BYTES)) as u32;
    rest[..PREFIX_BYTES - CRC_BYTES].copy_from_slice(&len.to_le_bytes());
    *crc = crc32c::crc32c(rest).to_le_bytes();
}

fn put_header(out: &mut Vec<u8>, header: &Header) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    put_bytes(out, header.run.as_bytes());
    put_u64(out, header.started_at_ms);
    put_len(out, header.endpoints.len());
    for endpoint in &header.endpoints {
        put_bytes(out, endpoint.name.as_bytes());
        put_bytes(out, endpoint.listen.to_string().as_bytes());
        out.push(match endpoint.source_type {
            SourceType::Http => 1,
            SourceType::Https => 2,
        });
        out.push(match endpoint.origin.scheme {
            Scheme::Http => 1,
            Scheme::Https => 2,
            Scheme::H2c => 3,
        });
        put_bytes(out, endpoint.origin.host.as_bytes());
        out.extend_from_slice(&endpoint.origin.port.to_le_bytes());
    }
}

/// A frame whose checksum holds, its payload not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    pub seq: Seq,
    pub kind: Kind,
    payload: &'a [u8],
}

/// What stands at the beginning of some bytes of a tape.
#[derive(Debug)]
pub enum Split<'a> {
    Frame {
        raw: Raw<'a>,
        /// Bytes that it takes on the tape.
        size: usize,
    },
    /// There may be a frame; it takes this many bytes in all, as far as one can tell.
    Short { size: usize },
    /// No frame: the checksum, the kind or the size is wrong.
    Damaged,
}

/// Takes the frame at the beginning of `input`.
pub fn split(input: &[u8]) -> Split<'_> {
    let Some(([c0, c1, c2, c3, l0, l1, l2, l3], _)) = input.split_first_chunk::<PREFIX_BYTES>()
    else {
        return Split::Short { size: PREFIX_BYTES };
    };
    let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    if len < TAG_BYTES {
        return Split::Damaged;
    }
    let size = PREFIX_BYTES + len;
    let Some(covered) = input.get(CRC_BYTES..size) else { return Split::Short { size } };
    if crc32c::crc32c(covered) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
        return Split::Damaged;
    }
    let rest = covered.get(PREFIX_BYTES - CRC_BYTES..).unwrap_or_default();
    let mut take = Take(rest);
    match (take.u8().map(Kind::from_code), take.u64()) {
        (Ok(Some(kind)), Ok(seq)) => {
            Split::Frame { raw: Raw { seq: Seq(seq), kind, payload: take.0 }, size }
        }
        _ => Split::Damaged,
    }
}

impl<'a> Raw<'a> {
    /// Looks at the payload.
    pub fn decode(&self) -> Result<Frame<'a>, Malformed> {
        let mut take = Take(self.payload);
        let frame = match self.kind {
            Kind::Tape => Frame::Tape(Cow::Owned(take_header(&mut take)?)),
            Kind::Opened => Frame::Opened {
                recorded_at_ms: take.u64()?,
                session: take.str()?,
                endpoint: take.str()?,
                head: Cow::Owned(take.request_head()?),
            },
            Kind::RequestData => {
                Frame::RequestData { at: take.duration()?, bytes: std::mem::take(&mut take.0) }
            }
            Kind::RequestSpan => Frame::RequestSpan { at: take.duration()?, len: take.u64()? },
            Kind::RequestEnded => Frame::RequestEnded { trailers: Cow::Owned(take.fields()?) },
            Kind::Interim => {
                Frame::Interim { at: take.duration()?, head: Cow::Owned(take.response_head()?) }
            }
            Kind::Answered => {
                Frame::Answered { at: take.duration()?, head: Cow::Owned(take.response_head()?) }
            }
            Kind::Data => Frame::Data { at: take.duration()?, bytes: std::mem::take(&mut take.0) },
            Kind::Span => Frame::Span { at: take.duration()?, len: take.u64()? },
            Kind::Ended => {
                Frame::Ended { end: take_end(&mut take)?, trailers: Cow::Owned(take.fields()?) }
            }
            Kind::BodyFile => Frame::BodyFile(take_side(&mut take)?),
            Kind::BodyDigest => {
                let (side, len, digest) = take_body_note(&mut take)?;
                Frame::BodyDigest { side, len, digest }
            }
            Kind::Overflowed => Frame::Overflowed(take_side(&mut take)?),
            Kind::Omitted => {
                let (side, len, digest) = take_body_note(&mut take)?;
                Frame::Omitted { side, len, digest }
            }
            Kind::Abandoned => Frame::Abandoned,
            Kind::Said => Frame::Said {
                at: take.duration()?,
                side: take_side(&mut take)?,
                part: take_part(&mut take)?,
                bytes: std::mem::take(&mut take.0),
            },
            Kind::Unkept => {
                let (at, side) = (take.duration()?, take_side(&mut take)?);
                let (kind, compressed) = take_message(&mut take)?;
                let (len, digest) = (take.u64()?, Digest(take.digest()?));
                Frame::Unkept { at, side, kind, compressed, len, digest }
            }
            Kind::Closed => Frame::Closed {
                at: take.duration()?,
                by: take_party(&mut take)?,
                code: take_close_code(&mut take)?,
                reason: take.str()?,
            },
        };
        take.nothing_more()?;
        Ok(frame)
    }
}

fn take_body_note(take: &mut Take<'_>) -> Result<(Side, u64, Digest), Malformed> {
    Ok((take_side(take)?, take.u64()?, Digest(take.digest()?)))
}

fn take_header(take: &mut Take<'_>) -> Result<Header, Malformed> {
    if take.raw(MAGIC.len())? != MAGIC || take.u16()? != FORMAT {
        return Err(Malformed);
    }
    let run = take.str()?.to_owned();
    let started_at_ms = take.u64()?;
    let endpoints = (0..take.len()?).map(|_| take_endpoint(take)).collect::<Result<_, _>>()?;
    Ok(Header { run, started_at_ms, endpoints })
}

fn take_endpoint(take: &mut Take<'_>) -> Result<EndpointNote, Malformed> {
    Ok(EndpointNote {
        name: take.str()?.to_owned(),
        listen: take.str()?.parse().map_err(|_| Malformed)?,
        source_type: match take.u8()? {
            1 => SourceType::Http,
            2 => SourceType::Https,
            _ => return Err(Malformed),
        },
        origin: Target {
            scheme: match take.u8()? {
                1 => Scheme::Http,
                2 => Scheme::Https,
                3 => Scheme::H2c,
                _ => return Err(Malformed),
            },
            host: take.str()?.to_owned(),
            port: take.u16()?,
        },
    })
}

/// The version that the first frame of `tape` names, if it is a tape's header at all. What a
/// program of this version can't read is told from what nobody can.
pub fn version_of(tape: &[u8]) -> Option<u16> {
    let Split::Frame { raw: Raw { kind: Kind::Tape, payload, .. }, .. } = split(tape) else {
        return None;
    };
    let mut take = Take(payload);
    (take.raw(MAGIC.len()).ok()? == MAGIC).then(|| take.u16().ok())?
}
