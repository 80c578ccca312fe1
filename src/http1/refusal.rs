//! Why a message was refused: one variant per rule, each saying it to people.

use thiserror::Error;

/// A message that Ouli doesn't accept, and the rule it broke.
///
/// `Display` is what the peer reads in a 400, so it names the rule's place in the RFC. Positions
/// (`at`) count bytes from 0: in a head from the first byte after the previous message, in a
/// trailer section from the first byte after the last chunk's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    // Lines.
    #[error(
        "byte {at} is a line feed without a carriage return before it; lines end with CR LF (RFC 9112 section 2.2)"
    )]
    BareLineFeed { at: usize },
    #[error(
        "byte {at} is a carriage return without a line feed after it; lines end with CR LF (RFC 9112 section 2.2)"
    )]
    BareCarriageReturn { at: usize },
    #[error("byte {at} is NUL, which no line may hold (RFC 9110 section 5.5)")]
    Nul { at: usize },
    #[error("more than {max} empty lines come before the request line (RFC 9112 section 2.2)")]
    EmptyLines { max: usize },
    #[error(
        "the line at byte {at} begins with white space; folded field lines are not accepted (RFC 9112 section 5.2)"
    )]
    ObsFold { at: usize },

    // Sizes.
    #[error("the head is larger than {max} bytes (RFC 6585 section 5)")]
    HeadTooLarge { max: usize },
    #[error("the head has more than {max} fields (RFC 6585 section 5)")]
    TooManyFields { max: usize },
    #[error("the method is longer than {max} bytes (RFC 9112 section 3)")]
    MethodTooLong { max: usize },
    #[error("the request target is longer than {max} bytes (RFC 9110 section 15.5.15)")]
    TargetTooLong { max: usize },
    #[error("the trailer section is larger than {max} bytes (RFC 6585 section 5)")]
    TrailersTooLarge { max: usize },
    #[error("the trailer section has more than {max} fields (RFC 6585 section 5)")]
    TooManyTrailers { max: usize },

    // Other protocols.
    #[error("this is a TLS handshake, and plain HTTP/1.1 is spoken here")]
    TlsHandshake,
    #[error("this is the preface of HTTP/2, and HTTP/1.1 is spoken here (RFC 9113 section 3.4)")]
    Http2Preface,
    #[error("the request line has no version; HTTP/0.9 is not accepted (RFC 9112 section 3)")]
    Http09,

    // The start line.
    #[error(
        "the request line is not `method target version` with single spaces (RFC 9112 section 3)"
    )]
    BadRequestLine,
    #[error("byte {at} can't stand in a method (RFC 9110 section 9.1)")]
    BadMethod { at: usize },
    #[error("byte {at} can't stand in a request target (RFC 9112 section 3.2)")]
    BadTargetByte { at: usize },
    #[error(
        "the request target has none of the four forms that its method allows (RFC 9112 section 3.2)"
    )]
    BadTargetForm,
    #[error("the version is neither HTTP/1.1 nor HTTP/1.0 (RFC 9112 section 2.3)")]
    BadVersion,
    #[error("the answer doesn't begin with an HTTP/1 status line (RFC 9112 section 4)")]
    BadStatusLine,
    #[error("the status is not three digits from 100 to 999 (RFC 9110 section 15)")]
    BadStatus,
    #[error("byte {at} can't stand in a reason phrase (RFC 9112 section 4)")]
    BadReason { at: usize },

    // Field lines.
    #[error("the field line at byte {at} has no colon (RFC 9112 section 5)")]
    MissingColon { at: usize },
    #[error("byte {at} is white space before a field's colon (RFC 9112 section 5.1)")]
    SpaceBeforeColon { at: usize },
    #[error("byte {at} can't stand in a field name (RFC 9110 section 5.1)")]
    BadFieldName { at: usize },
    #[error(
        "byte {at} is a control character, which a field value can't hold (RFC 9110 section 5.5)"
    )]
    BadFieldValue { at: usize },
    #[error("the head isn't complete")]
    Unfinished,
    #[error("bytes follow the empty line that ends the head")]
    PastTheEnd,

    // Host.
    #[error("the request has no Host field, which HTTP/1.1 requires (RFC 9112 section 3.2)")]
    MissingHost,
    #[error("the request has more than one Host field (RFC 9112 section 3.2)")]
    SecondHost,
    #[error("the Host field is not a host with an optional port (RFC 9110 section 7.2)")]
    BadHost,

    // Framing.
    #[error("the message has both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)")]
    LengthWithTransferEncoding,
    #[error("the message has more than one Content-Length (RFC 9112 section 6.3)")]
    TwoLengths,
    #[error("the Content-Length is not a plain decimal number (RFC 9110 section 8.6)")]
    BadLength,
    #[error("the Content-Length is larger than 2^63 - 1 (RFC 9110 section 8.6)")]
    LengthTooLarge,
    #[error("the message has more than one Transfer-Encoding field (RFC 9112 section 6.1)")]
    TwoTransferEncodings,
    #[error("the Transfer-Encoding is not exactly `chunked` (RFC 9112 section 6.1)")]
    UnknownTransferCoding,
    #[error("an HTTP/1.0 message has a Transfer-Encoding (RFC 9112 section 6.1)")]
    TransferEncodingInHttp10,

    // Chunks.
    #[error("a chunk's size is not a hexadecimal number (RFC 9112 section 7.1)")]
    BadChunkSize,
    #[error(
        "a chunk's size has more than 16 digits or is larger than 2^63 - 1 (RFC 9112 section 7.1)"
    )]
    ChunkTooLarge,
    #[error("a chunk's size line doesn't end with CR LF (RFC 9112 section 7.1)")]
    BadChunkLineEnd,
    #[error("a chunk extension holds a control character (RFC 9112 section 7.1.1)")]
    BadChunkExtension,
    #[error(
        "the body's chunk extensions are larger than {max} bytes together (RFC 9112 section 7.1.1)"
    )]
    ChunkExtensionsTooLarge { max: usize },
    #[error("a chunk's data doesn't end with CR LF where its size says (RFC 9112 section 7.1)")]
    BadChunkEnd,
    #[error(
        "the trailer section has a field that only a head may have: Content-Length, Transfer-Encoding or Host (RFC 9110 section 6.5.1)"
    )]
    ForbiddenTrailer,
}

impl Refusal {
    /// Whether the answer is 431: the fields, alone or together, are larger than a limit
    /// (RFC 6585 section 5).
    pub fn is_too_large(&self) -> bool {
        matches!(
            self,
            Refusal::HeadTooLarge { .. }
                | Refusal::TooManyFields { .. }
                | Refusal::TrailersTooLarge { .. }
                | Refusal::TooManyTrailers { .. }
        )
    }

    /// Whether the answer is 414 (RFC 9110 section 15.5.15).
    pub fn is_target_too_long(&self) -> bool {
        matches!(self, Refusal::TargetTooLong { .. })
    }
}
