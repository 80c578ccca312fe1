//! Taking a coding off: one shape over four libraries, with bounded output.
//!
//! A decoder is a small machine over a library's own: it is either inside a member (gzip's word; a
//! frame in zstd, the whole stream in the others) or between two, and only between two may the
//! input end. gzip and zstd content may have several members one after the other (RFC 1952
//! section 2.2, RFC 8878 section 3); after the others nothing may follow.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use thiserror::Error;
use zstd::stream::raw::{DParameter, Operation};

use super::STEP_BYTES;
use crate::exchange::Coding;

/// The largest window, as a power of two. 32 KiB is all that deflate has.
const DEFLATE_WINDOW_BITS: u8 = 15;

/// zstd content may ask its decoder for up to 8 MiB and no more (RFC 9659 section 3).
const ZSTD_WINDOW_BITS: u32 = 23;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("the {coding} data is damaged", coding = .0.name())]
    Damaged(Coding),
    #[error("the {coding} data ends too early", coding = .0.name())]
    Truncated(Coding),
    #[error("something follows the end of the {coding} data", coding = .0.name())]
    Trailing(Coding),
    #[error("the data decodes to more than {out_max} bytes")]
    TooLarge { out_max: u64 },
    #[error("no memory for a {coding} decoder", coding = .0.name())]
    NoMemory(Coding),
}

/// What one `Decoder::step` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are done with. Call again with the rest.
    pub consumed: usize,
    /// The output bound was met: call again, with whatever input is left or none.
    pub more: bool,
}

/// Takes one coding off a stream of bytes that comes in any pieces.
pub struct Decoder {
    coding: Coding,
    inner: Inner,
    place: Place,
    out_max: u64,
    /// Bytes given out so far; at most `out_max` after a step that went well.
    produced: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeFirst,
    Inside,
    /// A member has ended; in gzip and zstd another may follow.
    AfterOne,
}

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

enum Inner {
    Gzip(Decompress),
    Deflate(Decompress),
    Brotli(Box<Brotli>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// One call into a library.
struct Turn {
    consumed: usize,
    produced: usize,
    /// A member ended with the last byte consumed.
    ended: bool,
}

impl Decoder {
    /// `out_max` bounds the decoded bytes of the whole stream.
    ///
    /// # Errors
    /// `NoMemory` where the library says so.
    pub fn new(coding: Coding, out_max: u64) -> Result<Decoder, DecodeError> {
        let inner = Inner::new(coding).ok_or(DecodeError::NoMemory(coding))?;
        Ok(Decoder { coding, inner, place: Place::BeforeFirst, out_max, produced: 0 })
    }

    /// Decodes all of `input` and appends what it makes readable, all that there is of it: nothing
    /// decodable is held back for a later call.
    ///
    /// # Errors
    /// The decoder is of no use after one. What was appended before it is right.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        loop {
            let step = self.step(input, out)?;
            input = &input[step.consumed..];
            if input.is_empty() && !step.more {
                return Ok(());
            }
        }
    }

    /// As `push`, but appends at most `STEP_BYTES`, for those who pass on as they decode.
    ///
    /// # Errors
    /// As `push`.
    pub fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, DecodeError> {
        if self.place != Place::Inside && !self.enter(input)? {
            return Ok(Step { consumed: 0, more: false });
        }
        let start = out.len();
        out.resize(start + STEP_BYTES, 0);
        let turn = self.inner.turn(input, &mut out[start..]);
        out.truncate(start + turn.as_ref().map_or(0, |turn| turn.produced));
        let turn = turn.ok_or(DecodeError::Damaged(self.coding))?;
        if turn.consumed == 0 && turn.produced == 0 && !turn.ended && !input.is_empty() {
            return Err(DecodeError::Damaged(self.coding)); // no way on with input at hand
        }
        self.produced += turn.produced as u64;
        if self.produced > self.out_max {
            return Err(DecodeError::TooLarge { out_max: self.out_max });
        }
        if turn.ended {
            self.place = Place::AfterOne;
        }
        let more = turn.produced == STEP_BYTES && !turn.ended;
        Ok(Step { consumed: turn.consumed, more })
    }

    /// The input has ended.
    ///
    /// # Errors
    /// `Truncated` if the coding hasn't, also when there was no input at all.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.place {
            Place::AfterOne => Ok(()),
            Place::BeforeFirst | Place::Inside => Err(DecodeError::Truncated(self.coding)),
        }
    }

    /// Starts a member if there is input for one.
    fn enter(&mut self, input: &[u8]) -> Result<bool, DecodeError> {
        if input.is_empty() {
            return Ok(false);
        }
        if self.place == Place::AfterOne && !self.inner.start_another() {
            return Err(DecodeError::Trailing(self.coding));
        }
        self.place = Place::Inside;
        Ok(true)
    }
}

impl Inner {
    fn new(coding: Coding) -> Option<Inner> {
        Some(match coding {
            Coding::Gzip => Inner::Gzip(Decompress::new_gzip(DEFLATE_WINDOW_BITS)),
            Coding::Deflate => Inner::Deflate(Decompress::new(true)),
            // Strict: without the large windows that RFC 7932 doesn't know.
            Coding::Brotli => Inner::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().ok()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_BITS)).ok()?;
                Inner::Zstd(decoder)
            }
        })
    }

    /// Whether another member may follow the one that has ended; if so, is ready for it.
    fn start_another(&mut self) -> bool {
        match self {
            Inner::Gzip(inner) => {
                *inner = Decompress::new_gzip(DEFLATE_WINDOW_BITS);
                true
            }
            Inner::Zstd(_) => true, // begins a frame by itself
            Inner::Deflate(_) | Inner::Brotli(_) => false,
        }
    }

    /// `None` when the data is damaged.
    fn turn(&mut self, input: &[u8], out: &mut [u8]) -> Option<Turn> {
        match self {
            Inner::Gzip(inner) | Inner::Deflate(inner) => inflate(inner, input, out),
            Inner::Brotli(state) => unbrotli(state, input, out),
            Inner::Zstd(inner) => {
                let status = inner.run_on_buffers(input, out).ok()?;
                Some(Turn {
                    consumed: status.bytes_read,
                    produced: status.bytes_written,
                    ended: status.remaining == 0,
                })
            }
        }
    }
}

fn inflate(inner: &mut Decompress, input: &[u8], out: &mut [u8]) -> Option<Turn> {
    let (in_before, out_before) = (inner.total_in(), inner.total_out());
    let status = inner.decompress(input, out, FlushDecompress::None).ok()?;
    Some(Turn {
        consumed: (inner.total_in() - in_before) as usize,
        produced: (inner.total_out() - out_before) as usize,
        ended: status == Status::StreamEnd,
    })
}

fn unbrotli(state: &mut Brotli, input: &[u8], out: &mut [u8]) -> Option<Turn> {
    let (mut in_left, mut out_left) = (input.len(), out.len());
    let (mut consumed, mut produced, mut total) = (0, 0, 0);
    let result = BrotliDecompressStream(
        &mut in_left,
        &mut consumed,
        input,
        &mut out_left,
        &mut produced,
        out,
        &mut total,
        state,
    );
    if matches!(result, BrotliResult::ResultFailure) {
        return None;
    }
    Some(Turn { consumed, produced, ended: matches!(result, BrotliResult::ResultSuccess) })
}
