//! What both sides of a WebSocket conversation said.

use super::body::text_members;
use super::call::{compression, plain};
use super::{Members, layout, millis, object, string};
use crate::cassette::call::{KeptMessage, Shown};
use crate::cassette::conversation::KeptConversation;
use crate::cassette::json::Value;
use crate::exchange::{Close, Kind, Message, Party, Payload};

pub(super) fn push_conversation(
    out: &mut String,
    conversation: &KeptConversation,
    close: Option<&Close>,
    level: usize,
) {
    let mut members = Members::open(out, level);
    let list = members.key("messages");
    layout::push_block(list, ('[', ']'), &conversation.lines, level + 1, |out, (by, kept)| {
        push_line(out, *by, kept, level + 2);
    });
    if let Some(close) = close {
        let behind = conversation.closed_after < conversation.lines.len();
        let after = behind.then_some(conversation.closed_after);
        layout::push_value(members.key("close"), &close_value(close, after), level + 1);
    }
    members.close();
}

/// One message, on one line where it fits.
fn push_line(out: &mut String, by: Party, kept: &KeptMessage, level: usize) {
    let message = &kept.message;
    let mut members = vec![at_ms(message.at), ("from", string(party_name(by)))];
    let text = match (&message.payload, &kept.shown) {
        (Payload::Bytes(bytes), Shown::Text) => str::from_utf8(bytes).ok(),
        _ => None,
    };
    members.extend(kind(message, text.is_some()));
    members.extend(compression(message));
    match text {
        Some(text) => {
            members.extend(text_members(text));
            layout::push_value(out, &object(members), level);
        }
        None => {
            members.push(plain(&message.payload));
            layout::push_one_line(out, &object(members));
        }
    }
}

/// What a message says that it is, where that isn't what its content looks like.
fn kind(message: &Message, is_shown_as_text: bool) -> Option<(&'static str, Value<'static>)> {
    let looks_like = if is_shown_as_text { Kind::Text } else { Kind::Binary };
    (message.kind != looks_like).then(|| ("type", string(kind_name(message.kind))))
}

fn close_value(close: &Close, after: Option<usize>) -> Value<'_> {
    let mut members = vec![at_ms(close.at)];
    members.extend(after.map(|after| ("after", Value::Number(after.to_string().into()))));
    members.push(("from", string(party_name(close.by))));
    members.extend(close.code.map(|code| ("code", Value::Number(code.to_string().into()))));
    let reason = Some(&*close.reason).filter(|reason| !reason.is_empty());
    members.extend(reason.map(|reason| ("reason", string(reason))));
    object(members)
}

fn at_ms<'a>(at: std::time::Duration) -> (&'static str, Value<'a>) {
    ("at_ms", Value::Number(millis(at).to_string().into()))
}

pub(crate) fn party_name(party: Party) -> &'static str {
    match party {
        Party::Client => "client",
        Party::Origin => "origin",
        Party::Ouli => "ouli",
    }
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Binary => "binary",
        Kind::Text => "text",
    }
}
