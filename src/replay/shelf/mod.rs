//! A large session's ordinary recordings, in a file from which each is read when it is asked for.
//!
//! The file is derived from a cassette and lies in `.ouli/index`. It may be deleted at any time and
//! is made anew where it is missing, damaged, or of another cassette, other rules or another Ouli; but a
//! damaged record is found when it is read, told, and made anew at the next start. In memory are the
//! keys and where each record lies; an answer is one read from the page cache.
//!
//! `record` is an exchange's form, `table` what is read at the start, `make` how the file comes
//! to be. Calls, conversations and requests that were recorded in part stand on no shelf: what they
//! are chosen by takes all of them. The file holds a small cassette of those.
//!
//! Invariants: a shelf answers as the cassette that it was made from, whatever happens to both
//! files later; what isn't whole is a fault and never an answer. The checksums are against accidents:
//! whoever can write the folder decides what is answered, here as in a cassette.

mod make;
#[cfg(any(test, fuzzing))]
pub mod property;
mod record;
pub(super) mod table;
#[cfg(test)]
mod tests;

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::choose::{AfterLast, Ledger, Reserved};
use super::index::Index;
use super::session::Settings;
use crate::cassette::{self, Cassette};
use crate::exchange::{Digest, Request, Response};
use crate::grpc::Catalog;
use crate::matching::Bounds;
use crate::session;
use crate::tape::names;
use crate::tape::wire::Malformed;
pub use make::{MakeError, Maker};
pub use record::StoredAnswer;
use table::{HEAD_BYTES, Head, Stamp, TableReader};

/// Counts up with every change of the file's form, of match keys, of how answers are framed, or of what
/// a cassette's text means: a file of another number is made anew. (Tests notice when keys, records or
/// framed answers change.)
pub(crate) const VERSION: u32 = 2;

/// The folder in `.ouli` that holds them.
const FOLDER: &str = "index";

/// A session's recordings in a file.
#[derive(Debug)]
pub struct Shelf {
    file: File,
    path: PathBuf,
    /// Where each record begins, and where the last one ends.
    bounds: Vec<u64>,
    /// Bytes at the beginning of each record that are its answer.
    answers: Vec<u32>,
    pub(super) index: Index,
    pub(super) ledger: Ledger,
    /// Those with nothing to send, in order.
    unusable: Vec<u32>,
    /// The places in the session of what stands on no shelf, in order.
    elsewhere: Vec<u32>,
}

/// Where something lies in the file, and its length.
type Extent = (u64, usize);

/// A record that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the index `{}` can't be read", path.display())]
pub struct Damaged {
    path: PathBuf,
    #[source]
    source: io::Error,
    /// Whether the file is out of the way of a new one.
    is_removed: bool,
}

impl Damaged {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.is_removed {
            true => "it has been removed: start again, and it is made anew from its cassette",
            false => "delete it and start again: it is made anew from its cassette",
        }
    }
}

/// Where the shelf of a session lies, if it has one.
pub(super) fn path(recording_dir: &Path, session: &str) -> PathBuf {
    let folder = names::folder(recording_dir).join(FOLDER);
    let mut path = session::cassette_path(&folder, session);
    path.set_extension("index");
    path
}

