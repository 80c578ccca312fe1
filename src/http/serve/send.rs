//! Sends an answer that isn't one run of bytes: paced, from a file, cut, or asked for unusually.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::beat::Beat;
use super::prepare::framing_of;
use super::{miss, stored};
use crate::exchange::{End, ResetCode, Response};
use crate::http::answer::{self, Asked};
use crate::http::client::{Client, Rx, Tx};
use crate::http::hop;
use crate::http::road::{Request, Stop, Then};
use crate::http1::framing::Framing;
use crate::replay::answer::{Answer, Content};

pub(super) async fn send(
    request: &Request<'_>,
    asked: Asked<'_>,
    response: &Response,
    answer: &Answer,
    client: &mut Client<'_, '_>,
) -> Result<Then, Stop> {
    if let Content::Unusable(why) = &answer.content {
        return Err(miss::unusable(request, why));
    }
    let Client { rx, tx, .. } = client;
    let here = request.here;
    let framing = framing_of(response, &answer.content, &asked);
    let asked = asked.kept_if(framing != Framing::Close);
    // The request's own time is part of the recorded one.
    let mut beat = Beat::after(request.started, request.pace, &request.waiting_for_body);
    pause(&mut beat, Duration::ZERO, response.at, rx, tx).await?;
    for interim in &response.interim {
        tx.interim(interim, &here.endpoint, &asked)?;
    }
    tx.begin(&response.head, &here.endpoint, &asked, framing);
    answer::warn_of_lost_cookies(&response.head, &here.endpoint, &here.warned_of_cookies);
    if framing != Framing::None {
        send_body(request, response, answer, &mut beat, rx, tx).await?;
    }
    end(request, &asked, response, rx, tx).await
}

/// Ends an answer as the recording says that it ended.
pub(super) async fn end(
    request: &Request<'_>,
    asked: &Asked<'_>,
    response: &Response,
    rx: &mut Rx<'_, '_>,
    tx: &mut Tx<'_, '_>,
) -> Result<Then, Stop> {
    match response.end {
        End::Whole => {
            tx.finish(&hop::passing(&response.trailers)).await?;
            return Ok(Then::after(asked));
        }
        End::CutByOrigin => tx.flush().await?,
        End::ResetByOrigin(code) => {
            tx.flush().await?;
            return Ok(Then::Cut(code));
        }
        End::LeftByClient | End::RecorderKilled => {
            tx.flush().await?;
            hold(request.here.limits().replay_wait, rx).await;
        }
    }
    Ok(Then::Cut(ResetCode::INTERNAL_ERROR))
}

pub(super) async fn send_body(
    request: &Request<'_>,
    response: &Response,
    answer: &Answer,
    beat: &mut Beat,
    rx: &mut Rx<'_, '_>,
    tx: &mut Tx<'_, '_>,
) -> Result<(), Stop> {
    match &answer.content {
        Content::None | Content::Unusable(_) => Ok(()),
        Content::Whole(bytes) => Ok(tx.shared(bytes).await?),
        Content::Pieces(pieces) => {
            let mut before = response.at;
            for piece in pieces {
                pause(beat, before, piece.at, rx, tx).await?;
                before = before.max(piece.at);
                // Those that are due together leave together; `pause` and `end` flush.
                if !tx.stage(&piece.bytes) {
                    beat.heeding(pin!(tx.shared(&piece.bytes))).await?;
                }
            }
            Ok(())
        }
        Content::File { digest, len, coding } => {
            let path = request.here.shared().library.body_path(digest);
            stored::send(&path, *len, *coding, tx).await
        }
    }
}

/// Waits until the part that came at `at` is due, or until the client leaves. What was to be sent
/// before doesn't wait as well.
pub(super) async fn pause(
    beat: &mut Beat,
    before: Duration,
    at: Duration,
    rx: &mut Rx<'_, '_>,
    tx: &mut Tx<'_, '_>,
) -> Result<(), Stop> {
    if beat.is_instant() {
        return Ok(());
    }
    if beat.due(before, at) > Instant::now() {
        beat.heeding(pin!(tx.flush())).await?;
    }
    let due = beat.next(before, at);
    if due > Instant::now() {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due) => {}
            () = rx.left() => return Err(Stop::Left),
        }
    }
    beat.leave();
    Ok(())
}

/// Silence, until the client leaves or the wait is over.
async fn hold(wait: Duration, rx: &mut Rx<'_, '_>) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = rx.left() => {}
    }
}
