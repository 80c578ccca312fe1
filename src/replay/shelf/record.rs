//! One ordinary exchange as the bytes of its place on a shelf: the answer first, so that giving it
//! reads no further.
//!
//! Pure. Calls and conversations are no ordinary exchanges, and have no such form. Numbers are
//! little-endian. Every record has a checksum of its own: one bit that flipped on the disk is a fault
//! and never an answer.

use bytes::Bytes;

use crate::exchange::{
    After, Body, Coding, Digest, Exchange, Piece, Request, Response, ResponseHead,
};
use crate::tape::codes::{put_end, take_end};
use crate::tape::wire::{
    Malformed, Take, put_bytes, put_duration, put_fields, put_len, put_request_head,
    put_response_head, put_u64,
};

/// The checksum, and how long the answer is.
const HEAD_BYTES: usize = 8;

/// Appends the exchange.
///
/// Errors: it is no ordinary one.
pub(super) fn put(out: &mut Vec<u8>, exchange: &Exchange) -> Result<(), Malformed> {
    let begin = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    put_response(out, &exchange.response)?;
    let answer_len = out.len() - begin - HEAD_BYTES;
    put_bytes(out, exchange.endpoint.as_bytes());
    put_u64(out, exchange.recorded_at_ms);
    put_request(out, &exchange.request)?;
    let answer_len = u32::try_from(answer_len).map_err(|_| Malformed)?;
    out[begin + 4..begin + HEAD_BYTES].copy_from_slice(&answer_len.to_le_bytes());
    let crc = crc32c::crc32c(&out[begin + 4..]);
    out[begin..begin + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// The answer of a record. Its body shares the record's memory.
pub(super) fn answer(record: &Bytes) -> Result<Response, Malformed> {
    let (answer, _) = parts(record)?;
    let mut take = Take(answer);
    let response = take_response(&mut take, record)?;
    take.nothing_more()?;
    Ok(response)
}

/// The request of a record.
pub(super) fn request(record: &Bytes) -> Result<Request, Malformed> {
    exchange(record).map(|exchange| exchange.request)
}

pub(super) fn exchange(record: &Bytes) -> Result<Exchange, Malformed> {
    let (answer, rest) = parts(record)?;
    let mut take = Take(answer);
    let response = take_response(&mut take, record)?;
    take.nothing_more()?;
    let mut take = Take(rest);
    let endpoint = take.str()?.to_owned();
    let recorded_at_ms = take.u64()?;
    let request = take_request(&mut take, record)?;
    take.nothing_more()?;
    Ok(Exchange { endpoint, recorded_at_ms, request, response })
}

/// The answer's bytes, and the others.
fn parts(record: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut take = Take(record);
    let crc = take.u32()?;
    if crc32c::crc32c(take.0) != crc {
        return Err(Malformed);
    }
    let answer_len = take.len()?;
    Ok((take.raw(answer_len)?, take.0))
}

fn put_response(out: &mut Vec<u8>, response: &Response) -> Result<(), Malformed> {
    let Response { at, after, interim, head, body, coding, trailers, end, end_after, close } =
        response;
    if (*after, *end_after) != (After::End, After::End) || close.is_some() {
        return Err(Malformed);
    }
    put_end(out, *end);
    put_response_head(out, head);
    put_coding(out, *coding);
    put_body(out, body)?;
    put_duration(out, *at);
    put_fields(out, trailers);
    put_len(out, interim.len());
    interim.iter().for_each(|head| put_response_head(out, head));
    Ok(())
}

fn take_response(take: &mut Take<'_>, record: &Bytes) -> Result<Response, Malformed> {
    let end = take_end(take)?;
    let head = take.response_head()?;
    let coding = take_coding(take)?;
    let body = take_body(take, record)?;
    let at = take.duration()?;
    let trailers = take.fields()?;
    let interim: Result<Vec<ResponseHead>, Malformed> =
        (0..take.len()?).map(|_| take.response_head()).collect();
    let (after, end_after, close) = (After::End, After::End, None);
    let interim = interim?;
    Ok(Response { at, after, interim, head, body, coding, trailers, end, end_after, close })
}

fn put_request(out: &mut Vec<u8>, request: &Request) -> Result<(), Malformed> {
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
            let mut record = Vec::new();
            put(&mut record, &given).unwrap();
            let record = Bytes::from(record);
            prop_assert_eq!(&answer(&record).unwrap(), &given.response);
            prop_assert_eq!(exchange(&record).unwrap(), given);
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_never_an_exchange(
            given in any_exchange(),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let mut record = Vec::new();
            put(&mut record, &given).unwrap();
            let at = at.index(record.len());
            prop_assert!(answer(&Bytes::copy_from_slice(&record[..at])).is_err());
            record[at] ^= 1 << bit;
            prop_assert!(answer(&record.into()).is_err());
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
            let mut record = Vec::new();
            put(&mut record, &given).unwrap();
            let at = 4 + at.index(record.len() - 4);
            record[at] = byte;
            property::reading(&record[4..]);
        }
    }

    #[test]
    fn what_is_no_ordinary_exchange_has_no_form() {
        let mut call = fixture::get("/", "");
        call.request.body = Body::Messages(Vec::new());
        let mut early = fixture::get("/", "");
        early.response.after = After::Messages(1);
        for exchange in [call, early] {
            assert_eq!(put(&mut Vec::new(), &exchange), Err(Malformed));
        }
    }
}
