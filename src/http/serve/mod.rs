//! Answers from a recording.
//!
//! What can be built ahead is built at the first use of a recorded answer and kept with it, so
//! that an ordinary hit is one lookup and one write.

mod beat;
mod call;
pub(super) mod conversation;
pub(super) mod miss;
mod prepare;
mod send;
mod stored;

use std::pin::pin;
use std::sync::Arc;

use super::answer::Asked;
use super::client::{Client, Rx, Tx};
use super::fault::{Fault, Problem};
use super::forward::Spool;
use super::line::Source;
use super::road::{Outcome, Request, Stop, Then};
use crate::causes;
use crate::config::Pace;
use crate::exchange::{Response, Version};
use crate::http1::halves::Unread;
use crate::matching::{self, BodyKey, BodyPrint, Bounds, key};
use crate::net::arena::Arena;
use crate::replay::answer::{Answer, Ready};
use crate::replay::shelf::{Damaged, Shelf, StoredAnswer};
use crate::replay::{Choice, Hit, Recorded, Session};
pub(super) use beat::Waiting;
pub(super) use call::{Replayed, Replaying};
pub use prepare::wire_for_any_endpoint;

/// Answers from the session's recordings, or with a miss.
pub(super) async fn replay(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let session = session(request).await?;
    if request.is_call() {
        return Box::pin(replay_call(request, path, session, arena, client)).await;
    }
    if request.is_handshake() {
        return Box::pin(conversation::replay(request, path, session, arena, client)).await;
    }
    let mut body = body_key(request, &mut arena.origin_read);
    if client.waits_for_continue(request.head)
        && let Some(hit) = answered_early(request, path, &session, &mut arena.key)
    {
        return answer_hit(request, hit, client).await;
    }
    client.invite(request.head).await?;
    while let Some(bytes) = next_of_body(request, &mut client.rx).await? {
        body.push(bytes);
    }
    match choose(request, path, &session, &mut body, &mut arena.key) {
        Choice::Hit(hit) => {
            give_back(body, &mut arena.origin_read);
            answer_hit(request, hit, client).await
        }
        Choice::Exhausted => Err(miss::exhausted(request, path)),
        Choice::Miss => Err(miss::unknown(request, path, session.clone(), &arena.key, body).await),
    }
}

/// Answers a gRPC call message by message.
async fn replay_call(
    request: &Request<'_>,
    path: &str,
    session: Arc<Session>,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let replayed = call(request, path, &session, &mut arena.key, None).run(client).await?;
    match replayed {
        Replayed::Answered(outcome) => Ok(outcome),
        Replayed::Missed(missed, content) => {
            Err(miss::call(request, path, session.clone(), &arena.key, missed, content).await)
        }
    }
}

/// A call that begins to be replayed. `aside`: where what is read of its request is kept.
pub(super) fn call<'a>(
    request: &'a Request<'a>,
    path: &'a str,
    session: &'a Session,
    key: &mut Vec<u8>,
    aside: Option<Spool>,
) -> Replaying<'a> {
    key::write(key, &asked(request, path, BodyPrint::Call), &request.here.redactor);
    let endpoint = &request.here.endpoint.name;
    let messages = session.message_key(&request.head.fields, endpoint, path, Vec::new());
    Replaying::new(request, session.call(key), messages, aside)
}

pub(super) async fn session(request: &Request<'_>) -> Result<Arc<Session>, Stop> {
    let worker = &request.here.worker;
    worker.session(request.session).await.map_err(|error| {
        let problem = Problem::new(Fault::BadCassette, error.line());
        match &error.hint {
            Some(hint) => problem.hint(hint).into(),
            None => problem.into(),
        }
    })
}

/// The key of the body that comes, which is kept in `buffer` until `give_back`: nothing else needs
/// it before the request is answered.
pub(super) fn body_key(request: &Request<'_>, buffer: &mut Vec<u8>) -> BodyKey {
    let buffer = std::mem::take(buffer);
    BodyKey::new(&request.head.fields, Bounds::from(request.here.limits()), buffer)
}

/// The next bytes of the body; `None` at its end.
///
/// Cancel safety: no byte is lost.
pub(super) async fn next_of_body<'r>(
    request: &Request<'_>,
    rx: &'r mut Rx<'_, '_>,
) -> Result<Option<&'r [u8]>, Unread> {
    request.waiting_for_body.heeding(pin!(rx.body())).await
}

pub(super) fn give_back(body: BodyKey, buffer: &mut Vec<u8>) {
    *buffer = body.into_buffer();
    buffer.clear();
}

/// The recording of an origin that answered such a client without asking for the body.
fn answered_early<'s>(
    request: &Request<'_>,
    path: &str,
    session: &'s Session,
    key: &mut Vec<u8>,
) -> Option<Hit<'s>> {
    key::write(key, &asked(request, path, BodyPrint::None), &request.here.redactor);
    session.choose_early(key)
}

