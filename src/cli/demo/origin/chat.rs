//! The origin's WebSocket conversation: it greets, answers whatever is said, and closes when it
//! hears a goodbye.

use anyhow::Result;
use serde_json::{Value, json};

use super::service::Service;
use crate::cli::demo::conversation::{Heard, Message, Party};
use crate::exchange::{Fields, Kind};
use crate::ws::close;
use crate::ws::deflate::Terms;
use crate::ws::handshake;

pub(super) const TARGET: &str = "/v1/chat";

/// The fields that grant what is asked for, in the terms of HTTP/1.1, and compression if it is
/// offered.
pub(super) fn grant(asked: &Fields, service: &Service) -> (Fields, Option<Terms>) {
    let mut fields = Fields::new();
    fields.push("Upgrade", handshake::PROTOCOL);
    fields.push("Connection", "Upgrade");
    fields.push("X-Request-Id", service.request_id());
    // Over HTTP/2 there is none (RFC 8441 section 5).
    if let Some(key) = asked.get(handshake::KEY) {
        fields.push("Sec-WebSocket-Accept", handshake::accept(key));
    }
    let agreement = Terms::default().offered_by(asked);
    if let Some(agreement) = &agreement {
        fields.push("Sec-WebSocket-Extensions", &agreement.value);
    }
    (fields, agreement.map(|agreement| agreement.terms))
}

/// No two are the same: each says its number.
pub(super) async fn converse(mut party: Party<'_, '_>, service: &Service) -> Result<()> {
    let number = service.chat();
    party.say(Kind::Text, json!({"hello": number}).to_string().as_bytes()).await?;
    loop {
        match party.hear().await? {
            Heard::Message(Message { kind: Kind::Text, payload }) => {
                let said: Value = serde_json::from_slice(&payload)?;
                if said.get("bye").is_some() {
                    party.close(Some(close::NORMAL), "goodbye").await?;
                    continue;
                }
                let answer = json!({"heard": said, "in": number}).to_string();
                party.say(Kind::Text, answer.as_bytes()).await?;
            }
            Heard::Message(Message { kind: Kind::Binary, mut payload }) => {
                payload.reverse();
                party.say(Kind::Binary, &payload).await?;
            }
            Heard::Pong(_) => {}
            Heard::Closed(_) => return party.end().await,
        }
    }
}
