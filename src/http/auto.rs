//! Replays what is recorded; forwards and records what is not.

use std::sync::Arc;

use super::client::Client;
use super::fault::{Fault, Problem};
use super::forward::{self, Spool, Upload};
use super::road::{Outcome, Request, Stop};
use super::serve::conversation::Answered;
use super::serve::{self, Replayed, miss};
use crate::net::arena::Arena;
use crate::replay::{Choice, Session};

/// Answers from the session's recordings, or from the origin.
pub(super) async fn replay_or_forward(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let session = serve::session(request).await?;
    if request.is_call() {
        return Box::pin(replay_or_forward_call(request, path, &session, arena, client)).await;
    }
    if request.is_handshake() {
        return Box::pin(replay_or_forward_handshake(request, path, &session, arena, client)).await;
    }
    let mut body = serve::body_key(request, &mut arena.origin_read);
    let mut spool = Spool::default();
    client.invite(request.head).await?;
    while let Some(bytes) = serve::next_of_body(request, &mut client.rx).await? {
        body.push(bytes);
        spool.push(bytes).map_err(spool_problem)?;
    }
    let choice = serve::choose(request, path, &session, &mut body, &mut arena.key);
    serve::give_back(body, &mut arena.origin_read);
    match choice {
        Choice::Hit(hit) => serve::answer_hit(request, hit, client).await,
        Choice::Exhausted | Choice::Miss => {
            let body = Upload::after(spool);
            forward::forward(request, path, arena, client, body).await
        }
    }
}

/// A call is forwarded once no recording agrees with what its client says, as long as nothing was
/// answered. What it has said goes first.
async fn replay_or_forward_call(
    request: &Request<'_>,
    path: &str,
    session: &Arc<Session>,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let (replayed, aside) = {
        let aside = Some(Spool::default());
        let mut replaying = serve::call(request, path, session, &mut arena.key, aside);
        let replayed = replaying.run(client).await?;
        (replayed, replaying.into_aside())
    };
    match replayed {
        Replayed::Answered(outcome) => Ok(outcome),
        Replayed::Missed(missed, _) if !missed.was_begun => {
            forward::forward(request, path, arena, client, Upload::after(aside)).await
        }
        Replayed::Missed(missed, content) => {
            let session = session.clone();
            Err(miss::call(request, path, session, &arena.key, missed, content).await)
        }
    }
}

/// Once it is granted from a recording, a conversation is not forwarded any more.
async fn replay_or_forward_handshake(
    request: &Request<'_>,
    path: &str,
    session: &Arc<Session>,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    match serve::conversation::answer(request, path, session, arena, client).await? {
        Answered::As(outcome) => Ok(outcome),
        Answered::Missed(_) => {
            forward::forward(request, path, arena, client, Upload::flowing()).await
        }
    }
}

fn spool_problem(error: std::io::Error) -> Problem {
    Problem::new(Fault::TapeUnavailable, format!("could not set the request body aside: {error}"))
}
