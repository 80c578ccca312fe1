//! One client's HTTP/2 connection: streams in, each request down the road, answers out.
//!
//! The connection's task drives h2 and starts an exchange for each request. An exchange is tried at
//! once, in this task: most replays are answered without waiting for anything, so a batch of
//! requests becomes a batch of answers and one write. What has to wait gets a task of its own.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::task::spawn_local;

use super::gather::Gathering;
use super::halves::{Rx, Sending, Tx};
use super::heads;
use super::liveness::Liveness;
use super::watched::{Vitals, Watched};
use super::{Chunk, PREFACE, settings};
use crate::exchange::{ResetCode, Version};
use crate::http::client::{self, Client};
use crate::http::context::Here;
use crate::http::fault::{Fault, Problem};
use crate::http::road::{self, Incoming, Then, Travelled};
use crate::http::{caught, own};
use crate::http1::framing::Framing;
use crate::http1::head::HeadLimits;
use crate::net::conn::{Conn, Held};
use crate::net::deadline::{Deadline, within};
use crate::net::stream::{LINGER_MAX, Stream};
use crate::ws::handshake;
use crate::ws::wire::Wire;

type Batch = Vec<(Request<RecvStream>, SendResponse<Chunk>)>;

thread_local! {
    /// The batch that nobody uses. One is enough: turns of a thread follow each other.
    static SPARE: Cell<Batch> = const { Cell::new(Vec::new()) };
}

/// Serves the connection until either side ends it. `ahead`: what has been read of it.
pub async fn serve(conn: Conn, ahead: Vec<u8>, here: Rc<Here>) {
    let limits = here.limits();
    let (stream, held) = conn.into_parts();
    let vitals = Vitals::new(limits.h2.max_idle_frames);
    let stream = Gathering::new(stream);
    let watched = Watched::new(stream.clone(), ahead, PREFACE.len(), vitals.clone());
    let handshake = settings::server(limits).handshake(watched);
    let h2 = match within(limits.first_byte_timeout, pin!(handshake)).await {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return tracing::debug!("an HTTP/2 connection failed to start: {error}"),
        // As with HTTP/1.1, who says nothing is told nothing.
        Err(_) => return,
    };
    let mut driver = Driver::new(h2, stream, held, vitals, here);
    poll_fn(|cx| driver.poll(cx)).await;
}

struct Driver {
    h2: Connection<Watched<Gathering<Stream>>, Chunk>,
    /// What h2 reads from and writes to.
    stream: Gathering<Stream>,
    here: Rc<Here>,
    streams: Rc<Streams>,
    vitals: Vitals,
    liveness: Liveness,
    /// Requests that came together; no memory between turns.
    batch: Batch,
    /// Without streams for too long, which is shorter once it is leaving.
    deadline: Deadline,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// The client has been told that the connection ends; streams that it was promised go on.
    Leaving,
    /// The client has been told why, and streams are over.
    Ending,
}

/// The connection's open exchanges, which hold its permit and its place in the drain.
struct Streams {
    open: Cell<usize>,
    /// Woken when the last one ends.
    waker: RefCell<Option<Waker>>,
    held: RefCell<Held>,
}

/// One of them.
struct Open(Rc<Streams>);

impl Open {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Open(streams.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if self.0.open.get() == 0
            && let Some(waker) = self.0.waker.take()
        {
            waker.wake();
        }
    }
}

impl Driver {
    fn new(
        mut h2: Connection<Watched<Gathering<Stream>>, Chunk>,
        stream: Gathering<Stream>,
        held: Held,
        vitals: Vitals,
        here: Rc<Here>,
    ) -> Self {
        let liveness = Liveness::new(h2.ping_pong(), vitals.clone(), here.limits().h2.clone());
        let streams =
            Streams { open: Cell::new(0), waker: RefCell::default(), held: RefCell::new(held) };
        Driver {
            h2,
            stream,
            here,
            streams: Rc::new(streams),
            vitals,
            liveness,
            batch: Vec::new(),
            deadline: Deadline::new(),
            phase: Phase::Serving,
        }
    }

    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.begin_turn();
        loop {
            if self.accept(cx).is_ready() {
                // h2 needn't have shut the stream down: what it wrote before goes out all the same.
                let _ = self.stream.poll_end_turn(cx);
                return Poll::Ready(());
            }
            let begun = !self.batch.is_empty();
            self.begin_batch(cx);
            // h2 hands over answers that are ready when it is polled again.
            if !(begun || self.leave_on_cause(cx)) {
                break;
            }
        }
        if let Poll::Ready(Err(error)) = self.stream.poll_end_turn(cx) {
            tracing::debug!("an HTTP/2 connection failed: {error}");
            return Poll::Ready(());
        }
        let has_streams = self.streams.open.get() > 0;
        if let Poll::Ready(dead) = self.liveness.poll(cx, has_streams) {
            tracing::debug!("an HTTP/2 client is given up: {dead}");
            return Poll::Ready(());
        }
        if has_streams {
            *self.streams.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.poll_idle(cx, has_streams)
    }

