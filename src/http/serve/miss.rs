//! Misses: what the client and the log are told when no recording answers a request.
//!
//! The nearest recording is shown with its differences, never served. What is shown is redacted.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::Mode;
use crate::http::context::Here;
use crate::http::fault::{Fault, Problem};
use crate::http::road::{Request, Stop};
use crate::matching::BodyKey;
use crate::replay::call::{CallMiss, Why};
use crate::replay::{Near, Session};
use crate::ws::close;

const RECORD_IT: &str = "`ouli auto` records what is missing";

/// The session has no recording with this key.
pub(super) async fn unknown(
    request: &Request<'_>,
    path: &str,
    session: Arc<Session>,
    key: &[u8],
    body: BodyKey,
) -> Stop {
    let name = request.session;
    let hint = hint(request, &session, key);
    let detail = format!("no recording in session `{name}` matches {}", asked(request, path));
    let problem = Problem::new(Fault::Miss, detail).hint(hint);
    match nearest(session, key.to_owned(), body).await {
        Some(Nearest { member, text }) => told(request, problem.member("nearest", member), &text),
        None => told(request, problem, ""),
    }
}

/// No recorded call agrees with what the client said, or none any further. `content`: of the
/// message that nothing agrees with, where it is at hand.
pub(in crate::http) async fn call(
    request: &Request<'_>,
    path: &str,
    session: Arc<Session>,
    key: &[u8],
    missed: CallMiss,
    content: Option<Vec<u8>>,
) -> Stop {
    let (asked, name, why) = (asked(request, path), request.session, missed.why);
    let mut detail = format!("{asked} in session `{name}`: {missed}");
    let endpoint = &request.here.endpoint.name;
    if why == Why::Head && session.has_unkept_call(endpoint, path) {
        detail.push_str(" whose messages were small enough to keep");
    }
    let hint = match why {
        Why::Head => hint(request, &session, key),
        Why::Exhausted => "without --strict the last answer is repeated".to_owned(),
        Why::Overdue(_) => "raise `replay_wait` in `[limits]` if the client is slow".to_owned(),
        // Its answer has begun, so that it can't be forwarded any more.
        _ if request.here.shared().mode == Mode::Auto => {
            "record this call anew with `ouli record`".to_owned()
        }
        _ => RECORD_IT.to_owned(),
    };
    let nearest = nearest_call(session, missed, content).await;
    let mut problem = Problem::new(Fault::Miss, detail).hint(hint);
    note(request.here, &problem, &nearest);
    // The call's status has one line for all of it.
    for line in nearest.lines() {
        problem.detail.push_str("; ");
        problem.detail.push_str(line);
    }
    problem.into()
}

/// A conversation under way, for the log.
pub(in crate::http) struct Label {
    /// `GET /chat`, redacted.
    asked: String,
    session: String,
}

impl Label {
    pub(super) fn of(request: &Request<'_>, path: &str) -> Self {
        Label { asked: asked(request, path), session: request.session.to_owned() }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.asked, self.session)
    }
}

/// No recorded conversation agrees with what its client says any further. Gives the reason that the
/// client is told.
pub(super) async fn conversation(
    here: &Here,
    label: &Label,
    session: &Arc<Session>,
    missed: CallMiss,
    content: Option<Vec<u8>>,
) -> String {
    here.notes().faults.count(Fault::Miss);
    let why = missed.to_string();
    let Label { asked, session: name } = label;
    let detail = format!("{asked} in session `{name}`: {missed}");
    let hint = match missed.why {
        Why::Overdue(_) => "raise `replay_wait` in `[limits]` if the client is slow",
        _ => "record this conversation anew with `ouli record`",
    };
    let session = session.clone();
    let nearest = nearest_call(session, missed, content).await;
    note(here, &Problem::new(Fault::Miss, detail).hint(hint), &nearest);
    close_reason(why, nearest.lines().nth(1))
}

/// Why, with the first difference where a close frame has room for that.
fn close_reason(why: String, difference: Option<&str>) -> String {
    let Some(difference) = difference else { return why };
    let both = format!("{why}; {difference}");
    if both.len() <= close::REASON_BYTES_MAX { both } else { why }
}

