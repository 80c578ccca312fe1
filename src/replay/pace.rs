//! How long to wait before each part of a replayed answer.
//!
//! Pure: says durations, waits for nothing. A wait counts from when the part before was sent, not
//! from the request, so a slow client shifts an answer instead of squeezing it.

use std::time::Duration;

/// How fast a replay answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the client reads.
    Instant,
    /// Each piece after the gap it was recorded with, divided by this: 1.0 for `recorded`, 2.0
    /// for `2x`. Finite and above 0.
    Recorded { speed: f64 },
}

/// The wait between two parts of an answer that came at these times after the request head.
pub fn wait(pace: Pace, before: Duration, at: Duration) -> Duration {
    let Pace::Recorded { speed } = pace else { return Duration::ZERO };
    let gap = at.saturating_sub(before);
    match speed == 1.0 {
        true => gap, // exact
        false => Duration::try_from_secs_f64(gap.as_secs_f64() / speed).unwrap_or(Duration::MAX),
    }
}

/// The waits before the head and before each piece, in order.
pub fn schedule(
    pace: Pace,
    head: Duration,
    pieces: impl IntoIterator<Item = Duration>,
) -> impl Iterator<Item = Duration> {
    let mut before = Duration::ZERO;
    std::iter::once(head).chain(pieces).map(move |at| {
        let wait = wait(pace, before, at);
        // A piece that a person's edit put before its predecessor comes right after it.
        before = before.max(at);
        wait
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn waits(pace: Pace) -> Vec<Duration> {
        schedule(pace, ms(100), [ms(100), ms(150), ms(120), ms(450)]).collect()
    }

    #[test]
    fn an_instant_answer_waits_for_nothing() {
        assert_eq!(waits(Pace::Instant), [ms(0); 5]);
    }

    #[test]
    fn each_part_keeps_its_gap_after_its_predecessor() {
        assert_eq!(waits(Pace::Recorded { speed: 1.0 }), [ms(100), ms(0), ms(50), ms(0), ms(300)]);
    }

    #[test]
    fn gaps_are_divided_by_the_speed() {
        assert_eq!(waits(Pace::Recorded { speed: 2.0 }), [ms(50), ms(0), ms(25), ms(0), ms(150)]);
        assert_eq!(waits(Pace::Recorded { speed: 0.5 }), [ms(200), ms(0), ms(100), ms(0), ms(600)]);
    }

    #[test]
    fn the_longest_wait_is_no_overflow() {
        assert_eq!(wait(Pace::Recorded { speed: 0.001 }, ms(0), Duration::MAX), Duration::MAX);
    }
}
