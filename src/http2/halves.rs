//! The two directions of a client's stream while an exchange is on it.
//!
//! As `http1::halves`, over h2's handles: `Rx` takes the request body, `Tx` gives the answer. Both
//! may be used at the same time from one task. Dropping both resets a stream that isn't over.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};

use super::chunk::{Chunk, Queued};
use super::heads;
use super::tunnel::Tunnel;
use super::watched::Vitals;
use crate::exchange::{Fields, ResetCode};
use crate::http1::halves::{Unread, Unsent};
use crate::net::deadline::within;

/// How long a cut waits for the client to take what was sent before it. A client whose window is
/// shut sees the cut after this, as far as its window let bytes go.
pub(super) const CUT_WAIT: Duration = Duration::from_secs(2);

/// The sending side, which both directions need: a client's leaving shows there.
pub struct Sending {
    handle: RefCell<Handle>,
    vitals: Vitals,
}

enum Handle {
    AwaitHead(SendResponse<Chunk>),
    StreamBody(SendStream<Chunk>),
}

impl Sending {
    pub(super) fn new(respond: SendResponse<Chunk>, vitals: Vitals) -> Self {
        Sending { handle: RefCell::new(Handle::AwaitHead(respond)), vitals }
    }

    /// What is left of both directions once the answer has granted another protocol. None where no
    /// answer was sent.
    pub(super) fn into_tunnel(self, rest: Rest) -> Option<Tunnel> {
        match self.handle.into_inner() {
            Handle::StreamBody(body) => Some(Tunnel::new(body, rest.body, rest.ahead, self.vitals)),
            Handle::AwaitHead(_) => None,
        }
    }

    /// Completes when the client has reset the stream, or its connection is gone.
    async fn reset(&self) {
        poll_fn(|cx| {
            let polled = match &mut *self.handle.borrow_mut() {
                Handle::AwaitHead(respond) => respond.poll_reset(cx),
                Handle::StreamBody(body) => body.poll_reset(cx),
            };
            polled.map(|_| ())
        })
        .await;
    }
}

/// The receiving direction.
pub struct Rx<'s> {
    body: RecvStream,
    sending: &'s Sending,
    /// What the last `body` handed out, or what was read ahead of the next.
    current: Bytes,
    /// Bytes of the window that `current` took.
    held: usize,
    /// Whether `current` was read ahead, and nobody has had it.
    is_ahead: bool,
    is_ended: bool,
    trailers: Fields,
    /// None where the client owes nothing: both sides of a gRPC call are silent as long as they
    /// like, and pings tell whether it lives.
    stall_timeout: Option<Duration>,
}

impl<'s> Rx<'s> {
    pub(super) fn new(
        body: RecvStream,
        sending: &'s Sending,
        stall_timeout: Option<Duration>,
    ) -> Self {
        let is_ended = body.is_end_stream();
        Rx {
            body,
            sending,
            current: Bytes::new(),
            held: 0,
            is_ahead: false,
            is_ended,
            trailers: Fields::new(),
            stall_timeout,
        }
    }

    /// Whether the whole request has been taken.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether bytes of the body have come already; a client that waits for 100 sent none.
    pub fn has_input(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        while !self.is_ahead && !self.is_ended {
            match self.body.poll_data(&mut cx) {
                // How a body may end.
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) => {
                    self.hold(bytes);
                    self.is_ahead = true;
                }
                // What it is, `body` says.
                _ => break,
            }
        }
        self.is_ahead
    }

    pub fn trailers(&self) -> &Fields {
        &self.trailers
    }

    /// The next bytes of the body, at least one; `None` at its end.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn body(&mut self) -> Result<Option<&[u8]>, Unread> {
        if self.is_ahead {
            self.is_ahead = false;
            return Ok(Some(&self.current));
        }
        self.release();
        loop {
            if self.is_ended {
                return Ok(None);
            }
            match self.next().await? {
                Next::Data(bytes) if bytes.is_empty() => {}
                Next::Data(bytes) => {
                    self.hold(bytes);
                    return Ok(Some(&self.current));
                }
                Next::End(trailers) => {
                    if let Some(trailers) = trailers {
                        heads::read_fields(&trailers, &mut self.trailers);
                    }
                    self.is_ended = true;
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Next, Unread> {
        let next = pin!(next(&mut self.body));
        let came = match self.stall_timeout {
            None => next.await,
            Some(limit) => within(limit, next).await.map_err(|_| Unread::Stalled(limit))?,
        };
        came.map_err(|_| Unread::Left)
    }

    /// As `body`, to be kept.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn shared(&mut self) -> Result<Option<Bytes>, Unread> {
        let came = self.body().await?.is_some();
        Ok(came.then(|| self.current.clone()))
    }

    /// What has not been taken of the receiving direction.
    pub(super) fn into_rest(mut self) -> Rest {
        if !self.is_ahead {
            self.release();
        }
        Rest { body: self.body, ahead: self.current }
    }

    /// Waits for the client to leave; never ends while it stays.
    pub async fn left(&mut self) {
        if !self.is_ahead {
            self.release();
        }
        self.sending.reset().await;
    }

    fn hold(&mut self, bytes: Bytes) {
        self.held = bytes.len();
        self.current = bytes;
    }

    /// Makes room in the client's window for what has been passed on.
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if held > 0 {
            self.current = Bytes::new();
            // Fails where the stream is over, and then nobody needs the room.
            let _ = self.body.flow_control().release_capacity(held);
        }
    }
}

