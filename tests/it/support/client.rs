//! Clients: `Client` asks and reads answers, keeping one connection alive; `Connection` is the raw
//! socket under it, for requests that no well-behaved client sends.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::ask::Ask;
use super::message::{Ending, Failure, Headers, Response};
use super::wire::{BodySoFar, Framing, Stop, Wire, declared_framing, parse_head};

/// Longer than any answer takes; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    address: SocketAddr,
    kept: Option<Connection>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Client { address, kept: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection of its own, for raw bytes.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.ask(&Ask::get(target))
    }

    #[track_caller]
    pub fn post(&mut self, target: &str, body: impl Into<Vec<u8>>) -> Response {
        self.ask(&Ask::post(target, body))
    }

    /// One after the other, on a kept connection.
    #[track_caller]
    pub fn get_many(&mut self, target: &str, count: usize) -> Vec<Response> {
        (0..count).map(|_| self.get(target)).collect()
    }

    /// Asks and expects a whole answer.
    #[track_caller]
    pub fn ask(&mut self, ask: &Ask) -> Response {
        let response = self.try_ask(ask).unwrap_or_else(|failure| panic!("{ask:?}: {failure}"));
        assert!(response.is_whole(), "the answer to {ask:?} isn't whole: {response:?}");
        response
    }

    /// Asks; the answer may be cut, or never come, and there may be nobody to connect to.
    pub fn try_ask(&mut self, ask: &Ask) -> Result<Response, Failure> {
        let kept = self.kept.take().filter(|connection| !connection.has_ended());
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::try_open(self.address).map_err(|error| Failure {
                ending: Ending::Cut,
                malformed: Some(format!("can't connect to {}: {error}", self.address)),
                bytes: Vec::new(),
            })?,
        };
        connection.ask(ask);
        let response = connection.receive_for(&ask.method)?;
        if response.is_whole() && keeps_alive(&response) {
            self.kept = Some(connection);
        }
        Ok(response)
    }

    /// All at the same time, a connection each; answers in the order of the requests.
    #[track_caller]
    pub fn ask_at_once(&self, asks: &[Ask]) -> Vec<Response> {
        let mut open: Vec<_> = asks.iter().map(|_| self.connect()).collect();
        open.iter_mut().zip(asks).for_each(|(connection, ask)| connection.ask(ask));
        let answers = open.iter_mut().zip(asks).map(|(connection, ask)| {
            connection.receive_for(&ask.method).unwrap_or_else(|f| panic!("{ask:?}: {f}"))
        });
        answers.collect()
    }
}

fn keeps_alive(response: &Response) -> bool {
    let framed = response.headers.has("content-length")
        || response.headers.has("transfer-encoding")
        || matches!(response.status, 204 | 304);
    framed && !response.headers.lists("connection", "close")
}

pub struct Connection {
    wire: Wire,
    host: String,
}

