//! What a parser makes of a connection's bytes, and when two of them agree.

use std::collections::BTreeMap;

use ouli::exchange::{Fields, RequestHead, ResponseHead};
use ouli::http1::Refusal;
use ouli::http1::framing::{
    BodyDecoder, BodyEvent, Framing, is_interim, request_framing, request_keeps_alive,
    response_framing,
};
use ouli::http1::head::{HeadLimits, HeadScanner, Role, parse_request, parse_response};

use crate::cases::Case;

pub(crate) const LIMITS: HeadLimits =
    HeadLimits { bytes_max: 16 << 10, fields_max: 100, target_max: 8 << 10 };

/// A whole message. Names are in lower case and fields are grouped by name, because that is all
/// that hyper's header map keeps of them; the values of a name are in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// `GET /target`, or `200 reason`.
    pub(crate) start: String,
    pub(crate) fields: BTreeMap<String, Vec<String>>,
    pub(crate) body: String,
    pub(crate) trailers: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// All input was read; a last message may be unfinished.
    EndOfInput,
    /// By Ouli.
    Refused(Refusal),
    /// By another parser, in its words.
    #[expect(dead_code, reason = "read by people, in a difference that is shown")]
    Rejected(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) messages: Vec<Message>,
    pub(crate) stop: Stop,
}

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Whether two readings of a message say the same.
    pub(crate) alike: fn(our: &Message, their: &Message) -> bool,
    /// Why it is right that Ouli refuses what this peer takes; `None` where it isn't.
    pub(crate) ouli_is_stricter: fn(&Case, &Refusal) -> Option<&'static str>,
    /// Why it is no harm that this peer doesn't take the last of these messages, as Ouli does;
    /// `None` where it is.
    pub(crate) peer_is_stricter: fn(&Case, &[Message]) -> Option<&'static str>,
}

impl Peer {
    /// # Errors
    /// How the readings differ, for people.
    pub(crate) fn difference(&self, case: &Case, theirs: &Reading) -> Result<(), String> {
        let ours = ouli(case);
        let count = theirs.messages.len();
        let is_stricter = match &ours.stop {
            Stop::Refused(refusal) => (self.ouli_is_stricter)(case, refusal).is_some(),
            _ => false,
        };
        let pairs = ours.messages.iter().zip(&theirs.messages);
        let what = if pairs.into_iter().any(|(our, their)| !(self.alike)(our, their)) {
            "a message is read differently"
        } else if let Some(only_ours) = ours.messages.get(..=count) {
            match (self.peer_is_stricter)(case, only_ours) {
                Some(_) => return Ok(()),
                None => "only ouli takes a message",
            }
        } else if count > ours.messages.len() && !is_stricter {
            "ouli takes fewer messages"
        } else {
            return Ok(());
        };
        let input = case.input.escape_ascii();
        let role = case.role;
        Err(format!("{what} ({role:?})\ninput: {input}\nouli: {ours:?}\n{}: {theirs:?}", self.name))
    }
}

/// Bytes as characters of the same number: nothing is lost or repaired.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

pub(crate) fn grouped<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in fields {
        groups.entry(latin1(name).to_ascii_lowercase()).or_default().push(latin1(value));
    }
    groups
}

fn grouped_fields(fields: &Fields) -> BTreeMap<String, Vec<String>> {
    grouped(fields.iter().map(|field| (field.name, field.value)))
}

/// What Ouli's codec makes of it.
pub(crate) fn ouli(case: &Case) -> Reading {
    let mut messages = Vec::new();
    let stop = match read(case, &mut messages) {
        Ok(()) => Stop::EndOfInput,
        Err(refusal) => Stop::Refused(refusal),
    };
    Reading { messages, stop }
}

fn read(case: &Case, messages: &mut Vec<Message>) -> Result<(), Refusal> {
    let mut input = case.input.as_slice();
    let mut scanner = HeadScanner::new(case.role);
    while let Some(end) = scanner.scan(input, &LIMITS)? {
        let (head, rest) = input.split_at(end);
        input = rest;
        scanner.reset();
        let Some((mut message, framing, goes_on)) = read_head(case, head)? else { continue };
        if !read_body(&mut message, framing, &mut input)? {
            return Ok(());
        }
        messages.push(message);
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

/// The message without its body, how the body is framed, and whether another message follows.
/// `None` for an interim answer.
fn read_head(case: &Case, head: &[u8]) -> Result<Option<(Message, Framing, bool)>, Refusal> {
    let (start, fields, framing, goes_on) = match case.role {
        Role::Server => {
            let mut request = RequestHead::default();
            parse_request(head, &LIMITS, &mut request)?;
            let start = format!("{} {}", request.method, request.target);
            let framing = request_framing(&request)?;
            let goes_on = request_keeps_alive(&request);
            (start, request.fields, framing, goes_on)
        }
        Role::Client => {
            let mut response = ResponseHead::default();
            parse_response(head, &LIMITS, &mut response)?;
            if is_interim(&response) {
                return Ok(None);
            }
            let start = format!("{} {}", response.status, latin1(&response.reason));
            let framing = response_framing(&response, case.method)?;
            // One request was sent, so one answer is read.
            (start, response.fields, framing, false)
        }
    };
    let message = Message { start, fields: grouped_fields(&fields), ..Message::default() };
    Ok(Some((message, framing, goes_on)))
}

/// Whether the body was whole.
fn read_body(message: &mut Message, framing: Framing, input: &mut &[u8]) -> Result<bool, Refusal> {
    let mut decoder = BodyDecoder::new(framing, &LIMITS);
    loop {
        let decoded = decoder.decode(input)?;
        let (step, rest) = input.split_at(decoded.consumed);
        *input = rest;
        match decoded.event {
            BodyEvent::Data(range) => message.body.push_str(&latin1(&step[range])),
            BodyEvent::NeedMore if decoder.end_of_input().is_err() => return Ok(false),
            BodyEvent::End | BodyEvent::NeedMore => {
                message.trailers = grouped_fields(decoder.trailers());
                return Ok(true);
            }
        }
    }
}
