//! Writing a run's cassettes where nobody looks at them yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::{Manifest, Move, is_cassette};
use super::recovery::{free_recovered_name, newest_recovered};
use super::site::Site;
use super::{Error, SealedSession, crash};
use crate::cassette::{self, Bodies, Cassette, EndpointNote, Undecoded, Writer};
use crate::exchange::{Coding, Digest, Message};
use crate::grpc::Catalog;
use crate::tape::{ReadError, TapeRun};

/// What the cassettes are to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Replace,
    Append,
    /// Cassettes of their own beside those that are there.
    Recover,
}

#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) manifest: Manifest,
    pub(super) sessions: Vec<SealedSession>,
    pub(super) lost: Vec<ReadError>,
}

/// Stages a cassette for every session of which something was kept.
pub(super) fn stage(
    site: &Site<'_>,
    tapes: &TapeRun,
    goal: Goal,
    descriptors: &Catalog,
) -> Result<Staged, Error> {
    let mut staged = Staged::default();
    for session in tapes.sessions() {
        let number = staged.manifest.moves.len();
        let name = format!("{session}.json");
        if !is_cassette(&name) {
            return Err(Error::SessionName(session.to_owned()));
        }
        let plan = Plan::of(site, session, name, goal, descriptors)?;
        let kept = write(site, tapes, session, number, &plan.first, descriptors, &mut staged.lost)?;
        crash::point("cassette staged");
        staged.sessions.push(SealedSession {
            session: session.to_owned(),
            path: site.recording_dir.join(&plan.cassette),
            kept,
            before: plan.before,
            set_aside: plan.set_aside,
        });
        let (staged_as, cassette) = (site.run.staged(number), plan.cassette);
        staged.manifest.moves.push(Move { staged: staged_as, cassette });
    }
    Ok(staged)
}

/// What one session's cassette will be.
struct Plan {
    /// Relative to the recording directory.
    cassette: String,
    /// What stands in it before the run's exchanges.
    first: Cassette,
    before: Option<usize>,
    set_aside: bool,
}

impl Plan {
    fn of(
        site: &Site<'_>,
        session: &str,
        name: String,
        goal: Goal,
        descriptors: &Catalog,
    ) -> Result<Plan, Error> {
        let dir = site.recording_dir;
        let path = dir.join(&name);
        let aside = |set_aside| {
            let cassette = free_recovered_name(dir, session)
                .map_err(|source| Error::Read { path: dir.to_owned(), source })?;
            Ok(Plan { cassette, first: Cassette::default(), before: None, set_aside })
        };
        let bodies = Bodies::new(dir);
        let read = |path: &Path| cassette::read(path, &bodies, descriptors);
        let old = path.exists().then(|| read(&path));
        let before = |old: &Cassette| Some(old.exchanges.len());
        match (goal, old) {
            (Goal::Recover, _) => aside(false),
            (Goal::Append, Some(Err(_))) => aside(true),
            (Goal::Append, Some(Ok(old))) => {
                Ok(Plan { cassette: name, before: before(&old), first: old, set_aside: false })
            }
            // What was recovered has answered in its stead, so it belongs before what was added.
            (Goal::Append, None) => {
                let recovered = newest_recovered(dir, session).and_then(|path| read(&path).ok());
                let before = recovered.as_ref().and_then(before);
                let first = recovered.unwrap_or_default();
                Ok(Plan { cassette: name, first, before, set_aside: false })
            }
            (Goal::Replace, old) => {
                let before = old.and_then(Result::ok).as_ref().and_then(before);
                Ok(Plan { cassette: name, first: Cassette::default(), before, set_aside: false })
            }
        }
    }
}

/// Writes and syncs one cassette; says how many of the run's exchanges are in it.
fn write(
    site: &Site<'_>,
    tapes: &TapeRun,
    session: &str,
    number: usize,
    first: &Cassette,
    descriptors: &Catalog,
    lost: &mut Vec<ReadError>,
) -> Result<usize, Error> {
    let failed = |source| Error::Cassette { session: session.to_owned(), source };
    let bodies = Bodies::new(site.recording_dir);
    let endpoints = united(tapes.endpoints(), &first.endpoints);
    let file = site.begin_staged(number)?;
    // What was read with the old cassette holds the run's already where both name an endpoint.
    let mut known = first.descriptors.clone();
    known.extend(descriptors.iter().map(|(name, set)| (name.clone(), Arc::clone(set))));
    let mut writer = Writer::described(file, &endpoints, &known, &bodies).map_err(failed)?;
    for exchange in &first.exchanges {
        writer.push(exchange).map_err(failed)?;
    }
    let incoming = |digest: Digest| -> Option<PathBuf> { tapes.body_path(&digest) };
    let mut kept = 0;
    let keep = |coding: Option<Coding>, message: Message| {
        cassette::keep_message(coding, message, &bodies)
            .map_err(|error| ReadError::MessageUnkept(Arc::new(error)))
    };
    for exchange in tapes.exchanges_with(session, &keep) {
        match exchange {
            Ok(exchange) => {
                writer.push_with(&exchange, &incoming).map_err(failed)?;
                writer.take_undecoded().iter().for_each(|undecoded| warn(session, undecoded));
            }
            Err(gone @ ReadError::BodyLost { .. }) => {
                lost.push(gone);
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        kept += 1;
    }
    writer.finish().map_err(failed)?.sync()?;
    Ok(kept)
}

fn warn(session: &str, undecoded: &Undecoded) {
    let Undecoded { whose, coding } = undecoded;
    tracing::warn!(
        "{session}: the body of {whose} doesn't decode as {}, which its headers name; it is kept \
         as it came",
        coding.name()
    );
}

/// The run's endpoints, then those of the old cassette that the run doesn't name.
fn united(of_run: &[EndpointNote], of_old: &[EndpointNote]) -> Vec<EndpointNote> {
    let mut all = of_run.to_vec();
    let new = of_old.iter().filter(|old| of_run.iter().all(|note| note.name != old.name));
    all.extend(new.cloned());
    all
}
