//! One ordinary exchange as the bytes of its place on a shelf: the answer, and then the request,
//! each with a checksum, so that giving an answer reads no further. An answer that can be framed ahead
//! begins with that, and what else is known of it refers to the body in there.
//!
//! Pure. Calls and conversations are no ordinary exchanges, and have no such form. Numbers are
//! little-endian. One bit that flipped on the disk is a fault and never an answer.

use std::ops::Range;

use bytes::Bytes;

use crate::exchange::{
    After, Body, Coding, Digest, Exchange, Piece, Request, Response, ResponseHead, STATUSES,
};
use crate::replay::answer::Wire;
use crate::tape::codes::{put_end, take_end};
use crate::tape::wire::{
    Malformed, Take, put_bytes, put_duration, put_fields, put_len, put_request_head,
    put_response_head, put_u64,
};

/// Before each part.
const CRC_BYTES: usize = 4;

/// Appends the exchange. Says how many bytes of it are the answer.
///
/// Errors: it is no ordinary one.
pub(super) fn put(
    out: &mut Vec<u8>,
    exchange: &Exchange,
    wire: Option<&Wire>,
) -> Result<usize, Malformed> {
    let begin = out.len();
    put_part(out, |out| put_answer(out, &exchange.response, wire))?;
    let answer_len = out.len() - begin;
    put_part(out, |out| put_request(out, &exchange.request))?;
    Ok(answer_len)
}

/// An answer as it stands on a shelf, whole.
#[derive(Debug)]
pub struct StoredAnswer {
    part: Bytes,
    /// What is framed ahead, or nothing.
    wire: Range<usize>,
    status: u16,
    /// Where the rest begins.
    rest: usize,
}

impl StoredAnswer {
    /// Errors: it isn't what was written.
    pub(super) fn of(part: Bytes) -> Result<StoredAnswer, Malformed> {
        let mut take = Take(checked(&part)?);
        let wire_len = take.bytes()?.len();
        let wire_end = part.len() - take.0.len();
        let status = if wire_len > 0 { take.u16()? } else { 0 };
        if wire_len > 0 && !STATUSES.contains(&status) {
            return Err(Malformed);
        }
        let rest = part.len() - take.0.len();
        Ok(StoredAnswer { wire: wire_end - wire_len..wire_end, status, rest, part })
    }

    /// Its status and all of it as one run of bytes, where that is the same for every ordinary request
    /// to an endpoint that replaces nothing in heads.
    pub fn wire(&self) -> Option<(u16, &[u8])> {
        let bytes = &self.part[self.wire.clone()];
        (!bytes.is_empty()).then_some((self.status, bytes))
    }

    /// All that is known of it. Its body shares the memory.
    pub(super) fn response(&self) -> Result<Response, Malformed> {
        let wire = self.part.slice(self.wire.clone());
        let mut take = Take(&self.part[self.rest..]);
        let response = take_response(&mut take, &self.part, &wire)?;
        take.nothing_more()?;
        Ok(response)
    }
}

/// The request, of its bytes.
pub(super) fn request(part: &Bytes) -> Result<Request, Malformed> {
    let mut take = Take(checked(part)?);
    let request = take_request(&mut take, part)?;
    take.nothing_more()?;
    Ok(request)
}

pub(super) fn put_part(
    out: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let begin = out.len();
    out.extend_from_slice(&[0; CRC_BYTES]);
    put(out)?;
    let (crc, content) = out[begin..].split_at_mut(CRC_BYTES);
    crc.copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
    Ok(())
}

/// What stands behind the checksum.
fn checked(part: &[u8]) -> Result<&[u8], Malformed> {
    let mut take = Take(part);
    let crc = take.u32()?;
    if crc32c::crc32c(take.0) == crc { Ok(take.0) } else { Err(Malformed) }
}

