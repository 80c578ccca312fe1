//! When each part of a replayed answer leaves.
//!
//! Each keeps its gap after the one before. A timer fires up to a millisecond late, which must not
//! add up over a stream of thousands of pieces; a client that was slow shifts what follows.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Pace;
use crate::replay::pace;

/// A part that left no later than this left when it was due: a timer's lateness, and a little work.
/// Beyond it, its client was slow.
const LATE_MAX: Duration = Duration::from_millis(2);

pub(super) struct Beat {
    pace: Pace,
    /// When the last part was due, or left where that was later.
    last: Instant,
}

impl Beat {
    /// The first gap begins here.
    pub(super) fn from(start: Instant, pace: Pace) -> Beat {
        Beat { pace, last: start }
    }

    /// When the part is due that came at `at`, the one before it at `before`, both counted from the
    /// request's head.
    pub(super) fn due(&self, before: Duration, at: Duration) -> Instant {
        let gap = pace::wait(self.pace, before, at);
        self.last.checked_add(gap).unwrap_or_else(|| self.last + FAR)
    }

    /// The part that was due then has been handed over.
    pub(super) fn sent(&mut self, due: Instant) {
        let now = Instant::now();
        let is_late = now.saturating_duration_since(due) > LATE_MAX;
        self.last = if is_late { now } else { due };
    }
}

/// For a gap that no clock reaches the end of.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use tokio::time::sleep_until;

    use super::*;

    const RECORDED: Pace = Pace::Recorded { speed: 1.0 };

    /// How late the last of many pieces leaves, and the latest of them, where each takes so long to
    /// be handed over.
    async fn lateness(pace: Pace, gap: Duration, taking: Duration) -> (Duration, Duration) {
        let start = Instant::now();
        let mut beat = Beat::from(start, pace);
        let (mut last, mut most) = (Duration::ZERO, Duration::ZERO);
        for n in 1..=10_000 {
            let due = beat.due(gap * (n - 1), gap * n);
            sleep_until(due).await;
            last = start.elapsed().saturating_sub(pace::wait(pace, Duration::ZERO, gap * n));
            most = most.max(last);
            tokio::time::advance(taking).await;
            beat.sent(due);
        }
        (last, most)
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_ten_thousand_pieces_leaves_within_two_milliseconds_of_its_time() {
        for speed in [1.0, 2.0, 0.5] {
            let gap = Duration::from_micros(7300);
            let taking = Duration::from_micros(50);
            let (_, most) = lateness(Pace::Recorded { speed }, gap, taking).await;
            assert!(most <= Duration::from_millis(2), "{speed}x: {most:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_slow_shifts_what_follows() {
        let gap = Duration::from_millis(10);
        let (last, _) = lateness(RECORDED, gap, Duration::from_millis(5)).await;
        assert!(last >= Duration::from_millis(5) * 9_000, "{last:?}");
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
