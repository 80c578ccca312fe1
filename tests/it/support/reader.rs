//! An answer that is read as it comes, over either version of HTTP.

use super::ask::Ask;
use super::client::Client;
use super::connection::Connection;
use super::h2_client::{H2Connection, H2Stream};
use super::message::{Ending, Headers};

/// On a connection of its own, which goes when this is dropped.
pub struct Reader {
    source: Source,
    /// What of the body has come.
    body: Vec<u8>,
    ended: Option<Ending>,
}

enum Source {
    Http1(Connection, Option<Chunks>),
    H2(H2Stream, #[expect(dead_code, reason = "its end would be the stream's")] H2Connection),
}

impl Reader {
    /// Asks, and doesn't wait for the answer's head.
    #[track_caller]
    pub fn ask(client: &Client, ask: &Ask) -> Self {
        let ask = client.prepared(ask);
        let source = match client.protocol().is_h2() {
            true => {
                let mut connection = client.connect_h2();
                let stream = connection.ask(&ask).unwrap_or_else(|failure| panic!("{failure}"));
                Source::H2(stream, connection)
            }
            false => {
                let mut connection = client.connect();
                connection.ask(&ask);
                Source::Http1(connection, None)
            }
        };
        Reader { source, body: Vec::new(), ended: None }
    }

    /// Waits for the head, which must come before the body is read.
    #[track_caller]
    pub fn head(&mut self) -> (u16, Headers) {
        match &mut self.source {
            Source::Http1(connection, chunks) => {
                let head = connection.receive_head();
                *chunks = head.1.lists("transfer-encoding", "chunked").then(Chunks::default);
                head
            }
            Source::H2(stream, _) => stream.head().unwrap_or_else(|end| panic!("{end:?}")),
        }
    }

    /// Reads until what has come of the body is enough, and returns it.
    #[track_caller]
    pub fn until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> &[u8] {
        while !is_enough(&self.body) {
            let ended = self.ended;
            assert!(ended.is_none(), "{ended:?} after `{}`", self.body.escape_ascii());
            self.read_some();
        }
        &self.body
    }

    /// The next bytes of the body must be these, and no more may have come.
    #[track_caller]
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let len = self.body.len();
        let all = self.until(|body| body.len() >= len + bytes.as_ref().len());
        let (new, expected) = (&all[len..], bytes.as_ref());
        assert_eq!(new.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    /// Reads to the end: all of the body, and how its bytes ended.
    pub fn read_to_end(mut self) -> (Vec<u8>, Ending) {
        loop {
            if let Some(ending) = self.ended {
                return (self.body, ending);
            }
            self.read_some();
        }
    }

    /// Some more of the body, or how it ended.
    fn read_some(&mut self) {
        let came = match &mut self.source {
            Source::Http1(connection, _) => connection.read_some(),
            Source::H2(stream, _) => match stream.next() {
                Ok(came) => came.ok_or(Ending::Whole),
                Err(ending) => Err(ending),
            },
        };
        match (came, &mut self.source) {
            (Err(ending), _) => self.ended = Some(ending),
            (Ok(bytes), Source::Http1(_, Some(chunks))) => {
                let is_whole = chunks.push(&bytes, &mut self.body);
                self.ended = is_whole.then_some(Ending::Whole);
            }
            (Ok(bytes), _) => self.body.extend(bytes),
        }
    }
}

/// A chunked body, taken apart as it comes.
#[derive(Default)]
struct Chunks {
    /// Not taken apart yet.
    raw: Vec<u8>,
    /// Bytes that the present chunk still owes, its line end included.
    owed: usize,
    is_last: bool,
}

impl Chunks {
    /// Says whether the body has ended with these bytes.
    fn push(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> bool {
        self.raw.extend(bytes);
        loop {
            let content = self.owed.saturating_sub(2).min(self.raw.len());
            body.extend(self.raw.drain(..content));
            self.owed -= content;
            let line_end = self.owed.min(self.raw.len());
            self.raw.drain(..line_end);
            self.owed -= line_end;
            if self.is_last {
                return self.raw.starts_with(b"\r\n") || self.raw.ends_with(b"\r\n\r\n");
            }
            let Some(end) = memchr::memmem::find(&self.raw, b"\r\n") else { return false };
            if self.owed > 0 {
                return false;
            }
            let size = std::str::from_utf8(&self.raw[..end]).expect("the size of a chunk");
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            self.raw.drain(..end + 2);
            self.is_last = size == 0;
            self.owed = if self.is_last { 0 } else { size + 2 };
        }
    }
}
