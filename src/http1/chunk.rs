//! The chunked transfer coding (RFC 9112 section 7.1), read byte by byte outside of chunk data.
//!
//! Strict where parsers are known to differ: CR LF alone ends a line, nothing but `;` (with white
//! space before it) follows a size, a chunk's data ends where its size says. Extensions are
//! dropped unread (section 7.1.1 lets them be ignored), but hold no control character and are
//! bounded for the whole body, so that a byte of data can't cost pages of extension.
//!
//! Trailer fields are kept apart from the head's (RFC 9110 section 6.5.1). Content-Length,
//! Transfer-Encoding and Host among them are refused rather than dropped: nobody sends them
//! there for a good reason, and a recipient that merges trailers would be led astray. All others
//! are kept, because a recorder keeps what came.

use super::framing::LENGTH_MAX;
use super::grammar::is_blank;
use super::lines::{SectionEnd, SectionScanner};
use super::scan::HeadLimits;
use super::{Refusal, grammar, head};
use crate::exchange::Fields;

/// Bytes of all chunk extensions of a body together, and the digits of one size apart. hyper and
/// Node draw the same line.
const EXTENSIONS_MAX: usize = 16 << 10;

/// Digits of a size, leading zeros included.
const DIGITS_MAX: u8 = 16;

#[derive(Clone, Debug)]
pub(super) struct ChunkedDecoder {
    state: State,
    /// The size whose line is being read; then the bytes of data that are still to come.
    left: u64,
    extension_bytes: usize,
    limits: HeadLimits,
    trailers: Option<Box<TrailerSection>>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size {
        digits: u8,
    },
    /// White space after the size, which only an extension may follow.
    Blank,
    Extension,
    SizeLineFeed,
    Data,
    DataCarriageReturn,
    DataLineFeed,
    TrailerStart,
    /// Of the empty line right after the last chunk.
    LastLineFeed,
    Trailers,
}

/// Only a body that has trailers pays for them.
#[derive(Clone, Debug, Default)]
struct TrailerSection {
    text: Vec<u8>,
    scanner: SectionScanner,
}

pub(super) enum ChunkEvent {
    NeedMore,
    /// The last that many bytes consumed are data.
    Data(usize),
    /// The trailers are filled.
    End,
}

impl ChunkedDecoder {
    pub(super) fn new(limits: &HeadLimits) -> Self {
        ChunkedDecoder {
            state: State::Size { digits: 0 },
            left: 0,
            extension_bytes: 0,
            limits: *limits,
            trailers: None,
        }
    }

    /// Returns the bytes consumed and what came of them.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        trailers: &mut Fields,
    ) -> Result<(usize, ChunkEvent), Refusal> {
        let mut consumed = 0;
        while let Some((&byte, _)) = input.get(consumed..).and_then(<[u8]>::split_first) {
            match self.state {
                State::Data => {
                    let len = (input.len() - consumed)
                        .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.state = State::DataCarriageReturn;
                    }
                    return Ok((consumed + len, ChunkEvent::Data(len)));
                }
                State::Trailers => {
                    let fresh = input.get(consumed..).unwrap_or_default();
                    let (len, is_end) = self.read_trailers(fresh, trailers)?;
                    let event = if is_end { ChunkEvent::End } else { ChunkEvent::NeedMore };
                    return Ok((consumed + len, event));
                }
                State::TrailerStart if byte != b'\r' => self.state = State::Trailers,
                State::LastLineFeed => {
                    return match byte {
                        b'\n' => Ok((consumed + 1, ChunkEvent::End)),
                        _ => Err(Refusal::BareCarriageReturn { at: 0 }),
                    };
                }
                _ => {
                    self.state = self.next_state(byte)?;
                    consumed += 1;
                }
            }
        }
        Ok((consumed, ChunkEvent::NeedMore))
    }

    /// The state after one byte outside of data and trailers.
    fn next_state(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() => {
                self.push_digit(digits, byte)
            }
            (State::Size { digits: 0 }, _) => Err(Refusal::BadChunkSize),
            (State::Size { .. } | State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Size { .. } | State::Blank, b';') => self.count_extension(State::Extension),
            (State::Size { .. } | State::Blank, _) if is_blank(byte) => {
                self.count_extension(State::Blank)
            }
            (State::Size { .. } | State::Blank | State::Extension, b'\n')
            | (State::Blank, b'\r') => Err(Refusal::BadChunkLineEnd),
            (State::Size { .. } | State::Blank, _) => Err(Refusal::BadChunkSize),
            (State::Extension, _) if grammar::is_field_value_byte(byte) => {
                self.count_extension(State::Extension)
            }
            (State::Extension, _) => Err(Refusal::BadChunkExtension),
            (State::SizeLineFeed, b'\n') if self.left == 0 => Ok(State::TrailerStart),
            (State::SizeLineFeed, b'\n') => Ok(State::Data),
            (State::SizeLineFeed, _) => Err(Refusal::BadChunkLineEnd),
            (State::DataCarriageReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size { digits: 0 }),
            (State::DataCarriageReturn | State::DataLineFeed, _) => Err(Refusal::BadChunkEnd),
            (State::TrailerStart, _) => Ok(State::LastLineFeed),
            (State::Data | State::Trailers | State::LastLineFeed, _) => Ok(self.state),
        }
    }

    fn push_digit(&mut self, digits: u8, digit: u8) -> Result<State, Refusal> {
        let value = char::from(digit).to_digit(16).unwrap_or_default();
        if digits == 0 {
            self.left = 0;
        }
        if digits == DIGITS_MAX || self.left > LENGTH_MAX >> 4 {
            return Err(Refusal::ChunkTooLarge);
        }
        self.left = self.left << 4 | u64::from(value);
        Ok(State::Size { digits: digits + 1 })
    }

    fn count_extension(&mut self, next: State) -> Result<State, Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSIONS_MAX {
            return Err(Refusal::ChunkExtensionsTooLarge { max: EXTENSIONS_MAX });
        }
        Ok(next)
    }

    /// Keeps the trailer section's bytes until it is whole, then parses it. Returns the bytes
    /// taken, and whether that was all.
    fn read_trailers(&mut self, fresh: &[u8], out: &mut Fields) -> Result<(usize, bool), Refusal> {
        let limits = &self.limits;
        let section = self.trailers.get_or_insert_default();
        let room = limits.bytes_max.saturating_sub(section.text.len());
        let within = fresh.get(..room).unwrap_or(fresh);
        match section.scanner.next_end(within, limits.fields_max)? {
            Some(SectionEnd::TooManyFields) => {
                Err(Refusal::TooManyTrailers { max: limits.fields_max })
            }
            Some(SectionEnd::At(end)) => {
                let len = end - section.text.len();
                section.text.extend_from_slice(fresh.get(..len).unwrap_or_default());
                head::parse_trailers(&section.text, limits, out)?;
                if out.iter().any(|field| is_forbidden_trailer(field.name)) {
                    return Err(Refusal::ForbiddenTrailer);
                }
                Ok((len, true))
            }
            None if section.scanner.lines.seen() >= limits.bytes_max => {
                Err(Refusal::TrailersTooLarge { max: limits.bytes_max })
            }
            None => {
                section.text.extend_from_slice(fresh);
                Ok((fresh.len(), false))
            }
        }
    }
}

/// Fields by which a message is framed or routed, which a trailer section never has
/// (RFC 9110 section 6.5.1).
pub(super) fn is_forbidden_trailer(name: &[u8]) -> bool {
    ["content-length", "transfer-encoding", "host"]
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes()))
}
