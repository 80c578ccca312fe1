//! Calls as scripts: a line of words for what is recorded, and one for what happens in a replay.
//!
//! `>a` is a message of the client, `>|` its request's end. `<*` is the answer's head (`<*x` one
//! with a field that says x), `<x` a message, `<.` the end, `<!` a cut by the origin, `<?` the
//! client's leaving. In a replay `(2)` means that message 2 of the request is awaited, `(|)` its
//! end; `~` behind it that the client may take its time; `choose?` that the client may say more
//! first, `silence?` that it may take longer for it, and `choose` goes on without that.
//!
//! Conversations as well: their messages are text, `>|` is the client's close and `<.` the origin's
//! where the client hasn't closed, `<*x` takes subprotocol x, and `<=` is a refusal, all of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::exchange::{
    After, Body, Close, Compression, End, Exchange, Fields, Kind, Message, Party, Payload,
    RequestHead,
};
use crate::matching::{Asked, BodyPrint, MessagePrint, key};
use crate::redact::Redactor;
use crate::replay::Session;
use crate::replay::call::{Call, Conversation, Next, Part, Protocol};
use crate::replay::choose::AfterLast;
use crate::replay::fixture::{exchange, no_bodies, settings};

pub(super) const PATH: &str = "/p.S/M";

/// Between two words of a recording.
pub(super) const STEP: Duration = Duration::from_millis(10);

pub(super) fn recorded(script: &str) -> Exchange {
    let mut call = exchange("POST", PATH, Body::Absent, "");
    call.request.head = RequestHead {
        method: "POST".into(),
        target: PATH.into(),
        fields: fields(),
        ..RequestHead::default()
    };
    call.request.is_whole = false;
    let (mut said, mut answer) = (Vec::new(), Vec::new());
    let mut after = After::Messages(0);
    for (n, word) in script.split_whitespace().enumerate() {
        let at = STEP * n as u32;
        let message = |text: &str| Message {
            kind: Kind::Binary,
            at,
            after,
            compression: Compression::None,
            payload: Payload::Bytes(Bytes::copy_from_slice(text.as_bytes())),
        };
        let response = &mut call.response;
        match word.split_at(1) {
            (">", "|") => (after, call.request.is_whole) = (After::End, true),
            (">", text) => {
                said.push(message(text));
                after = After::Messages(said.len() as u32);
            }
            ("<", "." | "!" | "?") => {
                response.end_after = after;
                response.end = match word {
                    "<!" => End::CutByOrigin,
                    "<?" => End::LeftByClient,
                    _ => End::Whole,
                };
            }
            ("<", text) => match text.strip_prefix('*') {
                Some(field) => {
                    (response.after, response.at) = (after, at);
                    response.head.fields = [("x", field)].into_iter().collect();
                }
                None => answer.push(message(text)),
            },
            _ => panic!("no such word: {word}"),
        }
    }
    call.request.body = if said.is_empty() { Body::Absent } else { Body::Messages(said) };
    call.response.body = if answer.is_empty() { Body::Absent } else { Body::Messages(answer) };
    call
}

/// The `nth` conversation.
pub(super) fn conversed(nth: usize, script: &str) -> Exchange {
    let mut all = recorded(if script == "<=" { "<*" } else { script });
    let head = &mut all.request.head;
    (head.method, head.target, head.fields) = ("GET".into(), CHAT.into(), handshake(nth));
    let response = &mut all.response;
    if script == "<=" {
        (all.request.is_whole, response.after, response.head.status) = (true, After::End, 401);
        response.body = Body::Whole(Bytes::from_static(b"who are you?"));
        return all;
    }
    let taken = response.head.fields.get("x").unwrap_or_default().to_vec();
    response.head.status = 101;
    // Two that nothing tells apart, and two that are never the same.
    response.head.fields = Fields::from_iter([
        ("upgrade", "websocket"),
        ("sec-websocket-accept", &format!("made of key {nth}")),
        ("date", &format!("second {nth}")),
    ]);
    if !taken.is_empty() {
        response.head.fields.push("sec-websocket-protocol", &taken);
    }
    for body in [&mut all.request.body, &mut response.body] {
        let Body::Messages(messages) = body else { continue };
        messages.iter_mut().for_each(|message| message.kind = Kind::Text);
    }
    if response.end == End::Whole {
        let by = if all.request.is_whole { Party::Client } else { Party::Origin };
        let at = STEP * (script.split_whitespace().count() as u32 - 1);
        response.close = Some(Close { at, by, code: Some(1000), reason: String::new() });
    }
    all
}

pub(super) const CHAT: &str = "/chat";

fn handshake(nth: usize) -> Fields {
    let key = format!("key {nth}");
    Fields::from_iter([
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", &key),
        ("sec-websocket-protocol", "x, y"),
    ])
}

pub(super) fn conversations(scripts: &[&str], after_last: AfterLast) -> Arc<Session> {
    built(scripts.iter().enumerate().map(|(n, script)| conversed(n, script)), after_last)
}

pub(super) fn built(
    exchanges: impl Iterator<Item = Exchange>,
    after_last: AfterLast,
) -> Arc<Session> {
    let settings = settings(after_last);
    Arc::new(Session::build("test", exchanges.collect(), &settings, no_bodies(), None).unwrap())
}

