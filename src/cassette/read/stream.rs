//! Reading a large cassette exchange by exchange, with a window of its text in memory.
//!
//! Only for a cassette that is laid out as Ouli writes it, and without a fault: the outermost keys
//! in their order, nothing behind the exchanges. Whatever else it meets is `Unfit`, and for a reader
//! of the whole file to judge, who can name every fault with its place.

use std::io::{self, Read};

use super::exchange;
use super::notes::Notes;
use super::{Around, Document, Extent};
use crate::cassette::json::Parser;
use crate::cassette::{Bodies, Cassette, migrations};
use crate::exchange::Exchange;
use crate::grpc::Catalog;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// What stands before the first exchange is no larger than this.
const HEAD_BYTES_MAX: usize = 16 << 20;

/// An exchange that is larger than this is unfit: it would have to be in memory whole.
const WINDOW_BYTES_MAX: usize = 256 << 20;

/// Why a cassette isn't read this way.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It has a fault, or another layout.
    #[error("the cassette is not as Ouli lays it out")]
    Other,
}

/// The exchanges of a cassette, in their order.
pub struct Exchanges<R> {
    window: Window<R>,
    /// What the cassette says before its exchanges.
    head: Cassette,
    format: u64,
    /// The endpoints as they stand in the file.
    endpoints: String,
    is_first: bool,
}

/// One exchange, and the text it was read from.
pub struct One<'t> {
    pub exchange: Exchange,
    pub text: &'t str,
}

impl<R: Read> Exchanges<R> {
    /// Reads up to the first exchange. `bodies` is where descriptor sets are that the cassette
    /// names; what `descriptors` says of an endpoint goes before those.
    ///
    /// # Blocking
    /// Reads.
    pub fn open(file: R, bodies: &Bodies, descriptors: &Catalog) -> Result<Exchanges<R>, Unfit> {
        let mut window = Window { file, bytes: Vec::new(), at: 0, is_end: false };
        loop {
            let more = window.fill()?;
            let text = valid_text(&window.bytes);
            let around = Around { bodies: Some(bodies), descriptors };
            let document = Document::read(text.as_bytes(), Extent::Endpoints, around);
            if let Some((endpoints, begin)) = before_exchanges(text)
                && document.notes.is_empty()
                && let (Some(format), true) = (document.format, document.endpoints_sound)
            {
                window.at = begin;
                let (head, endpoints) = (document.cassette, endpoints.to_owned());
                return Ok(Exchanges { window, head, format, endpoints, is_first: true });
            }
            if !more || window.bytes.len() > HEAD_BYTES_MAX {
                return Err(Unfit::Other);
            }
        }
    }

