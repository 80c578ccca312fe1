//! The `bodies/` folder: bodies too large or too binary to read, one file each, named by the
//! SHA-256 of what is in it and shared by all cassettes of a recording directory.
//!
//! A file under its digest's name is always whole: it is written beside, synced, and renamed. Its
//! name says what must be in it, so nothing here ever overwrites a file that is right. The name
//! is made from a digest and never taken from a file's text, so no path can lead elsewhere.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::coding::{DecodeError, Decoder};
use crate::exchange::{Coding, Digest};

/// Bytes read from a file at a time.
const READ_BYTES: usize = 64 << 10;

/// What went wrong with a body's file, and with which.
#[derive(Debug, Error)]
pub enum BodyError {
    #[error("the body file `{}` is missing", .0.display())]
    Missing(PathBuf),
    #[error("the body file `{}` has {found} bytes where the cassette says {expected}", path.display())]
    WrongLength { path: PathBuf, expected: u64, found: u64 },
    #[error("the body file `{}` is not what its name says: its SHA-256 is {found}", path.display())]
    WrongDigest { path: PathBuf, found: Digest },
    #[error("could not read the body file `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("could not write the body file `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

type Result<T> = std::result::Result<T, BodyError>;

/// Opens a body's file. A pipe or a device is none: it may never begin, or never end.
///
/// # Errors
/// Also where it is there and isn't a file.
pub fn open_file(path: &Path) -> io::Result<File> {
    match fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file")),
    }
}

/// The bodies of one recording directory.
#[derive(Clone, Debug)]
pub struct Bodies {
    dir: PathBuf,
}

impl Bodies {
    /// Touches nothing; the folder is made when the first body is stored.
    pub fn new(recording_dir: &Path) -> Bodies {
        Bodies { dir: recording_dir.join("bodies") }
    }

