//! The origin's side: a script for each conversation, whatever it came over.

use super::super::h2_talk::H2Talk;
use super::super::message::{Headers, Request};
use super::super::origin::Shared;
use super::super::reply::Reply;
use super::super::talk::Talk;
use super::duct::Duct;
use super::frame::{CLOSE, Frame, PING, PONG};
use super::handshake::accept;
use super::log::Log;
use super::talker::{Role, Talker};

/// A handshake that has come, over one version or the other.
pub trait Asked: Duct {
    fn request(&self) -> &Request;

    /// Grants it with these fields, and sends these bytes together with the answer.
    fn grant(&mut self, fields: &Headers, first: &[u8]);

    fn refuse(&mut self, reply: Reply);
}

impl Asked for Talk<'_> {
    fn request(&self) -> &Request {
        Talk::request(self)
    }

    fn grant(&mut self, fields: &Headers, first: &[u8]) {
        let mut head = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
        fields.0.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += "\r\n";
        Talk::send(self, [head.as_bytes(), first].concat());
        self.close();
    }

    fn refuse(&mut self, reply: Reply) {
        self.reply(reply);
    }
}

impl Asked for H2Talk {
    fn request(&self) -> &Request {
        H2Talk::request(self)
    }

    fn grant(&mut self, fields: &Headers, first: &[u8]) {
        let own = fields.0.iter();
        let reply = own.fold(Reply::new(200), |reply, (name, value)| reply.header(name, value));
        self.begin(reply);
        H2Talk::send(self, first);
    }

    fn refuse(&mut self, reply: Reply) {
        self.reply(reply);
    }
}

/// What a script holds: the handshake has come, all else is up to the script.
pub struct WsTalk<'a> {
    asked: &'a mut (dyn Asked + Send + 'a),
    nth: usize,
    log: Log,
    is_granted: bool,
}

impl WsTalk<'_> {
    pub fn request(&self) -> &Request {
        self.asked.request()
    }

    /// 1 for the first handshake of this route.
    pub fn nth(&self) -> usize {
        self.nth
    }

    pub fn refuse(&mut self, reply: impl Into<Reply>) {
        self.asked.refuse(reply.into());
    }

    pub fn accept(&mut self) -> Talker<'_> {
        self.grant(&[])
    }

    pub fn grant(&mut self, fields: &[(&str, &str)]) -> Talker<'_> {
        self.grant_and_send(fields, &[])
    }

    /// Sends these frames in the same packet as the answer, where the version allows it.
    pub fn grant_and_send(&mut self, fields: &[(&str, &str)], frames: &[Frame]) -> Talker<'_> {
        let first: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        let granted = self.answer(fields);
        self.log.note_sent(&first);
        self.asked.grant(&granted, &first);
        self.is_granted = true;
        let duct: &mut (dyn Asked + Send) = &mut *self.asked;
        Talker::new(duct, Role::Origin, granted, self.log.clone())
    }

    fn answer(&self, fields: &[(&str, &str)]) -> Headers {
        let mut granted = Headers::default();
        let mut push = |name: &str, value: &str| {
            granted.0.push((name.to_owned(), value.to_owned()));
        };
        if self.request().protocol.is_none() {
            push("Upgrade", "websocket");
            push("Connection", "Upgrade");
            push("Sec-WebSocket-Accept", &self.accepted());
        }
        fields.iter().for_each(|(name, value)| push(name, value));
        granted
    }

    fn accepted(&self) -> String {
        accept(self.request().headers.get("sec-websocket-key").expect("a key over HTTP/1.1"))
    }
}

/// Runs a script for a request that must be a handshake, and ends what it granted.
pub fn run<'a>(
    asked: &'a mut (dyn Asked + Send + 'a),
    shared: &Shared,
    nth: usize,
    script: &(dyn Fn(&mut WsTalk<'_>) + Send + Sync),
) {
    check(asked.request());
    let log = shared.begin_conversation();
    let mut talk = WsTalk { asked, nth, log, is_granted: false };
    script(&mut talk);
    if talk.is_granted {
        talk.asked.finish();
    }
}

/// What every handshake must have, over its version.
fn check(request: &Request) {
    let headers = &request.headers;
    assert_eq!(headers.get("sec-websocket-version"), Some("13"), "{request:?}");
    match &request.protocol {
        Some(protocol) => {
            assert_eq!((protocol.as_str(), request.method.as_str()), ("websocket", "CONNECT"));
            for name in ["upgrade", "connection", "sec-websocket-key", "host"] {
                assert!(!headers.has(name), "`{name}` over HTTP/2: {request:?}");
            }
        }
        None => {
            assert_eq!(request.method, "GET", "{request:?}");
            assert!(headers.lists("upgrade", "websocket"), "{request:?}");
            assert!(headers.lists("connection", "upgrade"), "{request:?}");
            assert!(headers.has("sec-websocket-key"), "{request:?}");
        }
    }
}

/// Gives every frame back as it came, without its mask; a ping as a pong. Ends after a close.
pub fn echo(talker: &mut Talker<'_>) {
    while let Ok(mut frame) = talker.next_frame() {
        frame.mask = None;
        if frame.opcode == PING {
            frame.opcode = PONG;
        }
        let is_close = frame.opcode == CLOSE;
        if !talker.frame(frame) || is_close {
            return;
        }
    }
}

/// Says nothing, and reads until the client has closed or gone.
pub fn hold(talker: &mut Talker<'_>) {
    while talker.next_frame().is_ok_and(|frame| frame.opcode != CLOSE) {}
}
