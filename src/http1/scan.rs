//! Finding the end of a head while it still arrives, and refusing at the first byte that is wrong.
//!
//! Reads only what decides where the head ends and whether to go on reading: line ends, the start
//! line, sizes. What the lines say is `head`'s affair, once they are all there.

use memchr::memchr;

use super::lines::{SectionEnd, SectionScanner};
use super::{Refusal, diagnose, grammar};

/// What a head or a trailer section may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of a head, from the first one after the previous message to its last CR LF; the same
    /// for a trailer section.
    pub bytes_max: usize,
    /// Field lines of a head; the same for a trailer section.
    pub fields_max: usize,
    /// Bytes of a request target.
    pub target_max: usize,
}

/// Which messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads requests.
    Server,
    /// Reads responses.
    Client,
}

/// Bytes of a method. The longest registered one has 17.
pub const METHOD_MAX: usize = 64;

/// Empty lines skipped before a request line. At least one should be, for clients that end a body
/// with one too many (RFC 9112 section 2.2).
pub const EMPTY_LINES_MAX: usize = 4;

/// Finds the end of a head in a growing buffer, looking at each byte once.
#[derive(Clone, Debug)]
pub struct HeadScanner {
    role: Role,
    section: SectionScanner,
    empty_lines: usize,
    has_start_line: bool,
}

impl HeadScanner {
    pub fn new(role: Role) -> Self {
        HeadScanner {
            role,
            section: SectionScanner::default(),
            empty_lines: 0,
            has_start_line: false,
        }
    }

    /// Ready for the next head.
    pub fn reset(&mut self) {
        *self = HeadScanner::new(self.role);
    }

    /// Bytes looked at so far.
    pub fn seen(&self) -> usize {
        self.section.lines.seen()
    }

    /// Whether a message has begun: empty lines before a request line don't count.
    pub fn has_begun(&self) -> bool {
        self.has_start_line || !self.section.lines.is_at_line_start()
    }

    /// Looks at what has come since the last call. `buffer` begins where the head does, with the
    /// bytes of earlier calls still in front. Returns the bytes of the head once it is complete:
    /// its last CR LF and any skipped empty lines before it included.
    ///
    /// # Errors
    /// What can't become a head any more, whatever follows. The verdict doesn't depend on how
    /// the input was cut; it comes with the first byte that settles it. After it the scanner is
    /// of no use until `reset`.
    pub fn scan(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        while !self.has_start_line {
            let bound = self.start_line_bound(limits);
            let within = buffer.get(..bound).unwrap_or(buffer);
            self.check_first_byte(within)?;
            let start = self.section.lines.line_start();
            let Some(end) = self.section.lines.next_end(fresh(within, self.seen()))? else {
                return self.unfinished(buffer, bound, limits);
            };
            self.end_start_line(buffer.get(start..end - 2).unwrap_or_default(), start, limits)?;
        }
        let within = buffer.get(..limits.bytes_max).unwrap_or(buffer);
        match self.section.next_end(fresh(within, self.seen()), limits.fields_max)? {
            Some(SectionEnd::At(end)) => Ok(Some(end)),
            Some(SectionEnd::TooManyFields) => {
                Err(Refusal::TooManyFields { max: limits.fields_max })
            }
            None => self.unfinished(buffer, limits.bytes_max, limits),
        }
    }

    /// Up to which byte the start line is looked for: a longer one is refused before it ends.
    fn start_line_bound(&self, limits: &HeadLimits) -> usize {
        let line_max = match self.role {
            Role::Server => {
                limits.target_max.saturating_add(METHOD_MAX + " HTTP/1.1\r\n".len() + 1)
            }
            Role::Client => limits.bytes_max,
        };
        self.section.lines.line_start().saturating_add(line_max).min(limits.bytes_max)
    }

