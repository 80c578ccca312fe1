//! Sealing: from a run's tapes to its sessions' cassettes.
//!
//! The same five steps at the end of a run and for a run that was killed: stage every new cassette
//! in `.ouli`, commit by putting a manifest in its place, move the cassettes to where they belong,
//! remove the tapes, remove the manifest. Before the commit nothing that a reader of the directory
//! sees has changed, but for bodies nobody refers to yet; after it, whoever opens the directory
//! finishes the rest. So a kill between any two steps loses nothing and doubles nothing.
//!
//! A live run's exchanges replace its sessions' cassettes, or are appended to them. A dead run's
//! become `NAME.recovered.json` beside them and never replace anything.

#[cfg(test)]
mod call_tests;
#[cfg(test)]
mod conversation_tests;
mod crash;
mod error;
mod manifest;
mod recovery;
mod site;
mod stage;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub use error::Error;
pub use recovery::{Fault, InPlace, Recovered, Recovery, newest_recovered, recover};

use crate::grpc::Catalog;
use crate::record::Run;
use crate::tape::lock::RecoveryTurn;
use crate::tape::{ReadError, TapeRun, Torn};
use site::Site;
use stage::Goal;

/// What becomes of a session's cassette that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// As `ouli record` does, if at least one exchange was kept.
    Replace,
    /// As `ouli auto` does: old exchanges first.
    Append,
}

/// What a seal has done.
#[derive(Debug, Default)]
pub struct Sealed {
    /// In the order of the sessions' first exchanges.
    pub sessions: Vec<SealedSession>,
    /// What was cut off the tapes' ends.
    pub torn: Vec<Torn>,
    /// Exchanges that came to nothing: abandoned, or cut before their answer.
    pub dropped: usize,
    /// Exchanges that are lost because their body files are.
    pub lost: Vec<ReadError>,
}

/// One cassette that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSession {
    pub session: String,
    pub path: PathBuf,
    /// Exchanges of the run.
    pub kept: usize,
    /// Exchanges that were in the cassette before; `None` when there was none, or none that could
    /// be read.
    pub before: Option<usize>,
    /// An appending run found a cassette that it can't read: it is left as it is, and what was
    /// kept stands beside it as if recovered.
    pub set_aside: bool,
}

/// Seals a run whose recorders are all closed. Its sessions are free for others afterwards.
///
/// Errors: nothing is lost then; what is sealed stays so, the rest is on the tapes, and the next
/// command that opens the directory goes on from there.
///
/// Blocking: reads and writes everything that was recorded, and waits for the disk.
pub fn seal(run: Arc<Run>, existing: Existing) -> Result<Sealed, Error> {
    let site = Site::new(&**run.disk(), run.recording_dir(), run.id());
    // Both look for a free name when they set something aside.
    let _turn = RecoveryTurn::wait(run.folder())
        .map_err(|source| Error::Lock { path: run.folder().to_owned(), source })?;
    let tapes: Vec<PathBuf> = run.tapes().into_iter().filter(|path| path.exists()).collect();
    let goal = match existing {
        Existing::Replace => Goal::Replace,
        Existing::Append => Goal::Append,
    };
    seal_tapes(&site, &tapes, goal, run.descriptors())
}

fn seal_tapes(
    site: &Site<'_>,
    tapes: &[PathBuf],
    goal: Goal,
    descriptors: &Catalog,
) -> Result<Sealed, Error> {
    crash::point("begun");
    let tapes = TapeRun::open(tapes)?;
    tapes.write_digests(site.disk)?;
    crash::point("digested");
    let staged =
        stage::stage(site, &tapes, goal, descriptors).inspect_err(|_| site.remove_uncommitted())?;
    if !staged.manifest.is_empty() {
        site.commit(&staged.manifest).inspect_err(|_| site.remove_uncommitted())?;
        crash::point("committed");
        site.place(&staged.manifest)?;
    }
    let sealed = Sealed {
        sessions: staged.sessions,
        torn: tapes.torn().to_vec(),
        dropped: tapes.dropped(),
        lost: staged.lost,
    };
    site.clean()?;
    Ok(sealed)
}
