//! The half of a forwarded exchange from the client to the origin.

use std::cell::Cell;
use std::io::{self, IoSlice};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::flow::Flow;
use super::spool::{self, Spool};
use super::{Upload, tape_gone};
use crate::exchange::Fields;
use crate::http::hop;
use crate::http::road::Stop;
use crate::http1::framing::Framing;
use crate::http1::halves::Rx;
use crate::http1::writer;
use crate::net::stream::WriteHalf;

impl Flow<'_> {
    /// Sends the request, then watches for the client's leaving. Ends only when the client fails.
    pub(super) async fn upload(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        rx: &mut Rx<'_>,
        upload: &mut Upload,
    ) -> Stop {
        let sent = match upload {
            Upload::Flowing => self.upload_flowing(writer, out, rx).await,
            Upload::Spooled(spool) => self.upload_spooled(writer, out, rx, spool).await,
        };
        match sent {
            // An origin that takes no more may have answered already: its answer decides.
            Ok(()) | Err(UploadEnd::OriginGone) => {
                rx.left().await;
                Stop::Left
            }
            Err(UploadEnd::Client(stop)) => stop,
        }
    }

    async fn upload_flowing(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        rx: &mut Rx<'_>,
    ) -> Result<(), UploadEnd> {
        if !self.gate.is_open() {
            self.send(writer, out, &[]).await?;
            tokio::select! {
                biased;
                () = self.gate.passed() => {}
                () = rx.left() => return Err(UploadEnd::Client(Stop::Left)),
            }
        } else if self.request.framing != Framing::None && !rx.has_input() {
            self.send(writer, out, &[]).await?;
        }
        while let Some(bytes) =
            rx.body().await.map_err(|unread| UploadEnd::Client(unread.into()))?
        {
            self.send_body(writer, out, bytes).await?;
        }
        self.end_request(writer, out, rx.trailers()).await
    }

    async fn upload_spooled(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        rx: &mut Rx<'_>,
        spool: &mut Spool,
    ) -> Result<(), UploadEnd> {
        let mut offset = 0;
        let mut buffer = vec![0; spool::MEMORY_MAX.min(spool.len() as usize)];
        while offset < spool.len() {
            let count = spool
                .read_at(offset, &mut buffer)
                .map_err(|error| UploadEnd::Client(tape_gone(error).into()))?;
            self.send_body(writer, out, &buffer[..count]).await?;
            offset += count as u64;
        }
        self.end_request(writer, out, rx.trailers()).await
    }

    async fn send_body(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<(), UploadEnd> {
        self.body_begun.set(true);
        let kept = self.recording.borrow_mut().request_data(bytes);
        kept.map_err(|error| UploadEnd::Client(self.disk_failed(error)))?;
        if self.request.framing == Framing::Chunked {
            writer::chunk_head(out, bytes.len());
            self.send(writer, out, bytes).await?;
            writer::chunk_end(out);
        } else {
            self.send(writer, out, bytes).await?;
        }
        let limit = self.request.here.limits().origin_header_timeout;
        if !self.answered.get() {
            self.origin_due.set(Some(Instant::now() + limit));
        }
        Ok(())
    }

    async fn end_request(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        trailers: &Fields,
    ) -> Result<(), UploadEnd> {
        if !self.request_kept.replace(true) {
            let mut scratch = self.request.here.worker.scratch.borrow_mut();
            let kept = self.request.here.redactor.trailers(trailers, &mut scratch);
            let kept = self.recording.borrow_mut().request_end(kept);
            kept.map_err(|error| UploadEnd::Client(self.disk_failed(error)))?;
        }
        if self.request.framing == Framing::Chunked {
            writer::last_chunk(out, &hop::passing(trailers));
        }
        self.send(writer, out, &[]).await?;
        self.request_done.set(true);
        Ok(())
    }

    /// Writes `out` and `bytes` to the origin, and empties `out`.
    async fn send(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<(), UploadEnd> {
        let written = write_both(writer, out, bytes, &self.wrote).await;
        out.clear();
        written.map_err(|_| UploadEnd::OriginGone)
    }
}

/// Why an upload goes no further.
enum UploadEnd {
    OriginGone,
    Client(Stop),
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
            [only] => writer.write(only).await?,
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
