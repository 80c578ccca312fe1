//! `load websocket`: many conversations, one message under way in each, every echo checked.
//!
//! With `--messages N` a conversation says no more than N. With `--again yes` another one begins
//! then, and all say the same: what was recorded of one answers each. The begin and the end of such
//! a conversation hold up the others, so N must be large where rates count.
//!
//! With `--pauses yes` it says `open` before the first message, and waits for a line on stdin; and
//! waits for stdin's end before it closes the conversations, and says `closed` then. So both can be
//! kept out of what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ouli_bench::args::{Args, fail};
use ouli_bench::histogram::Histogram;

use super::message::Messages;
use super::{SILENCE_MAX, opening};

/// Larger than any echo, so that one read takes one.
const READ_BYTES: usize = 4096;

pub(crate) fn main(args: &Args, addr: SocketAddr) {
    let mut run = Run::new(args, addr);
    let pauses = args.get::<String>("pauses").as_deref() == Some("yes");
    if pauses {
        println!("open");
        let _ = std::io::stdin().read_line(&mut String::new());
    }
    let started = Instant::now();
    run.drive(args.get::<f64>("seconds").map(|s| started + Duration::from_secs_f64(s)));
    let seconds = run.last_echo.duration_since(started).as_secs_f64();
    crate::report(run.heard, seconds, &run.latency, 0, 0);
    if pauses {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
    run.close_all();
    if pauses {
        println!("closed");
    }
}

struct Run {
    addr: SocketAddr,
    /// Of one conversation.
    messages_max: Option<u32>,
    then: Then,
    /// Of all.
    messages_left: u64,
    under_way: usize,
    heard: u64,
    last_echo: Instant,
    latency: Histogram,
    speakers: Vec<Speaker>,
    poll: Poll,
    scratch: Vec<u8>,
}

/// What follows the last message of a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Silence,
    /// The same once more.
    Again,
}

struct Speaker {
    stream: TcpStream,
    messages: Messages,
    since: Instant,
    partial: Vec<u8>,
}

impl Run {
    fn new(args: &Args, addr: SocketAddr) -> Self {
        let again = args.get::<String>("again");
        let mut run = Self {
            addr,
            messages_max: args.get("messages"),
            then: if again.as_deref() == Some("yes") { Then::Again } else { Then::Silence },
            messages_left: args.get("requests").unwrap_or(u64::MAX),
            under_way: 0,
            heard: 0,
            last_echo: Instant::now(),
            latency: Histogram::default(),
            speakers: Vec::new(),
            poll: Poll::new().unwrap_or_else(|e| fail(e)),
            scratch: vec![0; READ_BYTES],
        };
        let count: usize = args.need("connections");
        for index in 0..count {
            let speaker = run.open(index);
            run.speakers.push(speaker);
        }
        run
    }

    fn open(&self, index: usize) -> Speaker {
        let stream = opening::open(self.addr);
        stream.set_nonblocking(true).unwrap_or_else(|e| fail(e));
        let mut stream = TcpStream::from_std(stream);
        let token = Token(index);
        let registered = self.poll.registry().register(&mut stream, token, Interest::READABLE);
        registered.unwrap_or_else(|e| fail(e));
        let messages = Messages::new(if self.then == Then::Again { 0 } else { index });
        Speaker { stream, messages, since: Instant::now(), partial: Vec::new() }
    }

    /// Until `stop_at`, or until all messages are back.
    fn drive(&mut self, stop_at: Option<Instant>) {
        let mut events = Events::with_capacity(1024);
        (0..self.speakers.len()).for_each(|index| self.say(index));
        let mut heard_at = Instant::now();
        while self.under_way > 0 {
            match self.poll.poll(&mut events, Some(Duration::from_millis(50))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap_or_else(|e| fail(e)),
            }
            let now = Instant::now();
            if stop_at.is_some_and(|at| now >= at) {
                self.messages_left = 0;
            }
            if !events.is_empty() {
                heard_at = now;
            } else if now.duration_since(heard_at) > SILENCE_MAX {
                fail(format!("{} messages didn't come back in {SILENCE_MAX:?}", self.under_way));
            }
            for event in &events {
                self.hear(event.token().0);
            }
        }
    }

    fn say(&mut self, index: usize) {
        let is_over = self.messages_max == Some(self.speakers[index].messages.count());
        if self.messages_left == 0 || (is_over && self.then == Then::Silence) {
            return;
        }
        self.messages_left -= 1;
        self.under_way += 1;
        if is_over {
            self.begin_again(index);
        }
        self.speakers[index].say();
    }

    fn hear(&mut self, index: usize) {
        let speaker = &mut self.speakers[index];
        if !speaker.hear(&mut self.scratch) {
            return;
        }
        let now = Instant::now();
        self.latency.record(now.saturating_duration_since(speaker.since));
        self.last_echo = now;
        self.heard += 1;
        self.under_way -= 1;
        self.say(index);
    }

    fn begin_again(&mut self, index: usize) {
        let begun = self.open(index);
        std::mem::replace(&mut self.speakers[index], begun).close();
    }

    /// Those in the middle of what all say are left: a replay would take a close for a difference.
    fn close_all(&mut self) {
        let is_script = self.then == Then::Again;
        let is_over = |count| self.messages_max == Some(count);
        let speakers = self.speakers.drain(..);
        speakers.filter(|one| !is_script || is_over(one.messages.count())).for_each(Speaker::close);
    }
}

impl Speaker {
    fn say(&mut self) {
        self.since = Instant::now();
        let frame = self.messages.next();
        match self.stream.write(frame) {
            Ok(len) if len == frame.len() => {}
            Ok(_) => fail("a message didn't fit an empty socket"),
            Err(error) => fail(format!("sending: {error}")),
        }
    }

    /// Reads what has come. True once the echo is whole, and right.
    fn hear(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            let len = match self.stream.read(scratch) {
                Ok(0) => fail(format!("closed after message {}", self.messages.count())),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => fail(format!("receiving: {error}")),
            };
            if self.partial.is_empty() && self.messages.is_echo(&scratch[..len]) {
                return true;
            }
            self.partial.extend_from_slice(&scratch[..len]);
            if self.messages.is_echo(&self.partial) {
                self.partial.clear();
                return true;
            }
        }
    }

    fn close(self) {
        let mut stream = std::net::TcpStream::from(self.stream);
        stream.set_nonblocking(false).unwrap_or_else(|e| fail(e));
        opening::close(&mut stream);
    }
}
