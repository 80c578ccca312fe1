//! The manifest of a seal: which staged file becomes which cassette.
//!
//! Pure. Once it is in its place, the moves that it lists will be done, now or by whoever opens
//! the directory next. Paths in it are relative, and are checked as if somebody else wrote it.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::tape::RunId;
use crate::tape::names::{self, Role};

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) moves: Vec<Move>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// A file in `.ouli`.
    pub(super) staged: String,
    /// A file in the recording directory: `checkout/pay.json`.
    pub(super) cassette: String,
}

impl Manifest {
    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// `None` when it isn't the manifest of this run.
    pub(super) fn of_json(text: &[u8], run: &RunId) -> Option<Manifest> {
        let manifest: Manifest = serde_json::from_slice(text).ok()?;
        let fits = |one: &Move| is_staged(&one.staged, run) && is_cassette(&one.cassette);
        manifest.moves.iter().all(fits).then_some(manifest)
    }
}

fn is_staged(name: &str, run: &RunId) -> bool {
    matches!(names::parse(name), Some((of, Role::Staged(_))) if of == *run)
}

/// Whether a relative path stays in the recording directory and is a cassette's.
pub(super) fn is_cassette(path: &str) -> bool {
    let stays = Path::new(path).components().all(|part| match part {
        Component::Normal(part) => !part.as_encoded_bytes().starts_with(b"."),
        _ => false,
    });
    stays && path.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(staged: &str, cassette: &str) -> Manifest {
        Manifest { moves: vec![Move { staged: staged.to_owned(), cassette: cassette.to_owned() }] }
    }

    #[test]
    fn a_manifest_is_read_back_as_it_was() {
        let run = RunId::new(0, 1, 2);
        let written = manifest(&run.staged(0), "checkout/pay.json");
        assert_eq!(Manifest::of_json(&written.to_json(), &run), Some(written));
    }

    #[test]
    fn a_manifest_moves_nothing_but_its_run_s_files_to_cassettes() {
        let run = RunId::new(0, 1, 2);
        let other = RunId::new(0, 1, 3);
        for (staged, cassette) in [
            (run.staged(0), "../x.json"),
            (run.staged(0), "/etc/x.json"),
            (run.staged(0), ".ouli/x.json"),
            (run.staged(0), "a/.x.json"),
            (run.staged(0), "x.txt"),
            (run.tape(0), "x.json"),
            (other.staged(0), "x.json"),
            ("../x".to_owned(), "x.json"),
        ] {
            let text = manifest(&staged, cassette).to_json();
            assert_eq!(Manifest::of_json(&text, &run), None, "{staged} {cassette}");
        }
    }
}
