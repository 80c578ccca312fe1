//! Answers from a recording.
//!
//! What can be built ahead is built at the first use of a recorded answer and kept with it, so
//! that an ordinary hit is one lookup and one write.

use std::fs::File;
use std::future::poll_fn;
use std::io::{Read, Seek};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::{self, Asked};
use super::fault::{Fault, Problem};
use super::forward::{self, Upload};
use super::road::{Outcome, Request, Stop};
use crate::coding::{self, Encoder};
use crate::config::Endpoint;
use crate::exchange::{Body, End, Exchange, Piece, Response, Version};
use crate::http1::framing::{self, Framing};
use crate::http1::halves::{Rx, Tx, Unread};
use crate::http1::writer;
use crate::matching::key::{self, BodyKey};
use crate::net::arena::Arena;
use crate::net::deadline::Deadline;
use crate::replay::answer::{Answer, Content};
use crate::replay::{Choice, Recorded, Session, pace};
use crate::telemetry::Source;

/// Answers from the session's recordings, or with a miss.
pub async fn replay(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
) -> Result<Outcome, Stop> {
    let session = session(request).await?;
    let body = read_body_key(request, rx, tx).await?;
    let recorded = match choose(request, path, &session, &body, &mut arena.key) {
        Choice::Hit(recorded) => recorded,
        Choice::Exhausted(recorded) if !request.here.shared().strict => recorded,
        Choice::Exhausted(_) => return Err(exhausted(request, path, &session)),
        Choice::Miss => return Err(miss(request, path, &session, &body)),
    };
    answer_with(request, recorded, rx, tx).await
}

/// Replays what is recorded; forwards and records what is not.
pub async fn auto(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
    deadline: &mut Deadline,
) -> Result<Outcome, Stop> {
    let session = session(request).await?;
    let mut body = BodyKey::new(request.here.limits().max_match_body, &request.head.fields);
    let mut spool = forward::Spool::default();
    invite_body(request, rx, tx).await?;
    while let Some(bytes) = rx.body().await? {
        body.push(bytes);
        spool.push(bytes).map_err(spool_problem)?;
    }
    match choose(request, path, &session, &body, &mut arena.key) {
        Choice::Hit(recorded) | Choice::Exhausted(recorded) => {
            answer_with(request, recorded, rx, tx).await
        }
        Choice::Miss => {
            let body = Upload::Spooled(spool);
            forward::forward(request, path, arena, rx, tx, deadline, body).await
        }
    }
}

fn spool_problem(error: std::io::Error) -> Problem {
    Problem::new(Fault::TapeUnavailable, format!("could not set the request body aside: {error}"))
}

async fn session(request: &Request<'_>) -> Result<std::sync::Arc<Session>, Stop> {
    let shared = request.here.shared();
    request.here.worker.session(request.session).await.map_err(|error| {
        shared.note_broken_cassette();
        Problem::new(Fault::BadCassette, error.to_string())
            .hint("`ouli check` lists every fault in it")
            .into()
    })
}

async fn read_body_key(
    request: &Request<'_>,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
) -> Result<BodyKey, Stop> {
    let limits = request.here.limits();
    let mut body = BodyKey::new(limits.max_match_body, &request.head.fields);
    if rx.is_ended() {
        return Ok(body);
    }
    invite_body(request, rx, tx).await?;
    while let Some(bytes) = rx.body().await? {
        body.push(bytes);
    }
    Ok(body)
}

/// Tells a client that waits for 100 to go on (RFC 9110 section 10.1.1).
async fn invite_body(
    request: &Request<'_>,
    rx: &Rx<'_>,
    tx: &mut Tx<'_>,
) -> Result<(), Stop> {
    let waits = request.framing != Framing::None
        && framing::expects_continue(request.head)
        && !rx.has_input();
    if waits {
        tx.out.extend_from_slice(CONTINUE);
        tx.flush().await?;
    }
    Ok(())
}

pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn choose<'s>(
    request: &Request<'_>,
    path: &str,
    session: &'s Session,
    body: &BodyKey,
    key: &mut Vec<u8>,
) -> Choice<'s> {
    key.clear();
    let head = request.head;
    key::request_key(
        key,
        &request.here.endpoint.name,
        &head.method,
        path,
        &head.fields,
        body,
        &request.here.redactor,
    );
    session.choose(key)
}

fn exhausted(request: &Request<'_>, path: &str, session: &Session) -> Stop {
    request.here.shared().note_miss(session);
    Problem::new(
        Fault::Miss,
        format!(
            "every recorded answer to {} {} in session `{}` has been given",
            request.head.method,
            request.here.redactor.target(path),
            request.session
        ),
    )
    .hint("without --strict the last answer is repeated")
    .into()
}

fn miss(request: &Request<'_>, path: &str, session: &Session, body: &BodyKey) -> Stop {
    let here = request.here;
    here.shared().note_miss(session);
    let shown = here.redactor.target(path);
    let detail = format!(
        "no recording in session `{}` matches {} {shown}",
        request.session, request.head.method
    );
    let nearest =
        session.nearest(&here.endpoint.name, &request.head.method, path, &request.head.fields, body);
    match nearest {
        None => {
            let hint = format!(
                "session `{}` has no recordings for endpoint `{}`; record it with `ouli record`",
                request.session, here.endpoint.name
            );
            tracing::warn!("miss: {detail}");
            Problem::new(Fault::Miss, detail).hint(hint).into()
        }
        Some(nearest) => {
            tracing::warn!("miss: {detail}\n{nearest}");
            Problem::new(Fault::Miss, detail).member("nearest", nearest.to_json()).into()
        }
    }
}

async fn answer_with(
    request: &Request<'_>,
    recorded: &Recorded,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
) -> Result<Outcome, Stop> {
    let answer =
        recorded.answer.get_or_init(|| prepare(&recorded.exchange, &request.here.endpoint));
    let status = recorded.exchange.response.head.status;
    if let Some(wire) = &answer.wire
        && is_ordinary(&request.asked)
    {
        tx.wire(wire).await?;
    } else {
        send(request, &recorded.exchange.response, answer, rx, tx).await?;
    }
    Ok(Outcome { source: Source::Hit, status, reusable: true })
}

/// Whether this is how most requests are asked, for which answers are built ahead.
fn is_ordinary(asked: &Asked<'_>) -> bool {
    asked.version == Version::Http11 && asked.keep_alive && !asked.is_head
}

/// Answers up to this size are kept as one run of bytes, head and body.
const WIRE_MAX: usize = 16 << 10;

fn prepare(exchange: &Exchange, endpoint: &Endpoint) -> Answer {
    let response = &exchange.response;
    let content = match coded(response) {
        Ok(content) => content,
        Err(error) => Content::Unusable(error.to_string()),
    };
    let wire = wire(exchange, endpoint, &content);
    Answer { content, wire }
}

/// The whole answer as one run of bytes, where it is one for every ordinary request.
fn wire(exchange: &Exchange, endpoint: &Endpoint, content: &Content) -> Option<Bytes> {
    let response = &exchange.response;
    let body = match content {
        Content::None => &[][..],
        Content::Whole(bytes) if bytes.len() <= WIRE_MAX => bytes,
        _ => return None,
    };
    let plain = response.end == End::Whole
        && response.interim.is_empty()
        && exchange.request.head.method != "HEAD"
        && !answer::depends_on_host(&response.head, endpoint);
    if !plain {
        return None;
    }
    let asked = Asked { version: Version::Http11, is_head: false, keep_alive: true, host: "" };
    let framing = framing_of(response, content, &asked);
    let mut out = Vec::with_capacity(response.head.fields.text_bytes() + body.len() + 256);
    answer::write_head(&mut out, &response.head, endpoint, &asked, framing);
    match framing {
        Framing::Chunked => {
            if !body.is_empty() {
                writer::chunk_head(&mut out, body.len());
                out.extend_from_slice(body);
                writer::chunk_end(&mut out);
            }
            writer::last_chunk(&mut out, &response.trailers);
        }
        Framing::None => {}
        _ => out.extend_from_slice(body),
    }
    Some(out.into())
}

