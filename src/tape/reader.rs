//! Reading a run's tapes, at its end or after its death.
//!
//! Opening reads each tape once, checks every frame and notes where each exchange's frames are;
//! exchanges are read again one at a time, so memory grows with their number, not their bodies.
//! Changes nothing on disk: a torn tail is left out and reported, so tapes in a folder that can't be
//! written are read in place.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::assemble::{Assembly, FileBody, Place};
use super::format::{self, FORMAT, Frame, Header, PREFIX_BYTES, Side, Split};
use super::names::RunId;
use super::recover::{self, Seen, Verdict};
use super::writer::Extent;
use crate::cassette::EndpointNote;
use crate::exchange::{Body, Digest, End, Exchange, Seq};

/// Bytes read at once while a tape is gone through.
const WINDOW_BYTES: usize = 256 << 10;

/// A streamed answer up to this size is given in its pieces even when its bytes are in a file;
/// pieces are held in memory, and beyond this it is a file rather than a conversation.
const STREAM_BYTES_MAX: u64 = 16 << 20;

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
}

impl ReadError {
    fn io(path: &Path, error: io::Error) -> Self {
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
    files: BTreeMap<(Seq, Side), BodyFile>,
}

struct Tape {
    path: PathBuf,
    source: Box<dyn Source>,
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
            Ok(Tape { path: path.clone(), source: Box::new(file) })
        };
        Self::of(tapes.iter().map(open).collect::<Result<_, _>>()?)
    }

    /// Tapes that are in memory; for tests and fuzzing.
    #[doc(hidden)]
    pub fn of_bytes(tapes: Vec<Vec<u8>>) -> Result<TapeRun, ReadError> {
        let tape = |bytes| Tape { path: PathBuf::from("memory"), source: Box::new(bytes) };
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
        };
        let mut indexed = Vec::new();
        for (number, tape) in tapes.into_iter().enumerate() {
            let index = Index::of(&tape)?;
            run.torn.extend(index.torn);
            if run.endpoints.is_empty() {
                run.endpoints = index.header.as_ref().map_or(Vec::new(), |h| h.endpoints.clone());
            }
            let run_id = index.header.and_then(|header| RunId::checked(&header.run));
            run.note_files(&tape.path, run_id.as_ref(), &index.exchanges);
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
    fn note_files(&mut self, tape: &Path, run: Option<&RunId>, exchanges: &HashMap<Seq, Indexed>) {
        let (Some(run), Some(folder)) = (run, tape.parent()) else { return };
        let kept = exchanges.iter().filter(|(_, one)| matches!(one.verdict(), Verdict::Keep(_)));
        for (seq, one) in kept {
            for (side, known) in [(Side::Request, one.request), (Side::Response, one.response)] {
                let path = folder.join(run.body(*seq, side));
                let named = match known {
                    FileNote::None | FileNote::Overflowed => continue,
                    FileNote::Digested { digest, len } => Some((digest, len)),
                    // Cut off: what is on disk is what survived.
                    FileNote::Begun => digest_of(&path).ok(),
                };
                if let Some((digest, len)) = named {
                    let file = BodyFile { seq: *seq, side, path, digest, len };
                    self.files.insert((*seq, side), file);
                }
            }
        }
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
        let file = self.files.values().find(|file| file.digest == *digest)?;
        Some(place_of(file))
    }

    /// The session's exchanges in the order of their request heads, read as they are asked for.
    /// Bodies still have their content coding on.
    pub fn exchanges(
        &self,
        session: &str,
    ) -> impl Iterator<Item = Result<Exchange, ReadError>> + use<'_> {
        self.entries_of(session)
            .iter()
            .filter_map(|place| self.entries.get(*place))
            .filter_map(|entry| self.exchange(entry).transpose())
    }

    fn entries_of(&self, session: &str) -> &[usize] {
        let found = self.sessions.iter().find(|(name, _)| name == session);
        found.map_or(&[], |(_, entries)| entries)
    }

    fn exchange(&self, entry: &Entry) -> Result<Option<Exchange>, ReadError> {
        let Some(tape) = self.tapes.get(entry.tape) else { return Ok(None) };
        let mut assembly = Assembly::default();
        let mut bytes = Vec::new();
        for extent in &entry.extents {
            bytes.resize(extent.len as usize, 0);
            tape.source
                .read_exact_at(&mut bytes, extent.offset)
                .map_err(|error| ReadError::io(&tape.path, error))?;
            push_frames(&mut assembly, &bytes)
                .ok_or_else(|| ReadError::Changed { path: tape.path.clone() })?;
        }
        let request = self.file_body(entry.seq, Side::Request, &assembly)?;
        let response = self.file_body(entry.seq, Side::Response, &assembly)?;
        Ok(assembly.finish(entry.end, request, response))
    }

    fn file_body(
        &self,
        seq: Seq,
        side: Side,
        assembly: &Assembly,
    ) -> Result<Option<FileBody>, ReadError> {
        if assembly.place(side) != Place::File {
            return Ok(None);
        }
        let Some(file) = self.files.get(&(seq, side)) else {
            return Err(ReadError::BodyLost { path: PathBuf::from(format!("{}", seq.0)) });
        };
        let path = place_of(file);
        let on_disk = fs::metadata(&path).map(|metadata| metadata.len());
        if !on_disk.is_ok_and(|len| len == file.len) {
            return Err(ReadError::BodyLost { path });
        }
        let in_pieces = side == Side::Response && assembly.is_streamed_type();
        if in_pieces && file.len <= STREAM_BYTES_MAX {
            let bytes = fs::read(&path).map_err(|error| ReadError::io(&path, error))?;
            return Ok(Some(FileBody::Read(Bytes::from(bytes))));
        }
        Ok(Some(FileBody::Named { digest: file.digest, len: file.len }))
    }
}

