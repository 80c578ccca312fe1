//! Who holds which recording while calls compete: answers that begin before their clients have
//! said enough to know which recording is meant.
//!
//! Such a call holds one recording that agrees with all so far, so that it can go on to an end, and
//! yet hasn't chosen: when another call needs that very one, and this one could as well have
//! another, it moves. So a choice is never made before it must be, and none is starved by a choice
//! that somebody else didn't have to make. (It is a matching of calls and recordings, kept by
//! augmenting paths.)
//!
//! Calls compete by method, and few at a time; all of it happens under one lock of the session's.

use crate::replay::choose::AfterLast;
use crate::replay::session::Session;

use super::heard::Course;

#[derive(Debug, Default)]
pub(in crate::replay) struct Desk {
    holds: Vec<Hold>,
    next_call: u64,
}

/// Names a call at the desk.
pub(super) type Ticket = u64;

#[derive(Debug)]
struct Hold {
    call: Ticket,
    /// Taken in the ledger.
    recording: u32,
    course: Course,
}

/// What a call is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send the next part of this recording, which it holds, or owns where nothing can come
    /// between any more.
    Send { recording: u32, is_owned: bool },
    /// As `Send`, or as `AllTaken` where that is so, if the client doesn't say more that tells which
    /// recording it means.
    Choose(u32),
    /// Wait until the request has come as far as this recording says.
    Await(u32),
    /// All that agree are taken, for good or by calls that can't do without.
    AllTaken,
}

/// Whether a call would rather wait for its client than choose for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Left,
    Spent,
    /// The client says nothing before it gets this.
    Pointless,
}

