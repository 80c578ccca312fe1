//! How fast a replay answers, as people write it. Pure.

/// How fast a replay answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the client reads.
    Instant,
    /// Each piece after the gap it was recorded with, divided by this: 1.0 for `recorded`, 2.0
    /// for `2x`.
    Recorded { speed: f64 },
}

/// What a pace is, for messages.
pub const PACES: &str = "instant, recorded or a multiple";

/// What a multiple means, for messages.
pub const PACE_HINT: &str = "2x is twice as fast as recorded, 0.5x half as fast";

impl Pace {
    /// Reads `instant`, `recorded` or `2x`. None for all else.
    pub fn parse(text: &str) -> Option<Pace> {
        /// A recorded second takes between a millisecond and a quarter of an hour.
        const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;
        match text {
            "instant" => return Some(Pace::Instant),
            "recorded" => return Some(Pace::Recorded { speed: 1.0 }),
            _ => {}
        }
        let is_number = |text: &&str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let speed: f64 = text.strip_suffix('x').filter(is_number)?.parse().ok()?;
        SPEEDS.contains(&speed).then_some(Pace::Recorded { speed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_word_or_a_multiple_within_reason() {
        assert_eq!(Pace::parse("instant"), Some(Pace::Instant));
        for (text, speed) in [("recorded", 1.0), ("2x", 2.0), ("0.5x", 0.5), ("1000x", 1000.0)] {
            assert_eq!(Pace::parse(text), Some(Pace::Recorded { speed }), "{text}");
        }
        for text in ["", "x", "2", "fast", "-1x", "1e3x", "infx", "nanx", "0x", "1001x", "1.2.3x"] {
            assert_eq!(Pace::parse(text), None, "{text}");
        }
    }
}
