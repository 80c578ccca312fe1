//! Calls as scripts: a line of words for what is recorded, and one for what happens in a replay.
//!
//! `>a` is a message of the client, `>|` its request's end. `<*` is the answer's head (`<*x` one
//! with a field that says x), `<x` a message, `<.` the end, `<!` a cut by the origin, `<?` the
//! client's leaving. In a replay `(2)` means that message 2 of the request is awaited, `(|)` its
//! end; `choose?` that the client may say more first, and `choose` goes on without that.

use std::time::Duration;

use bytes::Bytes;

use crate::exchange::{
    After, Body, Compression, End, Exchange, Fields, Kind, Message, Payload, RequestHead,
};
use crate::matching::{Asked, BodyPrint, MessagePrint, key};
use crate::redact::Redactor;
use crate::replay::Session;
use crate::replay::call::{Call, Next, Part};
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
        Live { session, call: session.call(&key(PATH)) }
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
                self.call.message_received(print(self.session, text));
                self.call.proceed()
            }
            _ if word == "choose" => self.call.choose(),
            _ => self.call.proceed(),
        };
        loop {
            led_to.push(told(&next));
            if !matches!(next, Next::Send(_)) {
                return led_to;
            }
            next = self.call.proceed();
        }
    }
}

pub(super) fn told(next: &Next<'_>) -> String {
    use crate::replay::call::Awaited;
    match next {
        Next::Send(due) => part(&due.part),
        Next::Await(Awaited::Message(n)) => format!("({n})"),
        Next::Await(Awaited::End) => "(|)".to_owned(),
        Next::Choose(_) => "choose?".to_owned(),
        Next::Miss(miss) => format!("miss: {miss}"),
        Next::Over => "over".to_owned(),
    }
}

pub(super) fn part(part: &Part<'_>) -> String {
    match part {
        Part::Head(response) => {
            let field = response.head.fields.get("x").unwrap_or_default();
            format!("<*{}", String::from_utf8_lossy(field))
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
