//! What stands in a frame's payload as a number of its own meaning, and the way back.
//!
//! Pure. A number without a meaning is malformed.

use super::format::{Part, Side};
use super::wire::{Malformed, Take};
use crate::exchange::{End, Kind, Party, ResetCode};

pub(crate) fn put_end(out: &mut Vec<u8>, end: End) {
    out.push(match end {
        End::Whole => 1,
        End::CutByOrigin => 2,
        End::LeftByClient => 3,
        End::RecorderKilled => 4,
        End::ResetByOrigin(_) => 5,
    });
    if let End::ResetByOrigin(code) = end {
        out.extend_from_slice(&code.0.to_le_bytes());
    }
}

pub(crate) fn take_end(take: &mut Take<'_>) -> Result<End, Malformed> {
    match take.u8()? {
        1 => Ok(End::Whole),
        2 => Ok(End::CutByOrigin),
        3 => Ok(End::LeftByClient),
        4 => Ok(End::RecorderKilled),
        5 => Ok(End::ResetByOrigin(ResetCode(take.u32()?))),
        _ => Err(Malformed),
    }
}

pub(super) fn put_side(out: &mut Vec<u8>, side: Side) {
    out.push(match side {
        Side::Request => 1,
        Side::Response => 2,
    });
}

pub(super) fn take_side(take: &mut Take<'_>) -> Result<Side, Malformed> {
    match take.u8()? {
        1 => Ok(Side::Request),
        2 => Ok(Side::Response),
        _ => Err(Malformed),
    }
}

pub(super) fn put_party(out: &mut Vec<u8>, party: Party) {
    out.push(match party {
        Party::Client => 1,
        Party::Origin => 2,
        Party::Ouli => 3,
    });
}

pub(super) fn take_party(take: &mut Take<'_>) -> Result<Party, Malformed> {
    match take.u8()? {
        1 => Ok(Party::Client),
        2 => Ok(Party::Origin),
        3 => Ok(Party::Ouli),
        _ => Err(Malformed),
    }
}

/// A close code, of which there may be none.
pub(super) fn put_close_code(out: &mut Vec<u8>, code: Option<u16>) {
    out.push(u8::from(code.is_some()));
    out.extend_from_slice(&code.unwrap_or_default().to_le_bytes());
}

pub(super) fn take_close_code(take: &mut Take<'_>) -> Result<Option<u16>, Malformed> {
    match (take.u8()?, take.u16()?) {
        (0, 0) => Ok(None),
        (1, code) => Ok(Some(code)),
        _ => Err(Malformed),
    }
}

/// The bits of a message's part.
mod bit {
    pub(super) const BEGINS: u8 = 1;
    pub(super) const ENDS: u8 = 2;
    pub(super) const TEXT: u8 = 4;
    pub(super) const COMPRESSED: u8 = 8;
}

pub(super) fn put_part(out: &mut Vec<u8>, part: Part) {
    let ends = if part.ends { bit::ENDS } else { 0 };
    let begins = part.begins.map_or(0, |(kind, compressed)| bit::BEGINS | bits(kind, compressed));
    out.push(begins | ends);
}

pub(super) fn take_part(take: &mut Take<'_>) -> Result<Part, Malformed> {
    let code = take.u8()?;
    let ends = code & bit::ENDS != 0;
    let begins = match code & !bit::ENDS {
        0 => None,
        code if code & bit::BEGINS != 0 => Some(of_bits(code & !bit::BEGINS)?),
        _ => return Err(Malformed),
    };
    Ok(Part { begins, ends })
}

/// What a message is, and whether it is compressed.
pub(super) fn put_message(out: &mut Vec<u8>, kind: Kind, compressed: bool) {
    out.push(bits(kind, compressed));
}

pub(super) fn take_message(take: &mut Take<'_>) -> Result<(Kind, bool), Malformed> {
    of_bits(take.u8()?)
}

fn bits(kind: Kind, compressed: bool) -> u8 {
    let kind = match kind {
        Kind::Binary => 0,
        Kind::Text => bit::TEXT,
    };
    kind | if compressed { bit::COMPRESSED } else { 0 }
}

fn of_bits(code: u8) -> Result<(Kind, bool), Malformed> {
    let compressed = code & bit::COMPRESSED != 0;
    match code & !bit::COMPRESSED {
        0 => Ok((Kind::Binary, compressed)),
        bit::TEXT => Ok((Kind::Text, compressed)),
        _ => Err(Malformed),
    }
}
