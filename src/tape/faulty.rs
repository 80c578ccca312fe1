//! A disk on which one chosen operation goes wrong.
//!
//! What it does it does to the real file system, so that what is found afterwards is what a
//! process killed at that point would have left. Syncing is counted and not done: it takes long,
//! and a kill doesn't lose what it is for.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::disk::{Disk, DiskFile, RealDisk};

/// How the chosen operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed before it: nothing happens any more.
    CrashBefore,
    /// The process is killed after it.
    CrashAfter,
    /// The process is killed in it: of a write only this share (of 256) is done.
    Torn(u8),
    /// It fails, once.
    Fails,
    /// A write does this share (of 256) and says so; the next operation fails.
    Short(u8),
    /// A write does this share (of 256), and from then on no write and no making of a file works.
    Full(u8),
    /// As `Full`, and nothing can be cut back either.
    FullAndStuck(u8),
}

impl Fault {
    pub(crate) const ALL: [Fault; 10] = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::Torn(0),
        Fault::Torn(9),
        Fault::Torn(200),
        Fault::Fails,
        Fault::Short(128),
        Fault::Full(0),
        Fault::Full(100),
        Fault::FullAndStuck(50),
    ];

    pub(crate) fn is_crash(self) -> bool {
        matches!(self, Fault::CrashBefore | Fault::CrashAfter | Fault::Torn(_))
    }
}

#[derive(Clone)]
pub(crate) struct FaultyDisk(Arc<State>);

struct State {
    at: AtomicUsize,
    fault: Fault,
    done: AtomicUsize,
    dead: AtomicBool,
    full: AtomicBool,
    fails_next: AtomicBool,
    /// What was done, to be shown when a test fails.
    log: Mutex<Vec<String>>,
}

/// What the caller has to do.
enum Step {
    Do,
    DoThenDie,
    Part(u8),
    PartThenDie(u8),
    PartThenFull(u8),
}

impl FaultyDisk {
    /// The operation number `at`, counted from 0, goes wrong.
    pub(crate) fn new(at: usize, fault: Fault) -> Self {
        FaultyDisk(Arc::new(State {
            at: AtomicUsize::new(at),
            fault,
            done: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            full: AtomicBool::new(false),
            fails_next: AtomicBool::new(false),
            log: Mutex::new(Vec::new()),
        }))
    }

    /// All goes well until `strike_in`.
    pub(crate) fn patient(fault: Fault) -> Self {
        Self::new(usize::MAX, fault)
    }

    /// Counts from here: the `number`th operation from now goes wrong.
    pub(crate) fn strike_in(&self, number: usize) {
        self.0.at.store(self.0.done.load(Ordering::Relaxed) + number, Ordering::Relaxed);
    }

    /// Whether the chosen operation has come.
    pub(crate) fn has_struck(&self) -> bool {
        self.0.done.load(Ordering::Relaxed) > self.0.at.load(Ordering::Relaxed)
    }

    pub(crate) fn log(&self) -> String {
        self.0.log.lock().unwrap().join("\n")
    }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl State {
    fn step(&self, what: &str, path: &Path, takes_space: bool) -> io::Result<Step> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(io::Error::other("the process is dead"));
        }
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        self.log.lock().unwrap().push(format!("{number} {what} {}", path.display()));
        if self.fails_next.swap(false, Ordering::Relaxed) {
            return Err(full());
        }
        if self.full.load(Ordering::Relaxed) {
            let stuck = matches!(self.fault, Fault::FullAndStuck(_)) && what == "set_len";
            return if takes_space || stuck { Err(full()) } else { Ok(Step::Do) };
        }
        if number != self.at.load(Ordering::Relaxed) {
            return Ok(Step::Do);
        }
        match self.fault {
            Fault::CrashBefore => {
                self.dead.store(true, Ordering::Relaxed);
                Err(io::Error::other("killed before"))
            }
            Fault::CrashAfter => Ok(Step::DoThenDie),
            Fault::Torn(share) => Ok(Step::PartThenDie(share)),
            Fault::Fails => Err(io::Error::other("it failed")),
            Fault::Short(share) => Ok(Step::Part(share)),
            Fault::Full(share) | Fault::FullAndStuck(share) => Ok(Step::PartThenFull(share)),
        }
    }

    /// An operation that is done or not, never in part.
    fn whole<T>(
        &self,
        what: &str,
        path: &Path,
        takes_space: bool,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self.step(what, path, takes_space)? {
            Step::Do | Step::Part(_) => operation(),
            Step::DoThenDie => {
                operation()?;
                self.die()
            }
            Step::PartThenDie(_) => self.die(),
            Step::PartThenFull(_) => {
                self.full.store(true, Ordering::Relaxed);
                if takes_space { Err(full()) } else { operation() }
            }
        }
    }

    fn die<T>(&self) -> io::Result<T> {
        self.dead.store(true, Ordering::Relaxed);
        Err(io::Error::other("killed"))
    }
}

impl Disk for FaultyDisk {
    fn create_dirs(&self, path: &Path) -> io::Result<()> {
        self.0.whole("create_dirs", path, true, || RealDisk.create_dirs(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inner = self.0.whole("create_new", path, true, || RealDisk.create_new(path))?;
        Ok(Box::new(FaultyFile { inner, path: path.to_owned(), state: Arc::clone(&self.0) }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inner = self.0.whole("open_append", path, false, || RealDisk.open_append(path))?;
        Ok(Box::new(FaultyFile { inner, path: path.to_owned(), state: Arc::clone(&self.0) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.whole("rename", from, false, || RealDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.whole("remove", path, false, || RealDisk.remove(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.whole("sync_dir", path, false, || Ok(()))
    }
}

struct FaultyFile {
    inner: Box<dyn DiskFile>,
    path: std::path::PathBuf,
    state: Arc<State>,
}

impl FaultyFile {
    fn write_part(&mut self, bytes: &[u8], share: u8) -> io::Result<usize> {
        let part = bytes.len() * usize::from(share) / 256;
        let mut written = 0;
        while written < part {
            written += self.inner.write(&bytes[written..part])?;
        }
        Ok(part)
    }
}

impl DiskFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let state = Arc::clone(&self.state);
        match state.step("write", &self.path, true)? {
            Step::Do => self.inner.write(bytes),
            Step::DoThenDie => {
                self.write_part(bytes, 255)?;
                self.inner.write(&bytes[bytes.len() * 255 / 256..])?;
                state.die()
            }
            Step::PartThenDie(share) => {
                self.write_part(bytes, share)?;
                state.die()
            }
            Step::Part(share) => {
                state.fails_next.store(true, Ordering::Relaxed);
                self.write_part(bytes, share)
            }
            Step::PartThenFull(share) => {
                state.full.store(true, Ordering::Relaxed);
                match self.write_part(bytes, share)? {
                    0 => Err(full()),
                    part => Ok(part),
                }
            }
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let state = Arc::clone(&self.state);
        state.whole("set_len", &self.path, false, || self.inner.set_len(len))
    }

    fn sync(&mut self) -> io::Result<()> {
        let state = Arc::clone(&self.state);
        state.whole("sync", &self.path, false, || Ok(()))
    }
}
