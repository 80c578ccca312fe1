//! The parts of a recorded answer that is sent message by message: its head, its messages, its end.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Awaited;
use crate::exchange::{
    After, Body, Close, Compression, End, Exchange, Fields, Kind, Message, Party, Payload, Response,
};
use crate::ws::handshake;

/// What is sent of an answer at once, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part<'s> {
    /// The head, with the interim ones before it.
    Head(&'s Response),
    Message(&'s Message),
    /// The body of an answer without messages, such as a gateway's page that says 503 or what a
    /// refused handshake gets; whole.
    Body(&'s Response),
    /// The trailers, a conversation's close, or whatever `Response::end` says ended it instead.
    End(&'s Response),
}

/// The `n`th part, counted from 0.
pub(super) fn nth(response: &Response, n: u32) -> Option<Part<'_>> {
    let Some(behind_head) = n.checked_sub(1) else { return Some(Part::Head(response)) };
    let messages = messages(&response.body);
    if let Some(message) = messages.get(behind_head as usize) {
        return Some(Part::Message(message));
    }
    match (behind_head as usize - messages.len(), has_other_body(response)) {
        (0, true) => Some(Part::Body(response)),
        (0, false) | (1, true) => Some(Part::End(response)),
        _ => None,
    }
}

/// What must have come of the request before the `n`th part is sent.
pub(super) fn after(response: &Response, n: u32) -> After {
    match nth(response, n) {
        Some(Part::Head(response)) => response.after,
        Some(Part::Message(message)) => message.after,
        Some(Part::Body(response) | Part::End(response)) => response.end_after,
        None => After::End,
    }
}

/// When the `n`th part came, counted from the request's head. Of an end that isn't known, unless it
/// is a close: it counts as having come with what was before it.
pub(super) fn at(response: &Response, n: u32) -> Duration {
    let last = || messages(&response.body).last().map_or(response.at, |message| message.at);
    match nth(response, n) {
        Some(Part::Head(response)) => response.at,
        Some(Part::Message(message)) => message.at,
        Some(Part::End(Response { close: Some(close), .. })) => close.at,
        Some(Part::Body(_) | Part::End(_)) | None => last(),
    }
}

/// Whether an answer stops without anything to show for it.
pub(super) fn is_silence(response: &Response) -> bool {
    let is_lost = matches!(response.end, End::LeftByClient | End::RecorderKilled);
    is_lost && response.close.is_none()
}

/// How long after its message `came`, counted from 1, or else the handshake, a recorded client did
/// what is awaited; zero where that isn't known.
pub(super) fn client_gap(exchange: &Exchange, came: u32, awaited: Awaited) -> Duration {
    let said = |number: u32| {
        let nth = number.checked_sub(1)? as usize;
        Some(messages(&exchange.request.body).get(nth)?.at)
    };
    let before = if came == 0 { Some(exchange.response.at) } else { said(came) };
    let at = match awaited {
        Awaited::Message(number) => said(number),
        Awaited::End => exchange.response.close.as_ref().map(|close| close.at),
    };
    let gap = |(at, before): (Duration, Duration)| at.saturating_sub(before);
    at.zip(before).map(gap).unwrap_or_default()
}

fn messages(body: &Body) -> &[Message] {
    match body {
        Body::Messages(messages) => messages,
        _ => &[],
    }
}

fn has_other_body(response: &Response) -> bool {
    !matches!(response.body, Body::Absent | Body::Messages(_))
}

/// For each part a digest of it and of those before, so that two answers are the same up to a part
/// where these are equal.
pub(super) fn digests(response: &Response) -> impl Iterator<Item = [u8; 32]> {
    let mut before = [0; 32];
    (0..).map_while(|n| nth(response, n)).map(move |part| {
        let mut digest = Sha256::new_with_prefix(before);
        part.write(&mut digest);
        before = digest.finalize().into();
        before
    })
}

impl Part<'_> {
    /// All that a client sees of it.
    fn write(&self, out: &mut Sha256) {
        match self {
            Part::Head(response) if response.head.status == 101 => {
                out.update([5]);
                put_terms(out, &response.head.fields);
            }
            Part::Head(response) => {
                out.update([0]);
                for head in response.interim.iter().chain([&response.head]) {
                    out.update(head.status.to_le_bytes());
                    put_fields(out, &head.fields);
                }
            }
            Part::Message(message) => put_message(out, message),
            Part::Body(response) => {
                out.update([2]);
                put_body(out, &response.body);
            }
            Part::End(response) => {
                out.update([3, end(response.end)]);
                if let End::ResetByOrigin(code) = response.end {
                    out.update(code.0.to_le_bytes());
                }
                if let Some(close) = &response.close {
                    put_close(out, close);
                }
                put_fields(out, &response.trailers);
            }
        }
    }
}

/// What the two sides of a conversation agree on. All else in the answer to a handshake is its own
/// (what it makes of the client's key, its date) or changes nothing of what follows, so that it
/// doesn't tell recordings apart.
fn put_terms(out: &mut Sha256, fields: &Fields) {
    for name in [handshake::SUBPROTOCOL, handshake::EXTENSIONS] {
        let values: Vec<&[u8]> = fields.get_all(name).collect();
        put(out, &values.join(&b","[..]));
    }
}

/// Of a close that its client began nothing is sent back but the same again.
fn put_close(out: &mut Sha256, close: &Close) {
    let Close { by: Party::Origin | Party::Ouli, code, reason, .. } = close else {
        return out.update([6]);
    };
    out.update([7]);
    put(out, &code.unwrap_or_default().to_le_bytes());
    put(out, reason.as_bytes());
}

fn put_message(out: &mut Sha256, message: &Message) {
    let kind = u8::from(message.kind == Kind::Text);
    out.update([1, kind, u8::from(message.compression != Compression::None)]);
    match &message.payload {
        // A file is named by the digest of its bytes, so both kinds make the same.
        Payload::Bytes(bytes) => out.update(Sha256::digest(bytes)),
        Payload::File { digest, .. } | Payload::Omitted { digest, .. } => out.update(digest.0),
        Payload::Rest(bytes) => {
            out.update([4]);
            put(out, bytes);
        }
    }
}

fn put_body(out: &mut Sha256, body: &Body) {
    match body {
        Body::Absent | Body::Messages(_) => {}
        Body::Whole(bytes) => put(out, bytes),
        Body::Pieces(pieces) => pieces.iter().for_each(|piece| put(out, &piece.bytes)),
        Body::File { digest, .. } | Body::Omitted { digest, .. } => out.update(digest.0),
    }
}

fn put_fields(out: &mut Sha256, fields: &Fields) {
    out.update((fields.len() as u64).to_le_bytes());
    for field in fields.iter() {
        put(out, field.name);
        put(out, field.value);
    }
}

fn put(out: &mut Sha256, text: &[u8]) {
    out.update((text.len() as u64).to_le_bytes());
    out.update(text);
}

fn end(end: End) -> u8 {
    match end {
        End::Whole => 0,
        End::CutByOrigin => 1,
        End::ResetByOrigin(_) => 4,
        End::LeftByClient => 2,
        End::RecorderKilled => 3,
    }
}
