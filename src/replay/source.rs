//! Where recordings are read from: a folder of cassettes, or whatever else holds sessions, such as
//! the tapes that a killed recorder left in a folder that can't be written.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cassette::{self, Bodies, Cassette, EndpointNote, ReadError};
use crate::exchange::Digest;
use crate::session;

pub type BoxError = Box<dyn Error + Send + Sync>;

/// Holds sessions. Every method may block on the disk.
pub trait Source: Send + Sync + 'static {
    /// A session's recordings; none when it has none.
    fn load(&self, session: &str) -> Result<Option<Cassette>, LoadError>;

    /// What a fault in this session's recordings is reported against.
    fn path(&self, session: &str) -> PathBuf;

    /// The endpoints that all recordings together name, reading as little as that takes.
    fn endpoints(&self) -> Endpoints;

    /// The file that holds the body of that digest, if any does.
    fn body_path(&self, digest: &Digest) -> PathBuf;
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

/// A folder of cassettes.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    bodies: Bodies,
}

impl Folder {
    /// Errors: it isn't there, or can't be listed.
    pub fn open(dir: &Path) -> Result<Folder, OpenError> {
        match fs::read_dir(dir) {
            Ok(_) => Ok(Folder { dir: dir.to_owned(), bodies: Bodies::new(dir) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(OpenError::Missing(dir.to_owned()))
            }
            Err(error) => Err(OpenError::Unreadable(dir.to_owned(), error)),
        }
    }

    /// The sessions that have a cassette, in the order of their paths, and what of the folder
    /// couldn't be listed. Links to folders aren't followed: they can lead in circles.
    pub fn sessions(&self) -> (Vec<String>, Vec<LoadError>) {
        let (mut sessions, mut unreadable) = (Vec::new(), Vec::new());
        let mut folders = vec![self.dir.clone()];
        while let Some(folder) = folders.pop() {
            let listed = fs::read_dir(&folder).and_then(|entries| {
                entries.map(|entry| entry.and_then(|e| Ok((e.path(), e.file_type()?)))).collect()
            });
            let entries: Vec<(PathBuf, fs::FileType)> = match listed {
                Ok(entries) => entries,
                Err(error) => {
                    unreadable.push(LoadError::new(folder, error));
                    continue;
                }
            };
            for (path, file_type) in entries {
                let Ok(relative) = path.strip_prefix(&self.dir) else { continue };
                if file_type.is_dir() {
                    let holds_sessions =
                        relative.to_str().is_some_and(|r| session::check(r).is_ok());
                    folders.extend(holds_sessions.then_some(path));
                } else if let Some(name) = session::of_cassette(relative) {
                    sessions.push(name.to_owned());
                }
            }
        }
        sessions.sort();
        (sessions, unreadable)
    }
}

impl Source for Folder {
    fn load(&self, session: &str) -> Result<Option<Cassette>, LoadError> {
        let recovered = session::recovered_path(&self.dir, session);
        if recovered.exists() {
            tracing::warn!(
                session,
                recovered = %recovered.display(),
                "a killed recorder left more of this session; it is kept beside its cassette, and \
                 not replayed"
            );
        }
        match cassette::read(&self.path(session)) {
            Ok(cassette) => Ok(Some(cassette)),
            Err(ReadError::Unreadable { source, .. }) if is_absent(&source) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn path(&self, session: &str) -> PathBuf {
        session::cassette_path(&self.dir, session)
    }

    fn endpoints(&self) -> Endpoints {
        let mut endpoints = Endpoints::default();
        let (sessions, unreadable) = self.sessions();
        endpoints.unreadable = unreadable;
        for session in sessions {
            let path = self.path(&session);
            match cassette::read_endpoints(&path) {
                Ok(notes) => endpoints.add(&path, notes),
                Err(error) => endpoints.unreadable.push(error.into()),
            }
        }
        endpoints
    }

    fn body_path(&self, digest: &Digest) -> PathBuf {
        self.bodies.path_of(*digest)
    }
}

/// No such file, or a file where the name has a folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
