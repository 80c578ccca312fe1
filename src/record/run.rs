//! One recording run, and one runtime's part in it.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Error, Recording};
use crate::cassette::EndpointNote;
use crate::clock;
use crate::exchange::{RequestHead, Seq};
use crate::grpc::Catalog;
use crate::tape::batch::{Batch, Ticket};
use crate::tape::disk::make_folder;
use crate::tape::format::Header;
use crate::tape::lock::{RunLock, SessionHeld};
use crate::tape::writer::{Extent, Writer};
use crate::tape::{Disk, DiskError, Loss, RealDisk, RunId, names};

/// What is kept of a body, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of one body; of a larger one only length and digest are kept.
    pub max_kept_body: u64,
    /// Bytes of one body; a larger one goes to a file of its own.
    pub file_threshold: u64,
}

impl Keep {
    /// What one frame on a tape can hold without its writing or reading being felt.
    pub const FILE_THRESHOLD: u64 = 64 << 10;
}

impl Default for Keep {
    fn default() -> Self {
        Keep { max_kept_body: 256 << 20, file_threshold: Self::FILE_THRESHOLD }
    }
}

/// One recording run in one recording directory. Shared by all runtimes.
pub struct Run {
    disk: Arc<dyn Disk>,
    recording_dir: PathBuf,
    folder: PathBuf,
    header: Header,
    id: RunId,
    next_seq: AtomicU64,
    lock: Mutex<RunLock>,
    tapes: Mutex<Vec<PathBuf>>,
    /// What gRPC messages are shown by when the run is sealed; the tapes don't hold it.
    descriptors: OnceLock<Catalog>,
    fault: OnceLock<Error>,
    on_fault: Box<dyn Fn(&Error) + Send + Sync>,
}

impl Run {
    /// Makes the recording directory ready and declares the run alive. The endpoints go into every
    /// tape, so that a recovered one knows them. `on_fault` is called once, by whichever thread
    /// meets the first disk fault.
    ///
    /// Errors: the directory can't be made or written.
    ///
    /// Blocking: a handful of file operations.
    pub fn open(
        recording_dir: &Path,
        endpoints: Vec<EndpointNote>,
        on_fault: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Result<Arc<Run>, Error> {
        Self::open_on(Arc::new(RealDisk), recording_dir, endpoints, on_fault)
    }

    /// As `open`, on a disk that may misbehave.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        recording_dir: &Path,
        endpoints: Vec<EndpointNote>,
        on_fault: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Result<Arc<Run>, Error> {
        let folder = names::folder(recording_dir);
        make_folder(&*disk, &folder)?;
        let started_at_ms = clock::wall_ms();
        let pid = std::process::id();
        // The random seed of a hash map differs from one call to the next.
        let unique = RandomState::new().hash_one(started_at_ms) as u32;
        let id = RunId::new(started_at_ms, pid, unique);
        let lock = RunLock::create(&folder, &id, pid, started_at_ms).map_err(|error| {
            DiskError::new("declare a recording run in", &folder, Loss::Nothing, error)
        })?;
        Ok(Arc::new(Run {
            disk,
            recording_dir: recording_dir.to_owned(),
            folder,
            header: Header { run: id.to_string(), started_at_ms, endpoints },
            id,
            next_seq: AtomicU64::new(1),
            lock: Mutex::new(lock),
            tapes: Mutex::new(Vec::new()),
            descriptors: OnceLock::new(),
            fault: OnceLock::new(),
            on_fault: Box::new(on_fault),
        }))
    }

    pub fn id(&self) -> &RunId {
        &self.id
    }

    pub fn recording_dir(&self) -> &Path {
        &self.recording_dir
    }

    /// The `.ouli` folder, where the tapes are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn endpoints(&self) -> &[EndpointNote] {
        &self.header.endpoints
    }

    /// Says what the messages of gRPC calls are, by endpoint; the first time counts.
    pub fn describe(&self, descriptors: Catalog) {
        let _ = self.descriptors.set(descriptors);
    }

    pub fn descriptors(&self) -> &Catalog {
        static NONE: Catalog = Catalog::new();
        self.descriptors.get().unwrap_or(&NONE)
    }

    /// The tapes opened so far.
    pub fn tapes(&self) -> Vec<PathBuf> {
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The place of the request whose head is complete now, among all of the run.
    pub fn next_seq(&self) -> Seq {
        Seq(self.next_seq.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes the session for this run.
    ///
    /// Errors: `SessionHeld` says which other live run has it; `Disk` that it can't be told.
    ///
    /// Blocking: a few file operations when the session is new to the run, none after that.
    pub fn claim(&self, session: &str) -> Result<(), Error> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.claim(session).map_err(|error| self.note(Error::claim(error, &self.folder)))
    }

    /// The other live run that has the session now, if any has; none as well where that can't be
    /// told. Takes nothing.
    ///
    /// Blocking: a few file operations.
    pub fn holder(&self, session: &str) -> Option<SessionHeld> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.holder(session).ok().flatten()
    }

    /// The first disk fault, if there was one: nothing more should be promised to a client.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.get()
    }