impl Connection {
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|e| panic!("can't connect to {address}: {e}"))
    }

    pub fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { wire: Wire::new(stream), host: address.to_string() })
    }

    /// Sends bytes as they are. A peer that has gone is no failure here: the answer tells.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.stream.write_all(bytes.as_ref());
    }

    /// Sends until the peer takes no more within `patience`; returns how many bytes went.
    pub fn send_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.wire.stream.set_write_timeout(Some(patience)).unwrap();
        let mut sent = 0;
        while sent < bytes.len() {
            match self.wire.stream.write(&bytes[sent..]) {
                Ok(len) if len > 0 => sent += len,
                _ => break,
            }
        }
        self.wire.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    pub fn ask(&mut self, ask: &Ask) {
        self.send(ask.to_bytes(&self.host.clone()));
    }

    #[track_caller]
    pub fn receive(&mut self) -> Response {
        self.receive_for("GET").unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Reads one final answer to a request of this method, interim ones before it.
    #[track_caller]
    pub fn receive_for(&mut self, method: &str) -> Result<Response, Failure> {
        let mut interim = Vec::new();
        loop {
            let (version, status, reason, headers) = self.head()?;
            if (100..200).contains(&status) && status != 101 {
                interim.push((status, headers));
                continue;
            }
            let framing = answer_framing(method, status, &headers);
            let framing = framing.map_err(|stop| self.failure(stop))?;
            let mut body = BodySoFar::default();
            let ending = match self.wire.body(&framing, &mut body) {
                Ok(()) => Ending::Whole,
                Err(Stop::Ended(ending)) => ending,
                Err(stop) => return Err(self.failure(stop)),
            };
            let BodySoFar { bytes: body, chunks, trailers } = body;
            let (version, reason) = (version.to_owned(), reason.to_owned());
            return Ok(Response {
                version,
                status,
                reason,
                headers,
                body,
                trailers,
                interim,
                ending,
                chunks,
            });
        }
    }

    /// Reads an interim answer, which must be the next thing to come.
    #[track_caller]
    pub fn receive_interim(&mut self) -> (u16, Headers) {
        let (_, status, _, headers) = self.head().unwrap_or_else(|failure| panic!("{failure}"));
        assert!((100..200).contains(&status), "{status} is no interim answer");
        (status, headers)
    }

    /// Reads the head of an answer and leaves its body alone.
    #[track_caller]
    pub fn receive_head(&mut self) -> (u16, Headers) {
        let (_, status, _, headers) = self.head().unwrap_or_else(|failure| panic!("{failure}"));
        (status, headers)
    }

    fn head(&mut self) -> Result<(String, u16, String, Headers), Failure> {
        let head = self.wire.head().map_err(|stop| self.failure(stop))?;
        let (start, headers) = parse_head(&head).map_err(|stop| self.failure(stop))?;
        let mut parts = start.splitn(3, ' ');
        let version = parts.next().unwrap_or_default().to_owned();
        let status = parts.next().unwrap_or_default();
        let reason = parts.next().map(str::to_owned);
        match (version.as_str(), status.len(), status.parse(), reason) {
            ("HTTP/1.1" | "HTTP/1.0", 3, Ok(status), Some(reason)) => {
                Ok((version, status, reason, headers))
            }
            _ => Err(self.failure(Stop::Malformed(format!("a status line `{start}`")))),
        }
    }

    fn failure(&self, stop: Stop) -> Failure {
        let bytes = self.wire.waiting().to_vec();
        match stop {
            Stop::Ended(ending) => Failure { ending, malformed: None, bytes },
            Stop::Malformed(what) => Failure { ending: Ending::Cut, malformed: Some(what), bytes },
        }
    }

    /// Reads this many bytes, whatever they are.
    #[track_caller]
    pub fn read_exactly(&mut self, len: usize) -> Vec<u8> {
        let read = self.wire.exactly(len);
        read.unwrap_or_else(|stop| {
            panic!("{stop:?} after {:?}", self.wire.waiting().escape_ascii().to_string())
        })
    }

    /// The next bytes must be these.
    #[track_caller]
    pub fn expect_bytes(&mut self, expected: impl AsRef<[u8]>) {
        let seen = self.read_exactly(expected.as_ref().len());
        assert_eq!(
            seen.escape_ascii().to_string(),
            expected.as_ref().escape_ascii().to_string(),
            "bytes on the wire"
        );
    }

    /// Whatever comes, at least one byte; how it ended if nothing does.
    pub fn read_some(&mut self) -> Result<Vec<u8>, Ending> {
        self.wire.some().map_err(|stop| match stop {
            Stop::Ended(ending) => ending,
            Stop::Malformed(what) => unreachable!("raw bytes are never malformed: {what}"),
        })
    }

    /// Everything until the peer closes, and how it did.
    pub fn read_to_end(&mut self) -> (Vec<u8>, Ending) {
        let mut all = Vec::new();
        loop {
            match self.read_some() {
                Ok(bytes) => all.extend(bytes),
                Err(ending) => return (all, ending),
            }
        }
    }

    /// The peer closes, without another byte.
    #[track_caller]
    pub fn expect_close(&mut self) {
        let (bytes, ending) = self.read_to_end();
        let seen = (bytes.escape_ascii().to_string(), ending);
        assert!(
            bytes.is_empty() && matches!(ending, Ending::Cut | Ending::Reset),
            "expected the connection to close, saw {seen:?}"
        );
    }

    /// Whether the peer has closed, or bytes nobody asked for have come. Doesn't wait.
    pub fn has_ended(&self) -> bool {
        let stream = &self.wire.stream;
        stream.set_nonblocking(true).unwrap();
        let looked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        !matches!(looked, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// A small receive window: what the peer sends soon waits in its own buffers.
    pub fn shrink_receive_buffer(&self) {
        socket2::SockRef::from(&self.wire.stream).set_recv_buffer_size(4 << 10).unwrap();
    }

    pub fn finish_sending(&self) {
        let _ = self.wire.stream.shutdown(Shutdown::Write);
    }

    /// Leaves with a reset instead of an orderly close.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.wire.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// RFC 9112 section 6.3, and section 9.3.6 of RFC 9110 for what must carry no framing at all.
fn answer_framing(method: &str, status: u16, headers: &Headers) -> Result<Framing, Stop> {
    let declared = declared_framing(headers, Framing::Close)?;
    match status {
        101 => Ok(Framing::None),
        204 if headers.has("content-length") || headers.has("transfer-encoding") => {
            Err(Stop::Malformed("a 204 with framing fields".to_owned()))
        }
        204 | 304 => Ok(Framing::None),
        _ if method == "HEAD" => Ok(Framing::None),
        _ => Ok(declared),
    }
}
