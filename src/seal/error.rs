//! Why a run can't be sealed.

use std::io;
use std::path::PathBuf;

use crate::cassette::WriteError;
use crate::tape::{DiskError, ReadError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Tape(#[from] ReadError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("could not write the cassette of the session `{session}`")]
    Cassette { session: String, source: WriteError },
    /// Nobody writes such a name but a tape from elsewhere.
    #[error("a tape holds a session that can't be a cassette's name: {0:?}")]
    SessionName(String),
    #[error("the manifest `{}` can't be understood", .0.display())]
    Manifest(PathBuf),
    #[error("could not read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("could not lock the runs in `{}`", path.display())]
    Lock { path: PathBuf, source: io::Error },
}
