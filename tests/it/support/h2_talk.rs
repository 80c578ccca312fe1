//! One HTTP/2 request at the origin, and full control over what it gets back.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::Response;
use tokio::sync::mpsc;

use super::h2_fields::{ending, from_map, to_map};
use super::h2_origin::{Order, SEND_BUFFER};
use super::h2_send::{send_all, send_part};
use super::message::{Ending, Headers, Request};
use super::origin::Shared;
use super::peer::PATIENCE;
use super::reply::Reply;
use super::tasks::{runtime, within};

/// What a script holds: the request's head has come, all else is up to the script. A stream that
/// it leaves open is reset with CANCEL.
pub struct H2Talk {
    request: Request,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    /// The answer's, once its head is out and until its end.
    stream: Option<SendStream<Bytes>>,
    shared: Arc<Shared>,
    index: usize,
    nth: usize,
    orders: mpsc::UnboundedSender<Order>,
    /// How the request's body ended, if not as it should.
    broken: Option<Ending>,
}

impl H2Talk {
    pub(super) fn new(
        request: Request,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        shared: Arc<Shared>,
        index: usize,
        nth: usize,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Self {
        let (stream, broken) = (None, None);
        H2Talk { request, body, respond, stream, shared, index, nth, orders, broken }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// 1 for the first request of this route.
    pub fn nth(&self) -> usize {
        self.nth
    }

    /// The next bytes of the body, `None` at its end or when it broke off.
    pub fn read_some(&mut self) -> Option<Vec<u8>> {
        let next = within(PATIENCE, self.body.data()).unwrap_or(None);
        let read = match next {
            Some(Ok(bytes)) => {
                let _ = self.body.flow_control().release_capacity(bytes.len());
                self.request.body.extend(&bytes);
                Some(bytes.to_vec())
            }
            Some(Err(error)) => {
                self.broken = Some(ending(&error));
                None
            }
            None => {
                self.read_trailers();
                None
            }
        };
        self.shared.note(self.index, &self.request);
        read
    }

    /// The next bytes of a conversation, which `Origin::requests` doesn't keep.
    pub fn read_raw(&mut self) -> Result<Vec<u8>, Ending> {
        match within(PATIENCE, self.body.data()).ok_or(Ending::Silence)? {
            None => Err(Ending::Cut),
            Some(Err(error)) => Err(ending(&error)),
            Some(Ok(bytes)) => {
                let _ = self.body.flow_control().release_capacity(bytes.len());
                Ok(bytes.to_vec())
            }
        }
    }

    fn read_trailers(&mut self) {
        match within(PATIENCE, self.body.trailers()) {
            Some(Ok(trailers)) => {
                self.request.trailers = trailers.as_ref().map(from_map).unwrap_or_default();
                self.request.whole = self.body.is_end_stream();
            }
            Some(Err(error)) => self.broken = Some(ending(&error)),
            None => {}
        }
    }

    /// Reads the rest of the body, which then is whole in `Origin::requests`.
    pub fn read_body(&mut self) -> Vec<u8> {
        while self.read_some().is_some() {}
        self.request.body.clone()
    }

    /// Reads until this many bytes have come in all.
    pub fn read_to(&mut self, len: usize) -> &[u8] {
        while self.request.body.len() < len && self.read_some().is_some() {}
        &self.request.body
    }

    /// How the request's body ended before its time.
    pub fn broken(&self) -> Option<Ending> {
        self.broken
    }

    pub fn interim(&mut self, status: u16, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        let _ = self.respond.send_informational(head(status, &Headers(headers)));
    }

    /// Sends the head and the body of this answer, and leaves it open.
    pub fn begin(&mut self, reply: impl Into<Reply>) {
        let reply = reply.into();
        let (parts, _) = reply.parts();
        let mut headers = reply.h2_headers();
        headers.0.retain(|(name, _)| name != "content-length");
        let head = head(reply.status(), &headers);
        self.stream = self.respond.send_response(head, false).ok();
        for part in parts {
            self.send(part);
        }
    }

    /// Sends a part of an answer that `begin` began; false when the client has gone.
    pub fn send(&mut self, part: impl Into<Vec<u8>>) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let sending = send_part(stream, part.into().into(), false);
        matches!(within(PATIENCE, sending), Some(Ok(())))
    }

    pub fn finish(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = stream.send_data(Bytes::new(), true);
        }
    }

    pub fn trailers(&mut self, trailers: &[(&str, &str)]) {
        let trailers = trailers.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        if let Some(mut stream) = self.stream.take() {
            let _ = stream.send_trailers(to_map(&Headers(trailers)));
        }
    }

    /// Sends all of this answer, or as much as it has.
    pub fn reply(&mut self, reply: impl Into<Reply>) {
        let reply = reply.into();
        for (status, headers) in reply.interim() {
            let _ = self.respond.send_informational(head(*status, headers));
        }
        let (mut parts, trailers) = reply.parts();
        if self.request.method == "HEAD" || matches!(reply.status(), 204 | 304) {
            parts.clear();
        }
        let ends = parts.iter().all(Vec::is_empty) && trailers.0.is_empty();
        let ends = ends && reply.is_cut().is_none();
        let sent = self.respond.send_response(head(reply.status(), &reply.h2_headers()), ends);
        let Ok(mut stream) = sent else { return };
        if let Some(code) = reply.is_cut() {
            for part in parts {
                let _ = within(PATIENCE, send_part(&mut stream, part.into(), false));
            }
            self.stream = Some(stream);
            return self.reset(code);
        }
        if !ends {
            let trailers = (!trailers.0.is_empty()).then(|| to_map(&trailers));
            // Flow control, or the client's leaving, decides how long this takes.
            let _ = runtime().block_on(send_all(&mut stream, parts, trailers));
        }
    }

    /// Resets the stream with this code, after what has been sent is out.
    pub fn reset(&mut self, code: u32) {
        let reason = Reason::from(code);
        match &mut self.stream {
            // A reset throws away what is queued: let it out first.
            Some(stream) => {
                within(PATIENCE, flushed(stream));
                stream.send_reset(reason);
            }
            None => self.respond.send_reset(reason),
        }
    }

    /// Waits until the client resets the stream, and tells its code.
    pub fn client_resets_within(&mut self, patience: Duration) -> Option<u32> {
        let reason = match &mut self.stream {
            Some(stream) => within(patience, poll_fn(|cx| stream.poll_reset(cx))),
            None => within(patience, poll_fn(|cx| self.respond.poll_reset(cx))),
        };
        reason.map(|reason| reason.map_or(0, u32::from))
    }

    /// A GOAWAY on this connection; streams that are open go on.
    pub fn go_away(&self) {
        let _ = self.orders.send(Order::GoAway);
    }

    /// A GOAWAY with this code, and the end of the connection.
    pub fn abort_connection(&self, code: u32) {
        let _ = self.orders.send(Order::Abort(code));
    }
}

/// Waits until all that was given to a stream has left its buffer: only an empty one has room for
/// so much.
async fn flushed(stream: &mut SendStream<Bytes>) {
    stream.reserve_capacity(SEND_BUFFER);
    while stream.capacity() < SEND_BUFFER {
        if !matches!(poll_fn(|cx| stream.poll_capacity(cx)).await, Some(Ok(_))) {
            return;
        }
    }
}

fn head(status: u16, headers: &Headers) -> Response<()> {
    let mut response = Response::builder().status(status).body(()).unwrap();
    *response.headers_mut() = to_map(headers);
    response
}
