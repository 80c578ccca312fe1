//! Making a shelf from a cassette: read exchange by exchange, written beside, locked, renamed.
//!
//! Invariants: under its own name a shelf is always whole; of processes that want the same one, one
//! makes it and the others wait; what a killed one left is written over.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::table::{HEAD_BYTES, Head, Stamp, TableWriter};
use super::{Shelf, record, rules, stamp};
use crate::cassette::{self, Exchanges, Unfit};
use crate::coding::{self, Extent};
use crate::exchange::{Body, Digest, Exchange, Response};
use crate::grpc::{self, Catalog};
use crate::replay::bodies::Bodies;
use crate::replay::call::tree;
use crate::replay::index;
use crate::replay::session::{self, Settings};
use crate::tape::disk::{RealDisk, make_folder};
use crate::tape::names;

/// Written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Exchanges of one session: they are counted in 32 bits, with one value for "none".
const COUNT_MAX: usize = u32::MAX as usize - 1;

/// A file that was changed within this time may change again without a sign of it: some file
/// systems count in whole seconds, Linux in turns of its clock.
const GRAIN: Duration = Duration::from_millis(50);
const COARSE_GRAIN: Duration = Duration::from_secs(2);

/// Why there is no shelf.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// For a reader of the whole cassette to judge.
    #[error("the cassette is read whole instead")]
    Unfit,
    #[error("it can't be written to `{}`", path.display())]
    Unkept { path: PathBuf, source: io::Error },
}

impl From<Unfit> for MakeError {
    fn from(_: Unfit) -> MakeError {
        MakeError::Unfit
    }
}

/// Who made a shelf.
enum Made {
    Now,
    /// Somebody else did, while this one waited for its turn.
    Before,
}

/// Makes shelves.
pub struct Maker<'a> {
    pub(in crate::replay) recording_dir: &'a Path,
    pub(in crate::replay) settings: &'a Settings,
    pub(in crate::replay) files: &'a cassette::Bodies,
    pub(in crate::replay) bodies: &'a Bodies,
    pub(in crate::replay) descriptors: &'a Catalog,
}

impl Maker<'_> {
    /// Makes the shelf of the cassette at `to`, unless somebody else has by the time that it is this
    /// one's turn.
    ///
    /// Blocking: reads the cassette and writes about as much.
    pub(in crate::replay) fn make(&self, cassette: &Path, to: &Path) -> Result<(), MakeError> {
        let unkept = |source| MakeError::Unkept { path: to.to_owned(), source };
        let beside = to.with_extension("making");
        let file = self.begin(&beside).map_err(unkept)?;
        let made = self.make_in(&file, cassette, to).and_then(|made| match made {
            Made::Now => fs::rename(&beside, to).map_err(unkept).map(|()| Made::Now),
            Made::Before => Ok(Made::Before),
        });
        if !matches!(made, Ok(Made::Now)) {
            // What is in it is of no use to anybody, and may be large.
            let _ = fs::remove_file(&beside);
        }
        made.map(drop)
    }

    fn make_in(&self, file: &File, cassette: &Path, to: &Path) -> Result<Made, MakeError> {
        let settled = settle(cassette).map_err(|_| MakeError::Unfit)?;
        let Maker { settings, files, descriptors, .. } = self;
        // What is damaged may look current.
        if Shelf::open(to, &settled, settings, files, descriptors).is_ok() {
            return Ok(Made::Before);
        }
        self.fill(cassette, &settled, file, to).map(|()| Made::Now)
    }

    /// Opens the file beside, for nobody else.
    fn begin(&self, beside: &Path) -> io::Result<File> {
        let folder = names::folder(self.recording_dir);
        make_folder(&RealDisk, &folder).map_err(io::Error::other)?;
        if let Some(folder) = beside.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(beside)?;
            file.lock()?;
            // Whoever had the lock before may have given the file its own name.
            let is_still_there = fs::metadata(beside)
                .and_then(|there| Ok((there, file.metadata()?)))
                .is_ok_and(|(there, ours)| (there.ino(), there.dev()) == (ours.ino(), ours.dev()));
            if is_still_there {
                return Ok(file);
            }
        }
    }

    fn fill(
        &self,
        cassette: &Path,
        settled: &fs::Metadata,
        file: &File,
        to: &Path,
    ) -> Result<(), MakeError> {
        let unkept = |source| MakeError::Unkept { path: to.to_owned(), source };
        let source = File::open(cassette).map_err(|_| MakeError::Unfit)?;
        let mut exchanges = Exchanges::open(&source, self.files, self.descriptors)?;
        let mut shelved = Shelved::begin(file).map_err(unkept)?;
        while let Some(mut one) = exchanges.read_next()? {
            if stands_elsewhere(&one.exchange) {
                shelved.set_aside(one.text);
                if shelved.rest_bytes > settled.len() / 2 {
                    // All of those would be in memory, and be in the file besides.
                    return Err(MakeError::Unfit);
                }
                continue;
            }
            code(&mut one.exchange.response);
            shelved.take(&one.exchange, self)?;
            shelved.write().map_err(unkept)?;
        }
        let is_same = source.metadata().is_ok_and(|now| stamp(&now) == stamp(settled));
        if !is_same {
            return Err(MakeError::Unfit);
        }
        let made_for = (rules(self.settings), stamp(settled));
        shelved.finish(exchanges.around(), made_for).map_err(unkept)
    }
}

