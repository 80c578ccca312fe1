//! gRPC on the wire: which exchanges are calls, where their messages begin and end, how those are
//! compressed.
//!
//! Pure and without I/O. After "gRPC over HTTP2" (PROTOCOL-HTTP2.md of the gRPC project): a body is
//! a run of messages, each behind a prefix of five bytes, a flag that says whether it is
//! compressed and its length, big-endian. Knows nothing of streams, recordings or replay.

pub mod descriptors;
pub mod encoding;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod splitter;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use descriptors::{Catalog, Descriptors, DescriptorsError, MessageType};
pub use splitter::{Event, Splitter};

use crate::exchange::Fields;

/// Bytes in front of every message.
pub const PREFIX_BYTES: usize = 5;

/// Whether the fields of a head say that it is a gRPC call's: `application/grpc`, also with a
/// message format behind `+`. Its forms for browsers (`application/grpc-web…`) are bodies like any
/// other: they keep trailers in their last message, and may be base64 as a whole.
pub fn is_call(fields: &Fields) -> bool {
    format(fields).is_some()
}

/// The message format that a call's content type names behind `+`; empty where it names none,
/// which means protobuf. `None` where it is no call.
pub fn format(fields: &Fields) -> Option<&[u8]> {
    const TYPE: &[u8] = b"application/grpc";
    let value = fields.get("content-type")?;
    let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
    let (start, format) = essence.split_at_checked(TYPE.len())?;
    if !start.eq_ignore_ascii_case(TYPE) {
        return None;
    }
    if format.is_empty() { Some(format) } else { format.strip_prefix(b"+") }
}

/// What stands in front of a message of `len` bytes.
pub fn prefix(compressed: bool, len: u32) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = len.to_be_bytes();
    [u8::from(compressed), a, b, c, d]
}
