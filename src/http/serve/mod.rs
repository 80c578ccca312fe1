//! Answers from a recording.
//!
//! What can be built ahead is built at the first use of a recorded answer and kept with it, so
//! that an ordinary hit is one lookup and one write.

mod miss;
mod prepare;
mod send;
mod stored;

use std::sync::Arc;

use super::answer::Asked;
use super::fault::{Fault, Problem};
use super::line::Source;
use super::road::{Client, Outcome, Request, Stop, Then};
use crate::config::Pace;
use crate::exchange::Version;
use crate::matching::{self, BodyKey, BodyPrint, Bounds, key};
use crate::net::arena::Arena;
use crate::replay::{Choice, Recorded, Session};

/// Answers from the session's recordings, or with a miss.
pub(super) async fn replay(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let session = session(request).await?;
    let mut body = body_key(request);
    if client.waits_for_continue(request.head)
        && let Some(recorded) = answered_early(request, path, &session, &mut arena.key)
    {
        return answer_with(request, recorded, client).await;
    }
    client.invite(request.head).await?;
    while let Some(bytes) = client.rx.body().await? {
        body.push(bytes);
    }
    match choose(request, path, &session, &mut body, &mut arena.key) {
        Choice::Hit(recorded) => answer_with(request, recorded, client).await,
        Choice::Exhausted(_) => Err(miss::exhausted(request, path)),
        Choice::Miss => Err(miss::unknown(request, path, session.clone(), &arena.key, body).await),
    }
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

pub(super) fn body_key(request: &Request<'_>) -> BodyKey {
    BodyKey::new(&request.head.fields, Bounds::from(request.here.limits()), Vec::new())
}

/// The recording of an origin that answered such a client without asking for the body.
fn answered_early<'s>(
    request: &Request<'_>,
    path: &str,
    session: &'s Session,
    key: &mut Vec<u8>,
) -> Option<&'s Recorded> {
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

fn asked<'a>(request: &Request<'a>, path: &'a str, body: BodyPrint) -> matching::Asked<'a> {
    let endpoint = &request.here.endpoint.name;
    matching::Asked { endpoint, method: &request.head.method, target: path, body }
}

pub(super) async fn answer_with(
    request: &Request<'_>,
    recorded: &Recorded,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let prepare = || prepare::prepare(&recorded.exchange, &request.here.endpoint);
    let answer = recorded.answer.get_or_init(prepare);
    let status = recorded.exchange.response.head.status;
    // The body of a request that is answered early is never asked for.
    let asked = request.asked().kept_if(client.rx.is_ended());
    let then = match &answer.wire {
        Some(wire) if is_ordinary(&asked) && request.here.shared().pace == Pace::Instant => {
            client.tx.wire(wire).await?;
            Then::Keep
        }
        _ => send::send(request, asked, &recorded.exchange.response, answer, client).await?,
    };
    Ok(Outcome { source: Source::Hit, status, then })
}

/// Whether this is how most requests are asked, for which answers are built ahead.
fn is_ordinary(asked: &Asked<'_>) -> bool {
    asked.version == Version::Http11 && asked.keep_alive && !asked.is_head
}
