//! The coding of a call's compressed messages: `grpc-encoding` names it, each message's prefix says
//! whether it is on.

use bytes::Bytes;

use super::PREFIX_BYTES;
use crate::coding::{self, EncodeError, Extent};
use crate::exchange::{Coding, Compression, Fields};

/// How many times what came a message may be, decompressed, beyond `DECODED_BYTES_MIN`: more is a
/// bomb rather than a message.
const RATIO_MAX: u64 = 250;

/// Decompressed size that is fine for a message of any size.
const DECODED_BYTES_MIN: u64 = 16 << 20;

/// The coding that the fields name and Ouli can take off; none for `identity`, for one that it
/// doesn't know, and where the field stands more than once. Messages stay as they came then.
pub fn of(fields: &Fields) -> Option<Coding> {
    let mut values = fields.get_all("grpc-encoding");
    let only = values.next()?.trim_ascii();
    if values.next().is_some() {
        return None;
    }
    // What the gRPC documents and its implementations name; `deflate` is the zlib format there too.
    match only {
        b"gzip" => Some(Coding::Gzip),
        b"deflate" => Some(Coding::Deflate),
        b"zstd" => Some(Coding::Zstd),
        _ => None,
    }
}

/// A compressed message decompressed, if it decodes from its first byte to its last within
/// `out_max` bytes and isn't a bomb.
pub fn take_off(coding: Coding, coded: &[u8], out_max: u64) -> Option<Vec<u8>> {
    let out_max =
        (coded.len() as u64).saturating_mul(RATIO_MAX).max(DECODED_BYTES_MIN).min(out_max);
    coding::decode(coding, coded, Extent::Whole, out_max).ok()
}

/// A message's bytes as they go over the wire, its prefix in front. `coding` is the one that the
/// head names.
///
/// # Errors
/// Only when memory for the encoder can't be had.
pub fn on_wire(
    compression: Compression,
    payload: &Bytes,
    coding: Option<Coding>,
) -> Result<([u8; PREFIX_BYTES], Bytes), EncodeError> {
    let sent = match (compression, coding) {
        (Compression::Off, Some(coding)) => coding::encode(coding, payload)?.into(),
        _ => payload.clone(),
    };
    let len = u32::try_from(sent.len()).unwrap_or(u32::MAX);
    Ok((super::prefix(compression != Compression::None, len), sent))
}
