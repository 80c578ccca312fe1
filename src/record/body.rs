//! Where one side's body goes: to the tape, to a file of its own, or nowhere.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::exchange::Digest;
use crate::grpc::{Event, PREFIX_BYTES, Splitter};
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
    /// Where its messages are, if it is a gRPC call's.
    messages: Option<Splitter>,
    pub(super) store: Store,
}

/// How large a body is going to be at least. Bytes.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) body: u64,
    /// What `max_kept_body` is about: of a gRPC call its largest message, else the body.
    pub(super) largest: u64,
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
        Kept { len: 0, expected: 0, messages: None, store: Store::Tape }
    }

    /// The body is a run of gRPC messages.
    pub(super) fn expect_messages(&mut self) {
        self.messages = Some(Splitter::new());
    }

    /// No more of it comes.
    pub(super) fn close(&mut self) {
        if matches!(self.store, Store::Tape) {
            self.store = Store::Done(None);
        }
    }

    /// Whether it may still have to be read back, to go to a file.
    pub(super) fn is_on_tape(&self) -> bool {
        matches!(self.store, Store::Tape)
    }

    /// Takes note of `bytes`, which have come, and says what is known of the body then.
    pub(super) fn grow(&mut self, bytes: &[u8]) -> Size {
        self.len = self.len.saturating_add(bytes.len() as u64);
        let body = self.expected.max(self.len);
        let Some(messages) = &mut self.messages else { return Size { body, largest: body } };
        let announced = messages.events(bytes).filter_map(|event| match event {
            Event::Began { len, .. } => Some(u64::from(len)),
            _ => None,
        });
        let announced = announced.max().unwrap_or(0);
        // What is no message is held against the same limit.
        let open = self.len.saturating_sub(messages.whole_bytes() + PREFIX_BYTES as u64);
        Size { body, largest: announced.max(open) }
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