    /// Where the body with this digest is or would be.
    pub fn path_of(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    /// Opens a body to be read from its start.
    ///
    /// # Errors
    /// `Missing` and `WrongLength` before any byte is read; the content isn't checked.
    pub fn open(&self, digest: Digest, len: u64) -> Result<File> {
        let path = self.path_of(digest);
        let opened = open_file(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (found, file) = opened.map_err(|source| read_error(&path, source))?;
        match found == len {
            true => Ok(file),
            false => Err(BodyError::WrongLength { path, expected: len, found }),
        }
    }

    /// The whole of a body, in memory.
    ///
    /// # Errors
    /// As `open`.
    pub fn read(&self, digest: Digest, len: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.open(digest, len)?;
        file.read_to_end(&mut bytes).map_err(|source| read_error(&self.path_of(digest), source))?;
        Ok(bytes)
    }

    /// Reads a body through and compares it with its name.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn verify(&self, digest: Digest, len: u64) -> Result<()> {
        let path = self.path_of(digest);
        let mut file = self.open(digest, len)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer).map_err(|source| read_error(&path, source))? {
                0 => break,
                read => hash.update(buffer.get(..read).unwrap_or_default()),
            }
        }
        let found = Digest(hash.finalize().into());
        match found == digest {
            true => Ok(()),
            false => Err(BodyError::WrongDigest { path, found }),
        }
    }

    /// Keeps `bytes`, once however often they come, and gives their name.
    ///
    /// # Errors
    /// `Write`; what was there before still is.
    ///
    /// # Blocking
    /// Waits for the disk.
    pub fn store(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = digest_of(bytes);
        if self.verify(digest, bytes.len() as u64).is_ok() {
            return Ok(digest);
        }
        let mut file = self.begin()?;
        file.write_all(bytes).map_err(|source| write_error(file.path(), source))?;
        self.commit(file, digest)?;
        Ok(digest)
    }

    /// Takes over a file that holds the body with this digest and lies on the same disk. If the
    /// body is there already, the file stays where it is, for its owner to remove.
    ///
    /// # Errors
    /// `Write`; the file is then still where it was.
    ///
    /// # Blocking
    /// Waits for the disk.
    pub fn adopt(&self, file: &Path, digest: Digest) -> Result<()> {
        let path = self.path_of(digest);
        let len = fs::metadata(file).map_err(|source| read_error(file, source))?.len();
        if self.verify(digest, len).is_ok() {
            return Ok(());
        }
        self.create_dir()?;
        let synced = File::open(file).and_then(|file| file.sync_all());
        synced.and_then(|()| fs::rename(file, &path)).map_err(|source| write_error(&path, source))
    }

    /// Makes sure that the names of the stored bodies survive a power cut. Fine where there are
    /// none.
    ///
    /// # Errors
    /// `Write`, naming the folder.
    pub fn sync(&self) -> Result<()> {
        match File::open(&self.dir).and_then(|dir| dir.sync_all()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(write_error(&self.dir, error))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the decoded content of `source`, if it decodes from its first byte to its last into
    /// at most `out_max` bytes. Takes the same little memory for any size.
    ///
    /// # Errors
    /// `Read` and `Write`. That it doesn't decode is no error.
    pub(crate) fn store_decoded(
        &self,
        source: &Path,
        coding: Coding,
        out_max: u64,
    ) -> Result<Option<(Digest, u64)>> {
        let mut input = File::open(source).map_err(|error| read_error(source, error))?;
        let mut sink = Sink { file: self.begin()?, hash: Sha256::new(), len: 0 };
        let Ok(mut decoder) = Decoder::new(coding, out_max) else { return Ok(None) };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = input.read(&mut buffer).map_err(|error| read_error(source, error))?;
            if read == 0 {
                break;
            }
            let coded = buffer.get(..read).unwrap_or_default();
            if decode_into(&mut decoder, coded, &mut sink)?.is_err() {
                return Ok(None);
            }
        }
        if decoder.finish().is_err() {
            return Ok(None);
        }
        let digest = Digest(sink.hash.finalize().into());
        if self.verify(digest, sink.len).is_err() {
            self.commit(sink.file, digest)?;
        }
        Ok(Some((digest, sink.len)))
    }

    fn create_dir(&self) -> Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.dir).map_err(|source| write_error(&self.dir, source))
    }

    /// A file beside the bodies, readable by its owner alone, gone if it isn't committed.
    fn begin(&self) -> Result<NamedTempFile> {
        self.create_dir()?;
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir);
        file.map_err(|source| write_error(&self.dir, source))
    }

    fn commit(&self, file: NamedTempFile, digest: Digest) -> Result<()> {
        let path = self.path_of(digest);
        file.as_file().sync_all().map_err(|source| write_error(&path, source))?;
        file.persist(&path).map_err(|error| write_error(&path, error.error))?;
        Ok(())
    }
}

struct Sink {
    file: NamedTempFile,
    hash: Sha256,
    len: u64,
}

fn decode_into(
    decoder: &mut Decoder,
    mut coded: &[u8],
    sink: &mut Sink,
) -> Result<std::result::Result<(), DecodeError>> {
    let mut out = Vec::new();
    loop {
        out.clear();
        let step = match decoder.step(coded, &mut out) {
            Ok(step) => step,
            Err(error) => return Ok(Err(error)),
        };
        sink.file.write_all(&out).map_err(|source| write_error(sink.file.path(), source))?;
        sink.hash.update(&out);
        sink.len += out.len() as u64;
        coded = coded.get(step.consumed..).unwrap_or_default();
        if coded.is_empty() && !step.more {
            return Ok(Ok(()));
        }
    }
}

fn read_error(path: &Path, source: io::Error) -> BodyError {
    match source.kind() {
        io::ErrorKind::NotFound => BodyError::Missing(path.to_owned()),
        _ => BodyError::Read { path: path.to_owned(), source },
    }
}

fn write_error(path: &Path, source: io::Error) -> BodyError {
    BodyError::Write { path: path.to_owned(), source }
}

