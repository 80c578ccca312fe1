//! The half of a forwarded exchange from the client to the origin.

use tokio::time::Instant;

use super::flow::Flow;
use super::origin::{Gone, Outlet};
use super::spool::{self, Spool};
use super::tape_gone;
use crate::exchange::Fields;
use crate::http::client::Rx;
use crate::http::road::Stop;
use crate::http1::framing::Framing;

/// Bytes of a body that are remembered while a shared connection may refuse its request.
const AGAIN_BYTES_MAX: u64 = spool::MEMORY_MAX as u64;

/// Where the request body comes from.
pub(in crate::http) struct Upload {
    /// What has been taken from the client already; it goes first, on every try.
    ahead: Spool,
    /// Whether all that was taken is in `ahead`.
    is_complete: bool,
}

impl Upload {
    /// From the client, as it sends.
    pub(in crate::http) fn flowing() -> Self {
        Upload::after(Spool::default())
    }

    /// This first, then what the client sends.
    pub(in crate::http) fn after(ahead: Spool) -> Self {
        Upload { ahead, is_complete: true }
    }

    /// Whether some of the body has been taken from the client.
    pub(super) fn has_begun(&self) -> bool {
        self.ahead.len() > 0 || !self.is_complete
    }

    /// Whether it can be sent from its first byte on.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn remember(&mut self, bytes: &[u8]) {
        let fits = self.ahead.len() + bytes.len() as u64 <= AGAIN_BYTES_MAX;
        if self.is_complete && fits && self.ahead.push(bytes).is_ok() {
            return;
        }
        self.is_complete = false;
        self.ahead = Spool::default();
    }

    fn forget(&mut self) {
        self.is_complete = false;
    }
}

impl Flow<'_> {
    /// Sends the request, then watches for the client's leaving. Ends only when the client fails.
    pub(super) async fn upload(
        &self,
        outlet: &mut Outlet<'_>,
        rx: &mut Rx<'_, '_>,
        upload: &mut Upload,
    ) -> Stop {
        match self.send_request(outlet, rx, upload).await {
            // An origin that takes no more may have answered already: its answer decides.
            Ok(()) | Err(UploadEnd::OriginGone) => {
                rx.left().await;
                Stop::Left
            }
            Err(UploadEnd::Client(stop)) => stop,
        }
    }

    async fn send_request(
        &self,
        outlet: &mut Outlet<'_>,
        rx: &mut Rx<'_, '_>,
        upload: &mut Upload,
    ) -> Result<(), UploadEnd> {
        if self.request.is_handshake() {
            return self.send_handshake(outlet).await;
        }
        if !self.gate.is_open() {
            outlet.flush(&self.wrote).await?;
            tokio::select! {
                biased;
                () = self.gate.passed() => {}
                () = rx.left() => return Err(Stop::Left.into()),
            }
        } else if self.request.framing != Framing::None && !upload.has_begun() && !rx.has_input() {
            outlet.flush(&self.wrote).await?;
        }
        self.send_ahead(outlet, &mut upload.ahead).await?;
        while let Some(bytes) = rx.body().await.map_err(Stop::from)? {
            match outlet {
                Outlet::H1 { .. } => upload.forget(),
                Outlet::H2(_) => upload.remember(bytes),
            }
            self.keep_request(bytes)?;
            self.send_body(outlet, bytes).await?;
        }
        self.end_request(outlet, rx.trailers()).await
    }

    /// A handshake has no body, and over HTTP/2 no end either: messages follow it.
    async fn send_handshake(&self, outlet: &mut Outlet<'_>) -> Result<(), UploadEnd> {
        self.keep_request_end(&Fields::new())?;
        outlet.flush(&self.wrote).await?;
        self.request_done.set(true);
        self.expect_head();
        Ok(())
    }

    async fn send_ahead(
        &self,
        outlet: &mut Outlet<'_>,
        ahead: &mut Spool,
    ) -> Result<(), UploadEnd> {
        let mut offset = 0;
        let mut buffer = vec![0; spool::MEMORY_MAX.min(ahead.len() as usize)];
        while offset < ahead.len() {
            let count = read_ahead(ahead, offset, &mut buffer)?;
            let bytes = &buffer[..count];
            offset += count as u64;
            // A try before this one may have kept it.
            let new = offset.saturating_sub(self.request_bytes_kept.get());
            let new = usize::try_from(new).unwrap_or(usize::MAX).min(count);
            self.keep_request(&bytes[count - new..])?;
            self.send_body(outlet, bytes).await?;
        }
        Ok(())
    }

    /// Puts on the tape what was taken from the client and not sent, because the answer was over
    /// before.
    pub(super) fn keep_ahead(&self, upload: &mut Upload) -> Result<(), Stop> {
        let ahead = &mut upload.ahead;
        let mut buffer = Vec::new();
        while self.request_bytes_kept.get() < ahead.len() {
            buffer.resize(spool::MEMORY_MAX, 0);
            let count = read_ahead(ahead, self.request_bytes_kept.get(), &mut buffer)?;
            self.keep_request(&buffer[..count])?;
        }
        Ok(())
    }

    /// Puts bytes of the body on the tape.
    pub(super) fn keep_request(&self, bytes: &[u8]) -> Result<(), Stop> {
        let at = self.request.elapsed();
        let kept = self.recording.borrow_mut().request_data(at, bytes);
        kept.map_err(|error| self.disk_failed(error))?;
        self.request_bytes_kept.set(self.request_bytes_kept.get() + bytes.len() as u64);
        Ok(())
    }

    async fn send_body(&self, outlet: &mut Outlet<'_>, bytes: &[u8]) -> Result<(), UploadEnd> {
        outlet.data(bytes, &self.wrote).await?;
        self.expect_head();
        Ok(())
    }

    async fn end_request(
        &self,
        outlet: &mut Outlet<'_>,
        trailers: &Fields,
    ) -> Result<(), UploadEnd> {
        self.keep_request_end(trailers)?;
        outlet.finish(trailers, &self.wrote).await?;
        self.request_done.set(true);
        self.expect_head();
        Ok(())
    }

    /// Says on the tape that the request is whole.
    pub(super) fn keep_request_end(&self, trailers: &Fields) -> Result<(), Stop> {
        if self.request_kept.replace(true) {
            return Ok(());
        }
        let mut scratch = self.request.here.worker.scratch.borrow_mut();
        let kept = self.request.here.redactor.trailers(trailers, &mut scratch);
        let kept = self.recording.borrow_mut().request_end(kept);
        kept.map_err(|error| self.disk_failed(error))
    }

    /// From here on the origin owes its answer's head. A call's origin owes none before the
    /// request's end: both sides may be silent for as long as they like.
    pub(super) fn expect_head(&self) {
        if !self.answered.get() && (self.request_done.get() || !self.request.is_call()) {
            let limit = self.request.here.limits().origin_header_timeout;
            self.origin_due.set(Some(Instant::now() + limit));
        }
    }
}

/// Reads bytes of the body that were set aside.
fn read_ahead(ahead: &mut Spool, offset: u64, buffer: &mut [u8]) -> Result<usize, Stop> {
    ahead.read_at(offset, buffer).map_err(|error| tape_gone(error).into())
}

/// Why an upload goes no further.
enum UploadEnd {
    OriginGone,
    Client(Stop),
}

impl From<Stop> for UploadEnd {
    fn from(stop: Stop) -> Self {
        UploadEnd::Client(stop)
    }
}

impl From<Gone> for UploadEnd {
    fn from(_: Gone) -> Self {
        UploadEnd::OriginGone
    }
}