/// Removes what was made for cassettes that aren't there any more, and what killed makers left.
/// What can't be removed stays.
pub(super) fn sweep(recording_dir: &Path, is_there: impl Fn(&str) -> bool) {
    let top = names::folder(recording_dir).join(FOLDER);
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&top).ok().and_then(Path::to_str);
            let is_left = match name.and_then(|name| name.rsplit_once('.')) {
                Some((session, "index")) => !is_there(session),
                // Whoever makes one holds its lock.
                Some((_, "making")) => {
                    cassette::open_file(&path).is_ok_and(|file| file.try_lock().is_ok())
                }
                _ => false,
            };
            if is_left {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Whether the file is the shelf of a cassette like this, as far as its head tells.
pub(super) fn is_current(path: &Path, cassette: &Metadata, settings: &Settings) -> bool {
    open_file(path, &stamp(cassette), &rules(settings)).is_ok()
}

impl Shelf {
    /// Opens what was made from a cassette like this; also gives what stands on no shelf.
    ///
    /// Errors: there is none, or none that is whole and current.
    ///
    /// Blocking: reads all but the records.
    pub(super) fn open(
        path: &Path,
        cassette: &Metadata,
        settings: &Settings,
        bodies: &cassette::Bodies,
        descriptors: &Catalog,
    ) -> io::Result<(Shelf, Cassette)> {
        let (file, head) = open_file(path, &stamp(cassette), &rules(settings))?;
        let (tables_at, rest_at) = head.tables_at().zip(head.rest_at()).ok_or_else(invalid)?;
        (&file).seek(SeekFrom::Start(tables_at))?;
        let count = u32::try_from(head.count).map_err(|_| invalid())?;
        let mut table = TableReader::new(&file, head.tables_bytes);
        let bounds = bounds(table.take_u32s(count.into())?, head.records_bytes)?;
        let answers = table.take_u32s(count.into())?;
        let records = bounds.iter().zip(bounds.iter().skip(1));
        if records.zip(&answers).any(|((begin, end), answer)| end - begin < u64::from(*answer)) {
            return Err(invalid());
        }
        let index = Index::load(&mut table, head.sizes, count)?;
        let [unusable, elsewhere] = [(); 2].map(|()| {
            let len = table.take_u32s(1)?[0];
            table.take_u32s(len.into())
        });
        let (unusable, elsewhere) = (unusable?, elsewhere?);
        table.finish(head.tables_crc)?;
        let mut rest = Vec::new();
        (&file).seek(SeekFrom::Start(rest_at))?;
        (&file).take(head.rest_bytes).read_to_end(&mut rest)?;
        let rest = String::from_utf8(rest).map_err(|_| invalid())?;
        if crc32c::crc32c(rest.as_bytes()) != head.rest_crc {
            return Err(invalid());
        }
        let rest = cassette::read_text(&rest, bodies, descriptors).map_err(|_| invalid())?;
        if rest.exchanges.len() != elsewhere.len() {
            return Err(invalid());
        }
        let (path, ledger) = (path.to_owned(), Ledger::new(count));
        Ok((Shelf { file, path, bounds, answers, index, ledger, unusable, elsewhere }, rest))
    }

    pub(super) fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Reserves an answer to a request with this key.
    pub(super) fn reserve(&self, key: &[u8], after_last: AfterLast) -> Option<Reserved> {
        let (occurrences, cursor) = self.index.find(key)?;
        self.ledger.reserve(occurrences, cursor, after_last)
    }

    /// The recordings that could have answered a request and answered none, in order.
    pub(super) fn unused(&self) -> impl Iterator<Item = u32> {
        let is_usable = |n: &u32| self.unusable.binary_search(n).is_err();
        self.ledger.untaken().filter(is_usable)
    }

    /// A recording's place in the session, counted from 0.
    pub(super) fn place(&self, n: u32) -> usize {
        let before = |place: usize, elsewhere: &u32| match *elsewhere as usize <= place {
            true => Ok(place + 1),
            false => Err(place),
        };
        match self.elsewhere.iter().try_fold(n as usize, before) {
            Ok(place) | Err(place) => place,
        }
    }

    /// The same for what stands on no shelf.
    pub(super) fn place_elsewhere(&self, n: u32) -> usize {
        self.elsewhere.get(n as usize).map_or(0, |place| *place as usize)
    }

    /// The answer of a recording.
    ///
    /// Cancel safety: nothing is lost. Doesn't block: what isn't in the page cache is read on
    /// another thread.
    pub async fn answer(self: &Arc<Shelf>, n: u32) -> Result<StoredAnswer, Damaged> {
        let extent = self.answer_extent(n).ok_or_else(|| self.damaged(invalid()))?;
        let answer = match self.read_at_hand(extent) {
            Some(answer) => answer,
            None => {
                let shelf = self.clone();
                let read = tokio::task::spawn_blocking(move || shelf.read(extent)).await;
                read.map_err(io::Error::other).and_then(|read| read).map_err(|e| self.damaged(e))?
            }
        };
        StoredAnswer::of(answer).map_err(|malformed| self.damaged(of(malformed)))
    }

    /// All that is known of an answer.
    pub fn response(&self, answer: &StoredAnswer) -> Result<Response, Damaged> {
        answer.response().map_err(|malformed| self.damaged(of(malformed)))
    }

    /// The request of a recording.
    ///
    /// Blocking: reads it from the file.
    pub(super) fn request(&self, n: u32) -> Result<Request, Damaged> {
        let extent = self.request_extent(n).ok_or_else(|| self.damaged(invalid()))?;
        let request = self.read(extent).map_err(|error| self.damaged(error))?;
        record::request(&request).map_err(|malformed| self.damaged(of(malformed)))
    }

    /// Also removes the file, so that the next start makes another: it takes a read to find this out,
    /// and nobody reads all records before.
    fn damaged(&self, source: io::Error) -> Damaged {
        let is_ours = || {
            let (there, ours) = (fs::metadata(&self.path).ok()?, self.file.metadata().ok()?);
            Some((there.ino(), there.dev()) == (ours.ino(), ours.dev()))
        };
        let is_removed = is_ours() != Some(true) || fs::remove_file(&self.path).is_ok();
        Damaged { path: self.path.clone(), source, is_removed }
    }

    fn answer_extent(&self, n: u32) -> Option<Extent> {
        let begin = *self.bounds.get(n as usize)?;
        Some((begin, *self.answers.get(n as usize)? as usize))
    }

    fn request_extent(&self, n: u32) -> Option<Extent> {
        let (begin, answer_len) = self.answer_extent(n)?;
        let begin = begin + answer_len as u64;
        Some((begin, self.bounds.get(n as usize + 1)?.checked_sub(begin)? as usize))
    }

    fn read(&self, (begin, len): Extent) -> io::Result<Bytes> {
        let mut record = vec![0; len];
        self.file.read_exact_at(&mut record, begin).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "it ends too early"),
            _ => error,
        })?;
        Ok(record.into())
    }

    /// The bytes, if all of them are in the page cache.
    #[cfg(target_os = "linux")]
    fn read_at_hand(&self, (begin, len): Extent) -> Option<Bytes> {
        use rustix::io::{ReadWriteFlags, preadv2};

        let mut record = vec![0; len];
        let mut parts = [io::IoSliceMut::new(&mut record)];
        let read = preadv2(&self.file, &mut parts, begin, ReadWriteFlags::NOWAIT).ok()?;
        (read == len).then(|| record.into())
    }

    /// Nobody can say what is in the page cache here.
    #[cfg(not(target_os = "linux"))]
    fn read_at_hand(&self, _: Extent) -> Option<Bytes> {
        None
    }
}

