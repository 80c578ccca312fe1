//! Latencies in log-linear buckets: constant memory, at most 1.6 % off at every size.

use std::time::Duration;

/// Sub-buckets per power of two: 64 gives an error of at most 1/64.
const SUB_BITS: u32 = 6;
const SUB_COUNT: usize = 1 << SUB_BITS;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; SUB_COUNT * 64], total: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[index(ns)] += 1;
        self.total += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// The upper edge, in microseconds, of the bucket that holds the given share of all values.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let rank = (share * self.total as f64).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return upper_edge(index).min(self.max_ns) as f64 / 1e3;
            }
        }
        0.0
    }

    pub fn mean_us(&self) -> f64 {
        self.sum_ns as f64 / self.total.max(1) as f64 / 1e3
    }

    pub fn max_us(&self) -> f64 {
        self.max_ns as f64 / 1e3
    }
}

fn index(ns: u64) -> usize {
    if ns < SUB_COUNT as u64 {
        return ns as usize;
    }
    let shift = 63 - ns.leading_zeros() - SUB_BITS;
    // The top SUB_BITS + 1 bits, of which the first is always one.
    let mantissa = (ns >> shift) as usize - SUB_COUNT;
    (shift as usize + 1) * SUB_COUNT + mantissa
}

fn upper_edge(index: usize) -> u64 {
    if index < SUB_COUNT {
        return index as u64;
    }
    let shift = (index / SUB_COUNT - 1) as u32;
    let mantissa = (index % SUB_COUNT + SUB_COUNT) as u64;
    (mantissa << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket_and_near_its_edge() {
        for ns in (0..200).chain((0..60).map(|bits| (1u64 << bits) + (1 << bits) / 3)) {
            let edge = upper_edge(index(ns));
            assert!(edge >= ns, "{ns} is above its edge {edge}");
            assert!((edge - ns) as f64 <= ns as f64 / SUB_COUNT as f64, "{ns} is far below {edge}");
        }
    }

    #[test]
    fn the_median_of_one_to_a_hundred_microseconds_is_about_fifty() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|us| histogram.record(Duration::from_micros(us)));
        assert!((histogram.quantile_us(0.5) - 50.0).abs() < 1.0);
        assert_eq!(histogram.mean_us(), 50.5);
        assert_eq!(histogram.max_us(), 100.0);
    }
}
