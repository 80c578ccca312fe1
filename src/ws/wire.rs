//! One end of a conversation as bytes: a connection that has switched protocols, or a stream of
//! HTTP/2.
//!
//! Poll-style, because a conversation waits for both of its ends and a timer in one task, and has
//! no buffer while it waits.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::exchange::ResetCode;
use crate::http2::tunnel::Tunnel;
use crate::net::stream::{LINGER_BYTES_MAX, LINGER_MAX, Stream};

/// One end of a conversation.
pub struct Wire {
    io: Io,
    /// Held for as long as the end is open: a permit, a place, a guard.
    held: Box<dyn Any>,
}

enum Io {
    Stream { stream: Stream, ahead: Bytes },
    Tunnel(Tunnel),
}

/// An end's connection broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of a stream of HTTP/2 that was reset.
    pub reset: Option<ResetCode>,
}

impl From<ResetCode> for Lost {
    fn from(code: ResetCode) -> Self {
        Lost { reset: Some(code) }
    }
}

const CUT: Lost = Lost { reset: None };

impl Wire {
    /// A connection that has switched protocols; `ahead` was read of it behind the handshake.
    pub fn switched(stream: Stream, ahead: Bytes, held: impl Any) -> Wire {
        Wire { io: Io::Stream { stream, ahead }, held: Box::new(held) }
    }

    pub fn tunnel(tunnel: Tunnel, held: impl Any) -> Wire {
        Wire { io: Io::Tunnel(tunnel), held: Box::new(held) }
    }

    /// Ready when bytes or an end may be there. It may be a false alarm.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        match &mut self.io {
            Io::Stream { ahead, .. } if !ahead.is_empty() => Poll::Ready(Ok(())),
            Io::Stream { stream, .. } => stream.poll_readable(cx).map_err(|_| CUT),
            Io::Tunnel(tunnel) => tunnel.poll_readable(cx).map_err(Lost::from),
        }
    }

    /// Reads what is there into the room of `buffer`, which has some; 0 is the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Result<usize, Lost>> {
        match &mut self.io {
            Io::Stream { ahead, .. } if !ahead.is_empty() => {
                let len = ahead.len().min(buffer.capacity() - buffer.len());
                buffer.extend_from_slice(&ahead[..len]);
                ahead.advance(len);
                Poll::Ready(Ok(len))
            }
            Io::Stream { stream, .. } => stream.poll_read(cx, buffer).map_err(|_| CUT),
            Io::Tunnel(tunnel) => tunnel.poll_read(cx, buffer).map_err(Lost::from),
        }
    }

    /// Hands over some of `bytes`, at least one; says how many.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Lost>> {
        match &mut self.io {
            Io::Stream { stream, .. } => match ready!(Pin::new(stream).poll_write(cx, bytes)) {
                Ok(0) | Err(_) => Poll::Ready(Err(CUT)),
                Ok(count) => Poll::Ready(Ok(count)),
            },
            Io::Tunnel(tunnel) => tunnel.poll_write(cx, bytes).map_err(Lost::from),
        }
    }

    /// Ready when the kernel, or h2, has all that was written.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        match &mut self.io {
            Io::Stream { stream, .. } => Pin::new(stream).poll_flush(cx).map_err(|_| CUT),
            Io::Tunnel(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends it, so that what was written can still be read. What it holds is held until that is
    /// done. An end without a close frame before it is how a connection is lost; over HTTP/2 `cut`
    /// says so with a reset.
    pub async fn close(self, cut: Option<ResetCode>) {
        let Wire { io, held } = self;
        match (io, cut) {
            (Io::Stream { stream, .. }, _) => {
                stream.close_lingering(LINGER_BYTES_MAX, LINGER_MAX).await;
            }
            (Io::Tunnel(tunnel), Some(code)) => tunnel.reset(code).await,
            (Io::Tunnel(mut tunnel), None) => {
                tunnel.end();
                tunnel.linger(LINGER_MAX).await;
            }
        }
        drop(held);
    }
}
