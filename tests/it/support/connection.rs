//! The raw socket of an HTTP/1.1 client, for requests that no well-behaved client sends.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::ask::Ask;
use super::message::{Ending, Failure, Headers, Response};
use super::peer::{PATIENCE, Peer};
use super::socket::Socket;
use super::wire::{BodySoFar, Framing, Stop, Wire, declared_framing, parse_head};

/// A socket to an HTTP/1.1 peer, over TLS or not.
pub struct Connection {
    wire: Wire,
    host: String,
}

impl Connection {
    pub fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        Self::reach(&Peer::new(address))
    }

    pub(super) fn reach(peer: &Peer) -> std::io::Result<Self> {
        let wire = Wire::new(peer.dial()?);
        Ok(Connection { wire, host: peer.authority() })
    }

    /// With a way to speak TLS of the test's own.
    pub fn over_tls(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        name: &str,
    ) -> std::io::Result<Self> {
        let peer = Peer { name: Some(name.to_owned()), ..Peer::new(address) };
        let Socket::Plain(stream) = peer.dial()? else { unreachable!("no TLS was asked for") };
        let wire = Wire::new(Socket::client(stream, config, name)?);
        Ok(Connection { wire, host: peer.authority() })
    }

    /// Whether the handshake took up an earlier session.
    pub fn was_resumed(&self) -> bool {
        self.wire.stream.was_resumed()
    }

    /// Sends bytes as they are. A peer that has gone is no failure here: the answer tells.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.stream.write_all(bytes.as_ref());
    }

    /// The same; false when the peer has gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.wire.stream.write_all(bytes).is_ok()
    }

    /// Sends until the peer takes no more within `patience`; returns how many bytes went.
    pub fn send_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.wire.stream.tcp().set_write_timeout(Some(patience)).unwrap();
        let mut sent = 0;
        while sent < bytes.len() {
            match self.wire.stream.write(&bytes[sent..]) {
                Ok(len) if len > 0 => sent += len,
                _ => break,
            }
        }
        self.wire.stream.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
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
    pub fn has_ended(&mut self) -> bool {
        !self.wire.is_quiet()
    }

    /// A small receive window: what the peer sends soon waits in its own buffers.
    pub fn shrink_receive_buffer(&self) {
        socket2::SockRef::from(self.wire.stream.tcp()).set_recv_buffer_size(4 << 10).unwrap();
    }

    pub fn finish_sending(&mut self) {
        self.wire.stream.finish(Shutdown::Write);
    }

    /// Leaves with a reset instead of an orderly close.
    pub fn reset(self) {
        self.reset_when_dropped();
    }

    pub fn reset_when_dropped(&self) {
        let socket = socket2::SockRef::from(self.wire.stream.tcp());
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
