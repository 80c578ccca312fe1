//! How a WebSocket conversation is kept, and how it stands in a cassette: what both sides said, in
//! the order in which Ouli saw it.

use super::bodies::{Bodies, BodyError};
use super::call::{KeptMessage, Shown, stored};
use super::keep::{BINARY_BYTES_MAX, TEXT_BYTES_MAX, readable};
use crate::exchange::{After, Body, Compression, Exchange, Kind, Message, Party, Payload};

/// A conversation as a cassette holds it.
pub(crate) struct KeptConversation {
    /// Who said what.
    pub(crate) lines: Vec<(Party, KeptMessage)>,
    /// How many of them stand before the close, if there is one.
    pub(crate) closed_after: usize,
}

impl KeptConversation {
    /// Some of it is in `bodies/`.
    pub(crate) fn is_stored(&self) -> bool {
        self.lines.iter().any(|(_, one)| matches!(one.message.payload, Payload::File { .. }))
    }
}

/// All that was said, ready to be written.
///
/// # Errors
/// Body files that can't be written.
pub(crate) fn keep(exchange: &Exchange, bodies: &Bodies) -> Result<KeptConversation, BodyError> {
    let lines = in_order(exchange);
    let closed_after = closed_after(exchange, &lines);
    let keep = |(by, message): (Party, &Message)| Ok((by, keep_one(message.clone(), bodies)?));
    let lines = lines.into_iter().map(keep).collect::<Result<_, _>>()?;
    Ok(KeptConversation { lines, closed_after })
}

/// Each message of the origin stands after those of the client that had come before it.
fn in_order(exchange: &Exchange) -> Vec<(Party, &Message)> {
    let mut client = messages(&exchange.request.body).iter();
    let all = client.len();
    let mut lines = Vec::new();
    for answer in messages(&exchange.response.body) {
        let before = count(answer.after).min(all);
        let taken = all - client.len();
        let next = client.by_ref().take(before.saturating_sub(taken));
        lines.extend(next.map(|message| (Party::Client, message)));
        lines.push((Party::Origin, answer));
    }
    lines.extend(client.map(|message| (Party::Client, message)));
    lines
}

/// How many lines stand before the close: as many as may.
fn closed_after(exchange: &Exchange, lines: &[(Party, &Message)]) -> usize {
    let close = exchange.response.close.as_ref();
    let first_behind = match close.map(|close| close.by) {
        Some(Party::Client) => lines
            .iter()
            .position(|(by, message)| *by == Party::Origin && message.after == After::End),
        _ => {
            let mut of_client =
                lines.iter().enumerate().filter(|(_, (by, _))| *by == Party::Client);
            of_client.nth(count(exchange.response.end_after)).map(|(place, _)| place)
        }
    };
    first_behind.unwrap_or(lines.len())
}

/// `usize::MAX` for the end.
fn count(after: After) -> usize {
    match after {
        After::Messages(count) => usize::try_from(count).unwrap_or(usize::MAX),
        After::End => usize::MAX,
    }
}

/// A conversation's bodies are messages, or absent.
fn messages(body: &Body) -> &[Message] {
    if let Body::Messages(messages) = body { messages } else { &[] }
}

fn keep_one(message: Message, bodies: &Bodies) -> Result<KeptMessage, BodyError> {
    let Payload::Bytes(bytes) = &message.payload else {
        return Ok(KeptMessage { message, shown: Shown::Plain });
    };
    if bytes.len() <= TEXT_BYTES_MAX && is_text(&message, bytes) {
        return Ok(KeptMessage { message, shown: Shown::Text });
    }
    let message = match bytes.len() > BINARY_BYTES_MAX {
        true => stored(message, bodies)?,
        false => message,
    };
    Ok(KeptMessage { message, shown: Shown::Plain })
}

/// What says that it is text is, whatever it holds. What says nothing is text where people can read
/// it.
fn is_text(message: &Message, bytes: &[u8]) -> bool {
    match message.kind {
        _ if message.compression == Compression::On => false,
        Kind::Text => str::from_utf8(bytes).is_ok(),
        Kind::Binary => !bytes.is_empty() && readable(bytes).is_some(),
    }
}
