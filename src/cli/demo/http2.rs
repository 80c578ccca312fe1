//! Bodies over streams of HTTP/2, for the demo's origin and its client alike.

use anyhow::Result;
use bytes::Bytes;
use h2::RecvStream;

use super::http1::Content;
use crate::exchange::Fields;
use crate::http2::heads;

/// The next bytes; none at the end of the body.
pub(super) async fn piece(body: &mut RecvStream) -> Result<Option<Bytes>> {
    let Some(bytes) = body.data().await.transpose()? else { return Ok(None) };
    // They are taken, so the peer may send as many again.
    body.flow_control().release_capacity(bytes.len())?;
    Ok(Some(bytes))
}

/// What stands behind a body that has ended.
pub(super) async fn trailers(body: &mut RecvStream) -> Result<Fields> {
    let mut fields = Fields::new();
    if let Some(map) = body.trailers().await? {
        heads::read_fields(&map, &mut fields);
    }
    Ok(fields)
}

pub(super) async fn content(mut stream: RecvStream) -> Result<Content> {
    let mut body = Vec::new();
    while let Some(bytes) = piece(&mut stream).await? {
        body.extend_from_slice(&bytes);
    }
    Ok(Content { body, trailers: trailers(&mut stream).await? })
}
