//! `load run`: many connections, one request open on each, every answer checked.
//!
//! Without `--rate` a connection asks again as soon as its answer has come (closed loop). With it,
//! requests are due at fixed times, round robin over the connections, and a latency counts from the
//! time the request was due, so a server that stalls can't hide it (open loop). The open loop spins:
//! epoll's millisecond would be part of the figures.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ouli_bench::args::{Args, fail};
use ouli_bench::histogram::Histogram;
use socket2::{Domain, Protocol, Socket, Type};

use crate::expected::{Asked, ExpectedBody, Paths};
use crate::reading::Reading;
use crate::request::Form;
use crate::target::{Target, Wire};

/// Larger than most answers of these cases, so that one read takes one answer.
const READ_BYTES: usize = 256 * 1024;

/// A run whose answers stay away this long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(20);

pub(crate) fn main(args: &Args, target: Target) {
    let mut run = Run::new(args, target);
    let started = Instant::now();
    run.drive(started);
    let seconds = run.last_answer.duration_since(started).as_secs_f64();
    let chunks = run.slots.iter().map(|slot| slot.reading.chunks).sum();
    crate::report(run.answered, seconds, &run.latency, run.resumed, chunks);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// Opened before the first request, used to the end.
    Kept,
    /// One per request; the client closes it when the answer has come.
    New,
}

struct Run {
    target: Target,
    connections: Connections,
    paths: Paths,
    form: Form,
    body: ExpectedBody,
    /// Between two due requests; `None` is the closed loop.
    interval: Option<Duration>,
    seconds: Option<f64>,
    requests_max: u64,
    asked: u64,
    answered: u64,
    /// Connections whose handshake resumed a session.
    resumed: u64,
    last_answer: Instant,
    latency: Histogram,
    slots: Vec<Slot>,
    poll: Poll,
    scratch: Vec<u8>,
    sources: u32,
}

/// One connection, or one of its successors.
struct Slot {
    stream: Option<Wire<TcpStream>>,
    state: State,
    /// When the open request was sent, was due, or its connection was begun.
    since: Instant,
    /// Times of requests that became due while one was open.
    due: VecDeque<Instant>,
    request: Vec<u8>,
    asked: Asked,
    reading: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    AwaitConnect,
    AwaitAnswer,
}

impl Run {
    fn new(args: &Args, target: Target) -> Self {
        let slots_count: usize = args.need("connections");
        let connections = match args.get::<String>("new-connections").as_deref() {
            Some("yes") => Connections::New,
            _ => Connections::Kept,
        };
        let rate: Option<f64> = args.get("rate");
        let now = Instant::now();
        let mut run = Self {
            target,
            connections,
            paths: Paths::new(args),
            form: Form::new(args),
            body: ExpectedBody::new(args.need_file("body")),
            interval: rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            seconds: args.get("seconds"),
            requests_max: args.get("requests").unwrap_or(u64::MAX),
            asked: 0,
            answered: 0,
            resumed: 0,
            last_answer: now,
            latency: Histogram::default(),
            slots: Vec::with_capacity(slots_count),
            poll: Poll::new().unwrap_or_else(|e| fail(e)),
            scratch: vec![0; READ_BYTES],
            sources: 0,
        };
        for _ in 0..slots_count {
            run.slots.push(Slot::new(now));
        }
        if connections == Connections::Kept {
            (0..slots_count).for_each(|index| run.open_kept(index));
        }
        run
    }

    fn drive(&mut self, started: Instant) {
        let stop_at = self.seconds.map(|s| started + Duration::from_secs_f64(s));
        let mut events = Events::with_capacity(1024);
        let mut scheduled = 0_u64;
        if self.interval.is_none() {
            (0..self.slots.len()).for_each(|index| self.ask(index, Instant::now()));
        }
        let mut heard = Instant::now();
        loop {
            let now = Instant::now();
            if stop_at.is_some_and(|at| now >= at) {
                self.requests_max = 0;
            }
            if let Some(interval) = self.interval {
                scheduled = self.schedule(started, interval, scheduled, now);
            }
            if self.asked >= self.requests_max && self.answered == self.asked {
                return;
            }
            let timeout = self.interval.map_or(Duration::from_millis(50), |_| Duration::ZERO);
            if let Err(error) = self.poll.poll(&mut events, Some(timeout)) {
                if error.kind() == ErrorKind::Interrupted {
                    continue;
                }
                fail(error);
            }
            if !events.is_empty() {
                heard = now;
            } else if now.duration_since(heard) > SILENCE_MAX {
                fail(format!("no answer for {SILENCE_MAX:?}, {} of {}", self.answered, self.asked));
            }
            for event in &events {
                self.on_event(event.token().0, event.is_readable());
            }
        }
    }

    /// Hands out every request that is due by `now`; returns how many there have been in all.
    fn schedule(&mut self, started: Instant, interval: Duration, from: u64, now: Instant) -> u64 {
        let mut next = from;
        loop {
            let due = started + interval.mul_f64(next as f64);
            if due > now || self.asked >= self.requests_max {
                return next;
            }
            let index = (next % self.slots.len() as u64) as usize;
            next += 1;
            if self.slots[index].state == State::Idle {
                self.ask(index, due);
            } else {
                self.slots[index].due.push_back(due);
            }
        }
    }

