//! The files of one run while it is sealed, and what is done to them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::{Error, crash};
use crate::tape::disk::write_all;
use crate::tape::names::{self, Role};
use crate::tape::{Disk, DiskError, DiskFile, Loss, RunId};

/// One run in one recording directory. Whoever has it holds the run's lock.
pub(super) struct Site<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) recording_dir: &'a Path,
    pub(super) folder: PathBuf,
    pub(super) run: &'a RunId,
}

impl<'a> Site<'a> {
    pub(super) fn new(disk: &'a dyn Disk, recording_dir: &'a Path, run: &'a RunId) -> Site<'a> {
        Site { disk, recording_dir, folder: names::folder(recording_dir), run }
    }

    /// Begins a file that nobody looks at before the commit.
    pub(super) fn begin_staged(&self, number: usize) -> Result<StagedFile, Error> {
        let path = self.folder.join(self.run.staged(number));
        let file = self.disk.create_new(&path).map_err(failed("create", &path))?;
        Ok(StagedFile { file, path })
    }

    /// Puts the manifest in its place: from then on the seal will be finished.
    pub(super) fn commit(&self, manifest: &Manifest) -> Result<(), Error> {
        let mut staged = self.begin_staged(manifest.moves.len())?;
        write_all(&mut *staged.file, &manifest.to_json())
            .map_err(failed("write to", &staged.path))?;
        staged.sync()?;
        self.sync_dir(&self.folder)?;
        crash::point("staged");
        let path = self.folder.join(self.run.manifest());
        self.disk.rename(&staged.path, &path).map_err(failed("rename", &staged.path))?;
        self.sync_dir(&self.folder)
    }

    /// Moves every staged cassette that hasn't been yet to where it belongs. One that can't be
    /// moved keeps no other from its place; it is what the error is about.
    pub(super) fn place(&self, manifest: &Manifest) -> Result<(), Error> {
        let mut folders = BTreeSet::from([self.recording_dir.to_owned()]);
        let mut placed = Ok(());
        for one in &manifest.moves {
            let to = self.recording_dir.join(&one.cassette);
            match self.place_one(&self.folder.join(&one.staged), &to) {
                Ok(()) => {
                    let parents = to.ancestors().skip(1);
                    let inner = parents.take_while(|path| *path != self.recording_dir);
                    folders.extend(inner.map(Path::to_owned));
                }
                failed => placed = placed.and(failed),
            }
        }
        let synced = folders.iter().try_for_each(|folder| self.sync_dir(folder));
        placed.and(synced)
    }

    fn place_one(&self, from: &Path, to: &Path) -> Result<(), Error> {
        if !from.exists() {
            return Ok(());
        }
        if let Some(parent) = to.parent() {
            self.disk.create_dirs(parent).map_err(failed("create the folder", parent))?;
        }
        self.disk.rename(from, to).map_err(failed("put a cassette at", to))?;
        crash::point("placed");
        Ok(())
    }

    /// Removes what the run leaves behind, its manifest last: while that is there, tapes are
    /// known to be sealed.
    pub(super) fn clean(&self) -> Result<(), Error> {
        let (manifest, others): (Vec<_>, Vec<_>) =
            self.files()?.into_iter().partition(|(role, _)| *role == Role::Manifest);
        for (_, path) in others {
            self.remove(&path)?;
            crash::point("cleaned");
        }
        self.sync_dir(&self.folder)?;
        for (_, path) in manifest {
            self.remove(&path)?;
        }
        crash::point("sealed");
        Ok(())
    }

    /// Removes what a seal staged and didn't commit. What can't be removed is a leftover.
    pub(super) fn remove_uncommitted(&self) {
        let files = self.files().unwrap_or_default();
        // A commit that failed after its rename is one all the same.
        if files.iter().any(|(role, _)| *role == Role::Manifest) {
            return;
        }
        for (role, path) in files {
            if matches!(role, Role::Staged(_)) {
                let _ = self.disk.remove(&path);
            }
        }
    }

    /// The run's files but for the one that is its lock.
    pub(super) fn files(&self) -> Result<Vec<(Role, PathBuf)>, Error> {
        let read = |source| Error::Read { path: self.folder.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            match name.to_str().and_then(names::parse) {
                Some((run, role)) if run == *self.run && role != Role::Claims => {
                    files.push((role, self.folder.join(name)));
                }
                _ => {}
            }
        }
        files.sort();
        Ok(files)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed("remove", path)),
        }
    }

    fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        self.disk.sync_dir(path).map_err(failed("sync", path))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| DiskError::new(doing, path, Loss::Nothing, error).into()
}

/// A file on its way to become a cassette or the manifest.
pub(super) struct StagedFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
}

impl StagedFile {
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.file.sync().map_err(failed("sync", &self.path))
    }
}

impl io::Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
