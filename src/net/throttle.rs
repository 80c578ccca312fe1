//! Lets one of many equal log lines through per period, and says how many it held back.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(in crate::net) struct Throttle {
    period: Duration,
    open_at: Option<Instant>,
    held_back: u64,
}

impl Throttle {
    pub(in crate::net) fn new(period: Duration) -> Self {
        Throttle { period, open_at: None, held_back: 0 }
    }

    /// How many lines were held back since the last one that passed, if this one may pass.
    pub(in crate::net) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.open_at.is_some_and(|open_at| now < open_at) {
            self.held_back += 1;
            return None;
        }
        self.open_at = Some(now + self.period);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_period_passes_and_counts_the_others() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut throttle = Throttle::new(Duration::from_secs(1));
        let passed: Vec<_> =
            [0, 1, 999, 1000, 1001, 5000].map(|millis| throttle.pass(at(millis))).into();
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
