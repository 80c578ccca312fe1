//! One client's connection: request heads in, each exchange down the road, answers out.
//!
//! Between requests a connection holds no buffer: the arena comes with the first bytes and goes
//! back when the last answer has left and nothing is pipelined behind it.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;

use super::Refusal;
use super::framing::{self, Framing};
use super::halves::{Rx, Tx, Unsent};
use super::head::{self, HeadLimits, HeadScanner, Role};
use super::input::{FIRST_READ, Input, Room};
use super::receiver::Receiver;
use super::scan;
use crate::config::Limits;
use crate::exchange::Version;
use crate::grpc;
use crate::http::answer::Asked;
use crate::http::client::{self, Client};
use crate::http::context::Here;
use crate::http::conversation::Conversation;
use crate::http::fault::{Fault, Problem};
use crate::http::road::{self, Incoming, Then, Travelled};
use crate::http::{caught, own};
use crate::net::arena::{Arena, Lease};
use crate::net::conn::{Conn, Woken};
use crate::net::deadline::Deadline;
use crate::net::stream::{LINGER_BYTES_MAX, LINGER_MAX};
use crate::ws::wire::Wire;

/// Serves the connection until either side ends it. `arena` holds its first bytes.
pub async fn serve(mut conn: Conn, here: Rc<Here>, mut arena: Lease, mut deadline: Deadline) {
    let mut turn = Turn::First;
    loop {
        let ended = burst(&mut conn, &here, &mut arena, &mut deadline, turn).await;
        turn = Turn::Later;
        match ended {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(Close::Now) => return,
            ControlFlow::Break(Close::Lingering) => {
                drop(arena);
                // Unread bytes would turn the close into a reset, which can overtake the answer.
                return conn.close_lingering(LINGER_BYTES_MAX, LINGER_MAX).await;
            }
            ControlFlow::Break(Close::Reset) => {
                drop(arena);
                return conn.close_reset().await;
            }
            ControlFlow::Break(Close::Switch(conversation, ahead)) => {
                let (stream, held) = conn.into_parts();
                return conversation.spawn(here, Wire::switched(stream, ahead, held));
            }
        }
        drop(arena);
        deadline.set_after(here.limits().idle_timeout);
        // Peers that close, stay silent or are idle when the drain starts get no answer.
        match conn.idle(&here.worker.arenas, &mut deadline).await {
            Woken::Bytes(next) => arena = next,
            _ => return conn.close(),
        }
    }
}

/// Which request of its connection stands next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

enum Close {
    Now,
    Lingering,
    /// An orderly end would make a cut answer look whole.
    Reset,
    /// What goes on, and what has come behind the handshake.
    Switch(Conversation, Bytes),
}

/// Serves requests for as long as bytes of one are there.
async fn burst(
    conn: &mut Conn,
    here: &Here,
    arena: &mut Arena,
    deadline: &mut Deadline,
    turn: Turn,
) -> ControlFlow<Close> {
    let limits = here.limits();
    let (reader, writer) = conn.stream.split();
    let input = Input::new(std::mem::take(&mut arena.read));
    let mut burst = Burst {
        here,
        head_limits: HeadLimits::from(limits),
        turn,
        rx: Rx::new(reader, input, limits.buffer_size, limits.stall_timeout),
        tx: Tx::new(writer, std::mem::take(&mut arena.write), limits.stall_timeout),
    };
    let ended = burst.run(arena, deadline).await;
    let Burst { rx, tx, .. } = burst;
    arena.read = rx.into_buffer();
    arena.write = tx.out;
    ended
}

struct Burst<'c> {
    here: &'c Here,
    head_limits: HeadLimits,
    turn: Turn,
    rx: Rx<'c>,
    tx: Tx<'c>,
}

