//! The canonical match key of a request.
//!
//! A key is a sequence of length-prefixed texts (endpoint, method, path, then each query parameter
//! in canonical order) and the body's print, so no two different requests share one.

use super::{Asked, BodyPrint, target};
use crate::exchange::Digest;
use crate::redact::Redactor;

/// Query parameters that are sorted without an allocation.
const PARAMETERS_INLINE: usize = 32;

/// Writes the request's match key to `out`, replacing what is there. Allocates nothing when `out`
/// has room and the query has no secrets and at most 32 parameters.
pub fn write(out: &mut Vec<u8>, asked: &Asked<'_>, redactor: &Redactor) {
    out.clear();
    put(out, asked.endpoint.as_bytes());
    put(out, asked.method.as_bytes());
    // A recording holds the redacted target, so a live one counts as redacted too.
    let redacted = redactor.target(asked.target);
    let target = target::split(&redacted);
    put_canonical(out, target.path);
    put_query(out, target.query);
    put_body(out, asked.body);
}

fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn put_canonical(out: &mut Vec<u8>, part: &str) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    target::canonical(part, out);
    let len = (out.len() - start - 4) as u32;
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&len.to_le_bytes());
    }
}

/// Order doesn't count, repetition does.
fn put_query(out: &mut Vec<u8>, query: &str) {
    if query.is_empty() {
        return out.extend_from_slice(&0u32.to_le_bytes());
    }
    let mut inline = [""; PARAMETERS_INLINE];
    let mut long = Vec::new();
    let mut count = 0;
    for parameter in target::parameters(query) {
        match inline.get_mut(count) {
            Some(slot) => *slot = parameter,
            None if long.is_empty() => long.extend(inline.iter().copied().chain([parameter])),
            None => long.push(parameter),
        }
        count += 1;
    }
    let sorted = if long.is_empty() { inline.get_mut(..count) } else { Some(&mut long[..]) };
    let sorted = sorted.unwrap_or_default();
    out.extend_from_slice(&(count as u32).to_le_bytes());
    if target::is_plain(query) {
        sorted.sort_unstable();
        sorted.iter().for_each(|parameter| put(out, parameter.as_bytes()));
    } else {
        sorted.sort_unstable_by(|a, b| target::compare(a, b));
        sorted.iter().for_each(|parameter| put_canonical(out, parameter));
    }
}

/// The kinds of body print that have no digest.
const NONE: u8 = 0;
const PART: u8 = 5;
const CALL: u8 = 6;
/// Behind it stands the offer, to the end of the key.
const CONVERSATION: u8 = 7;

fn put_body(out: &mut Vec<u8>, body: BodyPrint<'_>) {
    let (kind, rest) = match &body {
        BodyPrint::None => (NONE, &[][..]),
        BodyPrint::Part => (PART, &[][..]),
        BodyPrint::Call => (CALL, &[][..]),
        BodyPrint::Conversation(offered) => (CONVERSATION, *offered),
        BodyPrint::Bytes(digest) => (1, &digest.0[..]),
        BodyPrint::Json(digest) => (2, &digest.0[..]),
        BodyPrint::Form(digest) => (3, &digest.0[..]),
        BodyPrint::Multipart(digest) => (4, &digest.0[..]),
    };
    out.push(kind);
    out.extend_from_slice(rest);
}

/// Writes the key that a recording of this request would have if its body is recorded only in
/// part; false for what `write` never wrote.
pub fn write_part(out: &mut Vec<u8>, key: &[u8]) -> bool {
    let Some(parts) = Parts::of(key) else { return false };
    let share = match parts.body {
        BodyPrint::None | BodyPrint::Part | BodyPrint::Call => 1,
        BodyPrint::Conversation(offered) => 1 + offered.len(),
        _ => 1 + size_of::<Digest>(),
    };
    out.clear();
    out.extend_from_slice(key.get(..key.len() - share).unwrap_or_default());
    out.push(PART);
    true
}

/// A key taken apart again. Everything in it is canonical and redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    pub endpoint: &'a [u8],
    pub method: &'a [u8],
    pub path: &'a [u8],
    parameters: &'a [u8],
    pub body: BodyPrint<'a>,
}

impl<'a> Parts<'a> {
    /// None for what `write` never wrote.
    pub fn of(key: &'a [u8]) -> Option<Parts<'a>> {
        let (endpoint, rest) = text(key)?;
        let (method, rest) = text(rest)?;
        let (path, rest) = text(rest)?;
        let (count, parameters) = rest.split_first_chunk()?;
        let mut rest = parameters;
        for _ in 0..u32::from_le_bytes(*count) {
            rest = text(rest)?.1;
        }
        let parameters = parameters.get(..parameters.len() - rest.len())?;
        Some(Parts { endpoint, method, path, parameters, body: body(rest)? })
    }

    /// The query parameters, sorted.
    pub fn parameters(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.parameters;
        std::iter::from_fn(move || {
            let (parameter, behind) = text(rest)?;
            rest = behind;
            Some(parameter)
        })
    }

    /// What requests are laid out by, so that near ones stand together.
    pub(crate) fn place(&self) -> (&'a [u8], &'a [u8], &'a [u8]) {
        (self.path, self.method, self.endpoint)
    }
}

fn text(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = key.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

fn body(key: &[u8]) -> Option<BodyPrint<'_>> {
    let (kind, rest) = key.split_first()?;
    match (*kind, rest) {
        (NONE, []) => return Some(BodyPrint::None),
        (PART, []) => return Some(BodyPrint::Part),
        (CALL, []) => return Some(BodyPrint::Call),
        (CONVERSATION, offered) => return Some(BodyPrint::Conversation(offered)),
        _ => {}
    }
    let digest = Digest(rest.try_into().ok()?);
    match kind {
        1 => Some(BodyPrint::Bytes(digest)),
        2 => Some(BodyPrint::Json(digest)),
        3 => Some(BodyPrint::Form(digest)),
        4 => Some(BodyPrint::Multipart(digest)),
        _ => None,
    }
}
