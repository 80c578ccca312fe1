//! `load stream`: long answers, read at a given rate, each byte checked against its offset. With
//! `--connections` so many at once, a thread each; with `--seconds` they are left after that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ouli_bench::answer::{BodyLength, Head, read_head};
use ouli_bench::args::{Args, fail};
use ouli_bench::pattern::Checker;

/// Bytes asked of the socket at once, unless told otherwise.
const PIECE: usize = 64 * 1024;

/// A silence this long is a fault; sealing or hashing a gigabyte stays well below.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(crate) fn main(args: &Args) {
    let plan = Plan {
        addr: args.need("addr"),
        path: args.need("path"),
        expected: args.need("bytes"),
        rate: args.get("rate"),
        piece: args.get("piece").unwrap_or(PIECE),
        time: args.get("seconds").map(Duration::from_secs_f64),
    };
    let plan = Arc::new(plan);
    let started = Instant::now();
    let readers = (0..args.get("connections").unwrap_or(1)).map(|_| {
        let plan = plan.clone();
        std::thread::spawn(move || plan.read())
    });
    let readers: Vec<_> = readers.collect();
    let taken = readers.into_iter().map(|reader| reader.join());
    let bytes: u64 = taken.map(|taken| taken.unwrap_or_else(|_| fail("a reader died"))).sum();
    println!("{{\"bytes\":{bytes},\"seconds\":{:.3}}}", started.elapsed().as_secs_f64());
}

struct Plan {
    addr: SocketAddr,
    path: String,
    expected: u64,
    /// Bytes per second.
    rate: Option<f64>,
    /// Bytes asked of the socket at once.
    piece: usize,
    /// After which what has come is enough.
    time: Option<Duration>,
}

impl Plan {
    /// Reads one answer; returns how much of its body came.
    fn read(&self) -> u64 {
        let mut stream = TcpStream::connect(self.addr).unwrap_or_else(|e| fail(e));
        stream.set_read_timeout(Some(SILENCE_MAX)).unwrap_or_else(|e| fail(e));
        let request = crate::request::get(&self.path, &self.addr.to_string());
        stream.write_all(&request).unwrap_or_else(|e| fail(e));

        let mut buffer = Vec::with_capacity(2 * self.piece);
        let head = self.read_head(&mut stream, &mut buffer);
        let started = Instant::now();
        let mut body = Body { length: head.body, checker: Checker::default(), chunk_rest: 0 };
        while !body.take(&mut buffer) {
            if self.time.is_some_and(|time| started.elapsed() >= time) {
                return body.checker.checked();
            }
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(body.checker.checked() as f64 / rate);
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
            read_more(&mut stream, &mut buffer, self.piece);
        }
        if body.checker.checked() != self.expected {
            fail(format!("{} bytes came instead of {}", body.checker.checked(), self.expected));
        }
        self.expected
    }

    fn read_head(&self, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Head {
        let head = loop {
            read_more(stream, buffer, self.piece);
            if let Some(head) = read_head(buffer).unwrap_or_else(|e| fail(e)) {
                break head;
            }
        };
        if head.status != 200 {
            fail(format!("status {}: {}", head.status, String::from_utf8_lossy(buffer)));
        }
        buffer.drain(..head.len);
        head
    }
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>, piece: usize) {
    let start = buffer.len();
    buffer.resize(start + piece, 0);
    match stream.read(&mut buffer[start..]) {
        Ok(0) => fail("the answer was cut"),
        Ok(len) => buffer.truncate(start + len),
        Err(error) => fail(format!("receiving: {error}")),
    }
}

struct Body {
    length: BodyLength,
    checker: Checker,
    /// Data bytes of the open chunk still to come, and its two closing bytes.
    chunk_rest: u64,
}

impl Body {
    /// Checks and removes what it can of `buffer`. True at the body's end.
    fn take(&mut self, buffer: &mut Vec<u8>) -> bool {
        if let BodyLength::Exactly(len) = self.length {
            self.check(buffer);
            buffer.clear();
            return self.checker.checked() >= len;
        }
        let mut used = 0;
        let ended = loop {
            let rest = &buffer[used..];
            if self.chunk_rest > 2 {
                let len = rest.len().min((self.chunk_rest - 2) as usize);
                self.check(&rest[..len]);
                self.chunk_rest -= len as u64;
                used += len;
                if len == 0 || self.chunk_rest > 2 {
                    break false;
                }
            } else if self.chunk_rest > 0 {
                if rest.len() < 2 {
                    break false;
                }
                used += 2;
                self.chunk_rest = 0;
            } else {
                match httparse::parse_chunk_size(rest) {
                    Ok(httparse::Status::Complete((_, 0))) => break true,
                    Ok(httparse::Status::Complete((len, size))) => {
                        used += len;
                        self.chunk_rest = size + 2;
                    }
                    Ok(httparse::Status::Partial) => break false,
                    Err(error) => fail(format!("chunk size: {error}")),
                }
            }
        };
        buffer.drain(..used);
        ended
    }

    fn check(&mut self, bytes: &[u8]) {
        if let Err(offset) = self.checker.push(bytes) {
            fail(format!("wrong bytes at or after offset {offset}"));
        }
    }
}