/// Begins one, with a key of its own.
pub(super) fn conversation(session: &Arc<Session>) -> Conversation {
    let offered = crate::matching::handshake::offered(&handshake(100), &Redactor::default());
    let body = BodyPrint::Conversation(&offered);
    let asked = Asked { endpoint: "api", method: "GET", target: CHAT, body };
    let mut key = Vec::new();
    key::write(&mut key, &asked, &Redactor::default());
    session.conversation(&key)
}

/// A whole conversation: `go` stands for its handshake.
pub(super) fn converse(session: &Arc<Session>, script: &str) -> String {
    let mut conversation = conversation(session);
    Live::on(session, conversation.resume()).play(&format!("go {script}"))
}

pub(super) fn text(session: &Session, message: &str) -> MessagePrint {
    said(session, Kind::Text, message)
}

pub(super) fn said(session: &Session, kind: Kind, message: &str) -> MessagePrint {
    let mut key = session.message_key_of_conversation(Vec::new());
    key.begin(kind, false);
    key.push(message.as_bytes());
    key.finish()
}

pub(super) fn session(scripts: &[&str]) -> Session {
    session_of(scripts, AfterLast::Repeat)
}

pub(super) fn strict(scripts: &[&str]) -> Session {
    session_of(scripts, AfterLast::Refuse)
}

fn session_of(scripts: &[&str], after_last: AfterLast) -> Session {
    let exchanges = scripts.iter().map(|script| recorded(script)).collect();
    Session::build("test", exchanges, &settings(after_last), no_bodies(), None).unwrap()
}

fn fields() -> Fields {
    Fields::from_iter([("content-type", "application/grpc"), ("te", "trailers")])
}

pub(super) fn print(session: &Session, message: &str) -> MessagePrint {
    let mut key = session.message_key(&fields(), "api", PATH, Vec::new());
    key.push(message.as_bytes());
    key.finish()
}

pub(super) fn key(path: &str) -> Vec<u8> {
    let body = BodyPrint::Call;
    let asked = Asked { endpoint: "api", method: "POST", target: path, body };
    let mut key = Vec::new();
    key::write(&mut key, &asked, &Redactor::default());
    key
}

/// A call in replay.
pub(super) struct Live<'s> {
    session: &'s Session,
    pub(super) call: Call<'s>,
}

impl<'s> Live<'s> {
    pub(super) fn new(session: &'s Session) -> Live<'s> {
        Live::on(session, session.call(&key(PATH)))
    }

    pub(super) fn on(session: &'s Session, call: Call<'s>) -> Live<'s> {
        Live { session, call }
    }

    pub(super) fn print(&self, message: &str) -> MessagePrint {
        match self.call.progress.protocol {
            Protocol::Grpc => print(self.session, message),
            Protocol::WebSocket => text(self.session, message),
        }
    }

    /// Does what the words say, and gives back what happened: all words, each with what it led to.
    pub(super) fn play(&mut self, script: &str) -> String {
        let mut all = Vec::new();
        for word in script.split_whitespace() {
            all.push(word.to_owned());
            all.extend(self.act(word));
        }
        all.join(" ")
    }

    fn act(&mut self, word: &str) -> Vec<String> {
        let mut led_to = Vec::new();
        let mut next = match word.split_at(1) {
            (">", "|") => {
                self.call.request_ended();
                self.call.proceed()
            }
            (">", text) => {
                let print = self.print(text);
                self.call.message_received(print);
                self.call.proceed()
            }
            _ if word == "choose" => self.call.choose(),
            _ => self.call.proceed(),
        };
        loop {
            let rests = matches!(next, Next::Await(_)) && self.call.may_rest();
            led_to.push(told(&next) + if rests { "~" } else { "" });
            if !matches!(next, Next::Send(_)) {
                return led_to;
            }
            next = self.call.proceed();
        }
    }
}

pub(super) fn told(next: &Next<'_>) -> String {
    use crate::replay::call::{Awaited, Stake};
    match next {
        Next::Send(due) => part(&due.part),
        Next::Await(Awaited::Message(n)) => format!("({n})"),
        Next::Await(Awaited::End) => "(|)".to_owned(),
        Next::Choose(Stake::Part) => "choose?".to_owned(),
        Next::Choose(Stake::Silence) => "silence?".to_owned(),
        Next::Miss(miss) => format!("miss: {miss}"),
        Next::Over => "over".to_owned(),
    }
}

pub(super) fn part(part: &Part<'_>) -> String {
    match part {
        Part::Head(response) => {
            let fields = &response.head.fields;
            let field = fields.get("x").or_else(|| fields.get("sec-websocket-protocol"));
            let status = if response.head.status == 401 { "401" } else { "" };
            format!("<*{status}{}", String::from_utf8_lossy(field.unwrap_or_default()))
        }
        Part::Message(Message { payload: Payload::Bytes(bytes), .. }) => {
            format!("<{}", String::from_utf8_lossy(bytes))
        }
        Part::End(response) => match response.end {
            End::CutByOrigin | End::ResetByOrigin(_) => "<!".to_owned(),
            End::LeftByClient => "<?".to_owned(),
            _ => "<.".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

/// A whole call in a session: `go` stands for its head.
pub(super) fn replay(session: &Session, script: &str) -> String {
    Live::new(session).play(&format!("go {script}"))
}