    /// Tells other protocols by their first byte: they may never send a line end.
    fn check_first_byte(&self, buffer: &[u8]) -> Result<(), Refusal> {
        if !self.section.lines.is_at_line_start() {
            return Ok(());
        }
        let at = self.seen();
        match (self.role, buffer.get(at)) {
            // What the line scanner says of these is more to the point.
            (_, None | Some(b'\n' | 0)) => Ok(()),
            (Role::Server, Some(b'\r')) | (Role::Client, Some(b'H')) => Ok(()),
            (Role::Client, Some(_)) => Err(Refusal::BadStatusLine),
            (Role::Server, Some(0x16)) => Err(Refusal::TlsHandshake),
            (Role::Server, Some(&byte)) if grammar::is_token_byte(byte) => Ok(()),
            (Role::Server, Some(_)) => Err(Refusal::BadMethod { at }),
        }
    }

    fn end_start_line(
        &mut self,
        line: &[u8],
        at: usize,
        limits: &HeadLimits,
    ) -> Result<(), Refusal> {
        if line.is_empty() && self.role == Role::Server {
            self.empty_lines += 1;
            return if self.empty_lines > EMPTY_LINES_MAX {
                Err(Refusal::EmptyLines { max: EMPTY_LINES_MAX })
            } else {
                Ok(())
            };
        }
        self.has_start_line = true;
        match self.role {
            Role::Server => check_request_line(line, at, limits),
            Role::Client if line.starts_with(b"HTTP/1.") => Ok(()),
            Role::Client => Err(Refusal::BadStatusLine),
        }
    }

    /// No end yet: either more may come, or the limit is reached without one.
    fn unfinished(
        &self,
        buffer: &[u8],
        bound: usize,
        limits: &HeadLimits,
    ) -> Result<Option<usize>, Refusal> {
        if self.seen() < bound {
            return Ok(None);
        }
        if bound >= limits.bytes_max {
            return Err(Refusal::HeadTooLarge { max: limits.bytes_max });
        }
        let line = buffer.get(self.section.lines.line_start()..bound).unwrap_or_default();
        match memchr(b' ', line) {
            Some(method_len) if method_len <= METHOD_MAX => {
                Err(Refusal::TargetTooLong { max: limits.target_max })
            }
            _ => Err(Refusal::MethodTooLong { max: METHOD_MAX }),
        }
    }
}

/// Whether what was refused for its request line isn't HTTP at all: its first line has three words or more and no
/// slash, so neither a target nor a version. An answer would mean nothing to who speaks so; a
/// peer that tries HTTP/2 with a broken preface would take it for frames.
pub(super) fn is_foreign(refused: &[u8]) -> bool {
    let line = refused.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    line.is_some_and(|line| {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        !line.contains(&b'/') && words.count() >= 3
    })
}

fn fresh(buffer: &[u8], seen: usize) -> &[u8] {
    buffer.get(seen..).unwrap_or_default()
}

/// What must be known before the fields are read: that they can come at all (an HTTP/0.9 client
/// waits for its answer after this line), and that the line isn't too long.
fn check_request_line(line: &[u8], at: usize, limits: &HeadLimits) -> Result<(), Refusal> {
    const VERSION_LEN: usize = " HTTP/1.1".len();
    let method_len = memchr(b' ', line).unwrap_or(line.len());
    let target_len = line.len().saturating_sub(method_len + 1 + VERSION_LEN);
    let has_version = line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0");
    if has_version && method_len <= METHOD_MAX && (1..=limits.target_max).contains(&target_len) {
        return Ok(());
    }
    diagnose::request_line(line, at, limits).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_a_slash_are_foreign() {
        for foreign in [
            "INVALID CONNECTION PREFACE\r\n\r\n",
            "\r\nEHLO mail example\r\n",
            "A  B C\r\nx: /\r\n",
        ] {
            assert!(is_foreign(foreign.as_bytes()), "{foreign:?}");
        }
        let others =
            ["GET / http/1.1\r\n", "GET /a b\r\n", "GET x HTTP/1.1\r\n", "A B\r\n", "A\r\n", ""];
        for other in others {
            assert!(!is_foreign(other.as_bytes()), "{other:?}");
        }
    }
}
