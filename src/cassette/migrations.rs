//! From each format to the next, one small step at a time.
//!
//! When the format changes, `FORMAT` goes up by one and a step is added here that turns an
//! exchange of the old shape into one of the new. Steps work on nodes, before anything is made of
//! them, and keep the places of what they keep, so that faults still point into the file. The
//! reader knows the newest shape alone.

use super::FORMAT;
use super::json::Node;

type Migration = for<'a> fn(Node<'a>) -> Node<'a>;

/// The step at index n turns format n + 1 into n + 2.
const STEPS: [Migration; FORMAT as usize - 1] = [];

/// An exchange of `format` as the newest format would have it.
pub(crate) fn upgrade(format: u64, exchange: Node<'_>) -> Node<'_> {
    let done = usize::try_from(format.saturating_sub(1)).unwrap_or(usize::MAX);
    STEPS.iter().skip(done).fold(exchange, |exchange, step| step(exchange))
}
