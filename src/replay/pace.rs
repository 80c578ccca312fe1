//! How long to wait before each part of a replayed answer.
//!
//! Pure: says durations, waits for nothing. A wait counts from when the part before was sent, not
//! from the request, so a slow client shifts an answer instead of squeezing it.

use std::time::Duration;

use crate::config::Pace;

/// The wait between two parts of an answer that came at these times after the request head.
pub fn wait(pace: Pace, before: Duration, at: Duration) -> Duration {
    let Pace::Recorded { speed } = pace else { return Duration::ZERO };
    let gap = at.saturating_sub(before);
    match speed == 1.0 {
        true => gap, // exact
        false => Duration::try_from_secs_f64(gap.as_secs_f64() / speed).unwrap_or(Duration::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// The waits before a head at 100 ms and before its pieces, one of which an edit has put
    /// before its predecessor.
    fn waits(pace: Pace) -> Vec<Duration> {
        let parts = [(0, 100), (100, 100), (100, 150), (150, 120), (150, 450)];
        parts.map(|(before, at)| wait(pace, ms(before), ms(at))).to_vec()
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
