//! Content codings: gzip, deflate, br and zstd, taken off a body and put on again.
//!
//! Streaming and without I/O: bytes in, bytes out, one piece at a time, so that a coded stream can
//! be decoded as its pieces came and a decoded one coded again with the pieces where they were.
//! Decoding is bounded: a step gives out at most `STEP_BYTES`, a decoder at most what it was told.
//!
//! Says how a body is coded, not whether it should be decoded; that is `cassette::keep`'s to know.
//! Coding again gives equal decoded bytes, not equal coded bytes, and always the same ones.

mod decode;
mod encode;
#[cfg(any(test, fuzzing))]
pub mod property;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use decode::{DecodeError, Decoder, Step};
pub use encode::{EncodeError, Encoder};

use crate::exchange::{Body, Coding, End, Fields, Piece};

/// Output that one step makes at most. Large enough to keep calls few, small enough that a body of
/// any size passes through little memory.
pub const STEP_BYTES: usize = 32 << 10;

impl Coding {
    /// The name as registered for `Content-Encoding` (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    /// Case doesn't count (RFC 9110 section 8.4.1); `x-gzip` is gzip (section 8.4.1.3).
    pub fn from_name(name: &[u8]) -> Option<Coding> {
        const NAMES: [(&str, Coding); 5] = [
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("br", Coding::Brotli),
            ("zstd", Coding::Zstd),
        ];
        NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map(|&(_, coding)| coding)
    }
}

/// The coding that `Content-Encoding` names, if it is exactly one and a known one. Several codings
/// on top of each other, in one line or more, are none that Ouli takes off.
pub fn of(fields: &Fields) -> Option<Coding> {
    let mut lines = fields.get_all("content-encoding");
    let only = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    Coding::from_name(only.trim_ascii())
}

/// How much of a body there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    /// Its beginning: its reader left, and its coding has no end.
    Begun,
}

impl Extent {
    /// Of an answer that ended like this.
    pub fn of(end: End) -> Extent {
        match end {
            End::Whole => Extent::Whole,
            _ => Extent::Begun,
        }
    }
}

/// All of `coded` at once.
///
/// # Errors
/// Whatever doesn't decode from its first byte to its last, or comes to more than `out_max` bytes.
pub fn decode(
    coding: Coding,
    coded: &[u8],
    extent: Extent,
    out_max: u64,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(coding, out_max)?;
    let mut out = Vec::new();
    decoder.push(coded, &mut out)?;
    if extent == Extent::Whole {
        decoder.finish()?;
    }
    Ok(out)
}

/// All of `plain` at once.
///
/// # Errors
/// Only when memory for the encoder can't be had.
pub fn encode(coding: Coding, plain: &[u8]) -> Result<Vec<u8>, EncodeError> {
    encode_extent(coding, plain, Extent::Whole)
}

fn encode_extent(coding: Coding, plain: &[u8], extent: Extent) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(coding)?;
    let mut out = Vec::new();
    encoder.push(plain, &mut out)?;
    match extent {
        Extent::Whole => encoder.finish(&mut out)?,
        Extent::Begun => encoder.flush(&mut out)?,
    }
    Ok(out)
}

/// Decodes a stream piece by piece: what a piece makes readable becomes the piece at its place. A
/// piece that makes nothing readable stays as an empty one.
///
/// # Errors
/// As `decode`; `out_max` bounds all pieces together.
pub fn decode_pieces(
    coding: Coding,
    pieces: &[Piece],
    extent: Extent,
    out_max: u64,
) -> Result<Vec<Piece>, DecodeError> {
    let mut decoder = Decoder::new(coding, out_max)?;
    let mut plain = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let mut out = Vec::new();
        decoder.push(&piece.bytes, &mut out)?;
        plain.push(Piece { at: piece.at, bytes: Bytes::from(out) });
    }
    if extent == Extent::Whole {
        decoder.finish()?;
    }
    Ok(plain)
}

/// Codes a stream so that each piece can be decoded as soon as it has come; the coding's end, where
/// it has one, goes with the last piece.
///
/// # Errors
/// As `encode`.
pub fn encode_pieces(
    coding: Coding,
    pieces: &[Piece],
    extent: Extent,
) -> Result<Vec<Piece>, EncodeError> {
    let mut encoder = Encoder::new(coding)?;
    let mut coded = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let mut out = Vec::new();
        encoder.push(&piece.bytes, &mut out)?;
        encoder.flush(&mut out)?;
        coded.push((piece.at, out));
    }
    match coded.last_mut() {
        _ if extent == Extent::Begun => {}
        Some((_, out)) => encoder.finish(out)?,
        None => {
            let mut out = Vec::new();
            encoder.finish(&mut out)?;
            coded.push((Default::default(), out));
        }
    }
    Ok(coded.into_iter().map(|(at, out)| Piece { at, bytes: Bytes::from(out) }).collect())
}

/// The body as it goes over the wire: `body` with the coding that was taken off it put on again.
/// A body in a file stays one; whoever sends it runs it through an `Encoder`.
///
/// # Errors
/// As `encode`.
pub fn recode(body: &Body, coding: Option<Coding>, extent: Extent) -> Result<Body, EncodeError> {
    Ok(match (body, coding) {
        (Body::Whole(plain), Some(coding)) => {
            Body::Whole(encode_extent(coding, plain, extent)?.into())
        }
        (Body::Pieces(pieces), Some(coding)) => {
            Body::Pieces(encode_pieces(coding, pieces, extent)?)
        }
        _ => body.clone(),
    })
}
