//! Calls and conversations that no recording answers: why, and how far the nearest is.

use std::fmt;

use super::heard::Course;
use super::progress::Progress;
use super::{Awaited, Protocol, tree};
use crate::exchange::{Body, Message, Payload};
use crate::grpc;
use crate::matching::{Differences, MessagePrint};
use crate::replay::session::{Recorded, Session};

/// Recordings whose messages are looked at.
const LOOKED_AT_MAX: usize = 2000;

/// Recordings whose messages are compared: those whose length is nearest.
const FINALISTS_MAX: usize = 8;

/// A call that can't be answered, or not any further. Shown it says why.
#[derive(Clone, Debug)]
pub struct CallMiss {
    pub why: Why,
    pub protocol: Protocol,
    /// Whether a part of an answer was sent before.
    pub was_begun: bool,
    /// What agreed until then.
    until: Option<Course>,
    /// Of the message that nothing agrees with.
    print: Option<MessagePrint>,
}

/// Why a call is missed. Messages are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing with this head is recorded.
    Head,
    /// None of the recordings that agreed until then has this message in this place.
    Message(u32),
    /// All of them had ended before this message; the longest had so many.
    TooMany { number: u32, recorded: u32 },
    /// All of them go on after so many messages, where the request has ended.
    TooFew { came: u32, recorded: u32 },
    /// All that agree were given out, and none may be repeated.
    Exhausted,
    /// The answer waits for this, and it doesn't come.
    Overdue(Awaited),
}

/// What is said of a gRPC call and of a conversation.
struct Words {
    unknown: &'static str,
    call: &'static str,
    /// Whose a message is.
    side: &'static str,
    /// What ended too early.
    ended: &'static str,
    /// What ought to end.
    end: &'static str,
    /// What waits for the client.
    answer: &'static str,
}

impl Words {
    fn of(protocol: Protocol) -> Words {
        match protocol {
            Protocol::Grpc => Words {
                unknown: "no call to this method is recorded",
                call: "call",
                side: "the request",
                ended: "the request ended",
                end: "the end of the request",
                answer: "answer",
            },
            Protocol::WebSocket => Words {
                unknown: "no conversation with this handshake is recorded",
                call: "conversation",
                side: "the client",
                ended: "the client closed",
                end: "the client's close",
                answer: "conversation",
            },
        }
    }
}

impl fmt::Display for CallMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words { unknown, call, side, ended, end, answer } = Words::of(self.protocol);
        match self.why {
            Why::Head => f.write_str(unknown),
            Why::Message(n) => write!(f, "no recorded {call} agrees with message {n} of {side}"),
            Why::TooMany { number, recorded } => {
                let recorded = counted(recorded);
                write!(f, "message {number} of {side} came, the recorded {call} has {recorded}")
            }
            Why::TooFew { came, recorded } => {
                let (came, recorded) = (counted(came), counted(recorded));
                write!(f, "{ended} after {came}, the recorded {call} has {recorded}")
            }
            Why::Exhausted => write!(f, "every recorded {call} that agrees has been given out"),
            Why::Overdue(awaited) => {
                write!(f, "the recorded {answer} waits for ")?;
                match awaited {
                    Awaited::Message(n) => write!(f, "message {n} of {side}")?,
                    Awaited::End => f.write_str(end)?,
                }
                f.write_str(", which didn't come in time")
            }
        }
    }
}

fn counted(count: u32) -> String {
    match count {
        0 => "no message".to_owned(),
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}

/// The recording nearest to a call that was missed.
#[derive(Clone, Debug)]
pub struct NearCall<'s> {
    pub recorded: &'s Recorded,
    /// Its place in the session, counted from 1.
    pub nth: usize,
    /// Between the message that nothing agreed with and this recording's; none where it isn't a
    /// message that differs.
    pub differences: Differences,
}

/// `nearest recorded: number 3` and a line per difference.
impl fmt::Display for NearCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nearest recorded: number {}", self.nth)?;
        match self.differences.count() {
            0 => Ok(()),
            _ => write!(f, "\n{}", self.differences),
        }
    }
}

