//! Sending a body on a stream, as its window allows.

use std::future::poll_fn;

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;

/// Sends these bytes; with `ends` they are the last.
pub async fn send_part(
    stream: &mut SendStream<Bytes>,
    mut part: Bytes,
    ends: bool,
) -> Result<(), h2::Error> {
    while !part.is_empty() {
        stream.reserve_capacity(part.len());
        let Some(room) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return Err(poll_fn(|cx| stream.poll_reset(cx)).await?.into());
        };
        let room = room?;
        let now = part.split_to(room.min(part.len()));
        stream.send_data(now, ends && part.is_empty())?;
        if ends && part.is_empty() {
            return Ok(());
        }
    }
    match ends {
        true => stream.send_data(Bytes::new(), true),
        false => Ok(()),
    }
}

/// Sends a body, a frame or more for each part, and its end.
pub async fn send_all(
    stream: &mut SendStream<Bytes>,
    parts: Vec<Vec<u8>>,
    trailers: Option<HeaderMap>,
) -> Result<(), h2::Error> {
    let count = parts.len();
    for (index, part) in parts.into_iter().enumerate() {
        let ends = trailers.is_none() && index + 1 == count;
        send_part(stream, part.into(), ends).await?;
    }
    match trailers {
        Some(trailers) => stream.send_trailers(trailers),
        None if count == 0 => stream.send_data(Bytes::new(), true),
        None => Ok(()),
    }
}
