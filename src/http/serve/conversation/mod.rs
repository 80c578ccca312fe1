//! Replays a WebSocket conversation: here its handshake, on the road; what follows is `player`'s.
//!
//! `voice` makes frames of recorded messages.

mod player;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use super::beat::Beat;
use super::send::pause;
use super::{answer_with, asked, body_key, miss};
use crate::exchange::{Fields, RequestHead, ResponseHead, Version};
use crate::http::answer;
use crate::http::client::Client;
use crate::http::conversation::Conversation;
use crate::http::fault::{Fault, Problem};
use crate::http::line::Source;
use crate::http::road::{Outcome, Request, Stop};
use crate::matching::{BodyPrint, handshake as offer, key};
use crate::net::arena::Arena;
use crate::redact::Redactor;
use crate::replay::Session;
use crate::replay::call::{CallMiss, Next, Why};
use crate::ws::deflate::{Granted, Terms};
use crate::ws::handshake;
pub use player::Replaying;

/// What became of a handshake.
pub(in crate::http) enum Answered {
    /// As it was recorded: granted or refused.
    As(Outcome),
    /// No recording answers it.
    Missed(CallMiss),
}

/// Answers a handshake with what its session has for it, or with a miss.
pub(super) async fn replay(
    request: &Request<'_>,
    path: &str,
    session: Arc<Session>,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    match answer(request, path, &session, arena, client).await? {
        Answered::As(outcome) => Ok(outcome),
        Answered::Missed(missed) if missed.why == Why::Head => Err(miss::unknown(
            request,
            path,
            session,
            &arena.key,
            body_key(request, &mut Vec::new()),
        )
        .await),
        Answered::Missed(missed) => {
            Err(miss::call(request, path, session, &arena.key, missed, None).await)
        }
    }
}

