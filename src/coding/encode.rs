//! Putting a coding on: one shape over four libraries.
//!
//! Levels are chosen for the cost of a replay, not for size: nobody pays for the bytes.

use std::io::{self, Write};

use brotli::CompressorWriter;
use flate2::{Compress, Compression, FlushCompress, Status};
use thiserror::Error;
use zstd::stream::raw::{Operation, OutBuffer};

use super::STEP_BYTES;
use crate::exchange::Coding;

/// zlib's own default is 6; 4 is twice as fast and a few per cent larger.
const DEFLATE_LEVEL: u32 = 4;
const DEFLATE_WINDOW_BITS: u8 = 15;
/// What servers use for answers made on the fly; 11, the library's default, is for files.
const BROTLI_QUALITY: u32 = 4;
/// 512 KiB. An encoder allocates its window, and few kept bodies are larger.
const BROTLI_WINDOW_BITS: u32 = 19;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

#[derive(Debug, Error)]
#[error("could not put {coding} on a body", coding = .coding.name())]
pub struct EncodeError {
    coding: Coding,
    source: io::Error,
}

/// Puts one coding on a stream of bytes that comes in any pieces.
pub struct Encoder {
    coding: Coding,
    inner: Inner,
}

enum Inner {
    Deflate(Compress),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::raw::Encoder<'static>),
}

impl Encoder {
    /// # Errors
    /// Only when memory for the encoder can't be had.
    pub fn new(coding: Coding) -> Result<Encoder, EncodeError> {
        let inner = Inner::new(coding).map_err(|source| EncodeError { coding, source })?;
        Ok(Encoder { coding, inner })
    }

    /// Takes `plain` in. What is appended may lag behind until a flush.
    ///
    /// # Errors
    /// As `new`.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.inner.push(plain, out).map_err(|source| EncodeError { coding: self.coding, source })
    }

    /// Appends whatever a decoder needs to give out all that was pushed.
    ///
    /// # Errors
    /// As `new`.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.inner.flush(out).map_err(|source| EncodeError { coding: self.coding, source })
    }

    /// Appends the coding's end.
    ///
    /// # Errors
    /// As `new`.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let coding = self.coding;
        self.inner.finish(out).map_err(|source| EncodeError { coding, source })
    }
}

impl Inner {
    fn new(coding: Coding) -> io::Result<Inner> {
        let level = Compression::new(DEFLATE_LEVEL);
        Ok(match coding {
            Coding::Gzip => Inner::Deflate(Compress::new_gzip(level, DEFLATE_WINDOW_BITS)),
            Coding::Deflate => Inner::Deflate(Compress::new(level, true)),
            Coding::Brotli => Inner::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                STEP_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_BITS,
            ))),
            Coding::Zstd => Inner::Zstd(zstd::stream::raw::Encoder::new(ZSTD_LEVEL)?),
        })
    }

    fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Inner::Deflate(inner) => deflate(inner, plain, out, FlushCompress::None),
            Inner::Brotli(inner) => {
                inner.write_all(plain)?;
                out.append(inner.get_mut());
                Ok(())
            }
            Inner::Zstd(inner) => zstd_push(inner, plain, out),
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Inner::Deflate(inner) => deflate(inner, &[], out, FlushCompress::Sync),
            Inner::Brotli(inner) => {
                inner.flush()?;
                out.append(inner.get_mut());
                Ok(())
            }
            Inner::Zstd(inner) => zstd_drain(out, |buffer| inner.flush(buffer)),
        }
    }

    fn finish(self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Inner::Deflate(mut inner) => deflate(&mut inner, &[], out, FlushCompress::Finish),
            Inner::Brotli(inner) => {
                out.append(&mut inner.into_inner());
                Ok(())
            }
            Inner::Zstd(mut inner) => zstd_drain(out, |buffer| inner.finish(buffer, true)),
        }
    }
}

/// Runs until all input is in and, for a flush or the end, all output out.
fn deflate(
    inner: &mut Compress,
    mut plain: &[u8],
    out: &mut Vec<u8>,
    flush: FlushCompress,
) -> io::Result<()> {
    let mut buffer = [0; STEP_BYTES];
    loop {
        let (in_before, out_before) = (inner.total_in(), inner.total_out());
        let status = inner.compress(plain, &mut buffer, flush)?;
        plain = &plain[(inner.total_in() - in_before) as usize..];
        let produced = (inner.total_out() - out_before) as usize;
        out.extend_from_slice(&buffer[..produced]);
        // A buffer that wasn't filled has taken all there was: zlib's rule for a flush.
        if status == Status::StreamEnd || (plain.is_empty() && produced < buffer.len()) {
            return Ok(());
        }
    }
}

fn zstd_push(
    inner: &mut zstd::stream::raw::Encoder<'static>,
    mut plain: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let mut buffer = [0; STEP_BYTES];
    while !plain.is_empty() {
        let status = inner.run_on_buffers(plain, &mut buffer)?;
        out.extend_from_slice(&buffer[..status.bytes_written]);
        plain = &plain[status.bytes_read..];
    }
    Ok(())
}

/// Repeats a flush or an end until the library has nothing left.
fn zstd_drain(
    out: &mut Vec<u8>,
    mut turn: impl FnMut(&mut OutBuffer<'_, [u8]>) -> io::Result<usize>,
) -> io::Result<()> {
    let mut buffer = [0; STEP_BYTES];
    loop {
        let mut space = OutBuffer::around(&mut buffer[..]);
        let left = turn(&mut space)?;
        out.extend_from_slice(space.as_slice());
        if left == 0 {
            return Ok(());
        }
    }
}