/// The body as it goes out: with its content coding on again.
fn coded(response: &Response) -> Result<Content, coding::Error> {
    let Some(coding) = response.coding else {
        return Ok(match &response.body {
            Body::Absent => Content::None,
            Body::Whole(bytes) => Content::Whole(bytes.clone()),
            Body::Pieces(pieces) => Content::Pieces(pieces.clone()),
            Body::File { digest, len } => Content::File { digest: *digest, len: *len, coding: None },
            Body::Omitted { digest, len } => Content::Unusable(format!(
                "its body of {len} bytes was too large to keep (`max_kept_body`); SHA-256 {digest}"
            )),
        });
    };
    let mut encoder = Encoder::new(coding)?;
    Ok(match &response.body {
        Body::Absent => Content::None,
        Body::Whole(bytes) => {
            let mut out = encoder.push(bytes, coding::Flush::No)?;
            out.extend(encoder.finish()?);
            Content::Whole(out.into())
        }
        Body::Pieces(pieces) => Content::Pieces(code_pieces(encoder, pieces)?),
        Body::File { digest, len } => {
            Content::File { digest: *digest, len: *len, coding: Some(coding) }
        }
        Body::Omitted { digest, len } => {
            Content::Unusable(format!("its body of {len} bytes was not kept; SHA-256 {digest}"))
        }
    })
}

/// Each piece is flushed, so that a client that decodes as it reads sees each when it is due.
fn code_pieces(mut encoder: Encoder, pieces: &[Piece]) -> Result<Vec<Piece>, coding::Error> {
    let mut coded = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let bytes = encoder.push(&piece.bytes, coding::Flush::Yes)?;
        coded.push(Piece { at: piece.at, bytes: bytes.into() });
    }
    let tail = encoder.finish()?;
    match coded.last_mut() {
        Some(last) => last.bytes = [&last.bytes[..], &tail].concat().into(),
        None => coded.push(Piece { at: Duration::ZERO, bytes: tail.into() }),
    }
    Ok(coded)
}

fn framing_of(response: &Response, content: &Content, asked: &Asked<'_>) -> Framing {
    let declared = response
        .head
        .fields
        .get("content-length")
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok());
    let length = match content {
        // A cut answer promises what its origin promised, and breaks the promise where it did.
        _ if response.end != End::Whole => declared,
        _ if response.head.fields.contains("transfer-encoding") => None,
        _ if !response.trailers.is_empty() => None,
        Content::None => Some(0),
        Content::Whole(bytes) => Some(bytes.len() as u64),
        Content::File { len, coding: None, .. } => Some(*len),
        Content::File { coding: Some(_), .. } => None,
        Content::Pieces(pieces) => {
            declared.map(|_| pieces.iter().map(|piece| piece.bytes.len() as u64).sum())
        }
        Content::Unusable(_) => Some(0),
    };
    answer::framing(asked, response.head.status, length)
}

