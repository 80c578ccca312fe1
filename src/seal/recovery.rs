//! Finishing what killed runs left, when a recording directory is opened.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::site::Site;
use super::stage::Goal;
use super::{Error, Sealed, seal_tapes};
use crate::grpc::Catalog;
use crate::session;
use crate::tape::lock::{self, RecoveryTurn, RunLock};
use crate::tape::names::{self, Role};
use crate::tape::recover::{self, Action, Found};
use crate::tape::{Disk, RealDisk, RunId};

/// What opening a directory found of killed runs.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Runs that left something: exchanges, now recovered cassettes, or bytes that can't be read.
    pub recovered: Vec<Recovered>,
    /// Runs that couldn't be dealt with; they are as they were.
    pub faults: Vec<Fault>,
    /// Runs in a directory that can't be written: to be replayed from their tapes.
    pub in_place: Vec<InPlace>,
}

#[derive(Debug)]
pub struct Recovered {
    pub run: RunId,
    /// Each session's path is that of its recovered cassette.
    pub sealed: Sealed,
}

#[derive(Debug)]
pub struct Fault {
    pub run: RunId,
    pub error: Error,
}

/// A dead run that must stay where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InPlace {
    pub run: RunId,
    pub tapes: Vec<PathBuf>,
}

/// Brings a recording directory in order: seals that were committed are finished, runs that died
/// before become recovered cassettes, leftovers go. Live runs are left alone.
///
/// Errors: the directory can't be listed or locked. What is wrong with one run doesn't keep
/// others from being recovered.
///
/// Blocking: nothing but a look at one folder when nobody was killed; else as long as a seal,
/// also while another process recovers the same directory.
pub fn recover(recording_dir: &Path) -> Result<Recovery, Error> {
    recover_on(&RealDisk, recording_dir)
}

pub(super) fn recover_on(disk: &dyn Disk, recording_dir: &Path) -> Result<Recovery, Error> {
    let folder = names::folder(recording_dir);
    let runs = runs_in(&folder)?;
    if runs.is_empty() {
        return Ok(Recovery::default());
    }
    let turn = match RecoveryTurn::wait(&folder) {
        Ok(turn) => turn,
        Err(error) if is_read_only(&error) => return in_place(recording_dir, runs),
        Err(source) => return Err(Error::Lock { path: folder, source }),
    };
    let mut recovery = Recovery::default();
    for run in runs {
        match recover_run(disk, recording_dir, &run) {
            Ok(Some(sealed)) => recovery.recovered.push(Recovered { run, sealed }),
            Ok(None) => {}
            Err(error) => recovery.faults.push(Fault { run, error }),
        }
    }
    drop(turn);
    Ok(recovery)
}

/// `None` when there was nothing to recover.
fn recover_run(
    disk: &dyn Disk,
    recording_dir: &Path,
    run: &RunId,
) -> Result<Option<Sealed>, Error> {
    let site = Site::new(disk, recording_dir, run);
    let lock = RunLock::adopt(&site.folder, run)
        .map_err(|source| Error::Lock { path: site.folder.clone(), source })?;
    let files = site.files()?;
    let tapes: Vec<PathBuf> = files
        .iter()
        .filter(|(role, _)| matches!(role, Role::Tape(_)))
        .map(|(_, path)| path.clone())
        .collect();
    let found = Found {
        alive: lock.is_none(),
        manifest: files.iter().any(|(role, _)| *role == Role::Manifest),
        tapes: !tapes.is_empty(),
    };
    match recover::run(found) {
        Action::Leave => Ok(None),
        Action::FinishSeal => {
            site.place(&read_manifest(&site)?)?;
            site.clean()?;
            Ok(None)
        }
        Action::RecoverTapes => {
            site.remove_uncommitted();
            let sealed = seal_tapes(&site, &tapes, Goal::Recover, &Catalog::new())?;
            let found_any = !sealed.sessions.is_empty()
                || !sealed.lost.is_empty()
                // What can't be read is told even if it is all that there was.
                || !sealed.torn.is_empty();
            Ok(found_any.then_some(sealed))
        }
        Action::Clean => {
            site.clean()?;
            Ok(None)
        }
    }
}

fn read_manifest(site: &Site<'_>) -> Result<Manifest, Error> {
    let path = site.folder.join(site.run.manifest());
    let text = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    Manifest::of_json(&text, site.run).ok_or(Error::Manifest(path))
}

/// Every run that has a file in the folder; none when there is no folder.
fn runs_in(folder: &Path) -> Result<BTreeSet<RunId>, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(read(error)),
    };
    let mut runs = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(read)?.file_name();
        runs.extend(name.to_str().and_then(names::parse).map(|(run, _)| run));
    }
    Ok(runs)
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn in_place(recording_dir: &Path, runs: BTreeSet<RunId>) -> Result<Recovery, Error> {
    let mut recovery = Recovery::default();
    for run in runs {
        let site = Site::new(&RealDisk, recording_dir, &run);
        let alive = lock::is_alive(&site.folder, &run)
            .map_err(|source| Error::Lock { path: site.folder.clone(), source })?;
        let files = site.files()?;
        let is_staged = |(role, _): &(Role, PathBuf)| matches!(role, Role::Staged(_));
        let has_manifest = files.iter().any(|(role, _)| *role == Role::Manifest);
        let is_sealed = has_manifest && !files.iter().any(is_staged);
        let tapes: Vec<PathBuf> = files
            .into_iter()
            .filter_map(|(role, path)| matches!(role, Role::Tape(_)).then_some(path))
            .collect();
        if !alive && !is_sealed && !tapes.is_empty() {
            recovery.in_place.push(InPlace { run, tapes });
        }
    }
    Ok(recovery)
}

/// The first name above all that are taken, relative to the recording directory: nothing recovered
/// is ever replaced, and the highest number is the newest.
pub(super) fn free_recovered_name(recording_dir: &Path, session: &str) -> io::Result<String> {
    let highest = highest_recovered(recording_dir, session)?;
    let free = highest.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?;
    Ok(format!("{}.json", session::recovered_name(session, free)))
}

/// The cassette that was recovered last of a session, if any was: what there is to replay of a
/// session that has no cassette of its own.
///
/// Blocking: lists the folder that the session's cassettes are in.
pub fn newest_recovered(recording_dir: &Path, session: &str) -> Option<PathBuf> {
    let number = highest_recovered(recording_dir, session).ok().filter(|number| *number > 0)?;
    let name = session::recovered_name(session, number);
    Some(session::cassette_path(recording_dir, &name))
}

/// 0 when nothing was recovered of the session. Gaps are fine: people rename and remove.
fn highest_recovered(recording_dir: &Path, session: &str) -> io::Result<u32> {
    let path = session::cassette_path(recording_dir, session);
    let (Some(folder), Some(name)) = (path.parent(), session.rsplit('/').next()) else {
        return Ok(0);
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(0),
        entries => entries?,
    };
    let mut highest = 0;
    for entry in entries {
        let file = entry?.file_name();
        let cassette = file.to_str().and_then(|file| file.strip_suffix(".json"));
        if let Some((of, number)) = cassette.and_then(session::of_recovered)
            && of == name
        {
            highest = highest.max(number);
        }
    }
    Ok(highest)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
