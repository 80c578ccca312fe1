//! Replays what is recorded; forwards and records what is not.

use super::fault::{Fault, Problem};
use super::forward::{self, Spool, Upload};
use super::road::{Client, Outcome, Request, Stop};
use super::serve;
use crate::net::arena::Arena;
use crate::replay::Choice;

/// Answers from the session's recordings, or from the origin.
pub(super) async fn replay_or_forward(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
) -> Result<Outcome, Stop> {
    let session = serve::session(request).await?;
    let mut body = serve::body_key(request);
    let mut spool = Spool::default();
    client.invite(request.head).await?;
    while let Some(bytes) = client.rx.body().await? {
        body.push(bytes);
        spool.push(bytes).map_err(spool_problem)?;
    }
    match serve::choose(request, path, &session, &mut body, &mut arena.key) {
        Choice::Hit(recorded) => serve::answer_with(request, recorded, client).await,
        Choice::Exhausted(_) | Choice::Miss => {
            let body = Upload::Spooled(spool);
            forward::forward(request, path, arena, client, body).await
        }
    }
}

fn spool_problem(error: std::io::Error) -> Problem {
    Problem::new(Fault::TapeUnavailable, format!("could not set the request body aside: {error}"))
}
