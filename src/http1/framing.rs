//! What a head says about its message: how long the body is, and what becomes of the connection.
//!
//! Body length follows RFC 9112 section 6.3, whose numbers stand at the code. Where it lets a
//! recipient repair a message (equal Content-Lengths, a length beside a transfer coding), the
//! message is refused: repairs are what request smuggling is made of.

use crate::exchange::{Fields, RequestHead, ResponseHead, Version};

pub use super::body::{BodyDecoder, BodyEvent, Decoded, Truncated};

use super::Refusal;

/// How a body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// That many bytes, perhaps 0.
    Length(u64),
    Chunked,
    /// Everything until the peer closes. Only responses.
    Close,
}

/// The largest length taken: what a signed file offset can hold.
pub const LENGTH_MAX: u64 = i64::MAX as u64;

/// The body of a request.
///
/// # Errors
/// Anything but one plain Content-Length, or one Transfer-Encoding that is exactly `chunked` on
/// HTTP/1.1, or neither.
pub fn request_framing(head: &RequestHead) -> Result<Framing, Refusal> {
    // 3. to 7.
    Ok(declared_framing(head.version, &head.fields)?.unwrap_or(Framing::None))
}

/// The body of a response to a request with `request_method`.
///
/// An answer that switches protocols (101, or 2xx to CONNECT) has no body: what follows is the
/// other protocol.
///
/// # Errors
/// As for requests. Answers that never have a body are not looked at any further.
pub fn response_framing(head: &ResponseHead, request_method: &str) -> Result<Framing, Refusal> {
    // 1. and 2.
    let is_tunnel = request_method == "CONNECT" && (200..300).contains(&head.status);
    if request_method == "HEAD" || has_no_content(head.status) || is_tunnel {
        return Ok(Framing::None);
    }
    // 3. to 6. and 8.
    Ok(declared_framing(head.version, &head.fields)?.unwrap_or(Framing::Close))
}

/// Statuses that end after the head, whatever their fields say (RFC 9112 section 6.3, 1.).
pub fn has_no_content(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

fn declared_framing(version: Version, fields: &Fields) -> Result<Option<Framing>, Refusal> {
    let (mut length, mut coding) = (None, None);
    for field in fields.iter() {
        if field.is("content-length") && length.replace(field.value).is_some() {
            return Err(Refusal::TwoLengths);
        }
        if field.is("transfer-encoding") && coding.replace(field.value).is_some() {
            return Err(Refusal::TwoTransferEncodings);
        }
    }
    match (length, coding) {
        (None, None) => Ok(None),
        (Some(length), None) => parse_length(length).map(|length| Some(Framing::Length(length))),
        // Section 6.1: framing that HTTP/1.0 doesn't know must be taken as faulty.
        (_, Some(_)) if version == Version::Http10 => Err(Refusal::TransferEncodingInHttp10),
        // 3. Nobody sends both for a good reason.
        (Some(_), Some(_)) => Err(Refusal::LengthWithTransferEncoding),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Some(Framing::Chunked))
        }
        (None, Some(_)) => Err(Refusal::UnknownTransferCoding),
    }
}

/// `1*DIGIT` (RFC 9110 section 8.6). A list, even of equal numbers, is refused.
fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(if value.contains(&b',') { Refusal::TwoLengths } else { Refusal::BadLength });
    }
    value
        .iter()
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|&length| length <= LENGTH_MAX)
        .ok_or(Refusal::LengthTooLarge)
}

/// The members of a list-valued field, over all its lines, in order, without white space and
/// empty members (RFC 9110 section 5.6.1). Not for lists with quoted strings.
pub fn list_members<'a>(fields: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .get_all(name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

fn has_member(fields: &Fields, name: &str, member: &str) -> bool {
    list_members(fields, name).any(|found| found.eq_ignore_ascii_case(member.as_bytes()))
}

/// Whether the client means to send another request on this connection (RFC 9112 section 9.3).
pub fn request_keeps_alive(head: &RequestHead) -> bool {
    persists(head.version, &head.fields)
}

/// Whether the origin means to keep this connection open (RFC 9112 section 9.3). The framing has
/// its say as well: a body framed by `Framing::Close` ends the connection.
///
/// Also false where the connection can't be trusted with another request: an answer that has no
/// body but announces one (RFC 9112 section 6.1 forbids it) may be followed by it.
pub fn response_keeps_alive(head: &ResponseHead) -> bool {
    let announces_body = matches!(head.status, 100..=199 | 204)
        && (head.fields.contains("transfer-encoding")
            || head.fields.get_all("content-length").any(|length| length != b"0"));
    persists(head.version, &head.fields) && !announces_body
}

fn persists(version: Version, fields: &Fields) -> bool {
    let (mut closes, mut keeps) = (false, false);
    for option in list_members(fields, "connection") {
        closes |= option.eq_ignore_ascii_case(b"close");
        keeps |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    !closes && (version != Version::Http10 || keeps)
}

/// Whether the client waits for 100 before it sends the body (RFC 9110 section 10.1.1). From an
/// HTTP/1.0 client the expectation is ignored, as the same section demands.
pub fn expects_continue(head: &RequestHead) -> bool {
    head.version != Version::Http10 && has_member(&head.fields, "expect", "100-continue")
}

/// Whether the connection speaks another protocol right after this head (RFC 9110 section 15.2.2).
pub fn switches_protocols(head: &ResponseHead) -> bool {
    head.status == 101
}

/// Whether another answer follows this one for the same request (RFC 9110 section 15.2).
pub fn is_interim(head: &ResponseHead) -> bool {
    matches!(head.status, 100..=199) && head.status != 101
}
