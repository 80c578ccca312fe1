//! The end of a tape that is being written.
//!
//! Owns the file of one runtime. After every call the file ends with a whole record, or the tape
//! is closed for good; a record that didn't fit is cut back, never left to be taken for one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskError, DiskFile, Loss, write_rest};
use super::format::{Frame, Header, encode};
use crate::exchange::Seq;

/// A range of bytes on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub len: u64,
}

impl Extent {
    /// Adds `next` to `extents`; neighbours become one.
    pub(crate) fn append(extents: &mut Vec<Extent>, next: Extent) {
        match extents.last_mut() {
            Some(last) if last.offset + last.len == next.offset => last.len += next.len,
            _ => extents.push(next),
        }
    }
}

pub struct Writer {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Bytes of whole records in the file.
    len: u64,
    /// Whether the file may end in something that is no record.
    closed: bool,
}

impl Writer {
    /// Makes the tape and writes its header.
    pub fn create(disk: &dyn Disk, path: &Path, header: &Header) -> Result<Writer, DiskError> {
        let file = disk
            .create_new(path)
            .map_err(|error| DiskError::new("create", path, Loss::Nothing, error))?;
        let mut writer = Writer { file, path: path.to_owned(), len: 0, closed: false };
        let mut frame = Vec::new();
        encode(&mut frame, Seq(0), &Frame::Tape(Cow::Borrowed(header)));
        writer.append(&frame)?;
        Ok(writer)
    }

    /// Goes on with a dead run's tape, whose first `len` bytes are whole records. What is behind
    /// them is cut off.
    pub(crate) fn reopen(disk: &dyn Disk, path: &Path, len: u64) -> Result<Writer, DiskError> {
        let cut = disk.open_append(path).and_then(|mut file| {
            file.set_len(len)?;
            Ok(file)
        });
        let file = cut.map_err(|error| DiskError::new("open", path, Loss::Nothing, error))?;
        Ok(Writer { file, path: path.to_owned(), len, closed: false })
    }

    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.file.sync().map_err(|error| DiskError::new("sync", &self.path, Loss::Nothing, error))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands whole frames to the kernel: one write, unless that falls short.
    ///
    /// Errors: nothing of `frames` is on the tape then.
    pub fn append(&mut self, frames: &[u8]) -> Result<Extent, DiskError> {
        let extent = Extent { offset: self.len, len: frames.len() as u64 };
        self.append_parts(frames, &[frames.len()]).map_err(|(_, error)| error)?;
        Ok(extent)
    }

    /// As `append`, of several parts, whose ends are given.
    ///
    /// Errors: with so many bytes of `frames` on the tape, the parts that went there whole.
    pub(super) fn append_parts(
        &mut self,
        frames: &[u8],
        ends: &[usize],
    ) -> Result<(), (usize, DiskError)> {
        if self.closed {
            let error = std::io::Error::other("the tape was closed by an earlier fault");
            return Err((0, self.error(error)));
        }
        let mut rest = frames;
        let written = write_rest(&mut *self.file, &mut rest);
        let went = frames.len() - rest.len();
        let whole = ends.iter().rev().find(|end| **end <= went).map_or(0, |end| *end);
        self.len += whole as u64;
        written.map_err(|error| {
            self.closed = self.file.set_len(self.len).is_err();
            (whole, self.error(error))
        })
    }

    /// Bytes of whole records in the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends what stands in `extents` to `out`.
    pub fn read_back(&self, extents: &[Extent], out: &mut Vec<u8>) -> Result<(), DiskError> {
        for extent in extents {
            let start = out.len();
            out.resize(start + extent.len as usize, 0);
            self.file
                .read_exact_at(&mut out[start..], extent.offset)
                .map_err(|error| DiskError::new("read", &self.path, Loss::Exchange, error))?;
        }
        Ok(())
    }

    fn error(&self, error: std::io::Error) -> DiskError {
        DiskError::new("write to", &self.path, Loss::Exchange, error)
    }
}
