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

use super::table::{HEAD_BYTES, Head, TableWriter};
use super::{is_current, record, rules, stamp};
use crate::cassette::{self, Exchanges, Unfit};
use crate::exchange::{Body, Exchange};
use crate::grpc::{self, Catalog};
use crate::replay::bodies::Bodies;
use crate::replay::call::tree;
use crate::replay::index;
use crate::replay::session::{self, Settings};
use crate::tape::disk::{RealDisk, make_folder};
use crate::tape::names;

/// Written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Exchanges on one shelf: they are counted in 32 bits, with one value for "none".
const COUNT_MAX: u32 = u32::MAX - 1;

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
        file.set_len(0).map_err(unkept)?;
        let mut out = BufWriter::with_capacity(WRITE_BYTES, file);
        out.write_all(&[0; HEAD_BYTES]).map_err(unkept)?;
        let mut shelved = Shelved::default();
        let mut index = index::Builder::new(0);
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        while let Some(one) = exchanges.next()? {
            if stands_elsewhere(&one.exchange) {
                let place = shelved.count() + shelved.elsewhere.len() as u32;
                shelved.elsewhere.push(place);
                shelved.rest.push(one.text.to_owned());
                continue;
            }
            let n = shelved.count();
            if n >= COUNT_MAX {
                return Err(MakeError::Unfit);
            }
            session::ordinary_key(&one.exchange, self.bodies, &self.settings.redactor, &mut key)
                .map_err(|_| MakeError::Unfit)?;
            index.put(&key, n);
            bytes.clear();
            record::put(&mut bytes, &one.exchange).map_err(|_| MakeError::Unfit)?;
            shelved.lens.push(u32::try_from(bytes.len()).map_err(|_| MakeError::Unfit)?);
            if matches!(one.exchange.response.body, Body::Omitted { .. }) {
                shelved.unusable.push(n);
            }
            out.write_all(&bytes).map_err(unkept)?;
        }
        let is_same = source.metadata().is_ok_and(|now| stamp(&now) == stamp(settled));
        if !is_same {
            return Err(MakeError::Unfit);
        }
        let index = index.finish();
        let rest = exchanges.cassette_of(&shelved.rest);
        let mut table = TableWriter::new(&mut out);
        let saved = shelved.save(&index, &mut table);
        let (tables_bytes, tables_crc) = table.finish();
        let head = Head {
            rules: rules(self.settings),
            cassette: stamp(settled),
            count: shelved.lens.len() as u64,
            records_bytes: shelved.lens.iter().map(|len| u64::from(*len)).sum(),
            tables_bytes,
            tables_crc,
            rest_bytes: rest.len() as u64,
            rest_crc: crc32c::crc32c(rest.as_bytes()),
            sizes: index.sizes(),
        };
        saved
            .and_then(|()| out.write_all(rest.as_bytes()))
            .and_then(|()| out.seek(SeekFrom::Start(0)))
            .and_then(|_| out.write_all(&head.to_bytes()))
            .and_then(|()| out.flush())
            .map_err(unkept)
    }
}

/// What is known of the records while they are written.
#[derive(Default)]
struct Shelved {
    lens: Vec<u32>,
    unusable: Vec<u32>,
    elsewhere: Vec<u32>,
    /// The texts of what stands elsewhere.
    rest: Vec<String>,
}

impl Shelved {
    fn count(&self) -> u32 {
        self.lens.len() as u32
    }

    fn save(&self, index: &index::Index, table: &mut TableWriter<impl Write>) -> io::Result<()> {
        self.lens.iter().try_for_each(|len| table.put_u32(*len))?;
        index.save(table)?;
        for numbers in [&self.unusable, &self.elsewhere] {
            table.put_u32(numbers.len() as u32)?;
            numbers.iter().try_for_each(|number| table.put_u32(*number))?;
        }
        Ok(())
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
