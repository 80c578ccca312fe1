//! How a replayed conversation ends: what its client is told at last, and what the log.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::Player;
use crate::exchange::ResetCode;
use crate::http::fault::{Fault, Problem};
use crate::http::serve::conversation::voice::Unsayable;
use crate::http::serve::miss;
use crate::net::deadline::within;
use crate::net::stream::LINGER_MAX;
use crate::replay::call::CallMiss;
use crate::ws::close::{self, Said};
use crate::ws::frame::{self, Header, Opcode};
use crate::ws::violation::Violation;

/// How long a client may take to take the last that it is told.
const FAREWELL_WAIT: Duration = LINGER_MAX;

/// Why nothing more is replayed.
pub(super) enum Ended {
    /// The recording is over, and ends with this.
    Closed(Said),
    /// It ends as a connection does that is lost.
    Cut(ResetCode),
    /// No recording agrees; with the message that none agrees with, where it is at hand.
    Missed(Box<CallMiss>, Option<Vec<u8>>),
    /// Something in the recording can't be sent.
    Unsayable(Unsayable),
    Violated(Violation),
    /// The client went away, or shows no life.
    Left,
    /// Ouli is stopped.
    Stopped,
}

impl Player {
    /// What the client is told at the end, or how its connection is cut; tells of it.
    pub(super) async fn judge(&mut self, ended: Ended) -> (Option<Said>, Option<ResetCode>) {
        let told = |code, reason: String| (Some(Said { code: Some(code), reason }), None);
        let (how, end) = match ended {
            Ended::Closed(said) => ("closed".to_owned(), (Some(said), None)),
            Ended::Cut(code) => ("cut, as it was".to_owned(), (None, Some(code))),
            Ended::Left => ("left by its client".to_owned(), (None, Some(ResetCode::CANCEL))),
            Ended::Stopped => {
                ("stopped".to_owned(), told(close::GOING_AWAY, close::STOPPED.to_owned()))
            }
            Ended::Violated(violation) => {
                self.here.notes().faults.count(Fault::BadRequest);
                tracing::warn!("{}: the client breaks the protocol: {violation}", self.label);
                let how = format!("failed, because {violation}");
                (how, told(violation.code(), violation.to_string()))
            }
            Ended::Missed(missed, content) => {
                let Player { here, label, session, .. } = &*self;
                let reason = miss::conversation(here, label, session, *missed, content).await;
                ("a miss".to_owned(), told(close::POLICY_VIOLATION, reason))
            }
            Ended::Unsayable(Unsayable::Unkept(why)) => {
                miss::unkept(&self.here, &self.label, why);
                ("a miss".to_owned(), told(close::POLICY_VIOLATION, why.to_owned()))
            }
            Ended::Unsayable(Unsayable::Broken(problem)) => {
                self.here.notes().faults.count(problem.fault);
                let Problem { detail, .. } = problem;
                (format!("failed, because {detail}"), told(close::INTERNAL_ERROR, detail))
            }
        };
        if self.here.shared().exchange_log {
            let took = self.started.elapsed().as_secs_f64();
            tracing::info!("{}: the conversation was {how}, after {took:.1} s", self.label);
        }
        end
    }

    /// Sends what waits and the close frame, and ends the connection.
    pub(super) async fn finish(self, farewell: Option<Said>, cut: Option<ResetCode>) {
        let Player { here, mut client, mut out, mut given, speech, .. } = self;
        // Where a message broke off in its middle, nothing can be told behind it.
        let cut = cut.or(speech.map(|_| ResetCode::INTERNAL_ERROR));
        if let (Some(Said { code, reason }), None) = (&farewell, cut) {
            let payload = close::payload(*code, reason);
            frame::write(&mut out, &Header::new(Opcode::Close, 0), &payload);
        }
        let limit = here.limits().stall_timeout.min(FAREWELL_WAIT);
        let giving = pin!(poll_fn(|cx| {
            while given < out.len() {
                match client.poll_write(cx, &out[given..]) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(count)) => given += count,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                }
            }
            client.poll_flush(cx).map(|_| ())
        }));
        // A client that doesn't take it sees its connection end without.
        let _ = within(limit, giving).await;
        client.close(cut).await;
    }
}