/// The receiving direction behind a handshake.
pub(super) struct Rest {
    body: RecvStream,
    /// Read already.
    ahead: Bytes,
}

/// What stands next in a body.
pub(super) enum Next {
    Data(Bytes),
    End(Option<HeaderMap>),
}

/// Cancel safety: nothing is lost.
pub(super) async fn next(body: &mut RecvStream) -> Result<Next, h2::Error> {
    match poll_fn(|cx| body.poll_data(cx)).await {
        Some(data) => Ok(Next::Data(data?)),
        None => Ok(Next::End(poll_fn(|cx| body.poll_trailers(cx)).await?)),
    }
}

/// Ready when h2 takes some of `wanted` bytes, with how many: never 0. `None` where the stream
/// takes no more.
pub(super) fn poll_room(
    body: &mut SendStream<Chunk>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<usize, h2::Error>>> {
    body.reserve_capacity(wanted);
    match body.capacity() {
        // Registers for the change, and for a reset.
        0 => body.poll_capacity(cx),
        room => Poll::Ready(Some(Ok(room))),
    }
}

/// The sending direction.
pub struct Tx<'s> {
    sending: &'s Sending,
    /// Waits for what comes behind it, so that an answer without a body is one frame.
    head: Option<Response<()>>,
    /// Bytes of the body that leave with the next flush.
    staged: BytesMut,
    queued: Queued,
    /// Whether a byte of the final answer may have left: from here on a fault can only cut.
    is_committed: bool,
    is_finished: bool,
    has_body: bool,
    stall_timeout: Duration,
    /// Bytes that the client was sent for this answer, heads by their text.
    pub sent: u64,
}

/// A body's pieces up to this are gathered, to leave in one frame.
const STAGED_MAX: usize = 16 << 10;

impl<'s> Tx<'s> {
    pub(super) fn new(sending: &'s Sending, stall_timeout: Duration) -> Self {
        Tx {
            sending,
            head: None,
            staged: BytesMut::new(),
            queued: Queued::default(),
            is_committed: false,
            is_finished: false,
            has_body: true,
            stall_timeout,
            sent: 0,
        }
    }

    pub fn is_committed(&self) -> bool {
        self.is_committed
    }

    /// Forgets a head, and bytes behind it, that have not left.
    pub fn discard(&mut self) {
        if !self.is_committed {
            self.head = None;
            self.staged.clear();
        }
    }

    /// Sends an interim answer.
    pub fn interim(&mut self, head: Response<()>) -> Result<(), Unsent> {
        match &mut *self.sending.handle.borrow_mut() {
            Handle::AwaitHead(respond) => {
                respond.send_informational(head).map_err(|_| Unsent::Left)
            }
            Handle::StreamBody(_) => Ok(()),
        }
    }

    /// The final answer's head, which leaves with what is sent next. `has_body`: whether a body may
    /// follow it.
    pub fn begin(&mut self, head: Response<()>, has_body: bool) {
        self.sent += text_bytes(head.headers());
        self.head = Some(head);
        self.has_body = has_body;
    }

    /// Sends a whole answer.
    pub async fn whole(&mut self, head: Response<()>, body: Bytes) -> Result<(), Unsent> {
        self.begin(head, true);
        if body.is_empty() {
            return self.finish(&Fields::new()).await;
        }
        self.give(body, true).await
    }

    /// Appends bytes of the body if they are few; the next `flush` sends them.
    pub fn stage(&mut self, bytes: &[u8]) -> bool {
        if self.staged.len() + bytes.len() > STAGED_MAX {
            return false;
        }
        if self.has_body {
            self.staged.extend_from_slice(bytes);
        }
        true
    }

    /// Sends what waits, if anything.
    pub async fn flush(&mut self) -> Result<(), Unsent> {
        self.send_head(false)?;
        let staged = self.staged.split().freeze();
        if staged.is_empty() { Ok(()) } else { self.give(staged, false).await }
    }

