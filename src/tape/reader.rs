//! Reading a run's tapes, at its end or after its death.
//!
//! Opening reads each tape once, checks every frame and notes where each exchange's frames are;
//! exchanges are read again one at a time, so memory grows with their number, not their bodies.
//! Changes nothing on disk: a torn tail is left out and reported, so tapes in a folder that can't be
//! written are read in place.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::assemble::Assembly;
use super::disk::{Disk, DiskError};
use super::format::{self, FORMAT, Frame, Side, Split};
use super::given::Wanted;
use super::index::{FileNote, Index, Indexed, Source, Window};
use super::names::RunId;
use super::recover::Verdict;
use super::writer::{Extent, Writer};
use crate::cassette::EndpointNote;
use crate::exchange::{Coding, Digest, End, Exchange, Message, Seq};

/// The end of a tape that isn't whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    pub path: PathBuf,
    /// Where the last whole record ends.
    pub at: u64,
    /// Bytes after that.
    pub bytes: u64,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    #[error("could not read `{}`", path.display())]
    Io { path: PathBuf, source: Arc<io::Error> },
    #[error("the tape `{}` has format {found}; this program reads format {FORMAT}", path.display())]
    Version { path: PathBuf, found: u16 },
    /// Something else wrote to a tape that had been gone through.
    #[error("the tape `{}` changed while it was read", path.display())]
    Changed { path: PathBuf },
    #[error("the body file `{}` is missing or has the wrong length", path.display())]
    BodyLost { path: PathBuf },
    /// By whoever wanted it kept.
    #[error("a message could not be kept")]
    MessageUnkept(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// What is to become of each message of a gRPC call or a WebSocket conversation: it is called as
/// soon as the message has been found, with the coding that is to be taken off a compressed one.
/// What it gives stays in memory until its exchange is given.
pub type KeepMessage<'a> = &'a dyn Fn(Option<Coding>, Message) -> Result<Message, ReadError>;

impl ReadError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        ReadError::Io { path: path.to_owned(), source: Arc::new(error) }
    }
}

/// A run's tapes, merged by the order of their requests.
pub struct TapeRun {
    tapes: Vec<Tape>,
    /// Exchanges that are kept, in the order of their request heads.
    entries: Vec<Entry>,
    /// Session names in the order of their first exchanges, and the places of theirs in `entries`.
    sessions: Vec<(String, Vec<usize>)>,
    endpoints: Vec<EndpointNote>,
    torn: Vec<Torn>,
    dropped: usize,
    pub(super) files: BTreeMap<(Seq, Side), BodyFile>,
    /// Which of `files` has a digest; of several any, since their bytes are the same.
    digests: HashMap<Digest, (Seq, Side)>,
}

pub(super) struct Tape {
    pub(super) path: PathBuf,
    source: Box<dyn Source>,
    /// As its header says.
    run: Option<RunId>,
    /// Bytes of whole records.
    len: u64,
    /// Body files whose digests were made by reading them, because their run was killed.
    unnamed: Vec<(Seq, Side)>,
}

impl Tape {
    fn new(path: PathBuf, source: Box<dyn Source>) -> Tape {
        Tape { path, source, run: None, len: 0, unnamed: Vec::new() }
    }
}

impl Tape {
    /// Where its run puts a body.
    pub(super) fn body_path(&self, seq: Seq, side: Side) -> PathBuf {
        let name = self.run.as_ref().map(|run| run.body(seq, side)).unwrap_or_default();
        self.path.with_file_name(name)
    }
}

/// One exchange that is kept.
struct Entry {
    seq: Seq,
    tape: usize,
    extents: Vec<Extent>,
    end: End,
}

/// A body in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFile {
    pub seq: Seq,
    pub side: Side,
    /// Where the run put it; a seal may have moved it since.
    pub path: PathBuf,
    pub digest: Digest,
    pub len: u64,
}

impl TapeRun {
    /// Opens the tapes of one run.
    ///
    /// Errors: a tape that can't be read at all, or has another format. A torn one is no error.
    ///
    /// Blocking: reads every tape whole.
    pub fn open(tapes: &[PathBuf]) -> Result<TapeRun, ReadError> {
        let open = |path: &PathBuf| {
            let file = File::open(path).map_err(|error| ReadError::io(path, error))?;
            Ok(Tape::new(path.clone(), Box::new(file)))
        };
        Self::of(tapes.iter().map(open).collect::<Result<_, _>>()?)
    }

