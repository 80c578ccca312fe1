//! Parsing a complete head into the domain's nouns.
//!
//! httparse finds the tokens; `Walk` then goes over the same bytes once more, token by token, and
//! so checks everything *between* them: CR LF after each line, one space in the start line, no
//! space before a colon, nothing skipped. httparse takes more than that. Whatever doesn't fit
//! goes to `diagnose`, which says what is wrong: the fast path only knows yes and no.
//!
//! Reuses the buffers of what it fills; allocates nothing once they are large enough, up to
//! `FIELDS_ON_STACK` fields.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

pub use super::scan::{EMPTY_LINES_MAX, HeadLimits, HeadScanner, METHOD_MAX, Role};
pub use super::target::{TargetForm, target_form};

use super::{Refusal, diagnose, grammar};
use crate::exchange::{Fields, RequestHead, ResponseHead, Version};

/// Field slots kept on the stack (4 KiB, not initialised). Above the default limit of 100 fields;
/// a larger configured limit costs an allocation per head.
const FIELDS_ON_STACK: usize = 128;

/// Larger heads can't be held by `Fields`, whose positions have 32 bits.
const HEAD_BYTES_MAX: usize = u32::MAX as usize;

type Slot<'a> = MaybeUninit<Header<'a>>;

/// Parses a request head as `HeadScanner` found it: all of it, with the empty lines before it.
/// Fills `out`, using its buffers again; after an error its content means nothing.
///
/// Checks the grammar, the target's form and the Host field (RFC 9112 section 3.2); what the
/// fields say about the body is checked by `framing`.
///
/// # Errors
/// The first thing in the head that is wrong.
pub fn parse_request(
    head: &[u8],
    limits: &HeadLimits,
    out: &mut RequestHead,
) -> Result<(), Refusal> {
    check_size(head, limits)?;
    with_slots(head, limits, |slots| fast_request(head, limits, slots, out))
        .map_or_else(|| Err(reason(diagnose::request(head, limits))), Ok)
}

/// Parses a response head as `HeadScanner` found it. Fills `out`, using its buffers again; after
/// an error its content means nothing.
///
/// # Errors
/// The first thing in the head that is wrong.
pub fn parse_response(
    head: &[u8],
    limits: &HeadLimits,
    out: &mut ResponseHead,
) -> Result<(), Refusal> {
    check_size(head, limits)?;
    with_slots(head, limits, |slots| fast_response(head, slots, out))
        .map_or_else(|| Err(reason(diagnose::response(head, limits))), Ok)
}

/// Parses a trailer section: field lines up to and with the empty line that ends it.
pub(super) fn parse_trailers(
    section: &[u8],
    limits: &HeadLimits,
    out: &mut Fields,
) -> Result<(), Refusal> {
    let slot_count = slot_count(section, limits);
    let mut slots = vec![httparse::EMPTY_HEADER; slot_count];
    fast_trailers(section, &mut slots, out)
        .map_or_else(|| Err(reason(diagnose::section(section, limits))), Ok)
}

fn check_size(head: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
    let max = limits.bytes_max.min(HEAD_BYTES_MAX);
    if head.len() > max { Err(Refusal::HeadTooLarge { max }) } else { Ok(()) }
}

/// What the slow reading found. The two readings agree, so the last arm is never taken; should a
/// new httparse become stricter, the message is refused all the same.
fn reason(diagnosis: Result<(), Refusal>) -> Refusal {
    diagnosis.err().unwrap_or(Refusal::Unfinished)
}

