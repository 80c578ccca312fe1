//! The recording nearest to a request that missed, and in what they differ.
//!
//! Bounded, whatever the session's size: so many recordings are looked at by their keys, so few of
//! them by their bodies. Shown, never served.

use std::fmt;

use super::bodies;
use super::session::{Recorded, Session};
use crate::matching::difference::Content;
use crate::matching::key::Parts;
use crate::matching::{BodyKey, Differences, nearest};

/// Recordings whose keys are compared: about a millisecond.
pub(super) const LOOKED_AT_MAX: usize = 2000;

/// Recordings whose bodies are compared, the nearest by their keys.
const FINALISTS_MAX: usize = 8;

/// Bytes of bodies that are compared before the nearest so far is taken.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// The nearest recording.
#[derive(Clone, Debug)]
pub struct Near<'a> {
    pub recorded: &'a Recorded,
    /// Its place in the session, counted from 1.
    pub nth: usize,
    /// `GET /a?x=1`, redacted.
    pub request: String,
    pub differences: Differences,
}

/// `nearest recorded: GET /a?x=1 (number 3)` and a line per difference.
impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nearest recorded: {} (number {})\n{}", self.request, self.nth, self.differences)
    }
}

impl Session {
    /// The recording nearest to a request with this key and body, which `choose` knew nothing of.
    /// None in an empty session.
    ///
    /// Blocking: may read a few files of a megabyte.
    pub fn nearest(&self, key: &[u8], body: &BodyKey) -> Option<Near<'_>> {
        let asked = Parts::of(key)?;
        let shown = body.content_to_show();
        let content = Content { bytes: shown.as_deref(), len: body.len() };
        let mut bytes_left = BODY_BYTES_MAX;
        let mut best: Option<(usize, u32, Differences)> = None;
        for (recorded, distance, n) in self.finalists(&asked, content.len) {
            let len = self.body_len(n);
            if best.is_some() && (asked.body == recorded.body || len + content.len > bytes_left) {
                // Nothing in its body makes it nearer than those before it.
                continue;
            }
            bytes_left = bytes_left.saturating_sub(len + content.len);
            let differences = self.differences((&asked, content), &recorded, n);
            let apart = differences.count() + distance as usize;
            if best.as_ref().is_none_or(|(least, ..)| apart < *least) {
                best = Some((apart, n, differences));
            }
        }
        let (_, n, differences) = best?;
        let recorded = &self.recorded[n as usize];
        let head = &recorded.exchange.request.head;
        let request = format!("{} {}", head.method, self.redactor.target(&head.target));
        Some(Near { recorded, nth: n as usize + 1, request, differences })
    }

    /// The nearest by key, and among equals by the length of the body.
    fn finalists(&self, asked: &Parts<'_>, len: u64) -> Vec<(Parts<'_>, u32, u32)> {
        let mut all: Vec<_> = self
            .index
            .around(asked)
            .filter_map(|(key, first)| {
                let recorded = Parts::of(key)?;
                let apart = self.body_len(first).abs_diff(len);
                Some((nearest::distance(asked, &recorded), apart, first, recorded))
            })
            .collect();
        all.sort_unstable_by_key(|(distance, apart, first, _)| (*distance, *apart, *first));
        all.truncate(FINALISTS_MAX);
        all.into_iter().map(|(distance, _, first, parts)| (parts, distance, first)).collect()
    }

    fn differences(
        &self,
        asked: (&Parts<'_>, Content<'_>),
        key: &Parts<'_>,
        n: u32,
    ) -> Differences {
        let recorded = &self.recorded[n as usize];
        let body = self.bodies.content(&recorded.exchange.request);
        let shown = body.as_ref().and_then(BodyKey::content_to_show);
        let content = Content { bytes: shown.as_deref(), len: self.body_len(n) };
        Differences::between(asked, (key, content), &self.redactor)
    }

    fn body_len(&self, n: u32) -> u64 {
        bodies::len(&self.recorded[n as usize].exchange.request.body)
    }
}

#[cfg(test)]
mod tests;
