//! What the frames of an exchange, and the files of a run, mean when they are read back.
//!
//! Pure: decision tables, each with exactly one row for every case.

use crate::exchange::End;

/// Which frames of an exchange are on its tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub opened: bool,
    pub answered: bool,
    pub ended: Option<End>,
    pub abandoned: bool,
    /// A body passed `max_kept_body` and its digest never came.
    pub overflowed_without_digest: bool,
}

/// What becomes of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep(End),
    Drop(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The recorder said so.
    Abandoned,
    /// No answer head is on the tape, so its client has seen nothing.
    Unanswered,
    /// The tape was damaged where the exchange began.
    Unopened,
    /// Too large to keep, and killed before its digest was known: nothing is left to replay.
    Unkept,
}

pub fn exchange(seen: Seen) -> Verdict {
    match seen {
        Seen { abandoned: true, .. } => Verdict::Drop(Reason::Abandoned),
        Seen { opened: false, .. } => Verdict::Drop(Reason::Unopened),
        Seen { answered: false, .. } => Verdict::Drop(Reason::Unanswered),
        Seen { overflowed_without_digest: true, .. } => Verdict::Drop(Reason::Unkept),
        Seen { ended: Some(end), .. } => Verdict::Keep(end),
        Seen { ended: None, .. } => Verdict::Keep(End::RecorderKilled),
    }
}

/// What stands in a recording directory of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Another process holds the run's lock.
    pub alive: bool,
    /// The seal's manifest is in its place: every new cassette is staged.
    pub manifest: bool,
    pub tapes: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is someone's.
    Leave,
    /// The seal was committed: put the rest in place.
    FinishSeal,
    /// The run died before its seal was committed: its exchanges become recovered cassettes.
    RecoverTapes,
    /// Nothing but leftovers.
    Clean,
}

pub fn run(found: Found) -> Action {
    match found {
        Found { alive: true, .. } => Action::Leave,
        Found { manifest: true, .. } => Action::FinishSeal,
        Found { tapes: true, .. } => Action::RecoverTapes,
        Found { tapes: false, .. } => Action::Clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_kept_from_its_answer_head_on() {
        let seen = Seen { opened: true, ..Seen::default() };
        assert_eq!(exchange(seen), Verdict::Drop(Reason::Unanswered));
        let seen = Seen { answered: true, ..seen };
        assert_eq!(exchange(seen), Verdict::Keep(End::RecorderKilled));
        for end in [End::Whole, End::CutByOrigin, End::LeftByClient] {
            assert_eq!(exchange(Seen { ended: Some(end), ..seen }), Verdict::Keep(end));
        }
    }

    #[test]
    fn an_exchange_that_ended_without_an_answer_is_dropped() {
        let seen = Seen { opened: true, ended: Some(End::LeftByClient), ..Seen::default() };
        assert_eq!(exchange(seen), Verdict::Drop(Reason::Unanswered));
    }

    #[test]
    fn abandoned_is_the_last_word() {
        let ended = Some(End::Whole);
        let seen = Seen { opened: true, answered: true, abandoned: true, ended, ..Seen::default() };
        assert_eq!(exchange(seen), Verdict::Drop(Reason::Abandoned));
    }

    #[test]
    fn a_live_run_is_left_alone_whatever_it_has() {
        for (manifest, tapes) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(run(Found { alive: true, manifest, tapes }), Action::Leave);
        }
    }

    #[test]
    fn a_committed_seal_is_finished_with_or_without_its_tapes() {
        for tapes in [false, true] {
            assert_eq!(run(Found { alive: false, manifest: true, tapes }), Action::FinishSeal);
        }
    }
}