/// Sends an answer that isn't one run of bytes: paced, from a file, cut, or asked for unusually.
async fn send(
    request: &Request<'_>,
    response: &Response,
    answer: &Answer,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
) -> Result<(), Stop> {
    if let Content::Unusable(why) = &answer.content {
        return Err(unusable(request, why));
    }
    let here = request.here;
    let pace = here.shared().pace;
    let framing = framing_of(response, &answer.content, &request.asked);
    let asked = Asked { keep_alive: request.asked.keep_alive && framing != Framing::Close, ..request.asked };
    pause(pace::head_delay(pace, response.at), rx).await?;
    if request.asked.version != Version::Http10 {
        for interim in &response.interim {
            forward::write_interim(&mut tx.out, interim);
        }
    }
    answer::write_head(&mut tx.out, &response.head, &here.endpoint, &asked, framing);
    answer::warn_of_lost_cookies(&response.head, &here.endpoint, &here.warned_of_cookies);
    tx.begin(framing);
    if framing != Framing::None {
        send_body(request, response, answer, rx, tx).await?;
    }
    match response.end {
        End::Whole => tx.end(&response.trailers),
        End::CutByOrigin => {}
        End::LeftByClient | End::RecorderKilled => {
            tx.flush().await?;
            hold(here.limits().replay_wait, rx).await;
        }
    }
    tx.flush().await?;
    match (response.end, framing) {
        (End::Whole, Framing::Close) | (End::CutByOrigin | End::LeftByClient | End::RecorderKilled, _) => {
            Err(Stop::Cut)
        }
        (End::Whole, _) => Ok(()),
    }
}

async fn send_body(
    request: &Request<'_>,
    response: &Response,
    answer: &Answer,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
) -> Result<(), Stop> {
    match &answer.content {
        Content::None | Content::Unusable(_) => Ok(()),
        Content::Whole(bytes) => Ok(tx.data(bytes).await?),
        Content::Pieces(pieces) => {
            let mut before = response.at;
            for piece in pieces {
                pause(pace::piece_delay(request.here.shared().pace, before, piece.at), rx).await?;
                before = piece.at;
                tx.data(&piece.bytes).await?;
            }
            Ok(())
        }
        Content::File { digest, coding, .. } => {
            let path = request.here.shared().bodies.path_of(digest);
            let file = File::open(&path).map_err(|error| {
                Problem::new(
                    Fault::BadCassette,
                    format!("the body file {} can't be read: {error}", path.display()),
                )
            })?;
            send_file(file, *coding, tx).await
        }
    }
}

/// Reads this much of a stored body at a time.
const FILE_READ: usize = 64 << 10;

async fn send_file(
    mut file: File,
    coding: Option<crate::exchange::Coding>,
    tx: &mut Tx<'_>,
) -> Result<(), Stop> {
    let broken = |error: &dyn std::fmt::Display| {
        Stop::Fault(Problem::new(Fault::BadCassette, format!("a body file broke off: {error}")))
    };
    file.rewind().map_err(|error| broken(&error))?;
    let mut encoder = match coding {
        None => None,
        Some(coding) => Some(Encoder::new(coding).map_err(|error| broken(&error))?),
    };
    let mut buffer = vec![0; FILE_READ];
    loop {
        let count = file.read(&mut buffer).map_err(|error| broken(&error))?;
        if count == 0 {
            break;
        }
        match &mut encoder {
            None => tx.data(&buffer[..count]).await?,
            Some(encoder) => {
                let coded = encoder
                    .push(&buffer[..count], coding::Flush::No)
                    .map_err(|error| broken(&error))?;
                tx.data(&coded).await?;
            }
        }
    }
    if let Some(encoder) = encoder {
        let tail = encoder.finish().map_err(|error| broken(&error))?;
        tx.data(&tail).await?;
    }
    Ok(())
}

fn unusable(request: &Request<'_>, why: &str) -> Stop {
    Problem::new(
        Fault::Miss,
        format!(
            "the recorded answer to {} {} can't be replayed: {why}",
            request.head.method,
            request.here.redactor.target(&request.head.target)
        ),
    )
    .into()
}

/// Waits for as long as the pace says, or until the client leaves.
async fn pause(delay: Duration, rx: &mut Rx<'_>) -> Result<(), Stop> {
    if delay.is_zero() {
        return Ok(());
    }
    let due = Instant::now() + delay;
    tokio::select! {
        biased;
        () = tokio::time::sleep_until(due) => Ok(()),
        () = rx.left() => Err(Stop::Left),
    }
}

/// Silence, until the client leaves or the wait is over.
async fn hold(wait: Duration, rx: &mut Rx<'_>) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = rx.left() => {}
    }
}
