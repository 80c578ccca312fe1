//! The client's side of the opening handshake (RFC 6455 section 4.1, RFC 8441 section 5).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha1::{Digest as _, Sha1};

use super::super::ask::Ask;
use super::super::client::Client;
use super::super::connection::Connection;
use super::super::h2_client::H2Connection;
use super::super::message::{Headers, Response};
use super::duct::LoneStream;
use super::log::Log;
use super::talker::{Role, Talker};

/// The key that RFC 6455 itself takes as its example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What `sec-websocket-accept` must say to a key.
pub fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(Sha1::digest(text.as_bytes()))
}

/// A handshake in the making.
pub struct Handshake<'a> {
    client: &'a Client,
    target: String,
    fields: Headers,
}

impl<'a> Handshake<'a> {
    pub(in super::super) fn new(client: &'a Client, target: &str) -> Self {
        Handshake { client, target: target.to_owned(), fields: Headers::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn subprotocols(self, offered: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", offered)
    }

    pub fn extensions(self, offered: &str) -> Self {
        self.header("Sec-WebSocket-Extensions", offered)
    }

    /// On a connection of its own; a refusal fails the test.
    #[track_caller]
    pub fn open(&self) -> Talker<'static> {
        self.try_open().unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
    }

    /// On a connection of its own; the answer if it is refused.
    #[track_caller]
    pub fn try_open(&self) -> Result<Talker<'static>, Box<Response>> {
        match self.client.protocol().is_h2() {
            true => self.open_h2(),
            false => self.open_h1(self.client.connect()),
        }
    }

    /// The answer that refuses it; a grant fails the test.
    #[track_caller]
    pub fn refused(&self) -> Response {
        match self.try_open() {
            Err(refusal) => *refusal,
            Ok(talker) => panic!("granted: {:?}", talker.granted()),
        }
    }

    #[track_caller]
    fn open_h1(&self, mut connection: Connection) -> Result<Talker<'static>, Box<Response>> {
        connection.ask(&self.upgrade());
        let answer = connection.receive();
        if answer.status != 101 {
            return Err(Box::new(answer));
        }
        let granted = answer.headers;
        let expected = accept(KEY);
        assert_eq!(granted.get("sec-websocket-accept"), Some(&*expected), "{granted:?}");
        assert!(granted.lists("upgrade", "websocket"), "{granted:?}");
        assert!(granted.lists("connection", "upgrade"), "{granted:?}");
        assert!(!granted.has("content-length") && !granted.has("transfer-encoding"));
        Ok(Talker::new(connection, Role::Client, granted, Log::default()))
    }

    /// The request over HTTP/1.1.
    pub fn upgrade(&self) -> Ask {
        let ask = Ask::get(&*self.target)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY);
        self.with_fields(ask)
    }

    /// The request over HTTP/2.
    pub fn extended_connect(&self) -> Ask {
        let ask = Ask::new("CONNECT", &*self.target).protocol("websocket");
        self.with_fields(ask.header("sec-websocket-version", "13"))
    }

    fn with_fields(&self, ask: Ask) -> Ask {
        let own = self.fields.0.iter();
        let ask = own.fold(ask, |ask, (name, value)| ask.header(name, value));
        self.client.prepared(&ask)
    }

    #[track_caller]
    fn open_h2(&self) -> Result<Talker<'static>, Box<Response>> {
        let mut connection = self.client.connect_h2();
        connection.wait_takes_conversations();
        let mut stream = connection.begin(&self.extended_connect());
        let (status, granted) = stream.head().unwrap();
        if status != 200 {
            return Err(Box::new(stream.receive().unwrap()));
        }
        expect_no_upgrade_fields(&granted);
        let duct = LoneStream { stream, _connection: connection };
        Ok(Talker::new(duct, Role::Client, granted, Log::default()))
    }

    /// As one of the streams of this connection.
    #[track_caller]
    pub fn open_on(&self, connection: &mut H2Connection) -> Talker<'static> {
        connection.wait_takes_conversations();
        let mut stream = connection.begin(&self.extended_connect());
        let (status, granted) = stream.head().unwrap();
        assert_eq!(status, 200, "{granted:?}");
        expect_no_upgrade_fields(&granted);
        Talker::new(stream, Role::Client, granted, Log::default())
    }
}

/// They belong to HTTP/1.1 (RFC 8441 section 5).
#[track_caller]
fn expect_no_upgrade_fields(granted: &Headers) {
    for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
        assert!(!granted.has(name), "`{name}` over HTTP/2: {granted:?}");
    }
}
