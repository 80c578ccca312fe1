//! Where recordings are read from: a folder of cassettes, or whatever else holds sessions, such as
//! the tapes that a killed recorder left in a folder that can't be written.

mod folder;
mod tapes;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::cassette::{Cassette, EndpointNote, ReadError};
use crate::causes;
use crate::exchange::Digest;
use crate::replay::shelf::Shelf;
pub use folder::Folder;
pub use tapes::{Left, Tapes};

pub type BoxError = Box<dyn Error + Send + Sync>;

/// Holds sessions. Every method may block on the disk.
pub trait Source: Send + Sync + 'static {
    /// A session's recordings; none when it has none.
    fn load(&self, session: &str) -> Result<Option<Loaded>, LoadError>;

    /// Does ahead what would keep the first to ask for a session waiting for long.
    fn prepare(&self) {}

    /// What a fault in this session's recordings is reported against.
    fn path(&self, session: &str) -> PathBuf;

    /// The endpoints that all recordings together name, reading as little as that takes.
    fn endpoints(&self) -> Endpoints;

    /// Everything that is wrong with any of the recordings, an error for each fault. Reads all of
    /// them.
    fn faults(&self) -> Vec<LoadError>;

    /// The file that holds the body of that digest, if any does.
    fn body_path(&self, digest: &Digest) -> PathBuf;
}

/// A session's recordings.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All that are in memory.
    pub cassette: Cassette,
    /// Where the others are.
    pub shelf: Option<Shelf>,
}

impl From<Cassette> for Loaded {
    fn from(cassette: Cassette) -> Loaded {
        Loaded { cassette, shelf: None }
    }
}

/// A recording that is there and can't be used.
#[derive(Debug, thiserror::Error)]
#[error("could not open the cassette `{}`", path.display())]
pub struct LoadError {
    pub path: PathBuf,
    #[source]
    pub cause: BoxError,
    /// What to do about it.
    pub hint: Option<String>,
}

impl LoadError {
    pub fn new(path: impl Into<PathBuf>, cause: impl Into<BoxError>) -> LoadError {
        LoadError { path: path.into(), cause: cause.into(), hint: None }
    }

    /// The error and all its causes, on one line.
    pub fn line(&self) -> String {
        causes::line(self)
    }
}

impl From<ReadError> for LoadError {
    fn from(error: ReadError) -> LoadError {
        let hint = error.hint();
        match error {
            ReadError::Unreadable { path, source } => LoadError::new(path, source),
            ReadError::Faulty { path, first, .. } => {
                LoadError { hint, ..LoadError::new(path, first) }
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no recording folder `{}`", .0.display())]
    Missing(PathBuf),
    #[error("the recording folder `{}` can't be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OpenError::Missing(_) => Some(
                "record something first with `ouli record ORIGIN`, or say where recordings are \
                 with `--recording-dir DIR`",
            ),
            OpenError::Unreadable(..) => None,
        }
    }
}

/// What the recordings say about where they were made.
#[derive(Debug, Default)]
pub struct Endpoints {
    /// Names distinct; of two notes that disagree, the first cassette's in the order of paths.
    pub notes: Vec<EndpointNote>,
    pub conflicts: Vec<Conflict>,
    /// Cassettes whose endpoints couldn't be read.
    pub unreadable: Vec<LoadError>,
    /// Which cassette each of `notes` is from.
    from: Vec<PathBuf>,
}

/// Two cassettes disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub kind: ConflictKind,
    pub kept: EndpointNote,
    pub kept_from: PathBuf,
    pub other: EndpointNote,
    pub other_from: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// One endpoint, recorded at two addresses: the first is as good as the other.
    Listen,
    /// One name for two origins, or for two kinds of listener.
    Name,
    /// Two endpoints at one address: only one of them can be served there.
    Address,
}

impl Endpoints {
    /// Adds what one cassette names.
    pub fn add(&mut self, path: &Path, notes: impl IntoIterator<Item = EndpointNote>) {
        for other in notes {
            if self.notes.contains(&other) {
                continue;
            }
            let clash =
                self.notes.iter().enumerate().find_map(|(n, kept)| {
                    ConflictKind::between(kept, &other).map(|kind| (n, kind))
                });
            let Some((n, kind)) = clash else {
                self.notes.push(other);
                self.from.push(path.to_owned());
                continue;
            };
            self.conflicts.push(Conflict {
                kind,
                kept: self.notes[n].clone(),
                kept_from: self.from[n].clone(),
                other,
                other_from: path.to_owned(),
            });
        }
    }

    /// Adds what a cassette names that answers for nobody but who asks for it by its own name:
    /// where it disagrees with the others it doesn't count.
    fn add_aside(&mut self, path: &Path, notes: impl IntoIterator<Item = EndpointNote>) {
        for note in notes {
            let agrees =
                |kept: &EndpointNote| *kept != note && ConflictKind::between(kept, &note).is_none();
            if self.notes.iter().all(agrees) {
                self.notes.push(note);
                self.from.push(path.to_owned());
            }
        }
    }
}

/// `` `api` stands for http://a:80 in `one.json` and for http://b:80 in `two.json` ``
impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { kind, kept, kept_from, other, other_from } = self;
        let (kept_from, other_from) = (kept_from.display(), other_from.display());
        match kind {
            ConflictKind::Listen => write!(
                f,
                "`{}` listens on {} in `{kept_from}` and on {} in `{other_from}`",
                kept.name, kept.listen, other.listen
            ),
            ConflictKind::Name if kept.origin == other.origin => write!(
                f,
                "`{}` takes {} in `{kept_from}` and {} in `{other_from}`",
                kept.name,
                kept.source_type.as_str(),
                other.source_type.as_str()
            ),
            ConflictKind::Name => write!(
                f,
                "`{}` stands for {} in `{kept_from}` and for {} in `{other_from}`",
                kept.name, kept.origin, other.origin
            ),
            ConflictKind::Address => write!(
                f,
                "`{}` in `{kept_from}` and `{}` in `{other_from}` both listen on {}",
                kept.name, other.name, kept.listen
            ),
        }
    }
}

impl ConflictKind {
    fn between(kept: &EndpointNote, other: &EndpointNote) -> Option<ConflictKind> {
        let stands_for = |note: &EndpointNote| (note.origin.clone(), note.source_type);
        match (kept.name == other.name, kept.listen == other.listen) {
            (true, _) if stands_for(kept) == stands_for(other) => Some(ConflictKind::Listen),
            (true, _) => Some(ConflictKind::Name),
            (false, true) => Some(ConflictKind::Address),
            (false, false) => None,
        }
    }
}
