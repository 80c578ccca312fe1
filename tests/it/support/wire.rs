//! The reading side of a socket for both roles: a small, strict HTTP/1.1 reader.
//!
//! Strict because it judges: anything RFC 9112 forbids a sender is `malformed`, never tolerated.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use super::message::{Ending, Headers};
use super::socket::Socket;

pub enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// Why reading stopped.
#[derive(Debug, PartialEq)]
pub enum Stop {
    Ended(Ending),
    Malformed(String),
}

pub type Reading<T> = Result<T, Stop>;

fn malformed<T>(what: impl Into<String>) -> Reading<T> {
    Err(Stop::Malformed(what.into()))
}

pub struct Wire {
    pub stream: Socket,
    buffer: Vec<u8>,
    /// Bytes of `buffer` already taken.
    taken: usize,
}

/// What `read_body` has gathered, whole or not.
#[derive(Default)]
pub struct BodySoFar {
    pub bytes: Vec<u8>,
    pub chunks: Vec<(Duration, Vec<u8>)>,
    pub trailers: Headers,
}

impl Wire {
    pub fn new(stream: impl Into<Socket>) -> Self {
        Wire { stream: stream.into(), buffer: Vec::new(), taken: 0 }
    }

    /// Bytes that have come and are not taken yet.
    pub fn waiting(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Whether the peer has neither closed nor sent what nobody asked for. Doesn't wait.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.tcp().set_nonblocking(true).unwrap();
        let looked = self.fill();
        self.stream.tcp().set_nonblocking(false).unwrap();
        looked == Err(Stop::Ended(Ending::Silence)) && self.waiting().is_empty()
    }

    /// Takes all that has come, waiting for at least one byte.
    pub fn some(&mut self) -> Reading<Vec<u8>> {
        if self.waiting().is_empty() {
            self.fill()?;
        }
        let len = self.waiting().len();
        Ok(self.take(len))
    }

    pub fn exactly(&mut self, len: usize) -> Reading<Vec<u8>> {
        while self.waiting().len() < len {
            self.fill()?;
        }
        Ok(self.take(len))
    }

    /// The lines up to an empty one: start line and fields, with their ends.
    pub fn head(&mut self) -> Reading<Vec<u8>> {
        let mut searched = 0;
        loop {
            let end = memchr::memmem::find(&self.waiting()[searched..], b"\r\n\r\n");
            if let Some(end) = end {
                return Ok(self.take(searched + end + 4));
            }
            searched = self.waiting().len().saturating_sub(3);
            self.fill()?;
        }
    }

    fn line(&mut self) -> Reading<String> {
        loop {
            if let Some(end) = memchr::memmem::find(self.waiting(), b"\r\n") {
                let line = self.take(end + 2);
                return match memchr::memchr2(b'\r', b'\n', &line[..end]) {
                    Some(_) => malformed("a bare CR or LF in a line"),
                    None => Ok(latin1(&line[..end])),
                };
            }
            self.fill()?;
        }
    }

    /// Reads a body into `body`, which holds what came when this fails.
    pub fn body(&mut self, framing: &Framing, body: &mut BodySoFar) -> Reading<()> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(len) => self.length(*len as usize, body),
            Framing::Chunked => self.chunked(body),
            Framing::Close => loop {
                match self.some() {
                    Ok(bytes) => body.bytes.extend(bytes),
                    Err(Stop::Ended(Ending::Cut)) => return Ok(()),
                    Err(stop) => return Err(stop),
                }
            },
        }
    }

    fn length(&mut self, len: usize, body: &mut BodySoFar) -> Reading<()> {
        while body.bytes.len() < len {
            if self.waiting().is_empty() {
                self.fill()?;
            }
            let len = self.waiting().len().min(len - body.bytes.len());
            body.bytes.extend(self.take(len));
        }
        Ok(())
    }

    fn chunked(&mut self, body: &mut BodySoFar) -> Reading<()> {
        let begun = Instant::now();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default();
            if size.is_empty() || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
                return malformed(format!("a chunk size `{line}`"));
            }
            let size =
                usize::from_str_radix(size, 16).map_err(|e| Stop::Malformed(e.to_string()))?;
            if size == 0 {
                body.trailers = self.trailers()?;
                return Ok(());
            }
            let chunk_begun = body.bytes.len();
            self.length(chunk_begun + size, body)?;
            body.chunks.push((begun.elapsed(), body.bytes[chunk_begun..].to_vec()));
            if self.exactly(2)? != b"\r\n" {
                return malformed("no CR LF after a chunk");
            }
        }
    }

    fn trailers(&mut self) -> Reading<Headers> {
        let mut fields = Headers::default();
        loop {
            match self.line()?.as_str() {
                "" => return Ok(fields),
                line => fields.0.push(field(line)?),
            }
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let bytes = self.waiting()[..len].to_vec();
        self.taken += len;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        bytes
    }

    fn fill(&mut self) -> Reading<()> {
        let mut piece = [0; 16 << 10];
        loop {
            return match self.stream.read(&mut piece) {
                Ok(0) => Err(Stop::Ended(Ending::Cut)),
                Ok(len) => {
                    self.buffer.extend_from_slice(&piece[..len]);
                    Ok(())
                }
                Err(e) => match e.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        Err(Stop::Ended(Ending::Silence))
                    }
                    _ => Err(Stop::Ended(Ending::Reset)),
                },
            };
        }
    }
}

/// Splits a head into its start line and fields.
pub fn parse_head(head: &[u8]) -> Reading<(String, Headers)> {
    let text = latin1(head);
    let text = text.strip_suffix("\r\n\r\n").expect("a head ends with an empty line");
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut headers = Headers::default();
    for line in lines {
        headers.0.push(field(line)?);
    }
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return malformed("a bare CR, bare LF or NUL in a head");
    }
    Ok((start, headers))
}

fn field(line: &str) -> Reading<(String, String)> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.bytes().all(is_token) => {
            Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
        }
        _ => malformed(format!("a field line `{line}`")),
    }
}

/// The framing that the fields declare, or `otherwise` (RFC 9112 section 6.3).
pub fn declared_framing(headers: &Headers, otherwise: Framing) -> Reading<Framing> {
    let (lengths, codings) = (headers.all("content-length"), headers.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(otherwise),
        ([len], []) => match len.parse() {
            Ok(len) => Ok(Framing::Length(len)),
            _ => malformed(format!("content-length `{len}`")),
        },
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        _ => malformed(format!("framing fields {lengths:?} and {codings:?}")),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// The bytes that a Latin-1 string stands for.
pub fn to_latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}