/// Errors: it is no ordinary one.
pub(super) fn put_answer(
    out: &mut Vec<u8>,
    response: &Response,
    wire: Option<&Wire>,
) -> Result<(), Malformed> {
    // One without the body that is to be sent (as 304 has none) isn't kept: it saves little.
    let framed = wire.and_then(|wire| Some((wire, body_in(&wire.bytes, &response.body)?)));
    put_bytes(out, framed.as_ref().map_or(&[], |(wire, _)| &wire.bytes));
    if let Some((wire, _)) = framed {
        out.extend_from_slice(&wire.status.to_le_bytes());
    }
    put_response(out, response, framed.map(|(_, body)| body))
}

/// Where a body lies in what is framed ahead.
fn body_in(wire: &[u8], body: &Body) -> Option<Range<usize>> {
    let body: &[u8] = match body {
        Body::Absent => &[],
        Body::Whole(body) => body,
        _ => return None,
    };
    if body.is_empty() {
        return Some(0..0);
    }
    let at = wire.windows(body.len()).rposition(|part| part == body)?;
    Some(at..at + body.len())
}

fn put_response(
    out: &mut Vec<u8>,
    response: &Response,
    framed: Option<Range<usize>>,
) -> Result<(), Malformed> {
    let Response { at, after, interim, head, body, coding, trailers, end, end_after, close } =
        response;
    if (*after, *end_after) != (After::End, After::End) || close.is_some() {
        return Err(Malformed);
    }
    put_end(out, *end);
    put_response_head(out, head);
    put_coding(out, *coding);
    match (body, framed) {
        (Body::Whole(_), Some(framed)) => {
            out.push(tag::FRAMED);
            put_len(out, framed.start);
            put_len(out, framed.len());
        }
        _ => put_body(out, body)?,
    }
    put_duration(out, *at);
    put_fields(out, trailers);
    put_len(out, interim.len());
    interim.iter().for_each(|head| put_response_head(out, head));
    Ok(())
}

fn take_response(take: &mut Take<'_>, record: &Bytes, wire: &Bytes) -> Result<Response, Malformed> {
    let end = take_end(take)?;
    let head = take.response_head()?;
    let coding = take_coding(take)?;
    let body = match take.0.first() {
        Some(&tag::FRAMED) => {
            take.u8()?;
            let (at, len) = (take.len()?, take.len()?);
            let end = at.checked_add(len).filter(|end| *end <= wire.len()).ok_or(Malformed)?;
            Body::Whole(wire.slice(at..end))
        }
        // Only these are framed ahead.
        Some(&tag) if tag != tag::ABSENT && !wire.is_empty() => return Err(Malformed),
        _ => take_body(take, record)?,
    };
    let at = take.duration()?;
    let trailers = take.fields()?;
    let interim: Result<Vec<ResponseHead>, Malformed> =
        (0..take.len()?).map(|_| take.response_head()).collect();
    let (after, end_after, close) = (After::End, After::End, None);
    let interim = interim?;
    Ok(Response { at, after, interim, head, body, coding, trailers, end, end_after, close })
}

pub(super) fn put_request(out: &mut Vec<u8>, request: &Request) -> Result<(), Malformed> {
    let Request { head, body, coding, trailers, is_whole } = request;
    put_request_head(out, head);
    put_coding(out, *coding);
    put_body(out, body)?;
    put_fields(out, trailers);
    out.push(u8::from(*is_whole));
    Ok(())
}

fn take_request(take: &mut Take<'_>, record: &Bytes) -> Result<Request, Malformed> {
    Ok(Request {
        head: take.request_head()?,
        coding: take_coding(take)?,
        body: take_body(take, record)?,
        trailers: take.fields()?,
        is_whole: match take.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed),
        },
    })
}

const CODINGS: [Option<Coding>; 5] =
    [None, Some(Coding::Gzip), Some(Coding::Deflate), Some(Coding::Brotli), Some(Coding::Zstd)];

fn put_coding(out: &mut Vec<u8>, coding: Option<Coding>) {
    out.push(match coding {
        None => 0,
        Some(Coding::Gzip) => 1,
        Some(Coding::Deflate) => 2,
        Some(Coding::Brotli) => 3,
        Some(Coding::Zstd) => 4,
    });
}

