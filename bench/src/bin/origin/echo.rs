//! `origin echo`: grants every WebSocket handshake and sends each message back, unmasked.
//!
//! One thread and one read and one write per message, because it shares its CPU with the load. What
//! breaks the protocol ends the program: the bench would measure something else.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ouli_bench::args::fail;
use ouli_bench::websocket::{self, CLOSE};

/// Larger than what a conversation of these cases has under way.
const READ_BYTES: usize = 64 * 1024;

const LISTENER: Token = Token(usize::MAX);

pub(crate) fn main(listener: TcpListener) {
    listener.set_nonblocking(true).unwrap_or_else(|e| fail(e));
    let listener = mio::net::TcpListener::from_std(listener);
    Echo::new(listener).unwrap_or_else(|e| fail(e)).serve();
}

struct Echo {
    listener: mio::net::TcpListener,
    poll: Poll,
    clients: HashMap<usize, Client>,
    accepted: usize,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    is_granted: bool,
    /// What came of a head or a frame that isn't whole.
    partial: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Then {
    ReadOn,
    Close,
}

impl Echo {
    fn new(mut listener: mio::net::TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            listener,
            poll,
            clients: HashMap::new(),
            accepted: 0,
            scratch: vec![0; READ_BYTES],
            out: Vec::with_capacity(READ_BYTES),
        })
    }

    fn serve(&mut self) -> ! {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap_or_else(|e| fail(e)),
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(index) => self.answer(index),
                }
            }
        }
    }

    fn accept(&mut self) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => fail(format!("accepting: {error}")),
            };
            stream.set_nodelay(true).unwrap_or_else(|e| fail(e));
            let token = Token(self.accepted);
            let registered = self.poll.registry().register(&mut stream, token, Interest::READABLE);
            registered.unwrap_or_else(|e| fail(e));
            let client = Client { stream, is_granted: false, partial: Vec::new() };
            self.clients.insert(self.accepted, client);
            self.accepted += 1;
        }
    }

    fn answer(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(&index) else { return };
        let then = client.answer(&mut self.scratch, &mut self.out);
        // One that leaves without a close is the load's to notice.
        if !matches!(then, Ok(Then::ReadOn)) {
            self.clients.remove(&index);
        }
    }
}

impl Client {
    fn answer(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) -> io::Result<Then> {
        loop {
            let len = match self.stream.read(scratch) {
                Ok(0) => return Ok(Then::Close),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Then::ReadOn),
                Err(error) => return Err(error),
            };
            out.clear();
            let then = if self.partial.is_empty() {
                let (taken, then) = self.take(&mut scratch[..len], out);
                self.partial.extend_from_slice(&scratch[taken..len]);
                then
            } else {
                let mut bytes = std::mem::take(&mut self.partial);
                bytes.extend_from_slice(&scratch[..len]);
                let (taken, then) = self.take(&mut bytes, out);
                self.partial.extend_from_slice(&bytes[taken..]);
                then
            };
            self.stream.write_all(out)?;
            // A read that didn't fill the buffer has emptied the socket.
            if then == Then::Close || len < scratch.len() {
                return Ok(then);
            }
        }
    }

    /// Answers all that is whole; says how much of `bytes` that was.
    fn take(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> (usize, Then) {
        let mut taken = 0;
        if !self.is_granted {
            let Some(len) = websocket::read_request(bytes).unwrap_or_else(|e| fail(e)) else {
                return (0, Then::ReadOn);
            };
            out.extend_from_slice(&websocket::response());
            (self.is_granted, taken) = (true, len);
        }
        while let Some(frame) = websocket::read_frame(&bytes[taken..]).unwrap_or_else(|e| fail(e)) {
            let Some(mask) = frame.mask else { fail("a client's frame without a mask") };
            let payload = &mut bytes[taken..][frame.payload.clone()];
            websocket::apply(mask, payload);
            websocket::write_frame(out, frame.opcode, None, payload);
            taken += frame.payload.end;
            if frame.opcode == CLOSE {
                return (taken, Then::Close);
            }
        }
        (taken, Then::ReadOn)
    }
}