/// Answers a handshake, if a recording does.
pub(in crate::http) async fn answer(
    request: &Request<'_>,
    path: &str,
    session: &Arc<Session>,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Answered, Stop> {
    let offered = offer::offered(&request.head.fields, &request.here.redactor);
    let asked = asked(request, path, BodyPrint::Conversation(&offered));
    key::write(&mut arena.key, &asked, &request.here.redactor);
    let mut conversation = session.conversation(&arena.key);
    let (place, at) = match conversation.resume().proceed() {
        Next::Send(due) => (due.place, due.at),
        Next::Miss(missed) => return Ok(Answered::Missed(missed)),
        // A handshake is answered before anything else is said.
        Next::Await(_) | Next::Choose(_) | Next::Over => return Err(unanswered()),
    };
    let recorded = session.recorded(place).ok_or_else(unanswered)?;
    if !recorded.exchange.is_conversation() {
        request.check_refusal(recorded.exchange.response.head.status, Fault::Miss)?;
        // All of a refusal is due at once.
        while let Next::Send(_) = conversation.resume().proceed() {}
        return answer_with(request, recorded, client).await.map(Answered::As);
    }
    let terms = grant(request, &recorded.exchange.response.head, at, client).await?;
    let replaying = Replaying::new(request, path, session.clone(), conversation, terms);
    let conversation = Conversation::Replay(Box::new(replaying));
    Ok(Answered::As(Outcome::switched(Source::Hit, conversation)))
}

fn unanswered() -> Stop {
    Problem::new(Fault::Internal, "a recorded handshake has no answer").into()
}

/// Sends the recorded answer that grants a conversation, in terms that this client offers.
async fn grant(
    request: &Request<'_>,
    recorded: &ResponseHead,
    at: Duration,
    client: &mut Client<'_, '_>,
) -> Result<Option<Terms>, Stop> {
    check(request.head)?;
    let Client { rx, tx, .. } = client;
    let here = request.here;
    let mut beat = Beat::from(request.started, request.pace);
    pause(&mut beat, Duration::ZERO, at, rx, tx).await?;
    let (head, terms) = agreed(recorded, &request.head.fields, &here.redactor);
    let accept = request.head.fields.get(handshake::KEY).map(handshake::accept);
    answer::warn_of_lost_cookies(&head, &here.endpoint, &here.warned_of_cookies);
    tx.switch(&head, &here.endpoint, &request.asked(), accept.as_deref()).await?;
    Ok(terms)
}

/// What a handshake must have that is granted here (RFC 6455 section 4.2.1). Over HTTP/2 there is no
/// key.
fn check(head: &RequestHead) -> Result<(), Problem> {
    let refused = |why: &str| Err(Problem::new(Fault::BadRequest, why));
    if head.fields.get(handshake::VERSIONS) != Some(handshake::VERSION.as_bytes()) {
        return refused("the handshake's `sec-websocket-version` isn't 13 (RFC 6455 section 4.4)");
    }
    let has_key = head.fields.get(handshake::KEY).is_some_and(handshake::is_key);
    if head.version != Version::Http2 && !has_key {
        return refused(
            "the handshake's `sec-websocket-key` isn't 16 bytes in base64 (RFC 6455 section 4.2.1)",
        );
    }
    Ok(())
}

/// The recorded answer with the compression that the client offers, if it was granted then, and the
/// subprotocol as the client offers it: it may hold a secret, which no recording has.
fn agreed(
    recorded: &ResponseHead,
    asked: &Fields,
    redactor: &Redactor,
) -> (ResponseHead, Option<Terms>) {
    let agreement = match Terms::granted(&recorded.fields) {
        Granted::Deflate(terms) => terms.offered_by(asked),
        Granted::None | Granted::Unknown => None,
    };
    let mut head = ResponseHead { fields: Fields::new(), ..recorded.clone() };
    for field in recorded.fields.iter() {
        if field.is(handshake::SUBPROTOCOL) {
            let is_it = |offered: &&[u8]| *redactor.value(field.name, offered) == *field.value;
            let offered = handshake::subprotocols(asked).find(is_it);
            head.fields.push(field.name, offered.unwrap_or(field.value));
        } else if !field.is(handshake::EXTENSIONS) {
            head.fields.push(field.name, field.value);
        } else if let Some(agreement) = &agreement
            && !head.fields.contains(handshake::EXTENSIONS)
        {
            head.fields.push(field.name, &agreement.value);
        }
    }
    (head, agreement.map(|agreement| agreement.terms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensions(recorded: &str, offered: &[(&str, &str)]) -> Option<String> {
        let head = ResponseHead {
            fields: [("Sec-WebSocket-Extensions", recorded), ("x", "1")].into_iter().collect(),
            ..ResponseHead::default()
        };
        let asked = offered.iter().copied().collect();
        let (head, _) = agreed(&head, &asked, &Redactor::default());
        assert_eq!(head.fields.get("x"), Some(&b"1"[..]));
        let value = head.fields.get(handshake::EXTENSIONS)?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn compression_is_agreed_on_where_it_was_and_the_client_offers_it() {
        let offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")];
        let recorded = "permessage-deflate; server_max_window_bits=12";
        assert_eq!(extensions(recorded, &offer).as_deref(), Some(recorded));
        assert_eq!(extensions(recorded, &[]), None);
        assert_eq!(extensions("x-unknown", &offer), None);
    }

    #[test]
    fn a_subprotocol_with_a_secret_is_granted_as_it_is_offered() {
        let name = "sec-websocket-protocol";
        let head = |value| ResponseHead {
            fields: [(name, value)].into_iter().collect(),
            ..ResponseHead::default()
        };
        let offered = [(name, "realtime, openai-insecure-api-key.sk-1")].into_iter().collect();
        let granted = |recorded| {
            let (head, _) = agreed(&head(recorded), &offered, &Redactor::default());
            String::from_utf8(head.fields.get(name).unwrap().to_vec()).unwrap()
        };
        assert_eq!(granted("openai-insecure-api-key.REDACTED"), "openai-insecure-api-key.sk-1");
        assert_eq!(granted("realtime"), "realtime");
    }

    #[test]
    fn a_handshake_that_is_none_is_not_granted() {
        let head = |version, key, fields: &[(&str, &str)]| RequestHead {
            version,
            fields: fields.iter().copied().chain([("sec-websocket-key", key)]).collect(),
            ..RequestHead::default()
        };
        let (key, right) = ("dGhlIHNhbXBsZSBub25jZQ==", [("sec-websocket-version", "13")]);
        assert!(check(&head(Version::Http11, key, &right)).is_ok());
        assert!(check(&head(Version::Http11, "short", &right)).is_err());
        assert!(check(&head(Version::Http2, "", &right)).is_ok());
        assert!(check(&head(Version::Http11, key, &[])).is_err());
    }
}
