//! A stream that carries another protocol's bytes both ways, once its handshake is done (RFC 8441
//! section 5), from either role.
//!
//! Poll-style: whoever relays waits for both ends at once, and holds no buffer while it waits.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};

use super::chunk::{Chunk, Queued};
use super::halves::{CUT_WAIT, poll_room};
use super::watched::Vitals;
use crate::exchange::ResetCode;
use crate::net::deadline::within;

/// Both directions of a stream. Dropping it resets a stream that isn't over.
#[derive(Debug)]
pub struct Tunnel {
    body: SendStream<Chunk>,
    came: RecvStream,
    /// What has come and nobody has taken.
    ahead: Bytes,
    is_ended: bool,
    queued: Queued,
    vitals: Vitals,
}

impl Tunnel {
    /// `ahead`: what has been read behind the handshake, its share of the window not given back.
    pub(super) fn new(
        body: SendStream<Chunk>,
        came: RecvStream,
        ahead: Bytes,
        vitals: Vitals,
    ) -> Self {
        Tunnel { body, came, ahead, is_ended: false, queued: Queued::default(), vitals }
    }

    /// Ready when bytes or the end are there.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ResetCode>> {
        while self.ahead.is_empty() && !self.is_ended {
            match ready!(self.came.poll_data(cx)) {
                // It may be an empty frame.
                Some(bytes) => self.ahead = bytes.map_err(|error| reset_code(&error))?,
                None => self.is_ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what is there, as far as it fits into the buffer's room; 0 is the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Result<usize, ResetCode>> {
        ready!(self.poll_readable(cx))?;
        let len = self.ahead.len().min(buffer.capacity() - buffer.len());
        buffer.extend_from_slice(&self.ahead[..len]);
        self.ahead.advance(len);
        // Fails where the stream is over, and then nobody needs the room.
        let _ = self.came.flow_control().release_capacity(len);
        Poll::Ready(Ok(len))
    }

    /// Hands some of the bytes to h2, as its peer's window lets them go; says how many.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, ResetCode>> {
        let room = match ready!(poll_room(&mut self.body, bytes.len(), cx)) {
            Some(room) => room.map_err(|error| reset_code(&error))?,
            None => return Poll::Ready(Err(ResetCode::CANCEL)),
        };
        let part = Bytes::copy_from_slice(&bytes[..room.min(bytes.len())]);
        let len = part.len();
        let sent = self.body.send_data(self.queued.chunk(part), false);
        self.vitals.worked(1);
        Poll::Ready(sent.map(|()| len).map_err(|error| reset_code(&error)))
    }

    /// Says that no more comes.
    pub fn end(&mut self) {
        // Fails where the stream is over.
        let _ = self.body.send_data(Chunk::uncounted(Bytes::new()), true);
    }

    /// Resets it, once what was sent before has left.
    pub async fn reset(mut self, code: ResetCode) {
        self.queued.follow_head(&mut self.body);
        let left = pin!(poll_fn(|cx| self.queued.poll_empty(cx)));
        // Whether it was taken or not, nothing more comes.
        let _ = within(CUT_WAIT, left).await;
        self.body.send_reset(Reason::from(code.0));
    }

    /// Waits for the peer to end its direction too, for so long.
    pub async fn linger(mut self, limit: Duration) {
        let ended = pin!(poll_fn(|cx| {
            while !self.is_ended {
                let len = std::mem::take(&mut self.ahead).len();
                let _ = self.came.flow_control().release_capacity(len);
                if ready!(self.poll_readable(cx)).is_err() {
                    break;
                }
            }
            Poll::Ready(())
        }));
        let _ = within(limit, ended).await;
    }
}

/// Why nothing passes any more; a connection that is gone counts as a reset for that.
fn reset_code(error: &h2::Error) -> ResetCode {
    match error.reason() {
        Some(reason) => ResetCode(reason.into()),
        None => ResetCode::INTERNAL_ERROR,
    }
}
