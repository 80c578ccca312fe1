//! The domain nouns: what one request and its answer are, whatever road they came.
//!
//! Pure data, shared by the codec, the tape, the cassette and replay. Owns no bytes of a large
//! body: those are named by their digest. Field order, case and repetition are kept as they came.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;

/// Position of a request among all requests of a recording run: taken when its head is complete,
/// shared by all runtimes, so it is also the order of occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        }
    }
}

/// All that can stand in a status line without being taken for something shorter: three digits (RFC
/// 9112 section 4), of which servers should send no more than 599 (RFC 9110 section 15) and some do.
pub const STATUSES: RangeInclusive<u16> = 100..=999;

/// One header field as it stood on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether the field has this name; case doesn't count (RFC 9110 section 5.1).
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

/// Header or trailer fields in the order, case and repetition of the wire.
///
/// All text lies in one buffer, so that a list costs two allocations, and none when it is used
/// again after `clear`.
#[derive(Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    name_len: u32,
    value_len: u32,
}

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }

    /// With room for so many fields, whose names and values are so many bytes.
    pub fn with_capacity(count: usize, text_bytes: usize) -> Self {
        Fields { text: Vec::with_capacity(text_bytes), spans: Vec::with_capacity(count) }
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of all names and values together.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// All names and values, one after the other: to look for a byte in all of them at once.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Bytes this list keeps allocated, used or not.
    pub fn capacity_bytes(&self) -> usize {
        self.text.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        self.spans.push(Span {
            start: self.text.len() as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
        });
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Field<'_>> + Clone {
        self.spans.iter().map(|span| {
            let name_end = span.start as usize + span.name_len as usize;
            Field {
                name: &self.text[span.start as usize..name_end],
                value: &self.text[name_end..name_end + span.value_len as usize],
            }
        })
    }

    /// The first value under this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |field| field.is(name)).map(|field| field.value)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut fields = Fields::new();
        for (name, value) in pairs {
            fields.push(name, value);
        }
        fields
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// As sent; methods are case-sensitive (RFC 9110 section 9.1).
    pub method: String,
    /// The request target as sent, neither decoded nor normalised: `/a%20b?x=1`.
    pub target: String,
    pub version: Version,
    pub fields: Fields,
}

impl Default for RequestHead {
    fn default() -> Self {
        RequestHead {
            method: String::new(),
            target: String::new(),
            version: Version::Http11,
            fields: Fields::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    /// Bytes, because obs-text is allowed here (RFC 9112 section 4). Empty is fine.
    pub reason: Vec<u8>,
    pub fields: Fields,
}

impl Default for ResponseHead {
    fn default() -> Self {
        ResponseHead {
            version: Version::Http11,
            status: 200,
            reason: Vec::new(),
            fields: Fields::new(),
        }
    }
}

/// A SHA-256 digest; shown in lower-case hex, which is also the body's file name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What arrived together of a streamed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Since the request head's arrival.
    pub at: Duration,
    pub bytes: Bytes,
}

/// How far a gRPC request, or a WebSocket conversation's client, had come when something of the
/// answer did, as Ouli saw it: what a replay waits for before it sends the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum After {
    /// So many whole messages of it.
    Messages(u32),
    /// All of it, and its end; of a conversation, the client's close.
    #[default]
    End,
}

/// One message of a gRPC call, its length prefix off, or of a WebSocket conversation, put together
/// from its frames and unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Since the request head's arrival.
    pub at: Duration,
    /// How far the request had come. Says nothing on a request's own messages.
    pub after: After,
    pub kind: Kind,
    pub compression: Compression,
    pub payload: Payload,
}

/// What a WebSocket message says that it is. gRPC's messages are binary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    Binary,
    /// UTF-8, unless its sender broke the rules.
    Text,
}

/// What a gRPC message's prefix, or a WebSocket message's first frame, says about compression, and
/// whether it is still on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    /// The payload is as it was on the wire: by the coding that `grpc-encoding` names, or by
    /// permessage-deflate.
    On,
    /// Taken off, and put on again when the message is sent.
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    Bytes(Bytes),
    /// In a file of its own under `bodies/`, named by its digest.
    File {
        digest: Digest,
        len: u64,
    },
    /// Bytes at the end of a gRPC body that are no whole message, their prefix included.
    Rest(Bytes),
    /// A WebSocket message too large to keep: passed on, not stored. Where `Compression::On` is
    /// beside it, this is about the compressed bytes.
    Omitted {
        digest: Digest,
        len: u64,
    },
}