/// The name under which `bytes` would be stored.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Exactly 64 hexadecimal digits, in lower case as the files are named.
pub fn digest_from_hex(text: &str) -> Option<Digest> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4
                | match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
        }
    }
    Some(Digest(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding;

    fn folder() -> (tempfile::TempDir, Bodies) {
        let dir = tempfile::tempdir().unwrap();
        let bodies = Bodies::new(dir.path());
        (dir, bodies)
    }

    fn names(bodies: &Bodies) -> Vec<String> {
        let entries = fs::read_dir(&bodies.dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let bodies = Bodies::new(dir.path());
        let digest = bodies.store(b"body").unwrap();
        let path = bodies.path_of(digest);
        fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(bodies.verify(digest, 4), Err(BodyError::Read { .. })));
        // And a body that is stored takes its place.
        bodies.store(b"body").unwrap();
        assert_eq!(bodies.read(digest, 4).unwrap(), b"body");
    }

    #[test]
    fn equal_bodies_are_stored_once_under_their_digest() {
        let (_dir, bodies) = folder();
        let digest = bodies.store(b"abc").unwrap();
        assert_eq!(bodies.store(b"abc").unwrap(), digest);
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(names(&bodies), [hex]);
        assert_eq!(bodies.read(digest, 3).unwrap(), b"abc");
        bodies.verify(digest, 3).unwrap();
        bodies.sync().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folder_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, bodies) = folder();
        let digest = bodies.store(b"abc").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&bodies.path_of(digest)), 0o600);
        assert_eq!(mode(&bodies.dir), 0o700);
    }

    #[test]
    fn a_damaged_file_is_noticed_and_stored_again() {
        let (_dir, bodies) = folder();
        let digest = bodies.store(b"abc").unwrap();
        fs::write(bodies.path_of(digest), b"abX").unwrap();
        assert!(matches!(bodies.verify(digest, 3), Err(BodyError::WrongDigest { .. })));
        fs::write(bodies.path_of(digest), b"ab").unwrap();
        assert!(matches!(bodies.open(digest, 3), Err(BodyError::WrongLength { found: 2, .. })));
        bodies.store(b"abc").unwrap();
        bodies.verify(digest, 3).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let (dir, bodies) = folder();
        let digest = digest_of(b"never");
        let path = dir.path().join("bodies").join(digest.to_string());
        let message = bodies.open(digest, 5).unwrap_err().to_string();
        assert_eq!(message, format!("the body file `{}` is missing", path.display()));
    }

    #[test]
    fn a_file_is_adopted_by_renaming_it() {
        let (dir, bodies) = folder();
        let tape = dir.path().join("run.1.body");
        for _ in 0..2 {
            fs::write(&tape, b"large").unwrap();
            bodies.adopt(&tape, digest_of(b"large")).unwrap();
            bodies.verify(digest_of(b"large"), 5).unwrap();
        }
        assert!(tape.exists(), "the second stays, since the body is there already");
        assert_eq!(names(&bodies).len(), 1);
    }

    #[test]
    fn a_coded_file_is_decoded_into_another() {
        let (dir, bodies) = folder();
        let plain = vec![7; 1 << 20];
        let tape = dir.path().join("run.1.body");
        fs::write(&tape, coding::encode(Coding::Zstd, &plain).unwrap()).unwrap();
        let stored = bodies.store_decoded(&tape, Coding::Zstd, u64::MAX).unwrap();
        assert_eq!(stored, Some((digest_of(&plain), 1 << 20)));
        bodies.verify(digest_of(&plain), 1 << 20).unwrap();
    }

    #[test]
    fn a_file_that_does_not_decode_leaves_nothing_behind() {
        let (dir, bodies) = folder();
        let tape = dir.path().join("run.1.body");
        let coded = coding::encode(Coding::Gzip, &[7; 5000]).unwrap();
        fs::write(&tape, &coded[..coded.len() - 1]).unwrap();
        assert_eq!(bodies.store_decoded(&tape, Coding::Gzip, u64::MAX).unwrap(), None);
        fs::write(&tape, &coded).unwrap();
        assert_eq!(bodies.store_decoded(&tape, Coding::Gzip, 4999).unwrap(), None);
        assert!(names(&bodies).is_empty());
    }

    #[test]
    fn only_64_lower_case_hex_digits_name_a_body() {
        let hex = digest_of(b"abc").to_string();
        assert_eq!(digest_from_hex(&hex), Some(digest_of(b"abc")));
        for text in ["", "../../etc/passwd", &hex[1..], &format!("{hex}0"), &hex.to_uppercase()] {
            assert_eq!(digest_from_hex(text), None, "{text}");
        }
    }
}