    /// Remembers the error if it is the first of the disk.
    pub(super) fn note(&self, error: Error) -> Error {
        if matches!(error, Error::Disk(_)) && self.fault.set(error.clone()).is_ok() {
            (self.on_fault)(&error);
        }
        error
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).field("dir", &self.recording_dir).finish()
    }
}

/// One runtime's tape. Clones are the same tape.
#[derive(Clone)]
pub struct Recorder(Rc<Inner>);

struct Inner {
    run: Arc<Run>,
    keep: Keep,
    tape: RefCell<Batch>,
    /// The session that was claimed last: most runs have one, and most requests stay in theirs.
    claimed: RefCell<Option<Box<str>>>,
}

impl Recorder {
    /// Makes this runtime's tape. `worker` is its number among the runtimes, and names the tape.
    pub fn open(run: Arc<Run>, worker: usize, keep: Keep) -> Result<Recorder, Error> {
        let path = run.folder.join(run.id.tape(worker));
        run.tapes.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let tape = Writer::create(&*run.disk, &path, &run.header)
            .map_err(|error| run.note(error.into()))?;
        let (tape, claimed) = (RefCell::new(Batch::new(tape)), RefCell::new(None));
        Ok(Recorder(Rc::new(Inner { run, keep, tape, claimed })))
    }

    pub fn run(&self) -> &Arc<Run> {
        &self.0.run
    }

    /// As `Run::claim`, without a lock when the session is the same as last time.
    pub fn claim(&self, session: &str) -> Result<(), Error> {
        if self.0.claimed.borrow().as_deref() == Some(session) {
            return Ok(());
        }
        self.0.run.claim(session)?;
        *self.0.claimed.borrow_mut() = Some(session.into());
        Ok(())
    }

    /// Begins an exchange whose request head is complete and redacted. `buffer` is lent until
    /// `Recording::take_buffer`; nothing is written before the first flush.
    pub fn begin(
        &self,
        seq: Seq,
        session: &str,
        endpoint: &str,
        recorded_at_ms: u64,
        head: &RequestHead,
        buffer: Vec<u8>,
    ) -> Recording {
        Recording::begin(self.clone(), seq, session, endpoint, recorded_at_ms, head, buffer)
    }

    pub(super) fn keep(&self) -> Keep {
        self.0.keep
    }

    /// Adds frames to what the tape's exchanges write together, unless there is nobody else. As
    /// `Batch::add`.
    pub(super) fn add(
        &self,
        frames: &[u8],
        behind: Option<&Ticket>,
    ) -> Result<(Extent, Option<Ticket>), Error> {
        match self.is_alone() {
            true => Ok((self.append(frames, behind)?, None)),
            false => self.with_tape(|tape| tape.add(frames, behind)),
        }
    }

    /// Whether nothing else is being recorded on this tape now, so that nobody is worth a wait.
    fn is_alone(&self) -> bool {
        // The worker holds one, and each recording.
        Rc::strong_count(&self.0) <= 2
    }

    /// Hands frames to the kernel, behind those that wait. As `Batch::append`.
    pub(super) fn append(&self, frames: &[u8], behind: Option<&Ticket>) -> Result<Extent, Error> {
        self.with_tape(|tape| tape.append(frames, behind))
    }

    /// Has frames written that were added, with all that wait, unless they were already.
    pub(super) fn redeem(&self, ticket: &Ticket) -> Result<(), Error> {
        self.with_tape(|tape| tape.redeem(ticket))
    }

    pub(super) fn read_back(&self, extents: &[Extent], out: &mut Vec<u8>) -> Result<(), Error> {
        self.with_tape(|tape| tape.read_back(extents, out))
    }

    /// Notes whatever fails on the run, also what was others'.
    fn with_tape<T>(
        &self,
        operation: impl FnOnce(&mut Batch) -> Result<T, DiskError>,
    ) -> Result<T, Error> {
        let (done, fault) = {
            let mut tape = self.0.tape.borrow_mut();
            (operation(&mut tape), tape.take_fault())
        };
        if let Some(fault) = fault {
            self.note(fault);
        }
        done.map_err(|error| self.note(error))
    }

    pub(super) fn note(&self, error: impl Into<Error>) -> Error {
        self.0.run.note(error.into())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.run).finish()
    }
}
