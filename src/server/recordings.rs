//! Opening the recording directory at the start: what killed runs left, the library over it, and
//! the endpoints that it names.
//!
//! Whatever is wrong with recordings and doesn't keep the program from starting is logged here.

use std::sync::Arc;

use super::Error;
use super::bound::endpoint_of;
use super::summary::counted;
use crate::causes;
use crate::config::{Config, Endpoint};
use crate::replay::source::{Conflict, ConflictKind, Left, LoadError};
use crate::replay::{Library, Settings};
use crate::seal::{self, InPlace, Recovery, Sealed};

/// Brings the directory in order, as far as it can be written, and opens it.
///
/// Blocking: as long as a seal, when there is something to recover.
pub(super) fn open(config: &Config, settings: Settings) -> Result<Arc<Library>, Error> {
    let recovery = seal::recover(&config.recording_dir)?;
    tell_recovery(&recovery);
    let left = recovery.in_place.iter().filter_map(open_in_place).collect();
    Ok(Library::open(&config.recording_dir, left, config.descriptors(), settings)?)
}

/// For `--strict`: every fault in every cassette, before anything is served.
pub(super) fn check(library: &Library) -> Result<(), Error> {
    match library.all_faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(Error::Broken(faults)),
    }
}

/// The endpoints that the recordings name, to be served where they were.
///
/// Errors: they don't say which origin an endpoint stands for, or which endpoint an address is.
pub(super) fn endpoints(library: &Library) -> Result<Vec<Endpoint>, Error> {
    let found = library.endpoints();
    for error in &found.unreadable {
        tracing::warn!("{}; endpoints that only it names are not served", error.line());
    }
    let (harmless, grave): (Vec<_>, Vec<_>) =
        found.conflicts.into_iter().partition(|one| one.kind == ConflictKind::Listen);
    if !grave.is_empty() {
        return Err(Error::Conflicts(grave));
    }
    for conflict in harmless {
        tracing::warn!("{conflict}; it is served on {}", conflict.kept.listen);
    }
    Ok(found.notes.into_iter().map(endpoint_of).collect())
}

/// Says what was found of killed runs, and where it is now.
fn tell_recovery(recovery: &Recovery) {
    for recovered in &recovery.recovered {
        for session in &recovered.sealed.sessions {
            tracing::warn!(
                "session `{}`: {} that a killed recorder kept, recovered into {}",
                session.session,
                counted(session.kept as u64, "exchange", "exchanges"),
                session.path.display()
            );
        }
        tell_losses(&recovered.sealed);
    }
    for fault in &recovery.faults {
        tracing::error!("run {} can't be recovered: {}", fault.run, causes::line(&fault.error));
    }
}

pub(super) fn tell_losses(sealed: &Sealed) {
    sealed.torn.iter().for_each(tell_torn);
    for lost in &sealed.lost {
        tracing::error!("an exchange is lost: {lost}");
    }
}

fn tell_torn(torn: &crate::tape::Torn) {
    tracing::warn!(
        "{} has a torn end: its last {} bytes are no whole record and are left out",
        torn.path.display(),
        torn.bytes
    );
}

/// None, and told, when the tapes can't be read.
fn open_in_place(found: &InPlace) -> Option<Left> {
    match Left::open(&found.tapes) {
        Ok(left) => {
            left.torn().iter().for_each(tell_torn);
            Some(left)
        }
        Err(error) => {
            tracing::error!("run {} can't be replayed: {}", found.run, causes::line(&error));
            None
        }
    }
}

/// A line for each fault, under a line that says how many.
pub(super) fn list_faults(faults: &[LoadError]) -> String {
    let lines = faults.iter().map(|fault| format!("{}: {}", fault.path.display(), fault.cause));
    let head = match faults.len() {
        1 => "a fault in the recordings".to_owned(),
        count => format!("{count} faults in the recordings"),
    };
    listed(head, lines)
}

/// A line for each conflict, under a line that says what this is about.
pub(super) fn list_conflicts(conflicts: &[Conflict]) -> String {
    let lines = conflicts.iter().map(Conflict::to_string);
    listed("the recordings disagree about the endpoints to serve".to_owned(), lines)
}

fn listed(head: String, lines: impl Iterator<Item = String>) -> String {
    lines.fold(head, |text, line| text + "\n  " + &line)
}