    /// Sends bytes of the body, behind what waits. Returns when h2 has them, which it takes no
    /// sooner than the client's window and the send buffer have room.
    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), Unsent> {
        if self.stage(bytes) {
            return self.flush().await;
        }
        self.flush().await?;
        self.give(Bytes::copy_from_slice(bytes), false).await
    }

    /// As `data`, without a copy.
    pub async fn shared(&mut self, bytes: &Bytes) -> Result<(), Unsent> {
        self.flush().await?;
        if self.has_body { self.give(bytes.clone(), false).await } else { Ok(()) }
    }

    /// Sends the end of the answer, with whatever waits before it: it is whole.
    pub async fn finish(&mut self, trailers: &Fields) -> Result<(), Unsent> {
        if trailers.is_empty() && self.staged.is_empty() {
            return self.end();
        }
        if trailers.is_empty() {
            let staged = self.staged.split().freeze();
            return self.give(staged, true).await;
        }
        self.flush().await?;
        let trailers = heads::trailers(trailers);
        self.sent += text_bytes(&trailers);
        self.with_body(|body| body.send_trailers(trailers))?;
        self.finished();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unsent> {
        if self.head.is_some() {
            self.send_head(true)?;
        } else {
            self.with_body(|body| body.send_data(Chunk::uncounted(Bytes::new()), true))?;
        }
        self.finished();
        Ok(())
    }

    fn finished(&mut self) {
        self.is_finished = true;
        self.sending.vitals.worked(2);
    }

    /// Ends the stream in the middle of its answer, once what was sent has left. What waits is
    /// forgotten: it may not be on the tape, and who may send it has flushed it.
    pub async fn cut(&mut self, code: ResetCode) {
        if self.is_finished {
            return;
        }
        self.head = None;
        self.staged.clear();
        let left = async {
            if let Handle::StreamBody(body) = &mut *self.sending.handle.borrow_mut() {
                self.queued.follow_head(body);
            }
            poll_fn(|cx| self.queued.poll_empty(cx)).await;
        };
        // Whether it was taken or not, nothing more comes.
        let _ = within(CUT_WAIT, pin!(left)).await;
        let reason = Reason::from(code.0);
        match &mut *self.sending.handle.borrow_mut() {
            Handle::AwaitHead(respond) => respond.send_reset(reason),
            Handle::StreamBody(body) => body.send_reset(reason),
        }
    }

    fn send_head(&mut self, is_end: bool) -> Result<(), Unsent> {
        let Some(head) = self.head.take() else { return Ok(()) };
        self.is_committed = true;
        let mut handle = self.sending.handle.borrow_mut();
        let Handle::AwaitHead(respond) = &mut *handle else { return Ok(()) };
        let body = respond.send_response(head, is_end).map_err(|_| Unsent::Left)?;
        *handle = Handle::StreamBody(body);
        Ok(())
    }

    async fn give(&mut self, mut bytes: Bytes, is_end: bool) -> Result<(), Unsent> {
        self.send_head(false)?;
        self.sent += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.room(bytes.len()).await?;
            let part = bytes.split_to(room.min(bytes.len()));
            let is_last = is_end && bytes.is_empty();
            let chunk = self.queued.chunk(part);
            self.with_body(|body| body.send_data(chunk, is_last))?;
            self.sending.vitals.worked(1);
        }
        if is_end {
            self.finished();
        }
        Ok(())
    }

    /// Waits until h2 takes some of `wanted` bytes; says how many.
    async fn room(&self, wanted: usize) -> Result<usize, Unsent> {
        let grown = poll_fn(|cx| {
            let Handle::StreamBody(body) = &mut *self.sending.handle.borrow_mut() else {
                return Poll::Ready(Err(Unsent::Left));
            };
            poll_room(body, wanted, cx).map(|room| match room {
                Some(Ok(room)) => Ok(room),
                Some(Err(_)) | None => Err(Unsent::Left),
            })
        });
        match within(self.stall_timeout, pin!(grown)).await {
            Ok(room) => room,
            Err(_) => Err(Unsent::Stalled(self.stall_timeout)),
        }
    }

    fn with_body(
        &self,
        send: impl FnOnce(&mut SendStream<Chunk>) -> Result<(), h2::Error>,
    ) -> Result<(), Unsent> {
        match &mut *self.sending.handle.borrow_mut() {
            Handle::StreamBody(body) => send(body).map_err(|_| Unsent::Left),
            Handle::AwaitHead(_) => Err(Unsent::Left),
        }
    }
}

fn text_bytes(fields: &HeaderMap) -> u64 {
    fields.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum()
}
