//! Who gets which occurrence: each recording is given out once, in order, whoever asks and on
//! whatever thread.
//!
//! Pure and without locks. What is taken stands in one place, a bit per recording, so that other
//! ways to choose among recordings (by what of a request has come so far) can reserve from the
//! same ones: they hold any candidates, and take one when they must send.
//!
//! Invariant: no recording is given out twice, except the last of its key when all are gone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a key's request gets when all its occurrences have been given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterLast {
    /// The last one again.
    #[default]
    Repeat,
    /// Nothing.
    Refuse,
}

/// Which recordings of a session have been given out. `Relaxed` everywhere: a recording never
/// changes once it can be chosen, so nothing but the bit itself needs an order.
#[derive(Debug)]
pub struct Ledger {
    taken: Box<[AtomicU64]>,
    count: u32,
}

/// How far one key's occurrences have been given out; only ever behind by recordings that
/// somebody took past it.
#[derive(Debug, Default)]
pub struct Cursor(AtomicU32);

/// A recording, by its place in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// For this request alone.
    Given(u32),
    /// The last, given out before.
    Repeated(u32),
    /// All are gone; this was the last.
    Exhausted(u32),
}

impl Ledger {
    pub fn new(count: u32) -> Ledger {
        let words = count.div_ceil(64);
        Ledger { taken: (0..words).map(|_| AtomicU64::new(0)).collect(), count }
    }

    /// Takes one recording, and says whether it was still there.
    pub fn take(&self, recording: u32) -> bool {
        let bit = 1 << (recording % 64);
        let word = self.taken.get((recording / 64) as usize);
        word.is_some_and(|word| word.fetch_or(bit, Relaxed) & bit == 0)
    }

    pub fn is_taken(&self, recording: u32) -> bool {
        let word = self.taken.get((recording / 64) as usize);
        word.is_some_and(|word| word.load(Relaxed) & (1 << (recording % 64)) != 0)
    }

    /// Gives back what was taken and not given out in the end. Cursors may have passed it by; who
    /// uses this rewinds them.
    pub(super) fn release(&self, recording: u32) {
        if let Some(word) = self.taken.get((recording / 64) as usize) {
            word.fetch_and(!(1 << (recording % 64)), Relaxed);
        }
    }

    /// A key's occurrences that are left, in order.
    pub(super) fn left<'l>(
        &'l self,
        occurrences: &'l [u32],
        cursor: &Cursor,
    ) -> impl Iterator<Item = u32> + use<'l> {
        let passed = cursor.0.load(Relaxed) as usize;
        let rest = occurrences.get(passed..).unwrap_or_default();
        let taken = rest.iter().take_while(|recording| self.is_taken(**recording)).count();
        if taken > 0 {
            cursor.0.fetch_max((passed + taken) as u32, Relaxed);
        }
        let rest = rest.get(taken..).unwrap_or_default();
        rest.iter().copied().filter(|recording| !self.is_taken(*recording))
    }

    /// As `reserve`, among those of the occurrences that fit.
    pub(super) fn reserve_fitting(
        &self,
        occurrences: &[u32],
        cursor: &Cursor,
        after: AfterLast,
        fits: impl Fn(u32) -> bool,
    ) -> Option<Reserved> {
        while let Some(recording) = self.left(occurrences, cursor).find(|one| fits(*one)) {
            if self.take(recording) {
                return Some(Reserved::Given(recording));
            }
        }
        let last = occurrences.iter().copied().rfind(|one| fits(*one))?;
        Some(Reserved::after_last(last, after))
    }

    /// The recordings that nobody was given, in order.
    pub fn untaken(&self) -> impl Iterator<Item = u32> {
        (0..self.count).filter(|recording| !self.is_taken(*recording))
    }

    /// Takes the earliest of a key's occurrences that is left; none when there never was one.
    pub fn reserve(
        &self,
        occurrences: &[u32],
        cursor: &Cursor,
        after: AfterLast,
    ) -> Option<Reserved> {
        let last = *occurrences.last()?;
        // Only looked at once all are gone, so that a repeated answer costs no write that other
        // cores would have to see.
        while (cursor.0.load(Relaxed) as usize) < occurrences.len() {
            let nth = cursor.0.fetch_add(1, Relaxed) as usize;
            match occurrences.get(nth) {
                Some(recording) if self.take(*recording) => {
                    return Some(Reserved::Given(*recording));
                }
                Some(_) => {}
                None => break,
            }
        }
        Some(Reserved::after_last(last, after))
    }
}