fn take_coding(take: &mut Take<'_>) -> Result<Option<Coding>, Malformed> {
    CODINGS.get(take.u8()? as usize).copied().ok_or(Malformed)
}

mod tag {
    pub(super) const ABSENT: u8 = 0;
    pub(super) const WHOLE: u8 = 1;
    pub(super) const PIECES: u8 = 2;
    pub(super) const FILE: u8 = 3;
    pub(super) const OMITTED: u8 = 4;
    /// Whole, among what is framed ahead.
    pub(super) const FRAMED: u8 = 5;
}

fn put_body(out: &mut Vec<u8>, body: &Body) -> Result<(), Malformed> {
    let mut put_stored = |tag: u8, digest: &Digest, len: u64| {
        out.push(tag);
        out.extend_from_slice(&digest.0);
        put_u64(out, len);
    };
    match body {
        Body::Absent => out.push(tag::ABSENT),
        Body::Whole(bytes) => {
            out.push(tag::WHOLE);
            put_bytes(out, bytes);
        }
        Body::Pieces(pieces) => {
            out.push(tag::PIECES);
            put_len(out, pieces.len());
            for piece in pieces {
                put_duration(out, piece.at);
                put_bytes(out, &piece.bytes);
            }
        }
        Body::File { digest, len } => put_stored(tag::FILE, digest, *len),
        Body::Omitted { digest, len } => put_stored(tag::OMITTED, digest, *len),
        Body::Messages(_) => return Err(Malformed),
    }
    Ok(())
}

