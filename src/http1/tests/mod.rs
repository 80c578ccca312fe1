//! The codec's tests: tables by topic, and the laws.

mod bodies;
mod framing;
mod heads;
mod laws;
mod writing;

use super::head::HeadLimits;

/// Ouli's defaults.
const LIMITS: HeadLimits =
    HeadLimits { bytes_max: 64 << 10, fields_max: 100, target_max: 32 << 10 };