    /// The next exchange; none after the last.
    ///
    /// # Blocking
    /// Reads.
    pub fn read_next(&mut self) -> Result<Option<One<'_>>, Unfit> {
        let mut byte = self.window.next_byte()?;
        if byte == Some(b']') {
            self.window.at += 1;
            return self.ends().map(|()| None);
        }
        if !self.is_first {
            if byte != Some(b',') {
                return Err(Unfit::Other);
            }
            self.window.at += 1;
            byte = self.window.next_byte()?;
        }
        if byte != Some(b'{') {
            return Err(Unfit::Other);
        }
        self.is_first = false;
        let text = str::from_utf8(self.window.object()?).map_err(|_| Unfit::Other)?;
        let mut parser = Parser::new(text);
        let node = parser.value().map_err(|_| Unfit::Other)?;
        let node = migrations::upgrade(self.format, node);
        let mut notes = Notes::default();
        let read = exchange::exchange(&mut notes, &node, &self.head.descriptors);
        let is_sound = notes.is_empty() && parser.take_repeated().is_empty();
        let (exchange, _) = read.filter(|_| is_sound).ok_or(Unfit::Other)?;
        let is_known = self.head.endpoints.iter().any(|note| note.name == exchange.endpoint);
        if !is_known {
            return Err(Unfit::Other);
        }
        Ok(Some(One { exchange, text }))
    }

    /// What makes a cassette of texts of exchanges, with commas between them: what stands before
    /// those, and behind.
    pub fn around(&self) -> (String, &'static str) {
        let Exchanges { format, endpoints, .. } = self;
        (format!(r#"{{"format":{format},"endpoints":{endpoints},"exchanges":["#), "]}")
    }

    /// Nothing but the end of the outermost object.
    fn ends(&mut self) -> Result<(), Unfit> {
        if self.window.next_byte()? != Some(b'}') {
            return Err(Unfit::Other);
        }
        self.window.at += 1;
        match self.window.next_byte()? {
            None => Ok(()),
            Some(_) => Err(Unfit::Other),
        }
    }
}

/// The endpoints' text, and where the first exchange would begin. None where the keys stand
/// otherwise, or the text ends before.
fn before_exchanges(text: &str) -> Option<(&str, usize)> {
    let mut parser = Parser::new(text);
    parser.peek();
    parser.open().ok()?;
    if parser.next_key(true).ok()??.1 != "format" {
        return None;
    }
    parser.value().ok()?;
    if parser.next_key(false).ok()??.1 != "endpoints" {
        return None;
    }
    let begin = parser.value().ok()?.at;
    let end = parser.peek().0;
    if parser.next_key(false).ok()??.1 != "exchanges" {
        return None;
    }
    let (at, byte) = parser.peek();
    (byte == Some(b'[')).then_some((text.get(begin..end)?, at + 1))
}

fn valid_text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// What of the file is in memory.
struct Window<R> {
    file: R,
    bytes: Vec<u8>,
    /// Up to here it has been taken.
    at: usize,
    is_end: bool,
}

impl<R: Read> Window<R> {
    /// Drops what has been taken and reads more; false at the file's end.
    fn fill(&mut self) -> Result<bool, Unfit> {
        self.bytes.drain(..self.at);
        self.at = 0;
        if self.bytes.len() >= WINDOW_BYTES_MAX {
            return Err(Unfit::Other);
        }
        let begin = self.bytes.len();
        // A large exchange takes fewer, larger reads.
        self.bytes.resize(begin + READ_BYTES.max(begin), 0);
        let read = loop {
            match self.file.read(&mut self.bytes[begin..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(begin + *read.as_ref().unwrap_or(&0));
        self.is_end = read? == 0;
        Ok(!self.is_end)
    }

    /// The next byte that isn't white space; it is left where it is.
    fn next_byte(&mut self) -> Result<Option<u8>, Unfit> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            self.at += rest.iter().take_while(|byte| is_blank(byte)).count();
            if let Some(byte) = self.bytes.get(self.at) {
                return Ok(Some(*byte));
            }
            if self.is_end || !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Takes the object that begins here.
    fn object(&mut self) -> Result<&[u8], Unfit> {
        let mut scan = Scan::default();
        let mut scanned = 0;
        loop {
            let rest = self.bytes.get(self.at + scanned..).unwrap_or_default();
            if let Some(end) = scan.end(rest) {
                let begin = self.at;
                self.at += scanned + end;
                return Ok(&self.bytes[begin..self.at]);
            }
            scanned += rest.len();
            if !self.fill()? {
                return Err(Unfit::Other);
            }
        }
    }
}

/// Looks for the end of an object, in text that comes in parts: by its braces, those in strings
/// left out. Whether the text is JSON otherwise is for a parser to say.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// Where the object ends in the next part of the text, if it does.
    fn end(&mut self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            at += 1;
            if self.is_escaped {
                self.is_escaped = false;
            } else if self.in_string {
                match byte {
                    b'"' => self.in_string = false,
                    b'\\' => self.is_escaped = true,
                    _ => at += memchr::memchr2(b'"', b'\\', &text[at..]).unwrap_or(text.len() - at),
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' => self.depth += 1,
                    b'}' if self.depth <= 1 => return Some(at),
                    b'}' => self.depth -= 1,
                    _ => {}
                }
            }
        }
        None
    }
}
