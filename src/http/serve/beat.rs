//! When each part of a replayed answer leaves.
//!
//! Each keeps its gap after the one before. That a timer fired late, or that the machine was busy,
//! must not add up over a stream of thousands of pieces: what follows still leaves when it was due.
//! A client that was slow to take what was sent, or to say what was waited for, shifts what follows.
//! Its time begins where something first waits for it: a thread that sends is often held up right then,
//! for the client's own sake, and recordings are read from the disk.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Pace;
use crate::replay::pace;

/// A client that takes no longer than this isn't slow: it is a little work, of its or of ours.
const SLOW_MIN: Duration = Duration::from_millis(2);

pub(super) struct Beat {
    pace: Pace,
    /// When the last part was due.
    last: Instant,
    /// Since when something has waited for the client, if anything has since then.
    waiting: Waiting,
}

/// Since when something has waited for a client, if anything has.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Waiting(Cell<Option<Instant>>);

impl Waiting {
    /// Something waits for the client.
    fn begin(&self) {
        self.0.set(Some(self.0.get().unwrap_or_else(Instant::now)));
    }

    /// Goes on with what may have to wait for the client. By reference, since a future that is handed to
    /// another has room in both, and every connection's task has room for all of them.
    pub(super) async fn heeding<F: Future>(&self, mut step: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let polled = step.as_mut().poll(cx);
            if polled.is_pending() {
                self.begin();
            }
            polled
        })
        .await
    }
}

impl Beat {
    /// The first gap begins here.
    pub(super) fn from(start: Instant, pace: Pace) -> Beat {
        Beat { pace, last: start, waiting: Waiting::default() }
    }

    /// The same for a client that was waited for already.
    pub(super) fn after(start: Instant, pace: Pace, waiting: &Waiting) -> Beat {
        Beat { waiting: waiting.clone(), ..Beat::from(start, pace) }
    }

    /// Nothing waits.
    pub(super) fn is_instant(&self) -> bool {
        matches!(self.pace, Pace::Instant)
    }

    /// When the part is due that came at `at`, the one before it at `before`, both counted from the
    /// request's head, if its client isn't slow.
    pub(super) fn due(&self, before: Duration, at: Duration) -> Instant {
        let gap = pace::wait(self.pace, before, at);
        self.last.checked_add(gap).unwrap_or_else(|| self.last + FAR)
    }

    /// Something waits for the client.
    pub(super) fn waits(&self) {
        self.waiting.begin();
    }

    /// Goes on with what may have to wait for the client.
    pub(super) async fn heeding<F: Future>(&self, step: Pin<&mut F>) -> F::Output {
        self.waiting.heeding(step).await
    }

    /// When the part is due that is next, all that the client had to do before it being done.
    pub(super) fn next(&mut self, before: Duration, at: Duration) -> Instant {
        let due = self.due(before, at);
        let slow = self.waiting.0.take().map_or(Duration::ZERO, |since| {
            Instant::now().saturating_duration_since(due.max(since))
        });
        self.last = if slow > SLOW_MIN { due + slow } else { due };
        self.last
    }

    /// The part that was next leaves now.
    pub(super) fn leave(&mut self) {
        self.waiting.0.set(None);
    }
}

/// For a gap that no clock reaches the end of.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::time::{sleep, sleep_until};

    use super::*;

    const RECORDED: Pace = Pace::Recorded { speed: 1.0 };

    struct Stream {
        pace: Pace,
        gap: Duration,
        /// How long the client takes for each piece.
        taking: Duration,
        /// One piece's timer fires so much too late.
        stall: Duration,
        /// The machine takes so long to go on after sending that piece.
        halt: Duration,
    }

    /// How late each of many pieces leaves.
    async fn lateness(stream: Stream) -> Vec<Duration> {
        let Stream { pace, gap, taking, stall, halt } = stream;
        let start = Instant::now();
        let mut beat = Beat::from(start, pace);
        let mut late = Vec::new();
        for n in 1..=10_000 {
            sleep_until(beat.next(gap * (n - 1), gap * n)).await;
            if n == 100 {
                tokio::time::advance(stall).await;
            }
            beat.leave();
            late.push(start.elapsed().saturating_sub(pace::wait(pace, Duration::ZERO, gap * n)));
            if n == 100 {
                tokio::time::advance(halt).await;
            }
            let take = async {
                if !taking.is_zero() {
                    sleep(taking).await;
                }
            };
            beat.heeding(pin!(take)).await;
        }
        late
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_ten_thousand_pieces_leaves_within_two_milliseconds_of_its_time() {
        for speed in [1.0, 2.0, 0.5] {
            let late = lateness(Stream {
                pace: Pace::Recorded { speed },
                gap: Duration::from_micros(7300),
                taking: Duration::from_micros(50),
                stall: Duration::ZERO,
                halt: Duration::ZERO,
            });
            let most = late.await.into_iter().max().expect("pieces");
            assert!(most <= Duration::from_millis(2), "{speed}x: {most:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_slow_shifts_what_follows() {
        let late = lateness(Stream {
            pace: RECORDED,
            gap: Duration::from_millis(10),
            taking: Duration::from_millis(15),
            stall: Duration::ZERO,
            halt: Duration::ZERO,
        });
        let late = late.await;
        let after = |n: usize| Duration::from_millis(5) * u32::try_from(n).expect("few");
        assert!(late[9_999] >= after(9_999), "{:?}", late[9_999]);
        assert!(late[9_999] <= after(9_999) + Duration::from_secs(11), "{:?}", late[9_999]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_stalled_is_caught_up_with() {
        let long = Duration::from_millis(75);
        for (stall, halt) in [(long, Duration::ZERO), (Duration::ZERO, long)] {
            let late = lateness(Stream {
                pace: RECORDED,
                gap: Duration::from_millis(10),
                taking: Duration::ZERO,
                stall,
                halt,
            });
            let late = late.await;
            let most = late.iter().max().expect("pieces");
            assert!(*most >= long - Duration::from_millis(10), "{most:?}");
            assert!(late[108] <= Duration::from_millis(2), "{:?}", late[108]);
            assert!(late[9_999] <= Duration::from_millis(2), "{:?}", late[9_999]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_slow_before_the_client_is_waited_for_is_not_its_time() {
        for (taking, at) in [(1, 100), (500, 600)] {
            let start = Instant::now();
            tokio::time::advance(Duration::from_secs(1)).await;
            let waiting = Waiting::default();
            waiting.heeding(pin!(sleep(Duration::from_millis(taking)))).await;
            let mut beat = Beat::after(start, RECORDED, &waiting);
            let due = beat.next(Duration::ZERO, Duration::from_millis(100));
            assert_eq!(due - start, Duration::from_millis(at), "a body that took {taking} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_of_a_hundred_seconds_is_one() {
        let start = Instant::now();
        let beat = Beat::from(start, RECORDED);
        let due = beat.due(Duration::from_secs(1), Duration::from_secs(101));
        assert_eq!(due - start, Duration::from_secs(100));
        assert!(beat.due(Duration::ZERO, Duration::MAX) > start, "no overflow");
    }
}
