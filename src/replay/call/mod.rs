//! One exchange that is replayed message by message, a gRPC call or a WebSocket conversation: which
//! recording answers it, and when each part of the answer is due.
//!
//! Pure: takes what the client does as it happens, and says what to send. All recordings with the
//! same head are candidates until the client says something else; a part of an answer is due when
//! as much of the request has come as when it was recorded. A recording is taken only when it must
//! be: where what is due is the same for all that are left, that is sent, and the client's next
//! words say which it means.
//!
//! Most gRPC calls never come to that. Where every answer begins only after the client has said all
//! that tells its recordings apart, a call is a look-up per message and takes the earliest that is
//! left, without a lock. The others compete for theirs at the `desk`; so do conversations, whose
//! answers begin with the handshake's.
//!
//! What both share is called a call in here. The end of a conversation's request is its client's
//! close.

mod desk;
mod heard;
mod miss;
mod part;
mod progress;
#[cfg(test)]
mod tests;
pub(super) mod tree;

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use desk::Desk;
use desk::{Patience, Turn};
use heard::Heard;
pub use miss::{CallMiss, NearCall, Why};
pub use part::Part;
pub use progress::Conversation;
use progress::{Kept, Progress, State};

use super::choose::AfterLast;
use super::session::{Recorded, Session};
use crate::exchange::{After, Fields};
use crate::matching::{MessageKey, MessagePrint};

/// Recordings that are looked at for one that a client may rest in.
const RESTING_LOOKED_AT_MAX: usize = 64;

/// What an exchange goes on in, message by message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    WebSocket,
}

/// One call being replayed. When it is dropped, what it has begun to send is given out.
#[derive(Debug)]
pub struct Call<'s> {
    session: &'s Session,
    progress: Kept<'s>,
}

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Next<'s> {
    /// Send this and ask again.
    Send(Due<'s>),
    /// Nothing is due before this has come of the request. If it doesn't come in time, the call is
    /// [`overdue`](Call::overdue). A conversation may [rest](Call::may_rest), or has an
    /// [`allowance`](Call::allowance).
    Await(Awaited),
    /// Something is due, but to send it is to choose among recordings that the client may tell
    /// apart with its next words. Give it a moment to say them, then
    /// [`choose`](Call::choose).
    Choose(Stake),
    /// No recording answers, or none any further.
    Miss(CallMiss),
    /// All was sent.
    Over,
}

/// A part of a recorded answer whose turn it is.
#[derive(Clone, Copy, Debug)]
pub struct Due<'s> {
    pub part: Part<'s>,
    /// Whose part it is. Two parts of one answer may come from two recordings that are equal so
    /// far.
    pub recorded: &'s Recorded,
    /// Its place among the session's recordings.
    pub place: usize,
    /// When the part before it came, counted from the request's head; zero for the first.
    pub before: Duration,
    /// When it came itself.
    pub at: Duration,
}

/// What there is to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stake {
    /// A part to be sent.
    Part,
    /// Silence, because the recorded client left here, or the recorder died. There is no hurry for
    /// that: the client may take as long as for anything that is awaited.
    Silence,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A message of the client, counted from 1.
    Message(u32),
    /// The request's end.
    End,
}