    fn ask(&mut self, index: usize, since: Instant) {
        if self.asked >= self.requests_max {
            return;
        }
        self.asked += 1;
        let slot = &mut self.slots[index];
        slot.since = since;
        if self.paths.next_into(&mut slot.asked) || slot.request.is_empty() {
            self.form.write(&slot.asked, &mut slot.request);
        }
        match self.connections {
            Connections::Kept => slot.send(),
            Connections::New => self.open_new(index),
        }
    }

    fn open_kept(&mut self, index: usize) {
        let stream = std::net::TcpStream::connect(self.target.addr)
            .unwrap_or_else(|e| fail(format!("connection {index}: {e}")));
        stream.set_nodelay(true).unwrap_or_else(|e| fail(e));
        stream.set_nonblocking(true).unwrap_or_else(|e| fail(e));
        let mut stream = TcpStream::from_std(stream);
        let registered =
            self.poll.registry().register(&mut stream, Token(index), Interest::READABLE);
        registered.unwrap_or_else(|e| fail(e));
        self.slots[index].stream = Some(self.target.wire(stream));
    }

    /// Begins a connection from the next of many loopback addresses: one address alone runs out of
    /// ports, which rest in TIME_WAIT for a minute.
    fn open_new(&mut self, index: usize) {
        let begin = || -> std::io::Result<TcpStream> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            if cfg!(target_os = "linux") {
                // Only Linux has all of 127.0.0.0/8 without being told.
                socket.set_reuse_address(true)?;
                socket.bind(&source(self.sources).into())?;
            }
            match socket.connect(&self.target.addr.into()) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
                Err(error) => return Err(error),
            }
            Ok(TcpStream::from_std(socket.into()))
        };
        let mut stream = begin().unwrap_or_else(|e| fail(format!("connection: {e}")));
        self.sources += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(index), both);
        registered.unwrap_or_else(|e| fail(e));
        let slot = &mut self.slots[index];
        slot.stream = Some(self.target.wire(stream));
        slot.state = State::AwaitConnect;
    }

    fn on_event(&mut self, index: usize, readable: bool) {
        let slot = &mut self.slots[index];
        if slot.state == State::AwaitConnect {
            let Some(stream) = slot.stream.as_mut().map(Wire::socket) else { return };
            if let Ok(Some(error)) = stream.take_error() {
                fail(format!("connection: {error}"));
            }
            if stream.peer_addr().is_err() {
                return; // Not connected yet: epoll tells at registration, too.
            }
            slot.send();
        }
        if readable && slot.receive(&mut self.scratch, &self.body) {
            self.on_answer(index);
        }
    }

    fn on_answer(&mut self, index: usize) {
        let now = Instant::now();
        let slot = &mut self.slots[index];
        self.latency.record(now.saturating_duration_since(slot.since));
        self.last_answer = now;
        self.answered += 1;
        slot.state = State::Idle;
        if self.connections == Connections::New
            && let Some(mut stream) = slot.stream.take()
        {
            self.resumed += u64::from(stream.is_resumed());
            stream.end().unwrap_or_else(|e| fail(format!("ending a connection: {e}")));
        }
        match (self.interval, slot.due.pop_front()) {
            (Some(_), Some(due)) => self.ask(index, due),
            (Some(_), None) => {}
            (None, _) => self.ask(index, now),
        }
    }
}

/// Linux and macOS differ here.
const EINPROGRESS: i32 = if cfg!(target_os = "linux") { 115 } else { 36 };

fn source(count: u32) -> SocketAddr {
    // 127.1.0.0 to 127.1.63.255, a port of the system's choice.
    let low = count % (64 * 256);
    let ip = Ipv4Addr::new(127, 1, (low >> 8) as u8, (low & 255) as u8);
    SocketAddr::V4(SocketAddrV4::new(ip, 0))
}

impl Slot {
    fn new(now: Instant) -> Self {
        Self {
            stream: None,
            state: State::Idle,
            since: now,
            due: VecDeque::new(),
            request: Vec::new(),
            asked: Asked::default(),
            reading: Reading::default(),
        }
    }

    fn send(&mut self) {
        let Some(stream) = &mut self.stream else { fail("no connection to send on") };
        stream.send(&self.request).unwrap_or_else(|e| fail(format!("sending: {e}")));
        self.state = State::AwaitAnswer;
    }

    /// Reads what has come. True once the answer is whole, and right.
    fn receive(&mut self, scratch: &mut [u8], body: &ExpectedBody) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        loop {
            let len = match stream.read(scratch) {
                Ok(0) => fail(format!("closed by the server ({} bytes came)", self.reading.came())),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => fail(format!("receiving: {error}")),
            };
            if self.state != State::AwaitAnswer {
                fail("bytes came that nobody asked for");
            }
            if self.reading.take(&scratch[..len], body, &self.asked.path) {
                return true;
            }
        }
    }
}
