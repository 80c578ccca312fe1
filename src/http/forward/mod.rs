//! To the origin and back, keeping every byte on the way.
//!
//! Two halves run at once in the request's own task: `upload` (client to origin, then a watch for
//! the client's leaving) and `download` (origin to tape to client). The tape has the bytes of a
//! piece, and the end of an answer, before the client gets them. A slow reader slows its writer:
//! each half reads again only when its last bytes are taken.

mod download;
mod flow;
mod gate;
mod lane;
mod origin;
mod outgoing;
mod spool;
mod upload;

use super::client::Client;
use super::fault::{Fault, Problem};
use super::line::Source;
use super::road::{Outcome, Request, Stop};
use crate::clock;
use crate::exchange::{RequestHead, Version};
use crate::http1::framing::Framing;
use crate::net::arena::Arena;
use crate::record::{self, Recorder, Recording};
use flow::{Buffers, Flow, Ran};
use gate::Gate;
use lane::{Kept, Lane};
use outgoing::Expectation;
pub(super) use spool::Spool;
pub(super) use upload::Upload;

/// Forwards the request and keeps the exchange.
pub(super) async fn forward(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    client: &mut Client<'_, '_>,
    mut upload: Upload,
) -> Result<Outcome, Stop> {
    let recorder = claimed_recorder(request)?;
    let waits = !upload.has_begun() && client.waits_for_continue(request.head);
    let lane = Lane::open(request, &mut client.rx, Kept::WillDo).await?;
    let Request { head: asked, framing, .. } = *request;
    // A client that has sent its body, or is too old to mean it, waits for nothing.
    let expectation = match upload.has_begun() || asked.version == Version::Http10 {
        true => Expectation::Dropped,
        false => Expectation::Passed,
    };
    let authority = &request.here.authority_of_origin;
    let upgrade = request.is_handshake().then(outgoing::Upgrade::new);
    let upgrade = upgrade.as_ref();
    let head = outgoing::Head { asked, path, authority, framing, expectation, upgrade };
    head.write(&mut arena.sent, lane.version());
    let mut recording = begin(request, recorder, &arena.sent, std::mem::take(&mut arena.tape));
    if let Framing::Length(length) = framing {
        recording.expect_request_bytes(length);
    }
    let mut buffers = Buffers::take(arena);
    let flow = Flow::new(request, head, recording, Gate::new(!waits));
    let ran = flow.run(lane, &mut buffers, client, &mut upload).await;
    client.deadline.clear();
    buffers.give_back(arena);
    let ended = match ran {
        Ok(Ran::Switched(origin, extension)) => {
            let conversation = flow.into_conversation(origin, extension, &mut arena.tape);
            return Ok(Outcome::switched(Source::Recorded, conversation));
        }
        Ok(Ran::Answered(outcome)) => Ok(outcome),
        Err(stop) => Err(stop),
    };
    arena.tape = flow.close(&ended, client.tx.is_committed());
    ended
}

/// The worker's recorder, once the request's session is this run's.
fn claimed_recorder<'a>(request: &Request<'a>) -> Result<&'a Recorder, Problem> {
    let here = request.here;
    let recorder = here.worker.recorder.as_ref().ok_or_else(|| tape_gone("nothing records"))?;
    if let Some(error) = here.shared().disk_fault() {
        return Err(tape_gone(error));
    }
    recorder.claim(request.session).map_err(claim_problem)?;
    Ok(recorder)
}

/// The exchange's place on the tape, with the head as the origin gets it, redacted.
fn begin(
    request: &Request<'_>,
    recorder: &Recorder,
    sent: &RequestHead,
    buffer: Vec<u8>,
) -> Recording {
    let here = request.here;
    let mut scratch = here.worker.scratch.borrow_mut();
    let kept = here.redactor.request_head(sent, &mut scratch);
    let seq = request.seq.unwrap_or_else(|| recorder.run().next_seq());
    let since = u64::try_from(request.elapsed().as_millis()).unwrap_or(u64::MAX);
    let at = clock::wall_ms().saturating_sub(since);
    recorder.begin(seq, request.session, &here.endpoint.name, at, kept, buffer)
}

/// What becomes of a request that can't be kept.
fn tape_gone(error: impl std::fmt::Display) -> Problem {
    Problem::new(Fault::TapeUnavailable, error.to_string())
}

fn claim_problem(error: record::Error) -> Problem {
    let problem = tape_gone(&error);
    match error {
        record::Error::SessionHeld(_) => {
            problem.hint("give each recorder a session of its own with --session NAME")
        }
        record::Error::Disk(_) => problem,
    }
}
