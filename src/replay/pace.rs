//! How long to wait before each part of a replayed answer.
//!
//! Pure: says durations, waits for nothing. A wait counts from when the part before was sent, not
//! from the request, so a slow client shifts an answer instead of squeezing it.

use std::str::FromStr;
use std::time::Duration;

/// How fast recorded answers are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// As fast as the client reads.
    #[default]
    Instant,
    /// With the recorded gaps.
    Recorded,
    /// So many times as fast as recorded; finite and above 0.
    Times(f64),
}

/// Slower than this means waiting for days.
const TIMES_MIN: f64 = 0.001;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `instant`, `recorded` or a number from {TIMES_MIN} with an `x`, such as `2x` for \
     twice as fast; found `{0}`"
)]
pub struct BadPace(String);

impl FromStr for Pace {
    type Err = BadPace;

    fn from_str(text: &str) -> Result<Pace, BadPace> {
        let bad = || BadPace(text.to_owned());
        match text {
            "instant" => Ok(Pace::Instant),
            "recorded" => Ok(Pace::Recorded),
            _ => {
                let number = text.strip_suffix('x').ok_or_else(bad)?;
                let times: f64 = number.parse().map_err(|_| bad())?;
                let usable = times.is_finite() && times >= TIMES_MIN;
                if usable { Ok(Pace::Times(times)) } else { Err(bad()) }
            }
        }
    }
}

impl Pace {
    /// The wait between two parts of an answer that came at these times after the request head.
    /// Nothing before the head comes at [`Duration::ZERO`].
    pub fn wait(self, before: Duration, at: Duration) -> Duration {
        let gap = at.saturating_sub(before);
        match self {
            Pace::Instant => Duration::ZERO,
            Pace::Recorded => gap,
            Pace::Times(times) => {
                Duration::try_from_secs_f64(gap.as_secs_f64() / times).unwrap_or(Duration::MAX)
            }
        }
    }

    /// The waits before the head and before each piece, in order.
    pub fn schedule(
        self,
        head: Duration,
        pieces: impl IntoIterator<Item = Duration>,
    ) -> impl Iterator<Item = Duration> {
        let mut before = Duration::ZERO;
        std::iter::once(head).chain(pieces).map(move |at| {
            let wait = self.wait(before, at);
            // A piece that a person's edit put before its predecessor comes right after it.
            before = before.max(at);
            wait
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn waits(pace: Pace) -> Vec<Duration> {
        pace.schedule(ms(100), [ms(100), ms(150), ms(120), ms(450)]).collect()
    }

    #[test]
    fn an_instant_answer_waits_for_nothing() {
        assert_eq!(waits(Pace::Instant), [ms(0); 5]);
    }

    #[test]
    fn each_part_keeps_its_gap_after_its_predecessor() {
        assert_eq!(waits(Pace::Recorded), [ms(100), ms(0), ms(50), ms(0), ms(300)]);
    }

    #[test]
    fn a_number_says_how_many_times_as_fast() {
        assert_eq!(waits(Pace::Times(2.0)), [ms(50), ms(0), ms(25), ms(0), ms(150)]);
        assert_eq!(waits(Pace::Times(0.5)), [ms(200), ms(0), ms(100), ms(0), ms(600)]);
    }

    #[test]
    fn the_longest_wait_is_no_overflow() {
        assert_eq!(Pace::Times(0.001).wait(ms(0), Duration::MAX), Duration::MAX);
    }

    #[test]
    fn paces_are_read_from_text() {
        assert_eq!("instant".parse(), Ok(Pace::Instant));
        assert_eq!("recorded".parse(), Ok(Pace::Recorded));
        assert_eq!("2x".parse(), Ok(Pace::Times(2.0)));
        assert_eq!("0.25x".parse(), Ok(Pace::Times(0.25)));
        for text in ["", "x", "2", "0x", "-1x", "NaNx", "infx", "fast", "2 x", "1e-9x"] {
            assert_eq!(text.parse::<Pace>(), Err(BadPace(text.to_owned())));
        }
    }
}