/// `None` when the bytes aren't whole frames any more.
fn push_frames(assembly: &mut Assembly, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        let Split::Frame { raw, size } = format::split(bytes) else { return None };
        assembly.push(raw.decode().ok()?);
        bytes = bytes.get(size..)?;
    }
    Some(())
}

fn place_of(file: &BodyFile) -> PathBuf {
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

/// What a tape can be read from.
trait Source: Send + Sync {
    fn size(&self) -> io::Result<u64>;
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl Source for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start.checked_add(buffer.len()).and_then(|end| self.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// What going through one tape tells.
#[derive(Default)]
struct Index {
    header: Option<Header>,
    exchanges: HashMap<Seq, Indexed>,
    torn: Option<Torn>,
}

/// One exchange's frames on a tape.
#[derive(Default)]
struct Indexed {
    session: Arc<str>,
    extents: Vec<Extent>,
    seen: Seen,
    request: FileNote,
    response: FileNote,
}

/// What a tape says of a body file.
#[derive(Clone, Copy, Default)]
enum FileNote {
    #[default]
    None,
    Begun,
    Digested {
        digest: Digest,
        len: u64,
    },
    /// The body passed `max_kept_body`, and what it was in all isn't known yet.
    Overflowed,
}

impl Index {
    fn of(tape: &Tape) -> Result<Index, ReadError> {
        let mut index = Index::default();
        let mut sessions: HashMap<String, Arc<str>> = HashMap::new();
        let io = |error| ReadError::io(&tape.path, error);
        let mut window = Window::new(&*tape.source).map_err(io)?;
        let mut first = true;
        while let Some(size) = window.next_frame().map_err(io)? {
            let offset = window.offset;
            let bytes = window.frame(size);
            if std::mem::take(&mut first)
                && let Some(found) = format::version_of(bytes)
                && found != FORMAT
            {
                return Err(ReadError::Version { path: tape.path.clone(), found });
            }
            let Split::Frame { raw, .. } = format::split(bytes) else { break };
            let Ok(frame) = raw.decode() else { break };
            if !index.take(raw.seq, Extent { offset, len: size as u64 }, frame, &mut sessions) {
                break;
            }
            window.advance(size);
        }
        if window.offset < window.size {
            let (at, bytes) = (window.offset, window.size - window.offset);
            index.torn = Some(Torn { path: tape.path.clone(), at, bytes });
        }
        Ok(index)
    }

    /// False when a frame stands where it can't.
    fn take(
        &mut self,
        seq: Seq,
        extent: Extent,
        frame: Frame<'_>,
        sessions: &mut HashMap<String, Arc<str>>,
    ) -> bool {
        match &frame {
            Frame::Tape(header) => {
                let first = self.header.is_none() && seq == Seq(0);
                self.header = Some(header.clone().into_owned());
                return first;
            }
            _ if self.header.is_none() => return false,
            Frame::Opened { session, .. } => {
                if self.exchanges.contains_key(&seq) {
                    return false;
                }
                let session = match sessions.get(*session) {
                    Some(known) => Arc::clone(known),
                    None => {
                        let name: Arc<str> = Arc::from(*session);
                        sessions.insert((*session).to_owned(), Arc::clone(&name));
                        name
                    }
                };
                self.exchanges.insert(seq, Indexed { session, ..Indexed::default() });
            }
            _ => {}
        }
        let Some(one) = self.exchanges.get_mut(&seq) else { return false };
        Extent::append(&mut one.extents, extent);
        one.note(&frame);
        true
    }
}

impl Indexed {
    fn verdict(&self) -> Verdict {
        let overflowed = |note| matches!(note, FileNote::Overflowed);
        let overflowed_without_digest = overflowed(self.request) || overflowed(self.response);
        recover::exchange(Seen { overflowed_without_digest, ..self.seen })
    }

    fn note(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Opened { .. } => self.seen.opened = true,
            Frame::Answered { .. } => self.seen.answered = true,
            Frame::Ended { end, .. } => self.seen.ended = Some(*end),
            Frame::Abandoned => self.seen.abandoned = true,
            Frame::BodyFile(side) => *self.file(*side) = FileNote::Begun,
            Frame::BodyDigest { side, len, digest } => {
                *self.file(*side) = FileNote::Digested { digest: *digest, len: *len };
            }
            Frame::Overflowed(side) => *self.file(*side) = FileNote::Overflowed,
            Frame::Omitted { side, .. } => *self.file(*side) = FileNote::None,
            _ => {}
        }
    }

    fn file(&mut self, side: Side) -> &mut FileNote {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}

/// A moving view of a tape that always holds the next frame whole.
struct Window<'a> {
    source: &'a dyn Source,
    size: u64,
    /// Where on the tape the next frame begins.
    offset: u64,
    bytes: Vec<u8>,
    /// Where in `bytes` that is.
    start: usize,
}

impl<'a> Window<'a> {
    fn new(source: &'a dyn Source) -> io::Result<Window<'a>> {
        let size = source.size()?;
        Ok(Window { source, size, offset: 0, bytes: Vec::new(), start: 0 })
    }

    /// The size of the next frame, which is then in view; `None` where the tape ends or is torn.
    fn next_frame(&mut self) -> io::Result<Option<usize>> {
        let mut wanted = PREFIX_BYTES;
        loop {
            if !self.show(wanted)? {
                return Ok(None);
            }
            match format::split(self.bytes.get(self.start..).unwrap_or_default()) {
                Split::Frame { size, .. } => return Ok(Some(size)),
                Split::Short { size } => wanted = size,
                Split::Damaged => return Ok(None),
            }
        }
    }

    fn frame(&self, size: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + size).unwrap_or_default()
    }

    fn advance(&mut self, size: usize) {
        self.start += size;
        self.offset += size as u64;
    }

    /// Makes at least `wanted` bytes from `offset` on visible; false when the tape has fewer.
    fn show(&mut self, wanted: usize) -> io::Result<bool> {
        let left = self.size - self.offset;
        if (wanted as u64) > left {
            return Ok(false);
        }
        if self.bytes.len() - self.start >= wanted {
            return Ok(true);
        }
        let len = (wanted.max(WINDOW_BYTES) as u64).min(left) as usize;
        self.bytes.resize(len, 0);
        self.start = 0;
        self.source.read_exact_at(&mut self.bytes, self.offset)?;
        Ok(true)
    }
}

/// What must hold of every tape, whatever its bytes: going through it neither panics nor takes more
/// memory than it has bytes, yields only exchanges with an answer, and says where it stopped.
#[doc(hidden)]
pub fn check_any_tape(bytes: &[u8]) {
    let Ok(run) = TapeRun::of_bytes(vec![bytes.to_vec()]) else { return };
    for torn in run.torn() {
        assert!(torn.at + torn.bytes == bytes.len() as u64, "a torn tail reaches the end");
    }
    for session in run.sessions() {
        for exchange in run.exchanges(session).flatten() {
            if let Body::Whole(body) = &exchange.response.body {
                assert!(body.len() <= bytes.len(), "a body is no longer than its tape");
            }
        }
    }
}
