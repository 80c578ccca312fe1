//! Which runs live, and which sessions are whose.
//!
//! A run is alive while its claims file is locked. The kernel gives the lock back however the
//! process ends, so a dead run can't be taken for a live one nor the other way round. The same
//! file lists the sessions that the run has claimed. All claims files are read and changed under
//! one short-held lock of the folder, `lock`, so that no two runs can claim a session at once.
//! Two open files per run, however many sessions it has.
//!
//! A recovery adopts a dead run by locking its claims file. Recoveries of one folder take turns on
//! a lock of their own, which a live recorder never waits for.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names::{self, Role, RunId};

const FOLDER_LOCK: &str = "lock";
const RECOVERY_LOCK: &str = "recovery.lock";

/// Another live run has claimed the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session `{session}` is being recorded by process {pid} (run {run})")]
pub struct SessionHeld {
    pub session: String,
    pub pid: u32,
    pub run: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error(transparent)]
    Held(#[from] SessionHeld),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The first line of a claims file.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    run: String,
    pid: u32,
    started_at_ms: u64,
}

/// The lock of a live run. Dropping it ends the run for everyone else.
#[derive(Debug)]
pub struct RunLock {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    folder_lock: File,
    sessions: HashSet<Box<str>>,
}

impl RunLock {
    /// Declares the run alive. `folder` is the recording directory's `.ouli`.
    ///
    /// Blocking: waits for the folder's lock, which nobody holds for more than a few file
    /// operations.
    pub fn create(folder: &Path, run: &RunId, pid: u32, started_at_ms: u64) -> io::Result<RunLock> {
        let folder_lock = open_lock(&folder.join(FOLDER_LOCK))?;
        let path = folder.join(run.claims());
        let held = Held::lock(&folder_lock)?;
        let mut file = options().create_new(true).open(&path)?;
        file.lock()?;
        let owner = Owner { run: run.to_string(), pid, started_at_ms };
        write_line(&mut file, &owner)?;
        drop(held);
        let folder = folder.to_owned();
        Ok(RunLock { folder, path, file, folder_lock, sessions: HashSet::new() })
    }

    /// Takes over a run that died. `None` when it lives, or another process was first.
    pub fn adopt(folder: &Path, run: &RunId) -> io::Result<Option<RunLock>> {
        let folder_lock = open_lock(&folder.join(FOLDER_LOCK))?;
        let path = folder.join(run.claims());
        let held = Held::lock(&folder_lock)?;
        let file = options().create(true).truncate(false).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        drop(held);
        let folder = folder.to_owned();
        Ok(Some(RunLock { folder, path, file, folder_lock, sessions: HashSet::new() }))
    }

    /// Whether this run has the session already.
    pub fn has(&self, session: &str) -> bool {
        self.sessions.contains(session)
    }

    /// Takes the session, or says which live run has it.
    ///
    /// Blocking: a few file operations the first time, none after that.
    pub fn claim(&mut self, session: &str) -> Result<(), ClaimError> {
        if self.has(session) {
            return Ok(());
        }
        let held = Held::lock(&self.folder_lock)?;
        if let Some(holder) = self.other_holder(session)? {
            return Err(holder.into());
        }
        write_line(&mut self.file, session)?;
        drop(held);
        self.sessions.insert(session.into());
        Ok(())
    }

    /// The other live run that has the session. Takes nothing.
    ///
    /// Blocking: a few file operations.
    pub fn holder(&self, session: &str) -> io::Result<Option<SessionHeld>> {
        let _held = Held::lock(&self.folder_lock)?;
        self.other_holder(session)
    }

    /// The folder must be locked.
    fn other_holder(&self, session: &str) -> io::Result<Option<SessionHeld>> {
        for claims in claims_files(&self.folder)? {
            if claims != self.path
                && let Some(holder) = holder_of(&claims, session)?
            {
                return Ok(Some(holder));
            }
        }
        Ok(None)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While the lock is still held, so that nobody can adopt the run in between. A file that
        // can't be removed is a dead run's without tapes to whoever comes next.
        let _ = fs::remove_file(&self.path);
    }
}

/// The turn of one recovery in a folder. Given back when dropped.
#[derive(Debug)]
pub struct RecoveryTurn(#[expect(dead_code, reason = "held for its lock")] File);

impl RecoveryTurn {
    /// Blocking: waits until no other process recovers runs of this folder.
    pub fn wait(folder: &Path) -> io::Result<RecoveryTurn> {
        let file = open_lock(&folder.join(RECOVERY_LOCK))?;
        file.lock()?;
        Ok(RecoveryTurn(file))
    }
}

/// Whether the run's claims file is locked by anyone. Changes nothing, so it may be asked in a
/// folder that can't be written.
pub fn is_alive(folder: &Path, run: &RunId) -> io::Result<bool> {
    match File::open(folder.join(run.claims())) {
        Ok(file) => is_locked(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The folder's lock while it is held.
struct Held<'a>(&'a File);

impl<'a> Held<'a> {
    fn lock(file: &'a File) -> io::Result<Held<'a>> {
        file.lock()?;
        Ok(Held(file))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Unlocking an open file that this process has locked doesn't fail.
        let _ = self.0.unlock();
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn open_lock(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).open(path)
}

fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn write_line(file: &mut File, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let end = file.seek(SeekFrom::End(0))?;
    file.write_all(&line).inspect_err(|_| {
        // Half a line would hide the next one from other runs.
        let _ = file.set_len(end);
    })
}

fn claims_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_str().and_then(names::parse).is_some_and(|(_, role)| role == Role::Claims) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// The run whose claims file this is, if it lives and has claimed the session.
fn holder_of(claims: &Path, session: &str) -> io::Result<Option<SessionHeld>> {
    let mut file = match File::open(claims) {
        Ok(file) => file,
        // It ended between the listing and now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !is_locked(&file)? {
        return Ok(None);
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut lines = text.lines();
    // An adopted run without a first line has claimed nothing either.
    let Some(Ok(owner)) = lines.next().map(serde_json::from_str::<Owner>) else { return Ok(None) };
    let claimed =
        lines.any(|line| serde_json::from_str::<String>(line).is_ok_and(|s| s == session));
    Ok(claimed.then(|| SessionHeld { session: session.to_owned(), pid: owner.pid, run: owner.run }))
}
