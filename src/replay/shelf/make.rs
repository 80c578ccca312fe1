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
use super::{is_current, record, rules, stamp};
use crate::cassette::{self, Exchanges, Unfit};
use crate::exchange::{Body, Digest, Exchange};
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
        let settled = settle(cassette).map_err(|_| MakeError::Unfit)?;
        if is_current(to, &settled, self.settings) {
            let _ = fs::remove_file(&beside);
            return Ok(());
        }
        let made = self
            .fill(cassette, &settled, &file, to)
            .and_then(|()| fs::rename(&beside, to).map_err(unkept));
        if made.is_err() {
            // What is left of it is of no use to anybody, and may be large.
            let _ = fs::remove_file(&beside);
        }
        made
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
        while let Some(one) = exchanges.read_next()? {
            if stands_elsewhere(&one.exchange) {
                shelved.set_aside(one.text);
                continue;
            }
            shelved.take(&one.exchange, self)?;
            shelved.write().map_err(unkept)?;
        }
        let is_same = source.metadata().is_ok_and(|now| stamp(&now) == stamp(settled));
        if !is_same {
            return Err(MakeError::Unfit);
        }
        let rest = exchanges.cassette_of(&shelved.rest);
        let made_for = (rules(self.settings), stamp(settled));
        shelved.finish(&rest, made_for).map_err(unkept)
    }
}

/// A shelf while it is filled.
struct Shelved<'f> {
    out: BufWriter<&'f File>,
    index: index::Builder,
    lens: Vec<u32>,
    unusable: Vec<u32>,
    elsewhere: Vec<u32>,
    /// The texts of what stands elsewhere.
    rest: Vec<String>,
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
        let (lens, unusable, elsewhere, rest) = Default::default();
        let (record, key) = Default::default();
        Ok(Shelved { out, index, lens, unusable, elsewhere, rest, record, key })
    }

    fn set_aside(&mut self, text: &str) {
        self.elsewhere.push((self.lens.len() + self.elsewhere.len()) as u32);
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
        record::put(&mut self.record, exchange).map_err(|_| MakeError::Unfit)?;
        self.lens.push(u32::try_from(self.record.len()).map_err(|_| MakeError::Unfit)?);
        self.index.put(&self.key, n);
        if matches!(exchange.response.body, Body::Omitted { .. }) {
            self.unusable.push(n);
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.out.write_all(&self.record)
    }

    /// Writes what stands behind the records, and then the head.
    fn finish(self, rest: &str, (rules, cassette): (Digest, Stamp)) -> io::Result<()> {
        let Shelved { mut out, index, lens, unusable, elsewhere, .. } = self;
        let index = index.finish();
        let mut table = TableWriter::new(&mut out);
        lens.iter().try_for_each(|len| table.put_u32(*len))?;
        index.save(&mut table)?;
        for numbers in [unusable, elsewhere] {
            table.put_u32(numbers.len() as u32)?;
            numbers.iter().try_for_each(|number| table.put_u32(*number))?;
        }
        let (tables_bytes, tables_crc) = table.finish();
        out.write_all(rest.as_bytes())?;
        let head = Head {
            rules,
            cassette,
            count: lens.len() as u64,
            records_bytes: lens.iter().map(|len| u64::from(*len)).sum(),
            tables_bytes,
            tables_crc,
            rest_bytes: rest.len() as u64,
            rest_crc: crc32c::crc32c(rest.as_bytes()),
            sizes: index.sizes(),
        };
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&head.to_bytes())?;
        out.flush()
    }
}

/// Whether an exchange is chosen by more than one key.
fn stands_elsewhere(exchange: &Exchange) -> bool {
    tree::protocol(exchange).is_some()
        || session::is_part(exchange)
        || grpc::is_call(&exchange.request.head.fields)
        || matches!(exchange.response.body, Body::Messages(_))
}

/// The cassette's metadata, once they would tell of any further change.
fn settle(cassette: &Path) -> io::Result<fs::Metadata> {
    let metadata = fs::metadata(cassette)?;
    let grain = if metadata.mtime_nsec() == 0 { COARSE_GRAIN } else { GRAIN };
    let age = SystemTime::now().duration_since(metadata.modified()?);
    // One that is from the future is as settled as it will be.
    if let Ok(young) = age.map(|age| grain.saturating_sub(age)) {
        thread::sleep(young);
    }
    fs::metadata(cassette)
}
