//! The client: it asks and reads answers, keeping one connection alive, whatever it speaks.

use std::net::SocketAddr;

use super::ask::Ask;
use super::certificates::Identity;
use super::connection::Connection;
use super::h2_client::H2Connection;
use super::message::{Ending, Failure, Response};
use super::peer::Peer;
use super::protocol::Protocol;
use super::ws::{Handshake, Talker};

pub struct Client {
    peer: Peer,
    session: Option<String>,
    kept: Option<Connection>,
    kept_h2: Option<H2Connection>,
}

impl Client {
    /// Speaks HTTP/1.1 without TLS, unless told otherwise.
    pub fn new(address: SocketAddr) -> Self {
        Client { peer: Peer::new(address), session: None, kept: None, kept_h2: None }
    }

    pub fn over(mut self, protocol: Protocol) -> Self {
        self.peer.protocol = protocol;
        self
    }

    /// Trusts this authority (PEM), besides others.
    pub fn trusting(mut self, pem: &str) -> Self {
        self.peer.trusted.push(pem.to_owned());
        self
    }

    /// Shows this certificate when it is asked for one.
    pub fn identified(mut self, identity: &Identity) -> Self {
        self.peer.identity = Some(identity.clone());
        self
    }

    /// Calls the host by this name instead of its address.
    pub fn named(mut self, name: &str) -> Self {
        self.peer.name = Some(name.to_owned());
        self
    }

    /// Names this session with every request.
    pub fn in_session(mut self, name: &str) -> Self {
        self.session = Some(name.to_owned());
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    pub fn protocol(&self) -> Protocol {
        self.peer.protocol
    }

    /// A WebSocket handshake to be made on a connection of its own.
    pub fn handshake(&self, target: &str) -> Handshake<'_> {
        Handshake::new(self, target)
    }

    /// A WebSocket conversation on a connection of its own.
    #[track_caller]
    pub fn converse(&self, target: &str) -> Talker<'static> {
        self.handshake(target).open()
    }

    /// An HTTP/1.1 connection of its own, for raw bytes.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::reach(&self.peer)
            .unwrap_or_else(|e| panic!("can't connect to {}: {e}", self.peer.address))
    }

    /// A connection without HTTP; the handshake of TLS may fail.
    pub fn try_connect(&self) -> std::io::Result<Connection> {
        Connection::reach(&self.peer)
    }

    /// An HTTP/2 connection of its own.
    #[track_caller]
    pub fn connect_h2(&self) -> H2Connection {
        H2Connection::open(&self.peer)
            .unwrap_or_else(|e| panic!("no HTTP/2 with {}: {e}", self.peer.address))
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
        let ask = &self.prepared(ask);
        match self.peer.protocol.is_h2() {
            true => self.try_ask_h2(ask),
            false => self.try_ask_h1(ask),
        }
    }

    fn try_ask_h1(&mut self, ask: &Ask) -> Result<Response, Failure> {
        let kept = self.kept.take().and_then(|mut c| (!c.has_ended()).then_some(c));
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::reach(&self.peer).map_err(|e| self.unreached(&e.to_string()))?,
        };
        connection.ask(ask);
        let response = connection.receive_for(&ask.method)?;
        if response.is_whole() && keeps_alive(&response) {
            self.kept = Some(connection);
        }
        Ok(response)
    }

    fn try_ask_h2(&mut self, ask: &Ask) -> Result<Response, Failure> {
        let kept = self.kept_h2.take().filter(H2Connection::takes_streams);
        let mut connection = match kept {
            Some(connection) => connection,
            None => H2Connection::open(&self.peer).map_err(|e| self.unreached(&e))?,
        };
        let response = connection.ask(ask).and_then(|mut stream| stream.receive());
        self.kept_h2 = Some(connection);
        response
    }

    fn unreached(&self, why: &str) -> Failure {
        Failure {
            ending: Ending::Cut,
            malformed: Some(format!("can't connect to {}: {why}", self.peer.address)),
            bytes: Vec::new(),
        }
    }

    pub(super) fn prepared(&self, ask: &Ask) -> Ask {
        match &self.session {
            Some(session) => ask.clone().session(session),
            None => ask.clone(),
        }
    }

    /// All at the same time, a connection each, or a stream each on one; answers in the order of
    /// the requests.
    #[track_caller]
    pub fn ask_at_once(&self, asks: &[Ask]) -> Vec<Response> {
        let asks: Vec<Ask> = asks.iter().map(|ask| self.prepared(ask)).collect();
        let failed = |ask: &Ask, failure: Failure| -> Response { panic!("{ask:?}: {failure}") };
        if self.peer.protocol.is_h2() {
            let mut connection = self.connect_h2();
            let open: Vec<_> = asks.iter().map(|ask| connection.ask(ask)).collect();
            let answers = open.into_iter().zip(&asks).map(|(stream, ask)| {
                stream.and_then(|mut s| s.receive()).unwrap_or_else(|f| failed(ask, f))
            });
            return answers.collect();
        }
        let mut open: Vec<_> = asks.iter().map(|_| self.connect()).collect();
        open.iter_mut().zip(&asks).for_each(|(connection, ask)| connection.ask(ask));
        let answers = open.iter_mut().zip(&asks).map(|(connection, ask)| {
            connection.receive_for(&ask.method).unwrap_or_else(|f| failed(ask, f))
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
