//! The recording nearest to a request that missed, and in what they differ.
//!
//! Bounded, whatever the session's size: so many recordings are looked at by their keys, so few of
//! them by their bodies. Shown, never served.

use std::borrow::Cow;
use std::fmt;

use super::bodies;
use super::session::Session;
use super::shelf::Shelf;
use crate::exchange::Request;
use crate::matching::difference::Content;
use crate::matching::key::Parts;
use crate::matching::{BodyKey, Differences, nearest};

/// Recordings whose keys are compared: about a millisecond.
pub(super) const LOOKED_AT_MAX: usize = 2000;

/// Recordings whose bodies are compared, the nearest by their keys.
const FINALISTS_MAX: usize = 8;

/// Requests that are read from a shelf.
const READ_MAX: usize = 64;

/// Bytes of bodies that are compared before the nearest so far is taken.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// The nearest recording.
#[derive(Clone, Debug)]
pub struct Near {
    /// Its place in the session, counted from 1.
    pub nth: usize,
    /// `GET /a?x=1`, redacted.
    pub request: String,
    pub differences: Differences,
}

/// `nearest recorded: GET /a?x=1 (number 3)` and a line per difference.
impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nearest recorded: {} (number {})\n{}", self.request, self.nth, self.differences)
    }
}

impl Session {
    /// The recording nearest to a request with this key and body, which `choose` knew nothing of.
    /// None in an empty session.
    ///
    /// Blocking: may read a few files of a megabyte.
    pub fn nearest(&self, key: &[u8], body: &BodyKey) -> Option<Near> {
        let asked = Parts::of(key)?;
        let shown = body.content_to_show();
        let content = Content { bytes: shown.as_deref(), len: body.len() };
        let mut bytes_left = BODY_BYTES_MAX;
        let mut best: Option<(usize, Candidate<'_>, Differences)> = None;
        for candidate in self.finalists(&asked, content.len) {
            let len = bodies::len(&candidate.request.body);
            let is_same_body = asked.body == candidate.parts.body;
            if best.is_some() && (is_same_body || len + content.len > bytes_left) {
                // Nothing in its body makes it nearer than those before it.
                continue;
            }
            bytes_left = bytes_left.saturating_sub(len + content.len);
            let differences = self.differences((&asked, content), &candidate);
            let apart = differences.count() + candidate.distance as usize;
            if best.as_ref().is_none_or(|(least, ..)| apart < *least) {
                best = Some((apart, candidate, differences));
            }
        }
        let (_, Candidate { request, place, .. }, differences) = best?;
        let head = &request.head;
        let request = format!("{} {}", head.method, self.redactor.target(&head.target));
        Some(Near { nth: place + 1, request, differences })
    }

    /// The nearest by key, and among equals by the length of the body.
    fn finalists(&self, asked: &Parts<'_>, len: u64) -> Vec<Candidate<'_>> {
        let kept = self.index.around(asked).filter_map(|(key, n)| {
            let request = Cow::Borrowed(&self.recorded.get(n as usize)?.exchange.request);
            let place = self.shelf.as_ref().map_or(n as usize, |shelf| shelf.place_elsewhere(n));
            Candidate::new(asked, key, request, place)
        });
        let on_shelf = self.shelf.iter().flat_map(|shelf| {
            shelf_nearest(shelf, asked).into_iter().filter_map(|(key, n)| {
                Candidate::new(asked, key, Cow::Owned(shelf.request(n).ok()?), shelf.place(n))
            })
        });
        let mut all: Vec<_> = kept.chain(on_shelf).collect();
        all.sort_by_key(|one| {
            (one.distance, bodies::len(&one.request.body).abs_diff(len), one.place)
        });
        all.truncate(FINALISTS_MAX);
        all
    }

    fn differences(
        &self,
        asked: (&Parts<'_>, Content<'_>),
        candidate: &Candidate<'_>,
    ) -> Differences {
        let body = self.bodies.content(&candidate.request);
        let shown = body.as_ref().and_then(BodyKey::content_to_show);
        let len = bodies::len(&candidate.request.body);
        let content = Content { bytes: shown.as_deref(), len };
        Differences::between(asked, (&candidate.parts, content), &self.redactor)
    }
}

/// The keys on a shelf that are nearest, each with the first of its recordings: so few that the
/// requests can be read.
fn shelf_nearest<'s>(shelf: &'s Shelf, asked: &Parts<'_>) -> Vec<(&'s [u8], u32)> {
    let distance = |key| Some(nearest::distance(asked, &Parts::of(key)?));
    let mut all: Vec<_> =
        shelf.index.around(asked).filter_map(|(key, n)| Some((distance(key)?, n, key))).collect();
    all.sort_unstable();
    all.truncate(READ_MAX);
    all.into_iter().map(|(_, n, key)| (key, n)).collect()
}

/// A recording that may be the nearest.
struct Candidate<'a> {
    parts: Parts<'a>,
    /// Of its key from the one that was asked for.
    distance: u32,
    /// In the session, counted from 0.
    place: usize,
    request: Cow<'a, Request>,
}

impl<'a> Candidate<'a> {
    fn new(
        asked: &Parts<'_>,
        key: &'a [u8],
        request: Cow<'a, Request>,
        place: usize,
    ) -> Option<Candidate<'a>> {
        let parts = Parts::of(key)?;
        let distance = nearest::distance(asked, &parts);
        Some(Candidate { parts, distance, place, request })
    }
}

#[cfg(test)]
mod tests;
