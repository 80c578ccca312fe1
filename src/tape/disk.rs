//! The seam between the recorder and the file system.
//!
//! Everything that a recording or a seal changes on disk goes through here, so that tests can make
//! any single operation fail, fall short, or be the last one that a killed process did. Reading
//! and locking don't: they change nothing that has to survive.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Operations that change a recording directory.
pub trait Disk: Send + Sync {
    /// Makes a folder (0700) and those above it that aren't there yet.
    fn create_dirs(&self, path: &Path) -> io::Result<()>;
    /// Makes a file (0600) that wasn't there; writes append.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that is there; writes append.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Takes the place of what `to` was, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file that is open for appending.
pub trait DiskFile: Send {
    /// One write at the end of the file; says how much of it went.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

/// Writes all of it, in as many writes as that takes.
pub(crate) fn write_all(file: &mut dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    write_rest(file, &mut bytes)
}

/// As `write_all`; after an error `bytes` is what has not been written.
pub(super) fn write_rest(file: &mut dyn DiskFile, bytes: &mut &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dirs(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(self, bytes)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Makes `.ouli` with a `.gitignore` of its own: nothing in it is for a repository.
pub(crate) fn make_folder(disk: &dyn Disk, folder: &Path) -> Result<(), DiskError> {
    disk.create_dirs(folder)
        .map_err(|error| DiskError::new("create the folder", folder, Loss::Nothing, error))?;
    let path = folder.join(".gitignore");
    match disk.create_new(&path) {
        Ok(mut file) => write_all(&mut *file, b"*\n")
            .map_err(|error| DiskError::new("write to", &path, Loss::Nothing, error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(DiskError::new("create", &path, Loss::Nothing, error)),
    }
}

/// What a failure on disk means for what was being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing had been handed over yet, or it is still where it was.
    Nothing,
    /// The exchange in flight isn't kept past what was written before.
    Exchange,
}

/// The disk refused: what, where, and whether data is lost.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not {doing} `{}`{}", path.display(), match loss {
    Loss::Nothing => "",
    Loss::Exchange => " (the exchange in flight is not kept; earlier ones are)",
})]
pub struct DiskError {
    /// `write to`, `create`: what stands before the path in a message.
    pub doing: &'static str,
    pub path: PathBuf,
    pub loss: Loss,
    pub source: Arc<io::Error>,
}

impl DiskError {
    pub fn new(doing: &'static str, path: &Path, loss: Loss, source: io::Error) -> Self {
        DiskError { doing, path: path.to_owned(), loss, source: Arc::new(source) }
    }
}
