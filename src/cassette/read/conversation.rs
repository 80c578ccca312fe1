//! From nodes to a WebSocket conversation.
//!
//! The order in which messages stand is that in which they came, so how far the client had come
//! when the origin said something is not written down but counted.

use super::body::{inline, stored};
use super::call::not_decompressed;
use super::exchange::at_ms;
use super::keys::{CLOSE, CONVERSATION, SAID};
use super::notes::{Notes, Object, Step};
use crate::cassette::json::{Node, Value};
use crate::cassette::write::{kind_name, party_name};
use crate::exchange::{
    After, Body, Close, Compression, Kind, Message, Party, Payload, Request, Response,
};
use crate::ws::close::REASON_BYTES_MAX;

/// The keys of a message that say what is in it. Exactly one must be there.
const CONTENTS: [&str; 5] = ["json", "text", "base64", "file", "omitted"];

const SPEAKERS: [Party; 2] = [Party::Client, Party::Origin];

const CLOSERS: [Party; 3] = [Party::Client, Party::Origin, Party::Ouli];

const KINDS: [Kind; 2] = [Kind::Text, Kind::Binary];

/// A conversation as it stands in the file.
pub(super) struct Conversation {
    lines: Vec<Line>,
    close: Option<PlacedClose>,
}

struct Line {
    /// Where in the file.
    at: usize,
    by: Party,
    message: Message,
}

struct PlacedClose {
    close: Close,
    /// How many lines stand before it.
    after: usize,
}

/// `inflates` says whether the answer grants what takes compression off.
pub(super) fn conversation(
    notes: &mut Notes,
    node: &Node<'_>,
    inflates: bool,
) -> Option<Conversation> {
    let object = notes.object(node, &CONVERSATION, "a conversation, which is an object")?;
    let lines = notes.required(&object, "messages", |notes, node| {
        notes.array(node, "an array of messages", |notes, node| line(notes, node, inflates))
    });
    let said = lines.as_ref().map(Vec::len);
    let close = notes.optional(&object, "close", None, |notes, node| {
        close(notes, node, said.unwrap_or(usize::MAX)).map(Some)
    });
    let (lines, close) = (lines?, close?);
    are_sayable(notes, &lines, close.as_ref()).then_some(Conversation { lines, close })
}

fn line(notes: &mut Notes, node: &Node<'_>, inflates: bool) -> Option<Line> {
    let object = notes.object(node, &SAID, "a message, which is an object")?;
    let at = notes.required(&object, "at_ms", at_ms);
    let by = notes.required(&object, "from", |notes, node| party(notes, node, &SPEAKERS));
    let kind = notes.optional(&object, "type", None, |notes, node| {
        named(notes, node, &KINDS, |kind| kind_name(*kind)).map(Some)
    });
    let compression = notes.optional(&object, "compressed", Compression::None, |notes, node| {
        compression(notes, node, inflates)
    });
    let (looks_like, payload) = content(notes, &object, compression).unzip();
    let kind = kind?.or(looks_like);
    let message = Message {
        at: at?,
        after: After::End,
        kind: kind?,
        compression: compression?,
        payload: payload?,
    };
    Some(Line { at: node.at, by: by?, message })
}

fn compression(notes: &mut Notes, node: &Node<'_>, inflates: bool) -> Option<Compression> {
    match &node.value {
        Value::Bool(true) if inflates => Some(Compression::Off),
        Value::Bool(true) => {
            let what = "\"as_sent\", since the response grants no permessage-deflate";
            notes.expected(node, what);
            None
        }
        _ => not_decompressed(notes, node),
    }
}

/// What a message holds, and what that looks like.
fn content(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    compression: Option<Compression>,
) -> Option<(Kind, Payload)> {
    let only = notes.only_content(object, &CONTENTS)?;
    let kind = if matches!(&*only.key, "json" | "text") { Kind::Text } else { Kind::Binary };
    if kind == Kind::Text && compression == Some(Compression::On) {
        let message = "expected \"base64\", since the message is still compressed";
        notes.note(only.at, message.to_owned());
        return None;
    }
    let payload = match &*only.key {
        "file" => notes.within(Step::Key("file"), |notes| {
            let (digest, len) = stored(notes, &only.node)?;
            notes.file(only.node.at, digest, len);
            Some(Payload::File { digest, len })
        }),
        "omitted" => notes.within(Step::Key("omitted"), |notes| {
            stored(notes, &only.node).map(|(digest, len)| Payload::Omitted { digest, len })
        }),
        _ => inline(notes, object, only).map(Payload::Bytes),
    };
    Some((kind, payload?))
}