    /// Tapes that are in memory.
    #[cfg(any(test, fuzzing))]
    pub fn of_bytes(tapes: Vec<Vec<u8>>) -> Result<TapeRun, ReadError> {
        let tape = |bytes| Tape::new(PathBuf::from("memory"), Box::new(bytes));
        Self::of(tapes.into_iter().map(tape).collect())
    }

    fn of(tapes: Vec<Tape>) -> Result<TapeRun, ReadError> {
        let mut run = TapeRun {
            tapes: Vec::new(),
            entries: Vec::new(),
            sessions: Vec::new(),
            endpoints: Vec::new(),
            torn: Vec::new(),
            dropped: 0,
            files: BTreeMap::new(),
            digests: HashMap::new(),
        };
        let mut indexed = Vec::new();
        for (number, mut tape) in tapes.into_iter().enumerate() {
            let index = Index::of(&tape.path, &*tape.source)?;
            tape.len = index.len;
            run.torn.extend(index.torn);
            if run.endpoints.is_empty() {
                run.endpoints = index.header.as_ref().map_or(Vec::new(), |h| h.endpoints.clone());
            }
            tape.run = index.header.and_then(|header| RunId::checked(&header.run));
            run.note_files(&mut tape, &index.exchanges);
            indexed.extend(index.exchanges.into_iter().map(|(seq, one)| (seq, number, one)));
            run.tapes.push(tape);
        }
        indexed.sort_by_key(|(seq, ..)| *seq);
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        for (seq, tape, one) in indexed {
            match one.verdict() {
                Verdict::Keep(end) => {
                    let place = *places.entry(Arc::clone(&one.session)).or_insert_with(|| {
                        run.sessions.push((one.session.to_string(), Vec::new()));
                        run.sessions.len() - 1
                    });
                    if let Some((_, entries)) = run.sessions.get_mut(place) {
                        entries.push(run.entries.len());
                    }
                    run.entries.push(Entry { seq, tape, extents: one.extents, end });
                }
                Verdict::Drop(_) => run.dropped += 1,
            }
        }
        Ok(run)
    }

    /// Finds the body files of a tape's exchanges that are kept, and names those that were cut.
    fn note_files(&mut self, tape: &mut Tape, exchanges: &HashMap<Seq, Indexed>) {
        let kept = exchanges.iter().filter(|(_, one)| matches!(one.verdict(), Verdict::Keep(_)));
        for (seq, one) in kept {
            for (side, known) in [(Side::Request, one.request), (Side::Response, one.response)] {
                let path = tape.body_path(*seq, side);
                let named = match known {
                    FileNote::None | FileNote::Overflowed => continue,
                    FileNote::Digested { digest, len } => Some((digest, len)),
                    // Cut off: what is on disk is what survived.
                    FileNote::Begun => {
                        tape.unnamed.push((*seq, side));
                        digest_of(&path).ok()
                    }
                };
                if let Some((digest, len)) = named {
                    self.digests.insert(digest, (*seq, side));
                    let file = BodyFile { seq: *seq, side, path, digest, len };
                    self.files.insert((*seq, side), file);
                }
            }
        }
    }

    /// Writes down on the tapes what the bodies of a killed run came to, before a seal moves them:
    /// a body that has left its place can't be found again but by its digest. Each such tape's
    /// torn end is cut off for it.
    pub(crate) fn write_digests(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        for tape in &self.tapes {
            let mut frames = Vec::new();
            for (seq, side) in &tape.unnamed {
                if let Some(file) = self.files.get(&(*seq, *side)) {
                    let (side, len, digest) = (*side, file.len, file.digest);
                    format::encode(&mut frames, *seq, &Frame::BodyDigest { side, len, digest });
                }
            }
            if !frames.is_empty() {
                let mut writer = Writer::reopen(disk, &tape.path, tape.len)?;
                writer.append(&frames)?;
                writer.sync()?;
            }
        }
        Ok(())
    }

    /// What was cut off the tapes' ends.
    pub fn torn(&self) -> &[Torn] {
        &self.torn
    }

