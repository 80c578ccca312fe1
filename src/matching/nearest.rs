//! How near two requests are, by what their keys say.

use super::BodyPrint;
use super::difference::segments;
use super::key::Parts;

/// What each kind of difference weighs. A wrong value in a path or query is the likeliest slip, a
/// wrong method next, another endpoint the least.
mod weight {
    pub(super) const ENDPOINT: u32 = 1000;
    pub(super) const METHOD: u32 = 15;
    pub(super) const SEGMENT: u32 = 10;
    /// Paths that share nothing are no slip.
    pub(super) const WHOLE_PATH: u32 = 30;
    pub(super) const PARAMETER: u32 = 3;
    pub(super) const BODY: u32 = 4;
    /// One has a body, the other none.
    pub(super) const BODY_MISSING: u32 = 8;
}

/// 0 for equal keys, more the more they differ. Takes time in proportion to their lengths.
pub fn distance(a: &Parts<'_>, b: &Parts<'_>) -> u32 {
    let endpoint = if a.endpoint == b.endpoint { 0 } else { weight::ENDPOINT };
    let method = if a.method == b.method { 0 } else { weight::METHOD };
    let parameters = weight::PARAMETER * parameters_apart(a, b);
    endpoint + method + path_distance(a.path, b.path) + parameters + body_distance(a, b)
}

fn path_distance(a: &[u8], b: &[u8]) -> u32 {
    if a == b {
        return 0;
    }
    let (a_count, b_count) = (segments(a).count(), segments(b).count());
    let shared = segments(a).zip(segments(b)).filter(|(a, b)| a == b).count();
    let apart = a_count.max(b_count) - shared;
    let whole = if shared == 0 { weight::WHOLE_PATH } else { 0 };
    whole + weight::SEGMENT * apart as u32
}

/// Parameters that only one of them has; both are sorted.
fn parameters_apart(a: &Parts<'_>, b: &Parts<'_>) -> u32 {
    let (mut a, mut b) = (a.parameters().peekable(), b.parameters().peekable());
    let mut apart = 0;
    loop {
        match (a.peek(), b.peek()) {
            (Some(left), Some(right)) if left == right => {
                a.next();
                b.next();
                continue;
            }
            (Some(left), Some(right)) if left < right => a.next(),
            (Some(_), None) => a.next(),
            (_, Some(_)) => b.next(),
            (None, None) => return apart,
        };
        apart += 1;
    }
}

fn body_distance(a: &Parts<'_>, b: &Parts<'_>) -> u32 {
    match (a.body, b.body) {
        (a, b) if a == b => 0,
        (BodyPrint::None, _) | (_, BodyPrint::None) => weight::BODY_MISSING,
        _ => weight::BODY,
    }
}
