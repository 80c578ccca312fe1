//! A folder of cassettes that can't be written, with the tapes that killed recorders left in it:
//! the sessions that recovery would have made of them are read from the tapes themselves.
//!
//! Invariant: nothing is written, moved or removed.

use std::path::PathBuf;

use super::{Endpoints, Folder, LoadError, Loaded, Source};
use crate::cassette::Cassette;
use crate::exchange::Digest;
use crate::tape::{ReadError, TapeRun, Torn};

/// What one killed run left.
pub struct Left {
    /// The first of its tapes stands for it in what is told.
    path: PathBuf,
    run: TapeRun,
}

impl Left {
    /// Opens the tapes of one run.
    ///
    /// Errors: a tape can't be read, or has another format. A torn one is no error.
    ///
    /// Blocking: reads every tape whole.
    pub fn open(tapes: &[PathBuf]) -> Result<Left, ReadError> {
        let path = tapes.first().cloned().unwrap_or_default();
        Ok(Left { path, run: TapeRun::open(tapes)? })
    }

    /// What at the tapes' ends is no whole record.
    pub fn torn(&self) -> &[Torn] {
        self.run.torn()
    }

    fn holds(&self, session: &str) -> bool {
        self.run.count(session) > 0
    }

    /// The session's exchanges but for those whose bodies are lost, which are told.
    fn cassette(&self, session: &str) -> Result<Cassette, LoadError> {
        let mut exchanges = Vec::with_capacity(self.run.count(session));
        for exchange in self.run.exchanges(session) {
            match exchange {
                Ok(exchange) => exchanges.push(exchange),
                Err(lost @ ReadError::BodyLost { .. }) => {
                    tracing::error!("an exchange of session `{session}` is lost: {lost}");
                }
                Err(error) => return Err(LoadError::new(&self.path, error)),
            }
        }
        Ok(Cassette { endpoints: self.run.endpoints().to_vec(), exchanges, ..Cassette::default() })
    }
}

/// The folder, and what killed runs left in it.
pub struct Tapes {
    folder: Folder,
    /// In the order in which they began.
    left: Vec<Left>,
}

impl Tapes {
    /// `left` in the order in which the runs began.
    pub fn new(folder: Folder, left: Vec<Left>) -> Tapes {
        Tapes { folder, left }
    }

    /// The run that the session is replayed from: as with recovered cassettes the newest, and none
    /// when the session has a cassette of its own.
    fn newest(&self, session: &str) -> Option<&Left> {
        let newest = self.left.iter().rev().find(|left| left.holds(session));
        newest.filter(|_| !self.folder.holds(session))
    }
}

impl Source for Tapes {
    fn load(&self, session: &str) -> Result<Option<Loaded>, LoadError> {
        if let Some(left) = self.newest(session) {
            tracing::warn!(
                "session `{session}` is replayed from the tape {}, which a killed recorder left; \
                 open the folder where it can be written to keep it",
                left.path.display()
            );
            return left.cassette(session).map(|cassette| Some(cassette.into()));
        }
        if self.left.iter().any(|left| left.holds(session)) {
            tracing::warn!(
                "a killed recorder left more of session `{session}` on its tapes: it is not \
                 replayed as long as {} is there",
                self.folder.path(session).display()
            );
        }
        self.folder.load(session)
    }

    fn prepare(&self) {
        self.folder.prepare();
    }

    fn path(&self, session: &str) -> PathBuf {
        self.newest(session).map_or_else(|| self.folder.path(session), |left| left.path.clone())
    }

    fn endpoints(&self) -> Endpoints {
        let mut endpoints = self.folder.endpoints();
        for left in &self.left {
            let notes = left.run.endpoints().iter().cloned();
            match left.run.sessions().any(|session| !self.folder.holds(session)) {
                true => endpoints.add(&left.path, notes),
                false => endpoints.add_aside(&left.path, notes),
            }
        }
        endpoints
    }

    fn faults(&self) -> Vec<LoadError> {
        self.folder.faults()
    }

    fn body_path(&self, digest: &Digest) -> PathBuf {
        let on_tape = self.left.iter().find_map(|left| left.run.body_path(digest));
        on_tape.unwrap_or_else(|| self.folder.body_path(digest))
    }
}