    /// Exchanges on the tapes of which nothing is kept: abandoned, or killed before their answer.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Sessions of which at least one exchange is kept, in the order of their first ones.
    pub fn sessions(&self) -> impl Iterator<Item = &str> {
        self.sessions.iter().map(|(name, _)| name.as_str())
    }

    /// How many exchanges of this session are kept.
    pub fn count(&self, session: &str) -> usize {
        self.entries_of(session).len()
    }

    /// The endpoints of the run.
    pub fn endpoints(&self) -> &[EndpointNote] {
        &self.endpoints
    }

    /// Bodies in files of their own, in the order of their requests.
    pub fn body_files(&self) -> impl Iterator<Item = &BodyFile> {
        self.files.values()
    }

    /// Where the body with this digest is now: among the recording directory's bodies when a seal
    /// has moved it there, else where the run put it.
    pub fn body_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.digests.get(digest).and_then(|place| self.files.get(place)).map(place_of)
    }

    /// The session's exchanges in the order of their request heads, read as they are asked for.
    /// Bodies still have their content coding on. A gRPC call or a WebSocket conversation is in
    /// memory with all its messages.
    pub fn exchanges(
        &self,
        session: &str,
    ) -> impl Iterator<Item = Result<Exchange, ReadError>> + use<'_> {
        self.exchanges_with(session, &|_, message| Ok(message))
    }

    /// As `exchanges`; each message of a call or a conversation is what `keep` makes of it.
    pub fn exchanges_with<'a>(
        &'a self,
        session: &str,
        keep: KeepMessage<'a>,
    ) -> impl Iterator<Item = Result<Exchange, ReadError>> + use<'a> {
        self.entries_of(session)
            .iter()
            .filter_map(|place| self.entries.get(*place))
            .filter_map(move |entry| self.exchange(entry, keep).transpose())
    }

    fn entries_of(&self, session: &str) -> &[usize] {
        let found = self.sessions.iter().find(|(name, _)| name == session);
        found.map_or(&[], |(_, entries)| entries)
    }

    fn exchange(
        &self,
        entry: &Entry,
        keep: KeepMessage<'_>,
    ) -> Result<Option<Exchange>, ReadError> {
        let Some(tape) = self.tapes.get(entry.tape) else { return Ok(None) };
        let assembly = assembled(tape, &entry.extents, keep)?;
        if assembly.is_conversation() {
            return Ok(assembly.finish_conversation(entry.end));
        }
        let body = Wanted { tape, seq: entry.seq, assembly: &assembly, keep };
        let (request, ends) = self.given(&body, Side::Request, None)?;
        let (response, _) = self.given(&body, Side::Response, Some(&ends))?;
        Ok(assembly.finish(entry.end, request, response, &|mark| ends.after(mark)))
    }
}

/// Takes the frames in these extents, of which a few at a time are in memory.
fn assembled(
    tape: &Tape,
    extents: &[Extent],
    keep: KeepMessage<'_>,
) -> Result<Assembly, ReadError> {
    let io = |error| ReadError::io(&tape.path, error);
    let changed = || ReadError::Changed { path: tape.path.clone() };
    let mut assembly = Assembly::default();
    let mut window = Window::new(&*tape.source, Extent { offset: 0, len: 0 });
    for extent in extents {
        window.move_to(*extent);
        while !window.is_at_end() {
            let size = window.next_frame().map_err(io)?.ok_or_else(changed)?;
            let Split::Frame { raw, .. } = format::split(window.frame(size)) else {
                return Err(changed());
            };
            assembly.push(raw.decode().map_err(|_| changed())?, keep)?;
            window.advance(size);
        }
    }
    Ok(assembly)
}

pub(super) fn place_of(file: &BodyFile) -> PathBuf {
    let recordings = file.path.parent().and_then(Path::parent);
    let sealed = recordings.map(|dir| dir.join("bodies").join(file.digest.to_string()));
    sealed.filter(|path| path.exists()).unwrap_or_else(|| file.path.clone())
}

/// The digest and length of a file's content.
pub(crate) fn digest_of(path: &Path) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let len = io::copy(&mut File::open(path)?, &mut HashSink(&mut hasher))?;
    Ok((Digest(hasher.finalize().into()), len))
}

struct HashSink<'a>(&'a mut Sha256);

impl io::Write for HashSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