fn with_slots<'a>(
    head: &'a [u8],
    limits: &HeadLimits,
    parse: impl FnOnce(&mut [Slot<'a>]) -> Option<()>,
) -> Option<()> {
    if let Some(slots) = [const { Slot::uninit() }; FIELDS_ON_STACK].get_mut(..limits.fields_max) {
        return parse(slots);
    }
    let mut slots = vec![const { Slot::uninit() }; slot_count(head, limits)];
    parse(&mut slots)
}

/// As many slots as the text can have fields, within the limit.
fn slot_count(text: &[u8], limits: &HeadLimits) -> usize {
    memchr::memchr_iter(b'\n', text).count().min(limits.fields_max)
}

fn fast_request<'a>(
    head: &'a [u8],
    limits: &HeadLimits,
    slots: &mut [Slot<'a>],
    out: &mut RequestHead,
) -> Option<()> {
    let mut walk = Walk { rest: head };
    for _ in 0..EMPTY_LINES_MAX {
        walk.eat_if(b"\r\n");
    }
    let mut parsed = httparse::Request::new(&mut []);
    let config = ParserConfig::default();
    let status = config.parse_request_with_uninit_headers(&mut parsed, walk.rest, slots).ok()?;
    let (Status::Complete(_), Some(method), Some(target)) = (status, parsed.method, parsed.path)
    else {
        return None;
    };
    walk.skip(method.len())?;
    walk.eat(b" ")?;
    walk.skip(target.len())?;
    walk.eat(b" ")?;
    let version = walk.version()?;
    walk.eat(b"\r\n")?;
    let is_target =
        target.bytes().all(grammar::is_target_byte) && target.len() <= limits.target_max;
    if method.len() > METHOD_MAX || !is_target || target_form(method, target).is_err() {
        return None;
    }
    walk.fields(parsed.headers, &mut out.fields)?;
    check_host(version, &out.fields)?;
    replace(&mut out.method, method);
    replace(&mut out.target, target);
    out.version = version;
    Some(())
}

fn fast_response<'a>(head: &'a [u8], slots: &mut [Slot<'a>], out: &mut ResponseHead) -> Option<()> {
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, head, slots).ok()?;
    let (Status::Complete(_), Some(code)) = (status, parsed.code) else { return None };
    let mut walk = Walk { rest: head };
    out.version = walk.version()?;
    walk.eat(b" ")?;
    walk.skip("200".len())?;
    out.status = (code >= 100).then_some(code)?;
    out.reason.clear();
    // httparse hands out no reason that has obs-text in it (RFC 9112 section 4), so it is taken
    // from the line; and checked, because httparse may have seen the line end elsewhere.
    if walk.eat_if(b" ") {
        let reason = walk.take(memchr::memchr(b'\r', walk.rest)?)?;
        reason.iter().all(|&byte| grammar::is_field_value_byte(byte)).then_some(())?;
        out.reason.extend_from_slice(reason);
    }
    walk.eat(b"\r\n")?;
    walk.fields(parsed.headers, &mut out.fields)
}

fn fast_trailers<'a>(section: &'a [u8], slots: &mut [Header<'a>], out: &mut Fields) -> Option<()> {
    match httparse::parse_headers(section, slots) {
        Ok(Status::Complete((_, headers))) => Walk { rest: section }.fields(headers, out),
        _ => None,
    }
}

/// Exactly one Host on HTTP/1.1, at most one on HTTP/1.0 (RFC 9112 section 3.2).
fn check_host(version: Version, fields: &Fields) -> Option<()> {
    let mut hosts = fields.get_all("host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => grammar::is_host(host).then_some(()),
        (None, None) if version == Version::Http10 => Some(()),
        _ => None,
    }
}

fn replace(out: &mut String, text: &str) {
    out.clear();
    out.push_str(text);
}

/// What is left of the head; each step takes from its front, or says that it isn't there.
struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(drop)
    }

    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn eat_if(&mut self, text: &[u8]) -> bool {
        self.eat(text).is_some()
    }

    fn skip_blanks(&mut self) {
        while let [first, rest @ ..] = self.rest
            && grammar::is_blank(*first)
        {
            self.rest = rest;
        }
    }

    fn version(&mut self) -> Option<Version> {
        self.eat(b"HTTP/1.")?;
        match self.take(1)? {
            b"1" => Some(Version::Http11),
            b"0" => Some(Version::Http10),
            _ => None,
        }
    }

    /// Goes over the field lines that `headers` were found in, and the empty line after them,
    /// which must be the end.
    fn fields(&mut self, headers: &[Header<'_>], out: &mut Fields) -> Option<()> {
        out.clear();
        for header in headers {
            self.skip(header.name.len())?;
            self.eat(b":")?;
            self.skip_blanks();
            self.skip(header.value.len())?;
            self.skip_blanks();
            self.eat(b"\r\n")?;
            out.push(header.name, header.value);
        }
        self.eat(b"\r\n")?;
        self.rest.is_empty().then_some(())
    }
}