impl Desk {
    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_call += 1;
        self.next_call
    }

    /// The call has heard more. If what it holds doesn't agree any more it gets another, or none.
    pub(super) fn heard(&mut self, session: &Session, call: Ticket, course: &Course) {
        let Some(hold) = self.holds.iter_mut().find(|hold| hold.call == call) else { return };
        hold.course = course.clone();
        let is_past = course.heard.is_past(session, hold.recording);
        if course.includes(session, hold.recording) && !is_past {
            return;
        }
        self.give_back(session, call);
        if let Some(recording) = self.fit(session, course, &mut Vec::new()) {
            self.holds.push(Hold { call, recording, course: course.clone() });
        }
    }

    /// The call is over, or has gone: what it holds is its own for good.
    pub(super) fn keep(&mut self, call: Ticket) {
        self.holds.retain(|hold| hold.call != call);
    }

    /// Gives the call its next part, if one is due.
    pub(super) fn turn(
        &mut self,
        session: &Session,
        call: Ticket,
        course: &Course,
        patience: Patience,
    ) -> Turn {
        let mine = self.holds.iter().find(|hold| hold.call == call).map(|hold| hold.recording);
        let first = |fits: &dyn Fn(u32) -> bool| {
            mine.filter(|one| fits(*one)).or_else(|| course.left(session, fits))
        };
        let due = first(&|one| course.is_due(session, one));
        let Some(due) = due else { return self.turn_of_others(session, call, course, patience) };
        // A client that isn't gone after a moment isn't met with silence by one that has a word.
        let due_word = first(&|one| course.is_due(session, one) && !course.is_silent(session, one));
        if patience == Patience::Left && self.may_be_told(session, course, due, mine) {
            return Turn::Choose(due_word.unwrap_or(due));
        }
        let due = due_word.filter(|_| patience == Patience::Spent).unwrap_or(due);
        let next = course.with_part_of(session, due);
        match mine {
            Some(mine) if next.has_said(session, mine) => self.send(session, call, mine, next),
            _ => {
                self.give_back(session, call);
                // There is at least the one that is due.
                let recording = self.fit(session, &next, &mut Vec::new()).unwrap_or(due);
                self.send(session, call, recording, next)
            }
        }
    }

    /// Whether the client may tell this recording, which is due, from another that it may have.
    fn may_be_told(&self, session: &Session, course: &Course, due: u32, mine: Option<u32>) -> bool {
        let Some(differs) = course.telling(session, due) else { return false };
        let is_held = || {
            let mut others = self.holds.iter().map(|hold| hold.recording);
            others.any(|one| differs(one) && course.includes(session, one))
        };
        mine.is_some_and(&differs)
            || course.left(session, &differs).is_some()
            // Whoever holds it may do with another, and silence can wait for that.
            || course.is_silent(session, due) && is_held()
    }

    /// Nothing that is left is due. Perhaps something is that another call could do without.
    fn turn_of_others(
        &mut self,
        session: &Session,
        call: Ticket,
        course: &Course,
        patience: Patience,
    ) -> Turn {
        let held = self.give_back(session, call);
        let others: Vec<u32> = self
            .holds
            .iter()
            .map(|hold| hold.recording)
            .filter(|one| course.includes(session, *one))
            .collect();
        let mut due: Vec<u32> =
            others.iter().copied().filter(|one| course.is_due(session, *one)).collect();
        due.sort_unstable_by_key(|one| (course.heard.is_past(session, *one), *one));
        for one in &due {
            let next = course.with_part_of(session, *one);
            if let Some(recording) = self.fit(session, &next, &mut Vec::new()) {
                return self.send(session, call, recording, next);
            }
        }
        if let Some(recording) = held {
            session.ledger.take(recording);
            self.holds.push(Hold { call, recording, course: course.clone() });
        }
        if let Some(recording) = held.or_else(|| course.left(session, |_| true)) {
            return Turn::Await(recording);
        }
        let may_repeat = session.after_last == AfterLast::Repeat;
        match others.first() {
            Some(_) if !due.is_empty() && patience == Patience::Pointless => Turn::AllTaken,
            Some(_) if !due.is_empty() && may_repeat => turn_after_last(session, course, patience),
            Some(recording) => Turn::Await(*recording),
            None => Turn::AllTaken,
        }
    }

    fn send(&mut self, session: &Session, call: Ticket, recording: u32, next: Course) -> Turn {
        let is_owned = next.is_decided(session, recording);
        self.keep(call);
        if !is_owned {
            self.holds.push(Hold { call, recording, course: next });
        }
        Turn::Send { recording, is_owned }
    }

    /// Takes a recording for a call on this course: one that is left, or one whose holder can have
    /// another. `seen` are those that were tried on the way here.
    fn fit(&mut self, session: &Session, course: &Course, seen: &mut Vec<u32>) -> Option<u32> {
        let goes_on = |one| !course.heard.is_past(session, one);
        self.fit_among(session, course, seen, &goes_on)
            .or_else(|| self.fit_among(session, course, seen, &|one| !goes_on(one)))
    }

    fn fit_among(
        &mut self,
        session: &Session,
        course: &Course,
        seen: &mut Vec<u32>,
        fits: &dyn Fn(u32) -> bool,
    ) -> Option<u32> {
        let left = course.left(session, fits);
        if let Some(recording) = left.filter(|one| session.ledger.take(*one)) {
            return Some(recording);
        }
        for at in 0..self.holds.len() {
            let hold = &self.holds[at];
            let recording = hold.recording;
            let agrees = fits(recording) && course.includes(session, recording);
            if seen.contains(&recording) || !agrees {
                continue;
            }
            seen.push(recording);
            let course = hold.course.clone();
            if let Some(other) = self.fit(session, &course, seen) {
                self.holds[at].recording = other;
                return Some(recording);
            }
        }
        None
    }

    fn give_back(&mut self, session: &Session, call: Ticket) -> Option<u32> {
        let at = self.holds.iter().position(|hold| hold.call == call)?;
        let hold = self.holds.swap_remove(at);
        session.release(hold.recording);
        Some(hold.recording)
    }
}

/// The last that agrees is sent again, though others may give back what they hold: perhaps they
/// never say another word.
fn turn_after_last(session: &Session, course: &Course, patience: Patience) -> Turn {
    let last = course.latest(session, |one| course.is_due(session, one));
    let may_be_told = |last: &u32| {
        let differs = course.telling(session, *last);
        differs.is_some_and(|differs| course.earliest(session, differs).is_some())
    };
    match last.filter(|last| patience == Patience::Left && may_be_told(last)) {
        Some(last) => Turn::Choose(last),
        None => Turn::AllTaken,
    }
}
