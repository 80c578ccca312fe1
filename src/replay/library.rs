//! All sessions of a recording folder, each loaded when it is first asked for, once, and off the
//! runtime's thread.
//!
//! A session that has no recordings is an empty one, where everything misses. One that can't be
//! read stays so for the run: every request for it learns the same fault.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::session::{Session, Settings};
use super::source::{Endpoints, Folder, Left, LoadError, Loaded, OpenError, Source, Tapes};
use crate::exchange::Digest;
use crate::grpc::Catalog;
use crate::matching::Canonical;

/// Sessions without recordings that are remembered, to count what was missed in them. Their names
/// come from the network, so there must be a bound; those past it are empty all the same.
const EMPTY_COUNT_MAX: usize = 1024;

pub type Outcome = Result<Arc<Session>, Arc<LoadError>>;

pub struct Library {
    source: Arc<dyn Source>,
    settings: Settings,
    sessions: RwLock<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_name: HashMap<Box<str>, Slot>,
    empty_count: usize,
}

enum Slot {
    /// Somebody is loading it.
    Loading(watch::Receiver<Option<Outcome>>),
    Loaded(Outcome),
}

impl Library {
    /// Over a folder of cassettes, and what killed runs left in it that can't be recovered there,
    /// in the order in which they began. Reads no cassette yet.
    ///
    /// Errors: the folder isn't there, or can't be listed.
    pub fn open(
        dir: &Path,
        left: Vec<Left>,
        descriptors: Catalog,
        settings: Settings,
    ) -> Result<Arc<Library>, OpenError> {
        let folder = Folder::open(dir)?.described(descriptors).indexed(settings.clone());
        let source: Arc<dyn Source> = match left.is_empty() {
            true => Arc::new(folder),
            false => Arc::new(Tapes::new(folder, left)),
        };
        Ok(Library::over(source, settings))
    }

    /// Over anything that holds sessions.
    pub fn over(source: Arc<dyn Source>, settings: Settings) -> Arc<Library> {
        Arc::new(Library { source, settings, sessions: RwLock::default() })
    }

    /// Makes for every large cassette what it is replayed from, where that isn't there yet.
    ///
    /// Blocking: for each of them as long as it takes to read it.
    pub fn prepare(&self) {
        self.source.prepare();
    }

    /// The endpoints that the recordings name. Blocking.
    pub fn endpoints(&self) -> Endpoints {
        self.source.endpoints()
    }

    /// Everything that is wrong with any of the recordings. Blocking: reads all of them.
    pub fn all_faults(&self) -> Vec<LoadError> {
        self.source.faults()
    }

    /// The file that holds a large body.
    pub fn body_path(&self, digest: &Digest) -> PathBuf {
        self.source.body_path(digest)
    }

    /// The session, if it has been loaded: the way that costs nothing but a look.
    pub fn loaded(&self, name: &str) -> Option<Outcome> {
        match self.read().by_name.get(name)? {
            Slot::Loaded(outcome) => Some(outcome.clone()),
            Slot::Loading(_) => None,
        }
    }

    /// The session, loaded now if nobody has asked for it before. The name has been checked.
    ///
    /// Cancel safety: a load once begun comes to its end, whoever stops waiting for it.
    ///
    /// Errors: its recordings are there and can't be used.
    pub async fn session(self: &Arc<Self>, name: &str) -> Outcome {
        if let Some(outcome) = self.loaded(name) {
            return outcome;
        }
        let mut loading = match self.start(name) {
            Slot::Loaded(outcome) => return outcome,
            Slot::Loading(loading) => loading,
        };
        match loading.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(self.interrupted(name))),
            Err(_) => Err(self.interrupted(name)),
        }
    }

    /// Every session that has been loaded, in the order of names.
    pub fn opened(&self) -> Vec<Arc<Session>> {
        let mut opened: Vec<_> = self.outcomes().filter_map(Result::ok).collect();
        opened.sort_by(|a, b| a.name().cmp(b.name()));
        opened
    }

    /// Every session that couldn't be loaded, in the order of paths.
    pub fn faults(&self) -> Vec<Arc<LoadError>> {
        let mut faults: Vec<_> = self.outcomes().filter_map(Result::err).collect();
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        faults
    }

    fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let loaded = |slot: &Slot| match slot {
            Slot::Loaded(outcome) => Some(outcome.clone()),
            Slot::Loading(_) => None,
        };
        self.read().by_name.values().filter_map(loaded).collect::<Vec<_>>().into_iter()
    }

    /// Joins the load that is under way, or begins one.
    fn start(self: &Arc<Self>, name: &str) -> Slot {
        let mut sessions = self.write();
        match sessions.by_name.get(name) {
            Some(Slot::Loaded(outcome)) => return Slot::Loaded(outcome.clone()),
            Some(Slot::Loading(loading)) => return Slot::Loading(loading.clone()),
            None => {}
        }
        let (sender, loading) = watch::channel(None);
        sessions.by_name.insert(name.into(), Slot::Loading(loading.clone()));
        drop(sessions);
        let (library, name) = (self.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let outcome = library.load(&name);
            if let Err(error) = &outcome {
                tracing::error!("{}", error.line());
            }
            library.keep(&name, outcome.clone());
            sender.send_replace(Some(outcome));
        });
        Slot::Loading(loading)
    }

    /// Never panics on what a file holds; should it all the same, the session is at fault and not
    /// those who wait for it.
    fn load(&self, name: &str) -> Outcome {
        let load = || {
            let Loaded { cassette, shelf } = self.source.load(name)?.unwrap_or_default();
            let source = self.source.clone();
            let body_path = Arc::new(move |digest: &Digest| source.body_path(digest));
            let descriptors = Some(cassette.descriptors).filter(|all| !all.is_empty());
            let canonical = descriptors.map(|all| Arc::new(all) as Arc<dyn Canonical>);
            Session::build(name, cassette.exchanges, &self.settings, body_path, canonical)
                .map(|session| Arc::new(session.with_shelf(shelf)))
                .map_err(|error| LoadError::new(self.source.path(name), error))
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)) {
            Ok(outcome) => outcome.map_err(Arc::new),
            Err(_) => Err(self.interrupted(name)),
        }
    }

    fn keep(&self, name: &str, outcome: Outcome) {
        let mut sessions = self.write();
        if matches!(&outcome, Ok(session) if session.is_empty()) {
            sessions.empty_count += 1;
            if sessions.empty_count > EMPTY_COUNT_MAX {
                sessions.by_name.remove(name);
                return;
            }
        }
        sessions.by_name.insert(name.into(), Slot::Loaded(outcome));
    }

    fn interrupted(&self, name: &str) -> Arc<LoadError> {
        let cause = "reading it was interrupted by a fault in Ouli";
        Arc::new(LoadError::new(self.source.path(name), cause))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Sessions> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Sessions> {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
