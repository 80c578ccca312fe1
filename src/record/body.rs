//! Where one side's body goes: to the tape, to a file of its own, or nowhere.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::exchange::Digest;
use crate::tape::disk::write_all;
use crate::tape::{Disk, DiskError, DiskFile, Loss, Side};

/// A body that was passed on and not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Omitted {
    pub side: Side,
    /// Bytes.
    pub len: u64,
    pub digest: Digest,
}

/// One side's body so far.
pub(super) struct Kept {
    /// Bytes that came.
    pub(super) len: u64,
    /// Bytes that were announced; 0 when nothing was.
    pub(super) expected: u64,
    pub(super) store: Store,
}

pub(super) enum Store {
    /// In data frames.
    Tape,
    File(Box<BodyFile>),
    /// Nowhere; only the digest goes on.
    Passing(Box<Sha256>),
    /// Over.
    Done(Option<Omitted>),
}

impl Kept {
    pub(super) fn new() -> Self {
        Kept { len: 0, expected: 0, store: Store::Tape }
    }

    /// What the body will be at least, once `more` has come.
    pub(super) fn len_with(&self, more: usize) -> u64 {
        self.expected.max(self.len.saturating_add(more as u64))
    }

    pub(super) fn omitted(&self) -> Option<Omitted> {
        match self.store {
            Store::Done(omitted) => omitted,
            _ => None,
        }
    }
}

/// A body on its way to a file of its own.
pub(super) struct BodyFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    hasher: Sha256,
}

impl BodyFile {
    pub(super) fn create(disk: &dyn Disk, path: PathBuf) -> Result<Self, DiskError> {
        let file = disk
            .create_new(&path)
            .map_err(|error| DiskError::new("create", &path, Loss::Exchange, error))?;
        Ok(BodyFile { file, path, hasher: Sha256::new() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        write_all(&mut *self.file, bytes)
            .map_err(|error| DiskError::new("write to", &self.path, Loss::Exchange, error))?;
        self.hasher.update(bytes);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file.
    pub(super) fn into_parts(self) -> (Sha256, PathBuf) {
        (self.hasher, self.path)
    }
}