impl Burst<'_> {
    async fn run(&mut self, arena: &mut Arena, deadline: &mut Deadline) -> ControlFlow<Close> {
        while !self.rx.receiver.input.is_empty() {
            let head_bytes = match self.head(deadline).await {
                Head::Whole(bytes) => bytes,
                Head::Gone => return ControlFlow::Break(Close::Now),
                Head::Refused(problem) => return ControlFlow::Break(self.refuse(problem).await),
                Head::Foreign => {
                    tracing::debug!("a connection begins with what is no HTTP; it is closed");
                    return ControlFlow::Break(Close::Lingering);
                }
            };
            let input = &mut self.rx.receiver.input;
            let parsed = head::parse_request(
                &input.data()[..head_bytes],
                &self.head_limits,
                &mut arena.head,
            )
            .and_then(|()| framing::request_framing(&arena.head));
            let framing = match parsed {
                Ok(framing) => framing,
                Err(refusal) => {
                    return ControlFlow::Break(self.refuse(Problem::from(&refusal)).await);
                }
            };
            input.consume(head_bytes);
            self.turn = Turn::Later;
            self.rx.receiver.expect_body(framing, &self.head_limits);
            self.tx.reset();
            self.exchange(arena, deadline, framing).await?;
            self.rx.receiver.release();
            self.rx.receiver.input.skip_stray_line_end();
        }
        ControlFlow::Continue(())
    }

    /// Reads until a head is whole; some of it is there.
    async fn head(&mut self, deadline: &mut Deadline) -> Head {
        let mut scanner = HeadScanner::new(Role::Server);
        let room = Room::whole(self.head_limits.bytes_max + FIRST_READ);
        let timeout = self.here.limits().header_timeout;
        let mut is_timed = false;
        loop {
            match scanner.scan(self.rx.receiver.input.data(), &self.head_limits) {
                Ok(Some(bytes)) => return Head::Whole(bytes),
                Ok(None) => {}
                Err(Refusal::BadRequestLine) if self.is_foreign() => return Head::Foreign,
                Err(refusal) => return Head::Refused(Problem::from(&refusal)),
            }
            if !is_timed {
                is_timed = true;
                deadline.set_after(timeout);
            }
            match read(&mut self.rx.receiver, room, deadline).await {
                Read::Some => {}
                Read::End => return Head::Gone,
                Read::Expired => {
                    let detail = format!("the request head was not complete after {timeout:?}");
                    return Head::Refused(Problem::new(Fault::RequestTimeout, detail));
                }
            }
        }
    }

    /// Whether the refused input isn't HTTP. After a request nobody changes the protocol.
    fn is_foreign(&self) -> bool {
        self.turn == Turn::First && scan::is_foreign(self.rx.receiver.input.data())
    }

    /// Sends one request down the road. Breaks when the connection can't be kept.
    async fn exchange(
        &mut self,
        arena: &mut Arena,
        deadline: &mut Deadline,
        framing: Framing,
    ) -> ControlFlow<Close> {
        let keep_alive = framing::request_keeps_alive(&arena.head);
        let is_grpc = grpc::is_call(&arena.head.fields);
        let asked =
            client::asked_by_nobody(arena.head.version, arena.head.method == "HEAD", is_grpc);
        let Burst { here, rx, tx, .. } = self;
        let client = Client { rx: client::Rx::H1(rx), tx: client::Tx::H1(tx), deadline };
        let incoming = Incoming { arena, client, keep_alive, framing };
        let travelled = {
            let journey = pin!(road::travel(here, incoming));
            caught::catch_panic(journey).await
        };
        match travelled {
            Ok(Travelled { conversation: Some(conversation), .. }) => {
                self.rx.receiver.release();
                let ahead = Bytes::copy_from_slice(self.rx.receiver.input.data());
                ControlFlow::Break(Close::Switch(conversation, ahead))
            }
            Ok(Travelled { then: Then::Keep, .. }) if self.may_keep() => ControlFlow::Continue(()),
            Ok(_) => self.must_close(),
            Err(caught::Panicked) => {
                self.here.worker.counters.panics.add(1);
                self.answer_panic(&asked).await;
                self.must_close()
            }
        }
    }

    fn may_keep(&self) -> bool {
        !self.here.drain.is_draining() && self.rx.is_ended()
    }

    fn must_close(&self) -> ControlFlow<Close> {
        ControlFlow::Break(if self.tx.must_reset() { Close::Reset } else { Close::Lingering })
    }

    async fn answer_panic(&mut self, asked: &Asked<'_>) {
        if self.tx.is_committed() {
            return;
        }
        let problem = Problem::new(Fault::Internal, "a defect in Ouli; its log says more");
        self.tx.reset();
        // A client that is gone needs no answer.
        let _ = self.answer_problem(asked, &problem).await;
    }

    async fn answer_problem(&mut self, asked: &Asked<'_>, problem: &Problem) -> Result<(), Unsent> {
        own::answer_problem(self.here, &mut client::Tx::H1(&mut self.tx), asked, problem).await
    }

    async fn refuse(&mut self, problem: Problem) -> Close {
        let asked = client::asked_by_nobody(Version::Http11, false, false);
        self.tx.reset();
        match self.answer_problem(&asked, &problem).await {
            Ok(()) => Close::Lingering,
            Err(_) => Close::Now,
        }
    }
}

enum Head {
    /// So many bytes of the input are a head.
    Whole(usize),
    Gone,
    Refused(Problem),
    /// What came is no HTTP, and gets no answer.
    Foreign,
}

enum Read {
    Some,
    End,
    Expired,
}

/// Reads once, unless the deadline passes first.
async fn read(receiver: &mut Receiver<'_>, room: Room, deadline: &mut Deadline) -> Read {
    let mut filling = pin!(receiver.input.fill(&mut receiver.reader, room));
    poll_fn(|cx| match filling.as_mut().poll(cx) {
        Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Read::End),
        Poll::Ready(Ok(_)) => Poll::Ready(Read::Some),
        Poll::Pending => deadline.poll_expired(cx).map(|()| Read::Expired),
    })
    .await
}

impl From<&Limits> for HeadLimits {
    fn from(limits: &Limits) -> Self {
        HeadLimits {
            bytes_max: limits.max_header_bytes,
            fields_max: limits.max_headers,
            // Half a head: so that a long target is told apart from a large head.
            target_max: limits.max_header_bytes / 2,
        }
    }
}