impl CallMiss {
    pub(super) fn new(why: Why, call: &Progress, print: Option<MessagePrint>) -> CallMiss {
        let Progress { protocol, course, .. } = call;
        let until = (why != Why::Head).then(|| course.clone());
        CallMiss { why, protocol: *protocol, was_begun: course.sent > 0, until, print }
    }
}

impl Session {
    /// The recording nearest to a call that was missed after its head. `content` is what came as
    /// the message that nothing agrees with, decompressed, where it is at hand.
    ///
    /// Blocking: may read a few files of a megabyte.
    pub fn nearest_call(&self, miss: &CallMiss, content: Option<&[u8]>) -> Option<NearCall<'_>> {
        let course = miss.until.as_ref()?;
        if let (Why::Message(number), Some(print)) = (miss.why, miss.print) {
            return self.nearest_message(course, number, (print, content));
        }
        let nearest = match miss.why {
            Why::TooFew { recorded, .. } => {
                course.earliest(self, |one| self.message_count(one) == recorded)
            }
            Why::TooMany { recorded, .. } => {
                course.latest(self, |one| self.message_count(one) == recorded)
            }
            _ => None,
        };
        self.near_call(nearest.or_else(|| course.latest(self, |_| true))?, Differences::default())
    }

    /// Whether there is a recorded call to this method with a message that was too large to keep,
    /// which no call is replayed from.
    pub fn has_unkept_call(&self, endpoint: &str, path: &str) -> bool {
        let path = self.redactor.target(path);
        self.recorded.iter().any(|Recorded { exchange, .. }| {
            let request = &exchange.request;
            matches!(request.body, Body::Omitted { .. })
                && exchange.endpoint == endpoint
                && request.head.target == *path
                && grpc::is_call(&request.head.fields)
        })
    }

    fn nearest_message(
        &self,
        course: &Course,
        number: u32,
        asked: (MessagePrint, Option<&[u8]>),
    ) -> Option<NearCall<'_>> {
        let place = number.checked_sub(1)? as usize;
        let mut all: Vec<(u64, u32)> = course
            .all(self)
            .filter_map(|one| {
                let message = self.client_messages(one).get(place)?;
                Some((message.payload.len().abs_diff(asked.0.len), one))
            })
            .take(LOOKED_AT_MAX)
            .collect();
        all.sort_unstable();
        all.truncate(FINALISTS_MAX);
        let compared = all.into_iter().map(|(_, one)| (self.compare(number, asked, one), one));
        let (differences, nearest) = compared.min_by_key(|(differences, _)| differences.count())?;
        self.near_call(nearest, differences)
    }

    /// Between a message that came and a recording's in its place.
    fn compare(
        &self,
        number: u32,
        asked: (MessagePrint, Option<&[u8]>),
        recording: u32,
    ) -> Differences {
        let recorded = self.recorded.get(recording as usize);
        let message = self.client_messages(recording).get(number.saturating_sub(1) as usize);
        let (Some(recorded), Some(message)) = (recorded, message) else {
            return Differences::default();
        };
        let mut key = self.bodies.message_key(&recorded.exchange);
        // One that can't be read any more is told by what is known without it.
        let print = match self.bodies.read_message(&mut key, message) {
            Ok(print) => print,
            Err(_) => return Differences::default(),
        };
        let is_kept = !matches!(message.payload, Payload::Omitted { .. });
        let content = key.content().filter(|_| is_kept).map(<[u8]>::to_vec);
        let recorded = (print, content.as_deref());
        Differences::between_messages(number, &key, asked, recorded, &self.redactor)
    }

    fn near_call(&self, recording: u32, differences: Differences) -> Option<NearCall<'_>> {
        let recorded = self.recorded.get(recording as usize)?;
        Some(NearCall { recorded, nth: recording as usize + 1, differences })
    }

    fn client_messages(&self, recording: u32) -> &[Message] {
        let recorded = self.recorded.get(recording as usize);
        recorded.map_or(&[], |recorded| tree::messages(&recorded.exchange))
    }
}
