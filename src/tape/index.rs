//! Going through one tape: every frame checked, and where each exchange's frames are.
//!
//! Stops at the first frame that isn't whole, or stands where it can't.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{self, FORMAT, Frame, Header, PREFIX_BYTES, Side, Split};
use super::reader::{ReadError, Torn};
use super::recover::{self, Seen, Verdict};
use super::writer::Extent;
use crate::exchange::{Digest, Seq};

/// Bytes read at once while a tape is gone through.
const WINDOW_BYTES: usize = 256 << 10;

/// What a tape can be read from.
pub(super) trait Source: Send + Sync {
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

#[cfg(any(test, fuzzing))]
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
pub(super) struct Index {
    pub(super) header: Option<Header>,
    pub(super) exchanges: HashMap<Seq, Indexed>,
    /// Bytes of whole records.
    pub(super) len: u64,
    pub(super) torn: Option<Torn>,
}

/// One exchange's frames on a tape.
#[derive(Default)]
pub(super) struct Indexed {
    pub(super) session: Arc<str>,
    pub(super) extents: Vec<Extent>,
    pub(super) seen: Seen,
    pub(super) request: FileNote,
    pub(super) response: FileNote,
}

/// What a tape says of a body file.
#[derive(Clone, Copy, Default)]
pub(super) enum FileNote {
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
    pub(super) fn of(path: &Path, source: &dyn Source) -> Result<Index, ReadError> {
        let mut index = Index::default();
        let mut sessions: HashMap<String, Arc<str>> = HashMap::new();
        let io = |error| ReadError::io(path, error);
        let len = source.size().map_err(io)?;
        let mut window = Window::new(source, Extent { offset: 0, len });
        let mut first = true;
        while let Some(size) = window.next_frame().map_err(io)? {
            let offset = window.offset;
            let bytes = window.frame(size);
            if std::mem::take(&mut first)
                && let Some(found) = format::version_of(bytes)
                && found != FORMAT
            {
                return Err(ReadError::Version { path: PathBuf::from(path), found });
            }
            let Split::Frame { raw, .. } = format::split(bytes) else { break };
            let Ok(frame) = raw.decode() else { break };
            if !index.take(raw.seq, Extent { offset, len: size as u64 }, frame, &mut sessions) {
                break;
            }
            window.advance(size);
        }
        index.len = window.offset;
        if !window.is_at_end() {
            let (at, bytes) = (window.offset, window.end - window.offset);
            index.torn = Some(Torn { path: PathBuf::from(path), at, bytes });
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
    pub(super) fn verdict(&self) -> Verdict {
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

/// A moving view of a part of a tape that always holds the next frame whole.
pub(super) struct Window<'a> {
    source: &'a dyn Source,
    /// Where on the tape the part ends.
    end: u64,
    /// Where on the tape the next frame begins.
    offset: u64,
    bytes: Vec<u8>,
    /// Where in `bytes` that is.
    start: usize,
}

impl<'a> Window<'a> {
    pub(super) fn new(source: &'a dyn Source, part: Extent) -> Window<'a> {
        let mut window = Window { source, end: 0, offset: 0, bytes: Vec::new(), start: 0 };
        window.move_to(part);
        window
    }

    /// Goes on with another part.
    pub(super) fn move_to(&mut self, part: Extent) {
        self.offset = part.offset;
        self.end = part.offset.saturating_add(part.len);
        self.bytes.clear();
        self.start = 0;
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.offset == self.end
    }

    /// The size of the next frame, which is then in view; `None` where the part ends or is torn.
    pub(super) fn next_frame(&mut self) -> io::Result<Option<usize>> {
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

    pub(super) fn frame(&self, size: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + size).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, size: usize) {
        self.start += size;
        self.offset += size as u64;
    }

    /// Makes at least `wanted` bytes from `offset` on visible; false when the tape has fewer.
    fn show(&mut self, wanted: usize) -> io::Result<bool> {
        let left = self.end - self.offset;
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
