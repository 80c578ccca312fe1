//! `load stream`: one long answer, read at a given rate, each byte checked against its offset.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ouli_bench::answer::{BodyLength, read_head};
use ouli_bench::args::{Args, fail};
use ouli_bench::pattern::Checker;

/// Bytes asked of the socket at once.
const PIECE: usize = 64 * 1024;

/// A silence this long is a fault; sealing or hashing a gigabyte stays well below.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(crate) fn main(args: &Args) {
    let addr: SocketAddr = args.need("addr");
    let expected: u64 = args.need("bytes");
    let rate: Option<f64> = args.get("rate");
    let mut stream = TcpStream::connect(addr).unwrap_or_else(|e| fail(e));
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap_or_else(|e| fail(e));
    let request = crate::request(&args.need::<String>("path"), &addr.to_string());
    stream.write_all(&request).unwrap_or_else(|e| fail(e));

    let mut buffer = Vec::with_capacity(2 * PIECE);
    let head = loop {
        read_more(&mut stream, &mut buffer);
        if let Some(head) = read_head(&buffer).unwrap_or_else(|e| fail(e)) {
            break head;
        }
    };
    if head.status != 200 {
        fail(format!("status {}: {}", head.status, String::from_utf8_lossy(&buffer)));
    }
    buffer.drain(..head.len);

    let started = Instant::now();
    let mut body = Body { length: head.body, checker: Checker::default(), chunk_rest: 0 };
    while !body.take(&mut buffer) {
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(body.checker.checked() as f64 / rate);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
        read_more(&mut stream, &mut buffer);
    }
    if body.checker.checked() != expected {
        fail(format!("{} bytes came instead of {expected}", body.checker.checked()));
    }
    println!("{{\"bytes\":{expected},\"seconds\":{:.3}}}", started.elapsed().as_secs_f64());
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.resize(start + PIECE, 0);
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
