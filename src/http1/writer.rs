//! Writing messages, for both roles. Appends to a buffer; framing is the caller's decision.
//!
//! Invariant: one call writes one line. What comes from a parser can't break that, but a cassette
//! that a person edited might, so CR, LF and NUL become spaces here (RFC 9110 section 5.5):
//! whatever was read, no answer is ever split.

use memchr::memchr3;

use super::chunk::is_forbidden_trailer;
use crate::exchange::{Fields, STATUSES, Version};

/// A request head: its line, the fields as given, the empty line. Always HTTP/1.1, which is the
/// version of Ouli's own connection (RFC 9110 section 2.5).
pub fn request_head(out: &mut Vec<u8>, method: &str, target: &str, fields: &Fields) {
    line_part(out, method.as_bytes());
    out.push(b' ');
    line_part(out, target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields_and_end(out, fields);
}

/// What a client waits for before it sends its body (RFC 9110 section 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A status line. `status` has three digits. The space before an empty reason is written, as
/// RFC 9112 section 4 demands.
pub fn status_line(out: &mut Vec<u8>, version: Version, status: u16, reason: &[u8]) {
    debug_assert!(STATUSES.contains(&status), "a status has three digits");
    let version: &[u8] = match version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 | Version::Http2 => b"HTTP/1.1 ",
    };
    out.extend_from_slice(version);
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    line_part(out, reason);
    out.extend_from_slice(b"\r\n");
}

/// A response head: its line, the fields as given, the empty line.
pub fn response_head(
    out: &mut Vec<u8>,
    version: Version,
    status: u16,
    reason: &[u8],
    fields: &Fields,
) {
    status_line(out, version, status, reason);
    fields_and_end(out, fields);
}

/// One field line. An empty value is written as `name:` and one space.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    line_part(out, name);
    out.extend_from_slice(b": ");
    line_part(out, value);
    out.extend_from_slice(b"\r\n");
}

/// A field whose value is a number, such as Content-Length.
pub fn field_number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    field(out, name, itoa::Buffer::new().format(value).as_bytes());
}

/// The empty line after the fields.
pub fn end_of_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// What stands before a chunk's `len` bytes, which must not be 0: that would end the body.
pub fn chunk_head(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len > 0, "an empty chunk ends the body");
    // The usual lengths have four digits at most.
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (len >> (place * 4)) as u8 & 0xf;
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
    out.extend_from_slice(b"\r\n");
}

/// What stands after a chunk's bytes.
pub fn chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// A whole chunk; nothing where `data` is empty.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        chunk_head(out, data.len());
        out.extend_from_slice(data);
        chunk_end(out);
    }
}

/// The last chunk, the trailers and the empty line. Fields that a trailer section can't have are
/// left out (RFC 9110 section 6.5.1).
pub fn last_chunk(out: &mut Vec<u8>, trailers: &Fields) {
    out.extend_from_slice(b"0\r\n");
    for trailer in trailers.iter().filter(|trailer| !is_forbidden_trailer(trailer.name)) {
        field(out, trailer.name, trailer.value);
    }
    end_of_head(out);
}

fn fields_and_end(out: &mut Vec<u8>, fields: &Fields) {
    out.reserve(fields.text_bytes() + fields.len() * ": \r\n".len() + "\r\n".len());
    let put = field_writer(fields, b"");
    for one in fields.iter() {
        put(out, one.name, one.value);
    }
    end_of_head(out);
}

/// Writes fields that are made of these, and of `besides`, as `field` does. One search in all of
/// their text costs a fraction of two for each.
pub fn field_writer(fields: &Fields, besides: &[u8]) -> fn(&mut Vec<u8>, &[u8], &[u8]) {
    let is_clean = [fields.text(), besides].iter().all(|text| find_line_breaker(text).is_none());
    if is_clean { clean_field } else { field }
}

/// As `field`, of what can't end a line.
fn clean_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn find_line_breaker(text: &[u8]) -> Option<usize> {
    memchr3(b'\r', b'\n', 0, text)
}

fn line_part(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = find_line_breaker(text) {
        let (clean, rest) = text.split_at(at);
        out.extend_from_slice(clean);
        out.push(b' ');
        text = rest.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(text);
}