/// A conversation can't go on, because something of it was not kept.
pub(super) fn unkept(here: &Here, label: &Label, why: &str) {
    here.notes().faults.count(Fault::Miss);
    let detail = format!("the recorded conversation {label} can't be replayed further: {why}");
    note(here, &Problem::new(Fault::Miss, detail), "");
}

/// The nearest recording, as lines.
async fn nearest_call(session: Arc<Session>, missed: CallMiss, content: Option<Vec<u8>>) -> String {
    let nearest = tokio::task::spawn_blocking(move || {
        session.nearest_call(&missed, content.as_deref()).map(|near| near.to_string())
    });
    // A search that panicked has found nothing; the call is a miss all the same.
    nearest.await.ok().flatten().unwrap_or_default()
}

/// Every recording with this key has been given out, and none may be repeated.
pub(super) fn exhausted(request: &Request<'_>, path: &str) -> Stop {
    let (asked, name) = (asked(request, path), request.session);
    let detail = format!("every recorded answer to {asked} in session `{name}` has been given");
    let problem = Problem::new(Fault::Miss, detail);
    told(request, problem.hint("without --strict the last answer is repeated"), "")
}

/// There is a recording, and nothing in it to send.
pub(super) fn unusable(request: &Request<'_>, why: &str) -> Stop {
    let asked = asked(request, &request.head.target);
    let detail = format!("the recorded answer to {asked} can't be replayed: {why}");
    told(request, Problem::new(Fault::Miss, detail), "")
}

/// Counts and logs a miss, and makes it the answer. `more` are lines for the log alone.
fn told(request: &Request<'_>, problem: Problem, more: &str) -> Stop {
    note(request.here, &problem, more);
    problem.into()
}

fn note(here: &Here, problem: &Problem, more: &str) {
    here.notes().miss();
    let mut text = format!("miss: {}", problem.detail);
    for line in more.lines() {
        // Writing to a string doesn't fail.
        let _ = write!(text, "\n  {line}");
    }
    if let Some(hint) = &problem.hint {
        let _ = write!(text, "\n  hint: {hint}");
    }
    tracing::warn!("{text}");
}

/// `GET /a?x=1`, redacted.
fn asked(request: &Request<'_>, path: &str) -> String {
    format!("{} {}", request.head.method, request.here.redactor.target(path))
}

/// What to do about it. Looks no further than sessions that are loaded.
fn hint(request: &Request<'_>, session: &Session, key: &[u8]) -> String {
    let name = request.session;
    let opened = request.here.shared().library.opened();
    let other = opened.iter().find(|other| other.name() != name && other.holds(key));
    if let Some(other) = other {
        let other = other.name();
        return format!(
            "session `{other}` has a recording of it: send the header `ouli-session: {other}`, or \
             replay with `--session {other}`"
        );
    }
    match session.is_empty() {
        true => format!(
            "session `{name}` has no recordings at all: make some with \
             `ouli record ORIGIN --session {name}`"
        ),
        false => RECORD_IT.to_owned(),
    }
}

/// The nearest recording as a member of the problem document, and as lines.
struct Nearest {
    member: Value,
    text: String,
}

impl From<Near> for Nearest {
    fn from(near: Near) -> Nearest {
        let mut member = json!({
            "request": near.request,
            "number": near.nth,
            "differences": near.differences.listed,
        });
        if near.differences.more > 0 {
            member["more"] = near.differences.more.into();
        }
        Nearest { member, text: near.to_string() }
    }
}

/// Found on a thread that may block: bodies are compared, some of which lie in files.
async fn nearest(session: Arc<Session>, key: Vec<u8>, body: BodyKey) -> Option<Nearest> {
    let found =
        tokio::task::spawn_blocking(move || session.nearest(&key, &body).map(Nearest::from));
    // A search that panicked has found nothing; the request is a miss all the same.
    found.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_tells_the_difference_where_it_has_room_for_it() {
        let reason = |difference| close_reason("message 2 differs".to_owned(), difference);
        assert_eq!(reason(None), "message 2 differs");
        assert_eq!(reason(Some("at /a: asked 5")), "message 2 differs; at /a: asked 5");
        let long = "x".repeat(close::REASON_BYTES_MAX);
        assert_eq!(reason(Some(&long)), "message 2 differs");
    }
}
