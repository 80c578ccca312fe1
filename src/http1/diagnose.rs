//! The slow, plain reading of a head: what is wrong with it, and where.
//!
//! Runs only on heads that the fast path in `head` didn't take, so it is written to be checked
//! against the RFC line by line. It decides exactly what `head` decides: a property test holds the
//! two against each other.

use memchr::{memchr, memrchr};

use super::Refusal;
use super::grammar::{is_blank, is_field_value_byte, is_host, is_target_byte, is_token_byte};
use super::lines::LineScanner;
use super::scan::{EMPTY_LINES_MAX, HeadLimits, METHOD_MAX};
use super::target::target_form;

/// The lines of a complete section, each with its position.
struct Lines<'a> {
    head: &'a [u8],
    scanner: LineScanner,
}

impl<'a> Lines<'a> {
    fn new(head: &'a [u8]) -> Self {
        Lines { head, scanner: LineScanner::default() }
    }

    /// The next line without its CR LF.
    fn next(&mut self) -> Result<(usize, &'a [u8]), Refusal> {
        let start = self.scanner.line_start();
        let fresh = self.head.get(start..).unwrap_or_default();
        let end = self.scanner.next_end(fresh)?.ok_or(Refusal::Unfinished)?;
        Ok((start, self.head.get(start..end - 2).unwrap_or_default()))
    }
}

pub(super) fn request(head: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
    let mut lines = Lines::new(head);
    let (mut at, mut line) = lines.next()?;
    let mut empty_lines = 0;
    while line.is_empty() {
        empty_lines += 1;
        if empty_lines > EMPTY_LINES_MAX {
            return Err(Refusal::EmptyLines { max: EMPTY_LINES_MAX });
        }
        (at, line) = lines.next()?;
    }
    let needs_host = request_line(line, at, limits)?.ends_with(b"1");
    let mut hosts = 0;
    fields(lines, limits, |name, value| {
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
            if hosts > 1 {
                return Err(Refusal::SecondHost);
            }
            if !is_host(value) {
                return Err(Refusal::BadHost);
            }
        }
        Ok(())
    })?;
    if needs_host && hosts == 0 { Err(Refusal::MissingHost) } else { Ok(()) }
}

pub(super) fn response(head: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
    let mut lines = Lines::new(head);
    let (at, line) = lines.next()?;
    status_line(line, at)?;
    fields(lines, limits, |_, _| Ok(()))
}

/// Trailer fields up to their empty line.
pub(super) fn section(text: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
    fields(Lines::new(text), limits, |_, _| Ok(()))
}

/// Checks `method SP target SP version` (RFC 9112 section 3). Returns the version.
pub(super) fn request_line<'a>(
    line: &'a [u8],
    at: usize,
    limits: &HeadLimits,
) -> Result<&'a [u8], Refusal> {
    if line == b"PRI * HTTP/2.0" {
        return Err(Refusal::Http2Preface);
    }
    let method_len = memchr(b' ', line).unwrap_or(line.len());
    let (method, rest) = line.split_at(method_len);
    if let Some(bad) = method.iter().position(|&byte| !is_token_byte(byte)) {
        return Err(Refusal::BadMethod { at: at + bad });
    }
    let target_at = method_len + 1;
    let Some(rest) = rest.get(1..) else { return Err(Refusal::BadRequestLine) };
    if method.is_empty() {
        return Err(Refusal::BadMethod { at });
    }
    if method_len > METHOD_MAX {
        return Err(Refusal::MethodTooLong { max: METHOD_MAX });
    }
    let Some(target_len) = memrchr(b' ', rest) else { return Err(Refusal::Http09) };
    let (target, version) = rest.split_at(target_len);
    let version = version.get(1..).unwrap_or_default();
    if version != b"HTTP/1.1" && version != b"HTTP/1.0" {
        return Err(if version.starts_with(b"HTTP/") {
            Refusal::BadVersion
        } else {
            Refusal::BadRequestLine
        });
    }
    if target_len > limits.target_max {
        return Err(Refusal::TargetTooLong { max: limits.target_max });
    }
    if let Some(bad) = target.iter().position(|&byte| !is_target_byte(byte)) {
        return Err(Refusal::BadTargetByte { at: at + target_at + bad });
    }
    target_form(text(method), text(target)).map(|_| version)
}

/// ASCII by now: each byte was checked.
fn text(checked: &[u8]) -> &str {
    std::str::from_utf8(checked).unwrap_or_default()
}

/// Checks `version SP status SP reason` (RFC 9112 section 4). The second space may be missing
/// where there is no reason: many origins leave it out.
fn status_line(line: &[u8], at: usize) -> Result<(), Refusal> {
    let Some(rest) = line.strip_prefix(b"HTTP/1.") else { return Err(Refusal::BadStatusLine) };
    let rest = match rest {
        [b'0' | b'1', b' ', rest @ ..] => rest,
        [b'0' | b'1', ..] => return Err(Refusal::BadStatusLine),
        _ => return Err(Refusal::BadVersion),
    };
    let reason = match rest {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', reason @ ..] => reason,
        _ => return Err(Refusal::BadStatus),
    };
    match reason {
        [] => Ok(()),
        [b' ', reason @ ..] => match reason.iter().position(|&byte| !is_field_value_byte(byte)) {
            Some(bad) => Err(Refusal::BadReason { at: at + line.len() - reason.len() + bad }),
            None => Ok(()),
        },
        _ => Err(Refusal::BadStatus),
    }
}

fn fields(
    mut lines: Lines<'_>,
    limits: &HeadLimits,
    mut check: impl FnMut(&[u8], &[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut count = 0;
    loop {
        let (at, line) = lines.next()?;
        if line.is_empty() {
            let is_all = lines.scanner.line_start() == lines.head.len();
            return if is_all { Ok(()) } else { Err(Refusal::PastTheEnd) };
        }
        count += 1;
        if count > limits.fields_max {
            return Err(Refusal::TooManyFields { max: limits.fields_max });
        }
        let (name, value) = field_line(line, at)?;
        check(name, value)?;
    }
}

/// Splits `name ":" OWS value OWS` (RFC 9112 section 5).
fn field_line(line: &[u8], at: usize) -> Result<(&[u8], &[u8]), Refusal> {
    if line.first().is_some_and(|&byte| is_blank(byte)) {
        return Err(Refusal::ObsFold { at });
    }
    let Some(colon) = memchr(b':', line) else { return Err(Refusal::MissingColon { at }) };
    let (name, value) = line.split_at(colon);
    if name.is_empty() {
        return Err(Refusal::BadFieldName { at });
    }
    if let Some(bad) = name.iter().position(|&byte| !is_token_byte(byte)) {
        let is_space = name.iter().skip(bad).all(|&byte| is_blank(byte));
        let at = at + bad;
        return Err(if is_space {
            Refusal::SpaceBeforeColon { at }
        } else {
            Refusal::BadFieldName { at }
        });
    }
    if let Some(bad) = value.iter().position(|&byte| !is_field_value_byte(byte)) {
        return Err(Refusal::BadFieldValue { at: at + colon + bad });
    }
    Ok((name, trim(value.get(1..).unwrap_or_default())))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_blank(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_blank(*last)
    {
        value = rest;
    }
    value
}