fn take_body(take: &mut Take<'_>, record: &Bytes) -> Result<Body, Malformed> {
    Ok(match take.u8()? {
        tag::ABSENT => Body::Absent,
        tag::WHOLE => Body::Whole(record.slice_ref(take.bytes()?)),
        tag::PIECES => {
            let piece = |take: &mut Take<'_>| {
                let at = take.duration()?;
                Ok(Piece { at, bytes: record.slice_ref(take.bytes()?) })
            };
            let count = take.len()?;
            Body::Pieces((0..count).map(|_| piece(take)).collect::<Result<_, _>>()?)
        }
        tag::FILE => Body::File { digest: Digest(take.digest()?), len: take.u64()? },
        tag::OMITTED => Body::Omitted { digest: Digest(take.digest()?), len: take.u64()? },
        _ => return Err(Malformed),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cassette::tests::law::any_exchange;
    use crate::replay::fixture;
    use crate::replay::shelf::property;

    proptest! {
        #[test]
        fn an_exchange_that_is_put_is_taken_again(given in any_exchange()) {
            let (first, _) = parts(&given);
            prop_assert_eq!(answer(&first).unwrap(), given.response.clone());
            let framed = fixture::wire(&given.response);
            let (first, second) = parts_of(&given, framed.as_ref());
            prop_assert_eq!(answer(&first).unwrap(), given.response);
            let stored = StoredAnswer::of(first).unwrap();
            let wire = framed.as_ref().map(|wire| (wire.status, &wire.bytes[..]));
            prop_assert_eq!(stored.wire(), wire);
            prop_assert_eq!(request(&second).unwrap(), given.request);
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_never_an_exchange(
            given in any_exchange(),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let (first, second) = parts(&given);
            let (framed, _) = parts_of(&given, fixture::wire(&given.response).as_ref());
            for (part, taken) in [
                (first, (|part| answer(part).map(drop)) as fn(&Bytes) -> _),
                (framed, |part| StoredAnswer::of(part.clone()).map(drop)),
                (second, |part| request(part).map(drop)),
            ] {
                let at = at.index(part.len());
                prop_assert_eq!(taken(&part.slice(..at)), Err(Malformed));
                let mut flipped = part.to_vec();
                flipped[at] ^= 1 << bit;
                prop_assert_eq!(taken(&flipped.into()), Err(Malformed));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            property::reading(&bytes);
            property::looking_up(&bytes);
        }

        #[test]
        fn what_is_read_of_a_damaged_record_is_what_it_says(
            given in any_exchange(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let (first, second) = parts(&given);
            let (framed, _) = parts_of(&given, fixture::wire(&given.response).as_ref());
            for part in [first, framed, second] {
                let mut content = part[CRC_BYTES..].to_vec();
                let at = at.index(content.len());
                content[at] = byte;
                property::reading(&content);
            }
        }
    }

    /// Answer and request of a record.
    fn parts(exchange: &Exchange) -> (Bytes, Bytes) {
        parts_of(exchange, None)
    }

    fn parts_of(exchange: &Exchange, wire: Option<&Wire>) -> (Bytes, Bytes) {
        let mut record = Vec::new();
        let answer_len = put(&mut record, exchange, wire).unwrap();
        let record = Bytes::from(record);
        (record.slice(..answer_len), record.slice(answer_len..))
    }

    fn answer(part: &Bytes) -> Result<Response, Malformed> {
        StoredAnswer::of(part.clone())?.response()
    }

    #[test]
    fn what_is_framed_without_its_body_is_not_kept() {
        for (body, is_kept) in [("answer", true), ("", true), ("another", false)] {
            let wire = Wire { status: 200, bytes: "head answer tail".into() };
            let (part, _) = parts_of(&fixture::get("/", body), Some(&wire));
            assert_eq!(StoredAnswer::of(part.clone()).unwrap().wire().is_some(), is_kept, "{body}");
            assert_eq!(answer(&part).unwrap().body, Body::Whole(body.into()));
        }
    }

    /// The body that is read of an answer with this body, behind this status and this wire.
    fn body_behind(
        status: u16,
        wire: &[u8],
        body: Body,
        framed: Option<Range<usize>>,
    ) -> Result<Body, Malformed> {
        let mut response = fixture::get("/", "").response;
        response.body = body;
        let mut part = Vec::new();
        put_part(&mut part, |out| {
            put_bytes(out, wire);
            out.extend_from_slice(&status.to_le_bytes()[..if wire.is_empty() { 0 } else { 2 }]);
            put_response(out, &response, framed)
        })?;
        answer(&part.into()).map(|response| response.body)
    }

    #[test]
    fn behind_a_wire_stand_a_status_and_no_body_but_the_one_in_it() {
        let whole = || Body::Whole("body".into());
        assert_eq!(body_behind(200, b"a body", whole(), Some(2..6)), Ok(whole()));
        assert_eq!(body_behind(200, b"no body", Body::Absent, None), Ok(Body::Absent));
        for (status, wire, body, framed) in [
            (200, &b"a body"[..], whole(), None),
            (200, b"a body", whole(), Some(2..7)),
            (200, b"a body", whole(), Some(usize::MAX - 1..usize::MAX)),
            (200, b"", whole(), Some(0..1)),
            (200, b"a body", Body::Pieces(Vec::new()), None),
            (200, b"a body", Body::File { digest: Digest([0; 32]), len: 4 }, None),
            (200, b"a body", Body::Omitted { digest: Digest([0; 32]), len: 4 }, None),
            (99, b"a body", whole(), Some(2..6)),
            (1000, b"a body", whole(), Some(2..6)),
        ] {
            let told = format!("{status} {} {body:?} {framed:?}", wire.escape_ascii());
            assert_eq!(body_behind(status, wire, body, framed), Err(Malformed), "{told}");
        }
    }

    #[test]
    fn what_is_no_ordinary_exchange_has_no_form() {
        let mut call = fixture::get("/", "");
        call.request.body = Body::Messages(Vec::new());
        let mut early = fixture::get("/", "");
        early.response.after = After::Messages(1);
        for exchange in [call, early] {
            assert_eq!(put(&mut Vec::new(), &exchange, None), Err(Malformed));
        }
    }
}
