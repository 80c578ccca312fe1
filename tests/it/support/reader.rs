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
}

enum Source {
    /// With what has come of a chunked body, as it came.
    Http1(Connection, Option<Vec<u8>>),
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
        Reader { source, body: Vec::new() }
    }

    /// Waits for the head, which must come before the body is read.
    #[track_caller]
    pub fn head(&mut self) -> (u16, Headers) {
        match &mut self.source {
            Source::Http1(connection, raw) => {
                let head = connection.receive_head();
                *raw = head.1.lists("transfer-encoding", "chunked").then(Vec::new);
                head
            }
            Source::H2(stream, _) => stream.head().unwrap_or_else(|end| panic!("{end:?}")),
        }
    }

    /// Reads until what has come of the body is enough, and returns it.
    #[track_caller]
    pub fn until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> &[u8] {
        while !is_enough(&self.body) {
            let ended = self.read_some();
            assert!(ended.is_none(), "{ended:?} after `{}`", self.body.escape_ascii());
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
    pub fn to_end(mut self) -> (Vec<u8>, Ending) {
        loop {
            if let Some(ending) = self.read_some() {
                return (self.body, ending);
            }
        }
    }

    /// Some more of the body, or how it ended.
    fn read_some(&mut self) -> Option<Ending> {
        let came = match &mut self.source {
            Source::Http1(connection, _) => connection.read_some(),
            Source::H2(stream, _) => match stream.next() {
                Ok(came) => came.ok_or(Ending::Whole),
                Err(ending) => Err(ending),
            },
        };
        match (came, &mut self.source) {
            (Err(ending), _) => return Some(ending),
            (Ok(bytes), Source::Http1(_, Some(raw))) => {
                raw.extend(bytes);
                self.body = unchunked(raw);
                let ends = raw.ends_with(b"\r\n0\r\n\r\n") || raw == b"0\r\n\r\n";
                return ends.then_some(Ending::Whole);
            }
            (Ok(bytes), _) => self.body.extend(bytes),
        }
        None
    }
}

/// What a chunked body says, as far as it has come.
fn unchunked(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = memchr::memmem::find(raw, b"\r\n") {
        let size = std::str::from_utf8(&raw[..end]).expect("the size of a chunk");
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        let rest = &raw[end + 2..];
        body.extend(&rest[..size.min(rest.len())]);
        raw = rest.get(size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    body
}