pub(super) fn choose<'s>(
    request: &Request<'_>,
    path: &str,
    session: &'s Session,
    body: &mut BodyKey,
    key: &mut Vec<u8>,
) -> Choice<'s> {
    key::write(key, &asked(request, path, body.finish()), &request.here.redactor);
    session.choose(key, body)
}

fn asked<'a>(request: &Request<'a>, path: &'a str, body: BodyPrint<'a>) -> matching::Asked<'a> {
    let endpoint = &request.here.endpoint.name;
    matching::Asked { endpoint, method: &request.head.method, target: path, body }
}

pub(super) async fn answer_hit(
    request: &Request<'_>,
    hit: Hit<'_>,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    match hit {
        Hit::Kept(recorded, ready) => {
            // Nothing else of the recording is looked at here.
            if let Some(Some(wire)) = ready.get()
                && let Some(outcome) = give_wire(request, wire.status, &wire.bytes, client).await?
            {
                return Ok(outcome);
            }
            give(request, &recorded.exchange.response, prepared(recorded), ready, client).await
        }
        Hit::Shelved(shelf, n) => {
            let stored = shelf.answer(n).await.map_err(damaged)?;
            if let Some((status, wire)) = stored.wire()
                && request.here.endpoint.response_header_replacements.is_empty()
                && let Some(outcome) = give_wire(request, status, wire, client).await?
            {
                return Ok(outcome);
            }
            // In a box, since every connection's task has room for the largest that stands in it.
            Box::pin(give_stored(request, shelf, stored, client)).await
        }
    }
}

/// Answers from an index who doesn't ask as usual, or for what isn't framed there.
async fn give_stored(
    request: &Request<'_>,
    shelf: &Shelf,
    stored: StoredAnswer,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let response = shelf.response(&stored).map_err(damaged)?;
    let answer = prepare::prepare(&response);
    give(request, &response, &answer, &Ready::new(), client).await
}

/// Sends an answer that is ready, to who asks as usual over HTTP/1.1.
async fn give_wire(
    request: &Request<'_>,
    status: u16,
    wire: &[u8],
    client: &mut Client<'_, '_>,
) -> Result<Option<Outcome>, Stop> {
    let asked = request.asked().kept_if(client.rx.is_ended());
    let Tx::H1(tx) = &mut client.tx else { return Ok(None) };
    if !is_ordinary(request, &asked) {
        return Ok(None);
    }
    tx.wire(wire).await?;
    Ok(Some(Outcome::new(Source::Hit, status, Then::Keep)))
}

fn damaged(damaged: Damaged) -> Problem {
    let line = causes::line(&damaged);
    let hint = damaged.hint();
    tracing::error!("{line}; {hint}");
    Problem::new(Fault::BadCassette, line).hint(hint)
}

pub(super) async fn answer_with(
    request: &Request<'_>,
    recorded: &Recorded,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    give(request, &recorded.exchange.response, prepared(recorded), &Ready::new(), client).await
}

async fn give(
    request: &Request<'_>,
    response: &Response,
    answer: &Answer,
    ready: &Ready,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    // The body of a request that is answered early is never asked for.
    let asked = request.asked().kept_if(client.rx.is_ended());
    let then = match give_built(request, &asked, response, answer, ready, client).await? {
        Some(then) => then,
        // In a box, as above.
        None => Box::pin(send::send(request, asked, response, answer, client)).await?,
    };
    Ok(Outcome::new(Source::Hit, response.head.status, then))
}

/// The recorded answer ready to be sent, made so by whoever is first to ask.
fn prepared(recorded: &Recorded) -> &Answer {
    recorded.answer.get_or_init(|| prepare::prepare(&recorded.exchange.response))
}

/// Sends an answer that is built ahead, where it is one and asked for as usual.
async fn give_built(
    request: &Request<'_>,
    asked: &Asked<'_>,
    response: &Response,
    answer: &Answer,
    ready: &Ready,
    client: &mut Client<'_, '_>,
) -> Result<Option<Then>, Stop> {
    if !is_ordinary(request, asked) {
        return Ok(None);
    }
    let endpoint = &request.here.endpoint;
    match &mut client.tx {
        Tx::H1(tx) => {
            let built = || prepare::wire(response, endpoint, &answer.content);
            let Some(wire) = ready.get_or_init(built) else { return Ok(None) };
            tx.wire(&wire.bytes).await?;
        }
        Tx::H2(tx) => {
            let built = || prepare::frames(response, endpoint, &answer.content);
            let Some(frames) = answer.frames.get_or_init(built) else { return Ok(None) };
            let mut head = http::Response::new(());
            *head.status_mut() = frames.status;
            *head.headers_mut() = frames.fields.clone();
            tx.whole(head, frames.body.clone()).await?;
        }
    }
    Ok(Some(Then::Keep))
}

/// Whether this is how most requests are asked, for which answers are built ahead.
fn is_ordinary(request: &Request<'_>, asked: &Asked<'_>) -> bool {
    asked.version != Version::Http10
        && asked.keep_alive
        && !asked.is_head
        && request.pace == Pace::Instant
}
