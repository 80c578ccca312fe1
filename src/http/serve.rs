//! Answers from a recording.
//!
//! What can be built ahead is built at the first use of a recorded answer and kept with it, so
//! that an ordinary hit is one lookup and one write.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::{self, Asked};
use super::fault::{Fault, Problem};
use super::forward::{self, Spool, Upload};
use super::road::{Outcome, Request, Stop};
use super::{hop, miss};
use crate::coding::{self, EncodeError, Encoder};
use crate::config::Endpoint;
use crate::exchange::{Body, Coding, End, Exchange, Response, Version};
use crate::http1::framing::{self, Framing};
use crate::http1::halves::{Rx, Tx};
use crate::http1::writer;
use crate::matching::{self, BodyKey, BodyPrint, Bounds, key};
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
    let mut body = body_key(request);
    if waits_for_invitation(request, rx)
        && let Some(recorded) = answered_early(request, path, &session, &mut arena.key)
    {
        // As then, the body is never asked for, so this connection can't be kept.
        let outcome = answer_with(request, recorded, rx, tx).await?;
        return Ok(Outcome { reusable: false, ..outcome });
    }
    if !rx.is_ended() {
        invite_body(request, rx, tx).await?;
        while let Some(bytes) = rx.body().await? {
            body.push(bytes);
        }
    }
    match choose(request, path, &session, body.finish(), &mut arena.key) {
        Choice::Hit(recorded) => answer_with(request, recorded, rx, tx).await,
        Choice::Exhausted(_) => Err(miss::exhausted(request, path)),
        Choice::Miss => Err(miss::unknown(request, path, session.clone(), &arena.key, body).await),
    }
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
    let mut body = body_key(request);
    let mut spool = Spool::default();
    invite_body(request, rx, tx).await?;
    while let Some(bytes) = rx.body().await? {
        body.push(bytes);
        spool.push(bytes).map_err(spool_problem)?;
    }
    match choose(request, path, &session, body.finish(), &mut arena.key) {
        Choice::Hit(recorded) => answer_with(request, recorded, rx, tx).await,
        Choice::Exhausted(_) | Choice::Miss => {
            let body = Upload::Spooled(spool);
            forward::forward(request, path, arena, rx, tx, deadline, body).await
        }
    }
}

fn spool_problem(error: std::io::Error) -> Problem {
    Problem::new(Fault::TapeUnavailable, format!("could not set the request body aside: {error}"))
}

async fn session(request: &Request<'_>) -> Result<Arc<Session>, Stop> {
    let worker = &request.here.worker;
    worker.session(request.session).await.map_err(|error| {
        let problem = Problem::new(Fault::BadCassette, error.line());
        match &error.hint {
            Some(hint) => problem.hint(hint).into(),
            None => problem.into(),
        }
    })
}

fn body_key(request: &Request<'_>) -> BodyKey {
    BodyKey::new(&request.head.fields, Bounds::from(request.here.limits()), Vec::new())
}

/// Tells a client that waits for 100 to go on (RFC 9110 section 10.1.1).
async fn invite_body(request: &Request<'_>, rx: &Rx<'_>, tx: &mut Tx<'_>) -> Result<(), Stop> {
    if waits_for_invitation(request, rx) {
        tx.out.extend_from_slice(CONTINUE);
        tx.flush().await?;
    }
    Ok(())
}

/// Whether the client holds its body back until it gets 100.
fn waits_for_invitation(request: &Request<'_>, rx: &Rx<'_>) -> bool {
    request.framing != Framing::None && framing::expects_continue(request.head) && !rx.has_input()
}

/// The recording of an origin that answered such a client without asking for the body.
fn answered_early<'s>(
    request: &Request<'_>,
    path: &str,
    session: &'s Session,
    key: &mut Vec<u8>,
) -> Option<&'s Recorded> {
    key::write(key, &asked(request, path, BodyPrint::None), &request.here.redactor);
    if !session.holds(key) {
        return None;
    }
    match session.choose(key) {
        Choice::Hit(recorded) => Some(recorded),
        Choice::Exhausted(_) | Choice::Miss => None,
    }
}

pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn choose<'s>(
    request: &Request<'_>,
    path: &str,
    session: &'s Session,
    body: BodyPrint,
    key: &mut Vec<u8>,
) -> Choice<'s> {
    key::write(key, &asked(request, path, body), &request.here.redactor);
    session.choose(key)
}

fn asked<'a>(request: &Request<'a>, path: &'a str, body: BodyPrint) -> matching::Asked<'a> {
    let endpoint = &request.here.endpoint.name;
    matching::Asked { endpoint, method: &request.head.method, target: path, body }
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
        && is_ordinary(&request.asked())
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
            writer::last_chunk(&mut out, &hop::passing(&response.trailers));
        }
        Framing::None => {}
        _ => out.extend_from_slice(body),
    }
    Some(out.into())
}

/// The body as it goes out: with its content coding on again.
fn coded(response: &Response) -> Result<Content, EncodeError> {
    Ok(match coding::recode(&response.body, response.coding)? {
        Body::Absent => Content::None,
        Body::Whole(bytes) => Content::Whole(bytes),
        Body::Pieces(pieces) => Content::Pieces(pieces),
        Body::File { digest, len } => Content::File { digest, len, coding: response.coding },
        Body::Omitted { digest, len } => Content::Unusable(format!(
            "its body of {len} bytes was larger than `max_kept_body` and was not kept; its \
             SHA-256 is {digest}"
        )),
    })
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
        return Err(miss::unusable(request, why));
    }
    let here = request.here;
    let pace = here.shared().pace;
    let asked = request.asked();
    let framing = framing_of(response, &answer.content, &asked);
    let asked = Asked { keep_alive: asked.keep_alive && framing != Framing::Close, ..asked };
    pause(pace::wait(pace, Duration::ZERO, response.at), rx).await?;
    if asked.version != Version::Http10 {
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
        End::Whole => tx.end(&hop::passing(&response.trailers)),
        End::CutByOrigin => {}
        End::LeftByClient | End::RecorderKilled => {
            tx.flush().await?;
            hold(here.limits().replay_wait, rx).await;
        }
    }
    tx.flush().await?;
    match (response.end, framing) {
        (End::Whole, Framing::Close)
        | (End::CutByOrigin | End::LeftByClient | End::RecorderKilled, _) => Err(Stop::Cut),
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
            let pace = request.here.shared().pace;
            let mut before = response.at;
            for piece in pieces {
                pause(pace::wait(pace, before, piece.at), rx).await?;
                before = before.max(piece.at);
                tx.data(&piece.bytes).await?;
            }
            Ok(())
        }
        Content::File { digest, len, coding } => {
            let path = request.here.shared().library.body_path(digest);
            let sent = match open_body(&path, *len) {
                Ok(file) => send_file(file, *coding, tx).await,
                Err(error) => Err(broken_body(&format_args!("bodies/{digest}: {error}")).into()),
            };
            if let Err(Stop::Fault(problem)) = &sent {
                tracing::error!("{}: {}", path.display(), problem.detail);
            }
            sent
        }
    }
}

fn broken_body(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Fault::BadCassette, format!("a body can't be read: {error}"))
}

fn open_body(path: &Path, len: u64) -> std::io::Result<File> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found != len {
        return Err(std::io::Error::other(format!("expected {len} bytes, found {found}")));
    }
    Ok(file)
}

/// Reads this much of a stored body at a time.
const FILE_READ: usize = 64 << 10;

async fn send_file(mut file: File, coding: Option<Coding>, tx: &mut Tx<'_>) -> Result<(), Stop> {
    let mut encoder = coding.map(Encoder::new).transpose().map_err(|error| broken_body(&error))?;
    let mut buffer = vec![0; FILE_READ];
    let mut coded = Vec::new();
    loop {
        let count = file.read(&mut buffer).map_err(|error| broken_body(&error))?;
        if count == 0 {
            break;
        }
        match &mut encoder {
            None => tx.data(&buffer[..count]).await?,
            Some(encoder) => {
                coded.clear();
                encoder.push(&buffer[..count], &mut coded).map_err(|error| broken_body(&error))?;
                tx.data(&coded).await?;
            }
        }
    }
    if let Some(encoder) = encoder {
        coded.clear();
        encoder.finish(&mut coded).map_err(|error| broken_body(&error))?;
        tx.data(&coded).await?;
    }
    Ok(())
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
