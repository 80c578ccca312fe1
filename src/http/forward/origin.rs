//! The origin as the two halves of an exchange meet it, whatever version of HTTP it speaks.
//!
//! One `match` per step and nothing else.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::ops::Range;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::exchange::{Fields, ResetCode, ResponseHead};
use crate::http::hop;
use crate::http1::framing::Framing;
use crate::http1::receiver::Step;
use crate::http1::writer;
use crate::net::stream::WriteHalf;
use crate::net::tls::OriginFailure;
use crate::{http1, http2};

/// Why an origin's answer can't be read on, or a request not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    H1(#[from] http1::client::Broken),
    #[error(transparent)]
    H2(#[from] http2::client::Broken),
}

impl Broken {
    /// Whether the origin can't have seen the request.
    pub(super) fn is_unseen(&self) -> bool {
        matches!(self, Broken::H2(http2::client::Broken::Unseen(_)))
    }

    /// Whether the connection ended before anything of an answer came.
    pub(super) fn is_before_answer(&self) -> bool {
        matches!(
            self,
            Broken::H1(http1::client::Broken::BeforeAnswer)
                | Broken::H2(http2::client::Broken::Unseen(_) | http2::client::Broken::Failed(_))
        )
    }

    /// Why the origin wants nothing of Ouli, where TLS has told.
    pub(super) fn refusal(&self) -> Option<&OriginFailure> {
        match self {
            Broken::H1(broken) => broken.refusal(),
            // Told before a link is made.
            Broken::H2(_) => None,
        }
    }

    /// What an HTTP/2 origin reset its stream with.
    pub(super) fn reset_code(&self) -> Option<ResetCode> {
        match self {
            Broken::H2(http2::client::Broken::Reset(reason)) => Some(ResetCode((*reason).into())),
            _ => None,
        }
    }
}

/// The request's direction.
pub(super) enum Outlet<'c> {
    H1 {
        writer: WriteHalf<'c>,
        /// What leaves with the next write.
        out: &'c mut Vec<u8>,
        framing: Framing,
    },
    H2(http2::client::Sending),
}

/// The origin takes no more of the request.
pub(super) struct Gone;

impl Outlet<'_> {
    /// Sends what waits. `wrote`: some of it is out.
    pub(super) async fn flush(&mut self, wrote: &Cell<bool>) -> Result<(), Gone> {
        match self {
            Outlet::H1 { writer, out, .. } => send(writer, out, &[], wrote).await,
            // h2 sends as soon as it is driven.
            Outlet::H2(_) => Ok(()),
        }
    }

    /// Sends bytes of the body, with whatever waits before them.
    pub(super) async fn data(&mut self, bytes: &[u8], wrote: &Cell<bool>) -> Result<(), Gone> {
        match self {
            // An empty chunk would end the body.
            Outlet::H1 { writer, out, framing }
                if *framing == Framing::Chunked && !bytes.is_empty() =>
            {
                writer::chunk_head(out, bytes.len());
                let sent = send(writer, out, bytes, wrote).await;
                writer::chunk_end(out);
                sent
            }
            Outlet::H1 { writer, out, .. } => send(writer, out, bytes, wrote).await,
            Outlet::H2(sending) => sending.data(bytes).await.map_err(|_| Gone),
        }
    }

    /// Sends the end of the request.
    pub(super) async fn finish(
        &mut self,
        trailers: &Fields,
        wrote: &Cell<bool>,
    ) -> Result<(), Gone> {
        match self {
            Outlet::H1 { writer, out, framing } => {
                if *framing == Framing::Chunked {
                    writer::last_chunk(out, &hop::passing(trailers));
                }
                send(writer, out, &[], wrote).await
            }
            Outlet::H2(sending) => sending.finish(&hop::passing(trailers)).map_err(|_| Gone),
        }
    }
}

/// Writes `out` and `bytes` to the origin, and empties `out`.
async fn send(
    writer: &mut WriteHalf<'_>,
    out: &mut Vec<u8>,
    bytes: &[u8],
    wrote: &Cell<bool>,
) -> Result<(), Gone> {
    let written = write_both(writer, out, bytes, wrote).await;
    out.clear();
    written.map_err(|_| Gone)
}

/// Writes both, in one system call where the socket takes them. `wrote`: some of it is out.
async fn write_both(
    writer: &mut (impl AsyncWrite + Unpin),
    first: &[u8],
    second: &[u8],
    wrote: &Cell<bool>,
) -> io::Result<()> {
    let mut slices = [IoSlice::new(first), IoSlice::new(second)];
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let count = match rest {
            [only, rest @ ..] if rest.iter().all(|slice| slice.is_empty()) => {
                writer.write(only).await?
            }
            _ => writer.write_vectored(rest).await?,
        };
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        wrote.set(true);
        IoSlice::advance_slices(&mut rest, count);
    }
    // Under TLS the kernel may have taken a part only.
    writer.flush().await
}

/// The answer's direction.
pub(super) enum Answering<'c> {
    H1(http1::client::Answering<'c>),
    H2(http2::client::Answering),
}

impl Answering<'_> {
    /// Reads the next head, interim or final, into `out`.
    ///
    /// Cancel safety: no byte is lost.
    pub(super) async fn head(&mut self, out: &mut ResponseHead) -> Result<(), Broken> {
        match self {
            Answering::H1(answering) => Ok(answering.head(out).await?),
            Answering::H2(answering) => Ok(answering.head(out).await?),
        }
    }

    /// Sets the body's framing from the final head.
    pub(super) fn begin_body(
        &mut self,
        head: &ResponseHead,
        method: &str,
    ) -> Result<Framing, Broken> {
        match self {
            Answering::H1(answering) => Ok(answering.begin_body(head, method)?),
            Answering::H2(answering) => Ok(answering.begin_body(head, method)),
        }
    }

    pub(super) fn step(&mut self) -> Result<Step, Broken> {
        match self {
            Answering::H1(answering) => Ok(answering.step()?),
            Answering::H2(answering) => Ok(answering.step()),
        }
    }

    pub(super) fn data(&self, range: Range<usize>) -> &[u8] {
        match self {
            Answering::H1(answering) => answering.data(range),
            Answering::H2(answering) => answering.data(range),
        }
    }

    /// Waits for more of the body. `Ok(false)`: nothing more will come, and the body is whole.
    pub(super) async fn more(&mut self) -> Result<bool, Broken> {
        match self {
            Answering::H1(answering) => Ok(answering.more().await?),
            Answering::H2(answering) => Ok(answering.more().await.map(|()| true)?),
        }
    }

    /// Whether the last byte of the body has been handed out, and no trailers can follow.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Answering::H1(answering) => answering.is_complete(),
            Answering::H2(answering) => answering.is_complete(),
        }
    }

    pub(super) fn trailers(&self) -> &Fields {
        match self {
            Answering::H1(answering) => answering.trailers(),
            Answering::H2(answering) => answering.trailers(),
        }
    }
}