/// The file and its head, if they are for such a cassette and these rules.
fn open_file(path: &Path, cassette: &Stamp, rules: &Digest) -> io::Result<(File, Head)> {
    let mut file = cassette::open_file(path)?;
    let mut bytes = [0; HEAD_BYTES];
    file.read_exact(&mut bytes)?;
    let head = Head::of_bytes(&bytes).map_err(of)?;
    let is_current = head.cassette == *cassette
        && head.rules == *rules
        && head.file_bytes() == Some(file.metadata()?.len());
    if is_current { Ok((file, head)) } else { Err(invalid()) }
}

/// Where each record begins and the last one ends; by their lengths, which must fill the file up
/// to the tables.
fn bounds(lens: Vec<u32>, records_bytes: u64) -> io::Result<Vec<u64>> {
    let mut bounds = Vec::with_capacity(lens.len() + 1);
    let mut at = HEAD_BYTES as u64;
    bounds.push(at);
    for len in lens {
        at += u64::from(len);
        bounds.push(at);
    }
    let is_sound = at == HEAD_BYTES as u64 + records_bytes;
    if is_sound { Ok(bounds) } else { Err(invalid()) }
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn of(_: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}

fn stamp(cassette: &Metadata) -> Stamp {
    let ns = |seconds: i64, ns: i64| {
        (seconds as u64).wrapping_mul(1_000_000_000).wrapping_add(ns as u64)
    };
    Stamp {
        len: cassette.len(),
        changed_ns: ns(cassette.mtime(), cassette.mtime_nsec()),
        status_ns: ns(cassette.ctime(), cassette.ctime_nsec()),
    }
}

/// Everything besides the cassette that decides what is on a shelf, and under which keys.
fn rules(settings: &Settings) -> Digest {
    let Settings { redactor, bounds, .. } = settings;
    let Bounds { match_bytes_max, decoded_bytes_max } = bounds;
    let (format, program) = (cassette::FORMAT, env!("CARGO_PKG_VERSION"));
    let text =
        format!("{VERSION} {program} {format} {match_bytes_max} {decoded_bytes_max} {redactor:?}");
    Digest(Sha256::digest(text).into())
}

/// Whether a cassette is so large that it is replayed from a shelf. Links are followed.
pub(super) fn large(cassette: &Path, settings: &Settings) -> Option<Metadata> {
    let metadata = fs::metadata(cassette).ok()?;
    (metadata.is_file() && metadata.len() > settings.index_over).then_some(metadata)
}