impl Cursor {
    /// A recording was given back. Nobody else may be using the cursor.
    pub(super) fn rewind(&self, occurrences: &[u32], recording: u32) {
        if let Ok(nth) = occurrences.binary_search(&recording) {
            self.0.fetch_min(nth as u32, Relaxed);
        }
    }
}

impl Reserved {
    pub(super) fn after_last(last: u32, after: AfterLast) -> Reserved {
        match after {
            AfterLast::Repeat => Reserved::Repeated(last),
            AfterLast::Refuse => Reserved::Exhausted(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn the_nth_request_gets_the_nth_occurrence_and_then_the_last_again() {
        let (ledger, cursor) = (Ledger::new(100), Cursor::default());
        let next = || ledger.reserve(&[3, 70, 99], &cursor, AfterLast::Repeat);
        let all: Vec<_> = (0..5).filter_map(|_| next()).collect();
        let expected = [
            Reserved::Given(3),
            Reserved::Given(70),
            Reserved::Given(99),
            Reserved::Repeated(99),
            Reserved::Repeated(99),
        ];
        assert_eq!(all, expected);
        assert_eq!(ledger.untaken().count(), 97);
    }

    #[test]
    fn a_strict_session_is_exhausted_after_the_last() {
        let (ledger, cursor) = (Ledger::new(1), Cursor::default());
        let next = || ledger.reserve(&[0], &cursor, AfterLast::Refuse);
        assert_eq!(next(), Some(Reserved::Given(0)));
        assert_eq!(next(), Some(Reserved::Exhausted(0)));
    }

    #[test]
    fn an_occurrence_that_was_taken_past_the_cursor_is_left_out() {
        let (ledger, cursor) = (Ledger::new(3), Cursor::default());
        assert!(ledger.take(1));
        assert!(!ledger.take(1));
        let next = || ledger.reserve(&[0, 1, 2], &cursor, AfterLast::Refuse);
        assert_eq!(next(), Some(Reserved::Given(0)));
        assert_eq!(next(), Some(Reserved::Given(2)));
        assert_eq!(next(), Some(Reserved::Exhausted(2)));
    }

    #[test]
    fn among_those_that_fit_the_earliest_left_is_given_and_then_the_last_again() {
        let (ledger, cursor) = (Ledger::new(6), Cursor::default());
        let all = [0, 1, 2, 3, 4, 5];
        let next = |parity| {
            let fits = |recording| recording % 2 == parity;
            ledger.reserve_fitting(&all, &cursor, AfterLast::Repeat, fits)
        };
        let order = [1, 0, 1, 0, 0].map(next);
        assert_eq!(order, [1, 0, 3, 2, 4].map(|n| Some(Reserved::Given(n))));
        assert_eq!(ledger.left(&all, &cursor).collect::<Vec<_>>(), [5]);
        assert_eq!(next(0), Some(Reserved::Repeated(4)));
        assert_eq!(next(7), None);
        assert!(ledger.take(5));
        assert_eq!(ledger.left(&all, &cursor).next(), None);
        ledger.release(4);
        cursor.rewind(&all, 4);
        assert_eq!(next(0), Some(Reserved::Given(4)));
    }

    #[test]
    fn a_recording_that_does_not_exist_cannot_be_taken() {
        assert!(!Ledger::new(1).take(64));
        assert!(!Ledger::new(0).is_taken(0));
    }

    #[test]
    fn no_occurrence_is_given_to_two_threads() {
        const THREADS: usize = 8;
        const COUNT: u32 = 4000;
        let (ledger, cursor) = (Ledger::new(COUNT), Cursor::default());
        let occurrences: Vec<u32> = (0..COUNT).collect();
        let start = Barrier::new(THREADS);
        let given = |thread: usize| {
            start.wait();
            let mut mine = Vec::new();
            loop {
                // Every other thread also takes some past the cursor, as a duplex replay would.
                let ahead = (mine.len() as u32 * 7 + thread as u32) % COUNT;
                if thread % 2 == 1 && ledger.take(ahead) {
                    mine.push(ahead);
                }
                match ledger.reserve(&occurrences, &cursor, AfterLast::Repeat) {
                    Some(Reserved::Given(recording)) => mine.push(recording),
                    other => {
                        assert_eq!(other, Some(Reserved::Repeated(COUNT - 1)));
                        return mine;
                    }
                }
            }
        };
        let mut all: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..THREADS).map(|thread| scope.spawn(move || given(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_unstable();
        assert_eq!(all, occurrences);
        assert_eq!(ledger.untaken().count(), 0);
    }
}