impl Session {
    /// Begins to replay a gRPC call whose head has this match key (`BodyPrint::Call`).
    pub fn call(&self, key: &[u8]) -> Call<'_> {
        let progress = Progress::begin(self, Protocol::Grpc, key);
        Call { session: self, progress: Kept::Here(progress) }
    }

    /// Begins to replay a conversation whose handshake has this match key
    /// (`BodyPrint::Conversation`). The answer may turn out to be a refusal.
    pub fn conversation(self: &Arc<Self>, key: &[u8]) -> Conversation {
        Conversation::begin(self.clone(), key)
    }

    /// Takes the messages of a conversation, which come decompressed. `buffer` gives it memory.
    pub fn message_key_of_conversation(&self, buffer: Vec<u8>) -> MessageKey<'static> {
        MessageKey::of_conversation(self.bodies.bounds, buffer)
    }

    /// Takes the messages of a call with these request fields to the method at this path. `buffer`
    /// gives it memory.
    pub fn message_key<'a>(
        &'a self,
        fields: &Fields,
        endpoint: &'a str,
        path: &'a str,
        buffer: Vec<u8>,
    ) -> MessageKey<'a> {
        self.bodies.live_message_key(fields, endpoint, path, buffer)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // What is held stays true whoever panicked.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'s> Call<'s> {
    /// A whole message of the client has come; false when no recording agrees with it, so that the
    /// call is missed and the message is what to show.
    pub fn message_received(&mut self, print: MessagePrint) -> bool {
        let heard = self.progress.course.heard.with(self.session, print);
        let number = heard.messages;
        self.hear(heard, Some(print), |call| match call.fewest_messages(number) {
            Some(_) => Why::Message(number),
            None => Why::TooMany { number, recorded: number - 1 },
        })
    }

    /// The request has ended; false when no recording agrees with that, so that the call is missed.
    pub fn request_ended(&mut self) -> bool {
        let came = self.progress.course.heard.messages;
        self.hear(self.progress.course.heard.with_end(), None, |call| {
            let recorded = call.fewest_messages(came.saturating_add(1)).unwrap_or(came);
            Why::TooFew { came, recorded }
        })
    }

    /// What to do now. Until the client does more, it is the same again once it isn't `Send`.
    pub fn proceed(&mut self) -> Next<'s> {
        self.advance(Patience::Left)
    }

    /// As `proceed`, but goes on with the earliest recording that is due where that says `Choose`;
    /// one that has something to send goes before silence.
    pub fn choose(&mut self) -> Next<'s> {
        self.advance(Patience::Spent)
    }

    /// What the call waits for hasn't come in time: it is missed.
    pub fn overdue(&mut self, awaited: Awaited) -> CallMiss {
        self.miss(Why::Overdue(awaited), None)
    }

    /// Whether the client of a conversation may take its time: nothing but the end is left to send,
    /// and that waits for the client's close. It is enough that this is so of a recording that
    /// agrees.
    pub fn may_rest(&self) -> bool {
        let (session, course) = (self.session, &self.progress.course);
        let rests = |recording: u32| {
            let part = session.part(recording, course.sent).map(|(part, _)| part);
            matches!(part, Some(Part::End(response)) if response.end_after == After::End)
        };
        self.progress.protocol == Protocol::WebSocket
            && match self.progress.state {
                State::Open(_) => course.all(session).take(RESTING_LOOKED_AT_MAX).any(rests),
                State::Bound(recording) => rests(recording),
                State::Missed(_) => false,
            }
    }

    /// How long the recorded client took for what is awaited, after its message before. A live one
    /// may take as much longer: its heartbeats have a pace of their own, whatever a replay's.
    pub fn allowance(&self, awaited: Awaited) -> Duration {
        let course = &self.progress.course;
        let recording = match self.progress.state {
            State::Bound(recording) => Some(recording),
            _ => course.earliest(self.session, |_| true),
        };
        let recorded = recording.and_then(|one| self.session.recorded.get(one as usize));
        recorded.map_or(Duration::ZERO, |recorded| {
            part::client_gap(&recorded.exchange, course.heard.messages, awaited)
        })
    }

    /// Whether it doesn't matter any more what the client does.
    fn is_closed(&self) -> bool {
        match self.progress.state {
            State::Open(_) => false,
            State::Bound(recording) => {
                self.session.part(recording, self.progress.course.sent).is_none()
            }
            State::Missed(_) => true,
        }
    }

    /// Takes what the client has done, if any recording agrees with it; `why` says why not.
    fn hear(
        &mut self,
        heard: Heard,
        print: Option<MessagePrint>,
        why: impl FnOnce(&Self) -> Why,
    ) -> bool {
        if self.is_closed() {
            return true;
        }
        let (session, course) = (self.session, self.progress.course.with_heard(heard));
        let agrees = match self.progress.state {
            State::Bound(recording) => course.heard.includes(session, recording),
            _ if course.sent == 0 => course.heard.is_known(session),
            _ => course.earliest(session, |_| true).is_some(),
        };
        if !agrees {
            self.miss(why(self), print);
            return false;
        }
        if let State::Open(Some(ticket)) = self.progress.state {
            session.desk().heard(session, ticket, &course);
        }
        self.progress.course = course;
        true
    }

    /// The least message count, from this number on, of the recordings that agreed so far.
    fn fewest_messages(&self, number: u32) -> Option<u32> {
        let may_answer =
            |one: &u32| !matches!(self.progress.state, State::Bound(bound) if bound != *one);
        let agreeing = self.progress.course.all(self.session).filter(may_answer);
        let counts = agreeing.map(|one| self.session.message_count(one));
        counts.filter(|count| *count >= number).min()
    }

    fn advance(&mut self, patience: Patience) -> Next<'s> {
        // A client says nothing before its handshake is answered (RFC 6455 section 4.1).
        let is_handshake =
            self.progress.protocol == Protocol::WebSocket && self.progress.course.sent == 0;
        let patience = if is_handshake { Patience::Pointless } else { patience };
        match &self.progress.state {
            State::Missed(miss) => Next::Miss((**miss).clone()),
            State::Bound(recording) => self.send_if_due(*recording),
            State::Open(_) if self.progress.competes => self.advance_at_desk(patience),
            State::Open(_) => self.advance_alone(patience),
        }
    }

    /// The next part of the recording that answers.
    fn send_if_due(&mut self, recording: u32) -> Next<'s> {
        if self.session.part(recording, self.progress.course.sent).is_none() {
            return Next::Over;
        }
        match self.progress.course.is_due(self.session, recording) {
            true => self.send(recording),
            false => self.wait_for(recording),
        }
    }

    /// Where no calls compete: the first part takes its recording.
    fn advance_alone(&mut self, patience: Patience) -> Next<'s> {
        let (session, heard) = (self.session, &self.progress.course.heard);
        if !self.progress.course.may_be_due(session) {
            return self.wait_for_any();
        }
        while let Some(due) = heard.left(session, |one| self.progress.course.is_due(session, one)) {
            if session.ledger.take(due) {
                return self.bind(due);
            }
        }
        match heard.left(session, |_| true) {
            Some(recording) => self.wait_for(recording),
            None => self.advance_after_last(patience),
        }
    }

    fn advance_at_desk(&mut self, patience: Patience) -> Next<'s> {
        let (session, course) = (self.session, &self.progress.course);
        if !course.may_be_due(session) {
            return self.wait_for_any();
        }
        let mut desk = session.desk();
        let ticket = match self.progress.state {
            State::Open(Some(ticket)) => ticket,
            _ => desk.ticket(),
        };
        let turn = desk.turn(session, ticket, course, patience);
        drop(desk);
        self.progress.state = State::Open(Some(ticket));
        match turn {
            Turn::Send { recording, is_owned: true } => self.bind(recording),
            Turn::Send { recording, is_owned: false } => self.send(recording),
            Turn::Choose(recording) => Next::Choose(self.stake(recording)),
            Turn::Await(recording) => self.wait_for(recording),
            Turn::AllTaken => self.advance_after_last(patience),
        }
    }

    /// All that agree were given out.
    fn advance_after_last(&mut self, patience: Patience) -> Next<'s> {
        let (session, course) = (self.session, &self.progress.course);
        let is_due = |one: u32| course.is_due(session, one);
        let has_word = |one: u32| is_due(one) && !course.is_silent(session, one);
        let last = course.latest(session, has_word).or_else(|| course.latest(session, is_due));
        let Some(last) = last else {
            return self.wait_for_any();
        };
        if session.after_last == AfterLast::Refuse {
            return Next::Miss(self.miss(Why::Exhausted, None));
        }
        if patience == Patience::Left
            && course.is_silent(session, last)
            && let Some(differs) = course.telling(session, last)
            && course.earliest(session, differs).is_some()
        {
            return Next::Choose(Stake::Silence);
        }
        match course.with_part_of(session, last).is_decided(session, last) {
            true => self.bind(last),
            false => self.send(last),
        }
    }

    fn bind(&mut self, recording: u32) -> Next<'s> {
        self.progress.state = State::Bound(recording);
        self.send(recording)
    }

    fn send(&mut self, recording: u32) -> Next<'s> {
        let n = self.progress.course.sent;
        let Some((part, recorded)) = self.session.part(recording, n) else { return Next::Over };
        self.progress.course = self.progress.course.with_part_of(self.session, recording);
        let response = &recorded.exchange.response;
        let before = n.checked_sub(1).map_or(Duration::ZERO, |before| part::at(response, before));
        let (place, at) = (recording as usize, part::at(response, n));
        Next::Send(Due { part, recorded, place, before, at })
    }

    fn wait_for(&self, recording: u32) -> Next<'s> {
        Next::Await(self.awaited(recording))
    }

    /// For what the first that agrees waits for.
    fn wait_for_any(&self) -> Next<'s> {
        let first = self.progress.course.earliest(self.session, |_| true);
        Next::Await(first.map_or(Awaited::End, |first| self.awaited(first)))
    }

    fn stake(&self, recording: u32) -> Stake {
        match self.progress.course.is_silent(self.session, recording) {
            true => Stake::Silence,
            false => Stake::Part,
        }
    }

    /// What comes next of the request, if it goes on like this recording's.
    fn awaited(&self, recording: u32) -> Awaited {
        let came = self.progress.course.heard.messages;
        let after = self.session.part_after(recording, self.progress.course.sent);
        let is_expected = matches!(after, After::Messages(count) if count > came);
        match is_expected || self.session.message_count(recording) > came {
            true => Awaited::Message(came.saturating_add(1)),
            false => Awaited::End,
        }
    }

    fn miss(&mut self, why: Why, print: Option<MessagePrint>) -> CallMiss {
        self.progress.miss(self.session, why, print)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Kept::Here(progress) = &self.progress {
            progress.end(self.session);
        }
    }
}