    /// Takes all requests that have come. Ready when no more will.
    fn accept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok(request))) => {
                    if self.batch.capacity() == 0 {
                        self.batch = SPARE.take();
                    }
                    self.batch.push(request);
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!("an HTTP/2 connection failed: {error}");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn begin_batch(&mut self, cx: &mut Context<'_>) {
        let mut batch = std::mem::take(&mut self.batch);
        for (request, respond) in batch.drain(..) {
            self.deadline.clear();
            let exchange = Exchange {
                here: self.here.clone(),
                vitals: self.vitals.clone(),
                open: Open::new(&self.streams),
            };
            let mut serving = Box::pin(exchange.serve(request, respond));
            if serving.as_mut().poll(cx).is_pending() {
                spawn_local(serving);
            }
        }
        if batch.capacity() > 0 {
            SPARE.set(batch);
        }
    }

    /// Tells the client that the connection ends, if there is a cause. h2 must be polled then.
    fn leave_on_cause(&mut self, cx: &mut Context<'_>) -> bool {
        if self.phase != Phase::Ending && self.vitals.floods() {
            tracing::warn!(
                endpoint = self.here.endpoint.name,
                "an HTTP/2 client sent more than `h2_max_idle_frames` frames that carry nothing; \
                 its connection is ended"
            );
            self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.phase = Phase::Ending;
            self.deadline.set_after(LINGER_MAX);
            return true;
        }
        if self.phase == Phase::Serving
            && self.streams.held.borrow_mut().guard.poll_started(cx).is_ready()
        {
            self.leave();
            return true;
        }
        false
    }

    fn leave(&mut self) {
        self.h2.graceful_shutdown();
        self.phase = Phase::Leaving;
        self.deadline.clear();
    }

    /// Ready when a connection without streams has been kept for long enough. One that is leaving
    /// ends by itself, unless its client keeps it from doing so.
    fn poll_idle(&mut self, cx: &mut Context<'_>, has_streams: bool) -> Poll<()> {
        if has_streams && self.phase != Phase::Ending {
            return Poll::Pending;
        }
        if self.deadline.at().is_none() {
            self.deadline.set_after(match self.phase {
                Phase::Serving => self.here.limits().idle_timeout,
                // Who asked just before it was told has this long for its request to come, and who
                // answers nothing doesn't hold up the drain.
                Phase::Leaving | Phase::Ending => LINGER_MAX,
            });
        }
        if self.deadline.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        if self.phase != Phase::Serving {
            return Poll::Ready(());
        }
        self.leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One request and its answer.
struct Exchange {
    here: Rc<Here>,
    vitals: Vitals,
    open: Open,
}

impl Exchange {
    async fn serve(self, request: Request<RecvStream>, respond: SendResponse<Chunk>) {
        let Exchange { here, vitals, open } = self;
        let limits = here.limits();
        let (parts, body) = request.into_parts();
        let sending = Sending::new(respond, vitals);
        let mut tx = Tx::new(&sending, limits.stall_timeout);
        let mut arena = here.worker.arenas.lease_unread();
        let read = heads::read_request(&parts, &HeadLimits::from(limits), &mut arena.head);
        drop(parts);
        let asked = client::asked_of(&here, &arena.head);
        let stall_timeout = (!asked.is_grpc).then_some(limits.stall_timeout);
        let mut rx = Rx::new(body, &sending, stall_timeout);
        let framing = match handshake::is_asked_by(&arena.head) {
            // What comes behind it are messages.
            true => Framing::None,
            false => heads::framing_of(&arena.head.fields, rx.is_ended()),
        };
        if let Err(refused) = read {
            let problem = Problem::from(&refused);
            let mut client = client::Tx::H2(&mut tx);
            // A client that is gone needs no answer.
            let _ = own::answer_problem(&here, &mut client, &asked, &problem).await;
            return;
        }
        let (is_grpc, is_head) = (asked.is_grpc, asked.is_head);
        let travelled = {
            let client = Client {
                rx: client::Rx::H2(&mut rx),
                tx: client::Tx::H2(&mut tx),
                deadline: &mut Deadline::new(),
            };
            let incoming = Incoming { arena: &mut arena, client, keep_alive: true, framing };
            caught::catch_panic(pin!(road::travel(&here, incoming))).await
        };
        match travelled {
            Ok(Travelled { conversation: Some(conversation), .. }) => {
                drop(arena);
                drop(tx);
                let rest = rx.into_rest();
                if let Some(tunnel) = sending.into_tunnel(rest) {
                    conversation.spawn(here, Wire::tunnel(tunnel, open));
                }
                return;
            }
            Ok(Travelled { then: Then::Cut(code), .. }) => tx.cut(code).await,
            Ok(_) => {}
            Err(caught::Panicked) => {
                here.worker.counters.panics.add(1);
                let asked = client::asked_by_nobody(Version::Http2, is_head, is_grpc);
                answer_panic(&here, &mut tx, &asked).await;
            }
        }
        drop(open);
    }
}

async fn answer_panic(here: &Here, tx: &mut Tx<'_>, asked: &crate::http::answer::Asked<'_>) {
    if tx.is_committed() {
        return tx.cut(ResetCode::INTERNAL_ERROR).await;
    }
    tx.discard();
    let problem = Problem::new(Fault::Internal, "a defect in Ouli; its log says more");
    // A client that is gone needs no answer.
    let _ = own::answer_problem(here, &mut client::Tx::H2(tx), asked, &problem).await;
}
