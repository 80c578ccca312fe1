//! A folder of cassettes, and of the shelves that large ones are replayed from.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::{Endpoints, LoadError, Loaded, OpenError, Source};
use crate::cassette::{self, Bodies, ReadError};
use crate::causes;
use crate::exchange::Digest;
use crate::grpc::Catalog;
use crate::replay::bodies;
use crate::replay::session::Settings;
use crate::replay::shelf::{self, MakeError, Maker, Shelf};
use crate::seal;
use crate::session;

/// A folder of cassettes.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    bodies: Bodies,
    /// By which large cassettes are indexed; none are without.
    indexing: Option<Settings>,
    /// What goes before the descriptor sets that cassettes name.
    descriptors: Catalog,
}

impl Folder {
    /// Errors: it isn't there, or can't be listed.
    pub fn open(dir: &Path) -> Result<Folder, OpenError> {
        match fs::read_dir(dir) {
            Ok(_) => {
                let (bodies, descriptors) = (Bodies::new(dir), Catalog::new());
                Ok(Folder { dir: dir.to_owned(), bodies, indexing: None, descriptors })
            }
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

impl Folder {
    /// Whether the session has a cassette of its own, be it one that can't be read.
    pub(super) fn holds(&self, session: &str) -> bool {
        session::cassette_path(&self.dir, session).exists()
    }

    /// Whether this session is what was recovered of another, and not what that is replayed from.
    fn is_aside(&self, session: &str) -> bool {
        session::of_recovered(session)
            .is_some_and(|(of, _)| self.path(of) != session::cassette_path(&self.dir, session))
    }
}

impl Folder {
    /// Reads the messages of gRPC calls by these where they know the endpoint.
    pub fn described(self, descriptors: Catalog) -> Folder {
        Folder { descriptors, ..self }
    }

    /// Replays large cassettes from shelves.
    pub fn indexed(self, settings: Settings) -> Folder {
        Folder { indexing: Some(settings), ..self }
    }

    /// What is recorded of a session in the cassette at `path`.
    fn read_if_there(&self, session: &str, path: &Path) -> Result<Option<Loaded>, ReadError> {
        if let Some(loaded) = self.open_shelf(session, path) {
            return Ok(Some(loaded));
        }
        match cassette::read(path, &self.bodies, &self.descriptors) {
            Ok(cassette) => Ok(Some(cassette.into())),
            Err(ReadError::Unreadable { source, .. }) if is_absent(&source) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A large session's shelf, made if need be, and what isn't on it. None where the cassette is to
    /// be read whole.
    fn open_shelf(&self, session: &str, cassette: &Path) -> Option<Loaded> {
        let settings = self.indexing.as_ref()?;
        let shelf = shelf::path(&self.dir, session);
        let open = || {
            let metadata = shelf::large(cassette, settings)?;
            Some(Shelf::open(&shelf, &metadata, settings, &self.bodies, &self.descriptors))
        };
        let opened = match open()? {
            Err(error) if is_none_or_damaged(&error) => {
                self.make_shelf(settings, session, cassette).then(open)??
            }
            opened => opened,
        };
        match opened {
            Ok((shelf, cassette)) => Some(Loaded { cassette, shelf: Some(shelf) }),
            Err(error) => {
                let (cassette, shelf) = (cassette.display(), shelf.display());
                tracing::warn!("{cassette} is read into memory whole: its index {shelf}: {error}");
                None
            }
        }
    }

    /// Makes the shelf of a large cassette, or tells why not.
    fn make_shelf(&self, settings: &Settings, session: &str, cassette: &Path) -> bool {
        let to = shelf::path(&self.dir, session);
        let (name, started) = (cassette.display(), Instant::now());
        tracing::info!("{name} is large: it gets an index, once, in {}", to.display());
        let files = self.bodies.clone();
        let bodies = bodies::Bodies {
            path_of: Arc::new(move |digest: &Digest| files.path_of(*digest)),
            bounds: settings.bounds,
            canonical: None,
        };
        let Folder { dir, bodies: files, descriptors, .. } = self;
        let maker = Maker { recording_dir: dir, settings, files, bodies: &bodies, descriptors };
        match maker.make(cassette, &to) {
            Ok(()) => {
                tracing::info!("{name} has its index after {:.1?}", started.elapsed());
                return true;
            }
            // Reading it whole finds a fault in it, and tells that.
            Err(MakeError::Unfit) => {
                tracing::info!("{name} can't be indexed as it is: it is read into memory whole");
            }
            Err(error) => tracing::warn!(
                "{name} is read into memory whole, since it can have no index: {}",
                causes::line(&error)
            ),
        }
        false
    }
}

impl Source for Folder {
    /// From the session's own cassette; where it has none, from what was recovered last of it.
    fn load(&self, session: &str) -> Result<Option<Loaded>, LoadError> {
        let own = session::cassette_path(&self.dir, session);
        let loaded = self.read_if_there(session, &own)?;
        let Some(recovered) = seal::newest_recovered(&self.dir, session) else {
            return Ok(loaded);
        };
        if loaded.is_some() {
            tracing::warn!(
                "a killed recorder left more of session `{session}` in {}: it is not replayed as \
                 long as {} is there",
                recovered.display(),
                own.display()
            );
            return Ok(loaded);
        }
        tracing::warn!(
            "session `{session}` is replayed from {}, which a killed recorder left; rename it to \
             {} to keep it",
            recovered.display(),
            own.display()
        );
        Ok(self.read_if_there(session, &recovered)?)
    }

    fn prepare(&self) {
        let Some(settings) = &self.indexing else { return };
        shelf::sweep(&self.dir, |session| self.path(session).exists());
        // What was recovered of a session is asked for by the session's own name.
        let sessions =
            self.sessions().0.into_iter().map(|name| match session::of_recovered(&name) {
                Some((of, _)) => of.to_owned(),
                None => name,
            });
        for session in sessions.collect::<BTreeSet<_>>() {
            let cassette = self.path(&session);
            let Some(metadata) = shelf::large(&cassette, settings) else { continue };
            if !shelf::is_current(&shelf::path(&self.dir, &session), &metadata, settings) {
                self.make_shelf(settings, &session, &cassette);
            }
        }
    }

    fn path(&self, session: &str) -> PathBuf {
        let own = session::cassette_path(&self.dir, session);
        match own.exists() {
            true => own,
            false => seal::newest_recovered(&self.dir, session).unwrap_or(own),
        }
    }

    fn endpoints(&self) -> Endpoints {
        let mut endpoints = Endpoints::default();
        let (sessions, unreadable) = self.sessions();
        endpoints.unreadable = unreadable;
        let (aside, replayed): (Vec<_>, Vec<_>) =
            sessions.into_iter().partition(|session| self.is_aside(session));
        for (sessions, add) in [
            (replayed, Endpoints::add as fn(&mut Endpoints, &Path, _)),
            (aside, Endpoints::add_aside),
        ] {
            for session in sessions {
                let path = session::cassette_path(&self.dir, &session);
                match cassette::read_endpoints(&path) {
                    Ok(notes) => add(&mut endpoints, &path, notes),
                    Err(error) => endpoints.unreadable.push(error.into()),
                }
            }
        }
        endpoints
    }

    fn faults(&self) -> Vec<LoadError> {
        let (sessions, mut faults) = self.sessions();
        for session in sessions {
            let path = session::cassette_path(&self.dir, &session);
            let findings = cassette::check(&path, &self.dir);
            faults.extend(findings.into_iter().map(|finding| LoadError::new(&path, finding)));
        }
        faults
    }

    fn body_path(&self, digest: &Digest) -> PathBuf {
        self.bodies.path_of(*digest)
    }
}

/// There is no index, or none that can be used: one may be made. (Not for want of a descriptor, or of
/// permission.)
fn is_none_or_damaged(error: &io::Error) -> bool {
    let kind = error.kind();
    is_absent(error) || matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// No such file, or a file where the name has a folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