/// A shelf while it is filled.
struct Shelved<'f> {
    out: BufWriter<&'f File>,
    index: index::Builder,
    lens: Vec<u32>,
    answer_lens: Vec<u32>,
    unusable: Vec<u32>,
    elsewhere: Vec<u32>,
    /// The texts of what stands elsewhere.
    rest: Vec<String>,
    rest_bytes: u64,
    /// The record that was taken last, and its key.
    record: Vec<u8>,
    key: Vec<u8>,
}

impl<'f> Shelved<'f> {
    /// Leaves room for the head.
    fn begin(file: &'f File) -> io::Result<Shelved<'f>> {
        file.set_len(0)?;
        let mut out = BufWriter::with_capacity(WRITE_BYTES, file);
        out.write_all(&[0; HEAD_BYTES])?;
        let index = index::Builder::new(0);
        let (lens, answer_lens, unusable, elsewhere) = Default::default();
        let (rest, rest_bytes, record, key) = Default::default();
        Ok(Shelved {
            out,
            index,
            lens,
            answer_lens,
            unusable,
            elsewhere,
            rest,
            rest_bytes,
            record,
            key,
        })
    }

    fn set_aside(&mut self, text: &str) {
        self.elsewhere.push((self.lens.len() + self.elsewhere.len()) as u32);
        self.rest_bytes += text.len() as u64;
        self.rest.push(text.to_owned());
    }

    /// Makes a record of an exchange.
    fn take(&mut self, exchange: &Exchange, maker: &Maker<'_>) -> Result<(), MakeError> {
        let place = self.lens.len() + self.elsewhere.len();
        if place >= COUNT_MAX {
            return Err(MakeError::Unfit);
        }
        let n = self.lens.len() as u32;
        session::ordinary_key(exchange, maker.bodies, &maker.settings.redactor, &mut self.key)
            .map_err(|_| MakeError::Unfit)?;
        self.record.clear();
        let wire = (maker.settings.make_wire)(&exchange.response);
        let answer_len =
            record::put(&mut self.record, exchange, wire.as_ref()).map_err(|_| MakeError::Unfit)?;
        self.lens.push(u32::try_from(self.record.len()).map_err(|_| MakeError::Unfit)?);
        // An answer is no longer than its record.
        self.answer_lens.push(answer_len as u32);
        self.index.put(&self.key, n);
        if matches!(exchange.response.body, Body::Omitted { .. }) {
            self.unusable.push(n);
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.out.write_all(&self.record)
    }

    /// Writes what stands behind the records, and then the head. `around`: what makes a cassette of
    /// exchanges.
    fn finish(self, around: (String, &str), (rules, cassette): (Digest, Stamp)) -> io::Result<()> {
        let Shelved { mut out, index, lens, answer_lens, unusable, elsewhere, rest, .. } = self;
        let index = index.finish();
        let mut table = TableWriter::new(&mut out);
        lens.iter().chain(&answer_lens).try_for_each(|len| table.put_u32(*len))?;
        index.save(&mut table)?;
        for numbers in [unusable, elsewhere] {
            table.put_u32(numbers.len() as u32)?;
            numbers.iter().try_for_each(|number| table.put_u32(*number))?;
        }
        let (tables_bytes, tables_crc) = table.finish();
        let mut cassette_of_rest = TableWriter::new(&mut out);
        cassette_of_rest.put(around.0.as_bytes())?;
        for (n, text) in rest.iter().enumerate() {
            cassette_of_rest.put(if n == 0 { b"" } else { b"," })?;
            cassette_of_rest.put(text.as_bytes())?;
        }
        cassette_of_rest.put(around.1.as_bytes())?;
        let (rest_bytes, rest_crc) = cassette_of_rest.finish();
        let head = Head {
            rules,
            cassette,
            count: lens.len() as u64,
            records_bytes: lens.iter().map(|len| u64::from(*len)).sum(),
            tables_bytes,
            tables_crc,
            rest_bytes,
            rest_crc,
            sizes: index.sizes(),
        };
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&head.to_bytes())?;
        out.flush()
    }
}

/// Whether an exchange is chosen by more than one key, or is a call that is told of in a miss.
fn stands_elsewhere(exchange: &Exchange) -> bool {
    let request = &exchange.request;
    let is_unkept_call =
        grpc::is_call(&request.head.fields) && matches!(request.body, Body::Omitted { .. });
    tree::protocol(exchange).is_some() || session::is_part(exchange) || is_unkept_call
}

/// Puts the content coding on, once for all requests, where the body is at hand. What can't be coded
/// stays as it is, and whoever gives it finds out.
fn code(response: &mut Response) {
    if !matches!(response.body, Body::Whole(_) | Body::Pieces(_)) {
        return;
    }
    let extent = Extent::of(response.end);
    if let Ok(coded) = coding::recode(&response.body, response.coding, extent) {
        response.body = coded;
        response.coding = None;
    }
}

/// The cassette's metadata, once they would tell of any further change.
fn settle(cassette: &Path) -> io::Result<fs::Metadata> {
    loop {
        let metadata = fs::metadata(cassette)?;
        let is_coarse = metadata.mtime_nsec() == 0 && metadata.ctime_nsec() == 0;
        let grain = if is_coarse { COARSE_GRAIN } else { GRAIN };
        let changed = Duration::new(metadata.ctime() as u64, metadata.ctime_nsec() as u32);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // One that is from the future is as settled as it will be.
        match now.checked_sub(changed).map(|age| grain.saturating_sub(age)) {
            None | Some(Duration::ZERO) => return Ok(metadata),
            Some(young) => thread::sleep(young),
        }
    }
}