/// `said` is how many messages there are.
fn close(notes: &mut Notes, node: &Node<'_>, said: usize) -> Option<PlacedClose> {
    let object = notes.object(node, &CLOSE, "a close, which is an object")?;
    let at = notes.required(&object, "at_ms", at_ms);
    let after = notes.optional(&object, "after", said, |notes, node| {
        let what = format!("a number of messages up to {said}, those above");
        let after = notes.number(node, &what, 0..=u64::try_from(said).unwrap_or(u64::MAX))?;
        usize::try_from(after).ok()
    });
    let by = notes.required(&object, "from", |notes, node| party(notes, node, &CLOSERS));
    let code = notes.optional(&object, "code", None, |notes, node| {
        let code = notes.number(node, "a close code up to 65535", 0..=u64::from(u16::MAX))?;
        u16::try_from(code).ok().map(Some)
    });
    let reason = notes.optional(&object, "reason", String::new(), |notes, node| {
        let what = format!("a reason of at most {REASON_BYTES_MAX} bytes");
        let fits = |text: &str| text.len() <= REASON_BYTES_MAX;
        notes.text(node, &what, fits).map(str::to_owned)
    });
    if let (Some(None), Some(member)) = (code, object.member("reason")) {
        notes.note(member.at, "expected a key \"code\" beside \"reason\", found none".to_owned());
        return None;
    }
    let close = Close { at: at?, by: by?, code: code?, reason: reason? };
    Some(PlacedClose { close, after: after? })
}

fn party(notes: &mut Notes, node: &Node<'_>, known: &[Party]) -> Option<Party> {
    named(notes, node, known, |party| party_name(*party))
}

/// One of these, by its name.
fn named<T: Copy>(
    notes: &mut Notes,
    node: &Node<'_>,
    known: &[T],
    name: impl Fn(&T) -> &'static str,
) -> Option<T> {
    let names: Vec<String> = known.iter().map(|one| format!("\"{}\"", name(one))).collect();
    let one_of = |text: &str| known.iter().find(|one| name(one) == text).copied();
    let what = format!("one of {}", names.join(", "));
    one_of(notes.text(node, &what, |text| one_of(text).is_some())?)
}

/// Whoever has closed says nothing more (RFC 6455 section 5.5.1).
fn are_sayable(notes: &mut Notes, lines: &[Line], close: Option<&PlacedClose>) -> bool {
    let Some(PlacedClose { close, after }) = close else { return true };
    let behind = lines.iter().enumerate().skip(*after);
    let mut all = true;
    for (index, line) in behind.filter(|(_, line)| line.by == close.by) {
        let by = party_name(line.by);
        notes.within(Step::Key("messages"), |notes| {
            notes.within(Step::Index(index), |notes| {
                notes.note(line.at, format!("expected no message of the {by} behind its close"));
            });
        });
        all = false;
    }
    all
}

impl Conversation {
    /// Puts what was said where an exchange has it.
    pub(super) fn put_into(self, request: &mut Request, response: &mut Response) {
        let end = self.close.as_ref().map_or(self.lines.len(), |close| close.after);
        let is_by_client = |placed: &PlacedClose| placed.close.by == Party::Client;
        request.is_whole = self.close.as_ref().is_some_and(is_by_client);
        let mut so_far = After::Messages(0);
        (response.after, response.end_after) = (so_far, so_far);
        let (mut client, mut origin) = (Vec::new(), Vec::new());
        for (place, Line { by, message, .. }) in self.lines.into_iter().enumerate() {
            if place == end && request.is_whole {
                so_far = After::End;
            }
            match by {
                Party::Client => {
                    client.push(message);
                    so_far = After::Messages(u32::try_from(client.len()).unwrap_or(u32::MAX));
                }
                Party::Origin | Party::Ouli => origin.push(Message { after: so_far, ..message }),
            }
            if place < end {
                response.end_after = so_far;
            }
        }
        if request.is_whole {
            response.end_after = After::End;
        }
        (request.body, response.body) = (body(client), body(origin));
        response.close = self.close.map(|placed| placed.close);
    }
}

fn body(messages: Vec<Message>) -> Body {
    match messages.is_empty() {
        true => Body::Absent,
        false => Body::Messages(messages),
    }
}
