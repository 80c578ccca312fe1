//! Secrets in URLs: user information, and the values of query parameters with certain names.

use std::borrow::Cow;
use std::ops::Range;

use super::MARK;

/// Query parameters whose values are credentials; compared percent-decoded, without regard to case.
const SECRET: [&str; 9] = [
    "key",
    "api_key",
    "access_token",
    "token",
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

/// Above the longest of those names, and no more than bits in `LENGTHS`.
const NAME_BYTES: usize = 32;

/// The lengths of those names, as bits: most parameters are done with one test.
const LENGTHS: u32 = {
    let mut lengths = 0;
    let mut n = 0;
    while n < SECRET.len() {
        lengths |= 1 << SECRET[n].len();
        n += 1;
    }
    lengths
};

pub(super) fn is_secret(name: &[u8]) -> bool {
    if !name.contains(&b'%') {
        return is_secret_decoded(name);
    }
    let mut decoded = [0; NAME_BYTES];
    let mut len = 0;
    for byte in percent_encoding::percent_decode(name) {
        let Some(slot) = decoded.get_mut(len) else { return false };
        *slot = byte;
        len += 1;
    }
    is_secret_decoded(&decoded[..len])
}

fn is_secret_decoded(name: &[u8]) -> bool {
    name.len() < NAME_BYTES
        && LENGTHS & (1 << name.len()) != 0
        && SECRET.iter().any(|secret| secret.as_bytes().eq_ignore_ascii_case(name))
}

/// A request target: origin form, or absolute form (RFC 9112 section 3.2).
pub(super) fn redact_target(target: &str) -> Cow<'_, str> {
    let bytes = target.as_bytes();
    // `//user@host` at the front of an origin form is a path.
    let after_authority = if bytes.starts_with(b"/") { 0 } else { authority(bytes).end };
    let mut secrets = Secrets::behind(bytes, after_authority);
    let user = if bytes.starts_with(b"/") { None } else { user_information(bytes) };
    let Some(first) = user.or_else(|| secrets.next()) else {
        return Cow::Borrowed(target);
    };
    let mut out = String::with_capacity(target.len() + MARK.len());
    let mut copied = 0;
    for secret in std::iter::once(first).chain(secrets) {
        // Both ends stand at ASCII bytes or at the ends of the text, thus at character boundaries.
        out.push_str(target.get(copied..secret.start).unwrap_or_default());
        out.push_str(MARK);
        copied = secret.end;
    }
    out.push_str(target.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// The value of `Location`, `Content-Location` or `Referer`: one URL, however odd. Quotes are
/// allowed in URLs, and some servers leave white space in them: neither ends a secret.
/// Says whether anything changed; `out` holds the new value then.
pub(super) fn redact_one(value: &[u8], out: &mut Vec<u8>) -> bool {
    redact_each(value, std::iter::once(0..value.len()), out)
}

/// The value of `Link` (RFC 8288 section 3): `<url>; rel=next, <url>`. Parameters may hold URLs
/// too, in double quotes.
pub(super) fn redact_links(value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    let urls = std::iter::from_fn(|| {
        let rest = value.get(at..).filter(|rest| !rest.is_empty())?;
        let is_reference = at > 0 && value[at - 1] == b'<';
        let ends: &[u8] = if is_reference { b">" } else { b"<>\" \t" };
        let len = rest.iter().position(|byte| ends.contains(byte)).unwrap_or(rest.len());
        let url = at..at + len;
        at = url.end + 1;
        Some(url)
    });
    redact_each(value, urls, out)
}

/// The value of `Refresh`: `5; url=…`, the URL quoted or not, `url=` and what is before it
/// perhaps missing.
pub(super) fn redact_refresh(value: &[u8], out: &mut Vec<u8>) -> bool {
    let start = refresh_url(value);
    // Behind a closing quote nothing should stand, and what does is no part of the URL.
    let closing = match value[..start].last() {
        Some(quote @ (b'\'' | b'"')) => value[start..].iter().rposition(|byte| byte == quote),
        _ => None,
    };
    let end = closing.map_or(value.len(), |len| start + len);
    redact_each(value, [start..end, end..value.len()].into_iter(), out)
}

/// Where the URL of a `Refresh` value begins.
fn refresh_url(value: &[u8]) -> usize {
    let skip = |at: usize, what: &[u8]| {
        at + value[at..].iter().take_while(|byte| what.contains(byte)).count()
    };
    let at = skip(0, b"0123456789.;, \t");
    let after_name = match value.get(at..at + 3) {
        Some(name) if name.eq_ignore_ascii_case(b"url") => skip(at + 3, b" \t"),
        _ => return skip(at, b"'\""),
    };
    match value.get(after_name) {
        Some(b'=') => skip(skip(after_name + 1, b" \t"), b"'\""),
        _ => at,
    }
}

/// Writes `value` to `out` without the secrets of the URLs that stand at `urls`, in order.
fn redact_each(value: &[u8], urls: impl Iterator<Item = Range<usize>>, out: &mut Vec<u8>) -> bool {
    let mut copied = 0;
    for at in urls {
        let url = &value[at.clone()];
        let secrets = Secrets::behind(url, authority(url).end);
        for secret in user_information(url).into_iter().chain(secrets) {
            out.extend_from_slice(&value[copied..at.start + secret.start]);
            out.extend_from_slice(MARK.as_bytes());
            copied = at.start + secret.end;
        }
    }
    if copied > 0 {
        out.extend_from_slice(&value[copied..]);
    }
    copied > 0
}

/// Where host, port and user information stand: behind `scheme://` or `//`; else an empty range.
fn authority(url: &[u8]) -> Range<usize> {
    let scheme_end = url
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
        .filter(|end| *end > 0 && url[*end] == b':')
        .map_or(0, |colon| colon + 1);
    if !url[scheme_end..].starts_with(b"//") {
        return 0..0;
    }
    let start = scheme_end + 2;
    let len = url[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    start..len.map_or(url.len(), |len| start + len)
}

/// `user:password` in front of the host, unless it is redacted already. All of it: tokens stand on
/// either side of the colon.
fn user_information(url: &[u8]) -> Option<Range<usize>> {
    let authority = authority(url);
    let at = url[authority.clone()].iter().rposition(|byte| *byte == b'@')?;
    let user = authority.start..authority.start + at;
    is_open(&url[user.clone()]).then_some(user)
}

fn is_open(value: &[u8]) -> bool {
    !value.is_empty() && value != MARK.as_bytes()
}

/// The ranges of secret values in query and fragment. `?` and `;` separate as well as `&`: a URL
/// may stand in another's query, and `;` is an old separator.
struct Secrets<'a> {
    url: &'a [u8],
    /// Where the next parameter begins.
    at: usize,
}

/// What ends a parameter's name: its equals sign, or a separator.
const ENDS_NAME: [bool; 256] = {
    let mut ends = [false; 256];
    ends[b'=' as usize] = true;
    ends[b'&' as usize] = true;
    ends[b';' as usize] = true;
    ends[b'?' as usize] = true;
    ends[b'#' as usize] = true;
    ends
};

impl<'a> Secrets<'a> {
    fn behind(url: &'a [u8], start: usize) -> Secrets<'a> {
        let begins = url[start..].iter().position(|byte| matches!(byte, b'?' | b'#'));
        Secrets { url, at: begins.map_or(url.len(), |begins| start + begins + 1) }
    }
}

impl Iterator for Secrets<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while self.at < self.url.len() {
            let rest = &self.url[self.at..];
            let name_end = rest.iter().position(|byte| ENDS_NAME[usize::from(*byte)]);
            let name_end = name_end.unwrap_or(rest.len());
            if rest.get(name_end) == Some(&b'=') && is_secret(&rest[..name_end]) {
                let start = self.at + name_end + 1;
                // A secret reaches as far as it may: `;` and `?` can stand in it.
                let end = self.url[start..].iter().position(|byte| matches!(byte, b'&' | b'#'));
                let end = end.map_or(self.url.len(), |len| start + len);
                self.at = end + 1;
                if is_open(&self.url[start..end]) {
                    return Some(start..end);
                }
            } else {
                let behind = &rest[name_end..];
                let separator = |byte: &u8| *byte != b'=' && ENDS_NAME[usize::from(*byte)];
                let end = behind.iter().position(separator).unwrap_or(behind.len());
                self.at += name_end + end + 1;
            }
        }
        None
    }
}
