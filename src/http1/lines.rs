//! Finding line ends in a growing input, each byte looked at once.
//!
//! Works on what is new since the last call and remembers one thing across calls: whether the
//! last byte was a carriage return. So the lines, and what is refused, don't depend on how the
//! input was cut.

use memchr::memchr3;

use super::{Refusal, grammar};

#[derive(Clone, Debug, Default)]
pub(super) struct LineScanner {
    /// Bytes looked at so far.
    seen: usize,
    /// Where the line begins that `seen` stands in. <= seen.
    line_start: usize,
    after_cr: bool,
}

impl LineScanner {
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    pub(super) fn line_start(&self) -> usize {
        self.line_start
    }

    pub(super) fn is_at_line_start(&self) -> bool {
        self.seen == self.line_start
    }

    /// Looks for the next line end in `fresh`, the input from `seen` onwards. Returns the
    /// position after the line's CR LF.
    ///
    /// # Errors
    /// A bare LF, a bare CR or a NUL, as soon as it is seen (RFC 9112 section 2.2).
    pub(super) fn next_end(&mut self, fresh: &[u8]) -> Result<Option<usize>, Refusal> {
        if self.after_cr {
            return self.end_after_cr(fresh.first().copied());
        }
        let Some(found) = memchr3(b'\r', b'\n', 0, fresh) else {
            self.seen += fresh.len();
            return Ok(None);
        };
        let at = self.seen + found;
        match fresh.get(found) {
            Some(b'\r') => {
                self.seen = at + 1;
                self.after_cr = true;
                self.end_after_cr(fresh.get(found + 1).copied())
            }
            Some(b'\n') => Err(Refusal::BareLineFeed { at }),
            _ => Err(Refusal::Nul { at }),
        }
    }

    fn end_after_cr(&mut self, next: Option<u8>) -> Result<Option<usize>, Refusal> {
        match next {
            None => Ok(None),
            Some(b'\n') => {
                self.after_cr = false;
                self.seen += 1;
                self.line_start = self.seen;
                Ok(Some(self.seen))
            }
            Some(_) => Err(Refusal::BareCarriageReturn { at: self.seen - 1 }),
        }
    }
}

/// Scans a section of field lines up to the empty line that ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct SectionScanner {
    pub(super) lines: LineScanner,
    fields: usize,
}

/// A section that is over, or one more field line.
pub(super) enum SectionEnd {
    At(usize),
    TooManyFields,
}

impl SectionScanner {
    /// Looks for the end of the section in `fresh`, the input from `lines.seen()` onwards.
    ///
    /// # Errors
    /// What a line scanner refuses, and folded lines (RFC 9112 section 5.2).
    pub(super) fn next_end(
        &mut self,
        mut fresh: &[u8],
        fields_max: usize,
    ) -> Result<Option<SectionEnd>, Refusal> {
        loop {
            let start = self.lines.line_start();
            if self.lines.is_at_line_start() && fresh.first().is_some_and(|&b| grammar::is_blank(b))
            {
                return Err(Refusal::ObsFold { at: start });
            }
            let seen = self.lines.seen();
            let Some(end) = self.lines.next_end(fresh)? else { return Ok(None) };
            if end - start == 2 {
                return Ok(Some(SectionEnd::At(end)));
            }
            self.fields += 1;
            if self.fields > fields_max {
                return Ok(Some(SectionEnd::TooManyFields));
            }
            fresh = fresh.get(end - seen..).unwrap_or_default();
        }
    }
}