impl End {
    /// Whether the answer stops where its origin broke off.
    pub fn is_by_origin(self) -> bool {
        matches!(self, End::CutByOrigin | End::ResetByOrigin(_))
    }
}

impl Payload {
    /// Bytes.
    pub fn len(&self) -> u64 {
        match self {
            Payload::Bytes(bytes) | Payload::Rest(bytes) => bytes.len() as u64,
            Payload::File { len, .. } | Payload::Omitted { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The content of a message after its transfer coding is taken off. What `Content-Encoding` put on
/// is still on in a tape; in a cassette it is off where `Message::coding` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Absent,
    Whole(Bytes),
    /// Kept piece by piece, because when each came matters.
    Pieces(Vec<Piece>),
    /// Of a gRPC call or a WebSocket conversation, message by message.
    Messages(Vec<Message>),
    /// In a file of its own under `bodies/`, named by its digest.
    File {
        digest: Digest,
        len: u64,
    },
    /// Too large to keep: passed on, not stored.
    Omitted {
        digest: Digest,
        len: u64,
    },
}

/// Content codings that Ouli takes off and puts on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    /// The zlib format (RFC 9110 section 8.4.1.2).
    Deflate,
    Brotli,
    Zstd,
}

/// Why a stream of HTTP/2 was reset (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResetCode(pub u32);

impl ResetCode {
    pub const INTERNAL_ERROR: ResetCode = ResetCode(2);
    pub const CANCEL: ResetCode = ResetCode(8);

    /// By their number.
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];

    /// `CANCEL`, or the number of a code that has no name.
    pub fn from_name(name: &str) -> Option<ResetCode> {
        match Self::NAMES.iter().position(|known| *known == name) {
            Some(code) => Some(ResetCode(code as u32)),
            None => name.parse().ok().map(ResetCode),
        }
    }
}

impl fmt::Display for ResetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// The origin broke off; the body stops at the byte where it did.
    CutByOrigin,
    /// The origin reset the stream of HTTP/2 that it came on; as `CutByOrigin`, with a reason.
    ResetByOrigin(ResetCode),
    /// The client went away before the end.
    LeftByClient,
    /// The recorder was killed before the end came.
    RecorderKilled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As the origin was sent it: hop-by-hop fields gone, `Host` the origin's, secrets redacted.
    pub head: RequestHead,
    pub body: Body,
    /// The coding that is off the body but named in the head.
    pub coding: Option<Coding>,
    pub trailers: Fields,
    /// Whether its end came. Where it didn't, the answer was over or the client gone before that,
    /// and the body is as far as it came. The end of a WebSocket conversation's client is its
    /// close, where it closed first.
    pub is_whole: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// From the request head's arrival to the answer head's.
    pub at: Duration,
    /// How far the request had come by then; always `End` where it is neither a gRPC call nor a
    /// WebSocket conversation.
    pub after: After,
    /// Interim answers (1xx) in their order, 101 excluded.
    pub interim: Vec<ResponseHead>,
    /// As the origin sent it, framing fields included, secrets redacted.
    pub head: ResponseHead,
    pub body: Body,
    /// The coding that is off the body but named in the head.
    pub coding: Option<Coding>,
    pub trailers: Fields,
    pub end: End,
    /// How far the request had come at the end; always `End` where it is neither a gRPC call nor a
    /// WebSocket conversation.
    pub end_after: After,
    /// Who closed a WebSocket conversation first, and how. None where nobody did before its
    /// connection ended, and for what is no conversation.
    pub close: Option<Close>,
}

/// The first close frame of a WebSocket conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Since the request head's arrival.
    pub at: Duration,
    pub by: Party,
    /// None where the frame was empty (RFC 6455 section 7.1.5).
    pub code: Option<u16>,
    pub reason: String,
}

/// Who takes part in a WebSocket conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    Client,
    Origin,
    /// The recorder, when it was stopped.
    Ouli,
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The name of the endpoint it came through.
    pub endpoint: String,
    /// Milliseconds since the Unix epoch at which the request head was complete.
    pub recorded_at_ms: u64,
    pub request: Request,
    pub response: Response,
}

impl Exchange {
    /// Whether it is a WebSocket conversation. A handshake stands in the terms of HTTP/1.1, over
    /// whatever version it was made: GET, and 101 where it succeeded. The bodies of both sides are
    /// their messages then.
    pub fn is_conversation(&self) -> bool {
        self.response.head.status == 101
    }
}
