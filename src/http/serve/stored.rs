//! Bodies that lie in a file of their own, read as they are sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use crate::cassette;
use crate::coding::Encoder;
use crate::exchange::Coding;
use crate::http::client::Tx;
use crate::http::fault::{Fault, Problem};
use crate::http::road::Stop;

/// Sends the body of `len` bytes that lies in the file, with its coding on again.
///
/// Blocking: reads the file, from the page cache as a rule, on the runtime's thread.
pub(super) async fn send(
    path: &Path,
    len: u64,
    coding: Option<Coding>,
    tx: &mut Tx<'_, '_>,
) -> Result<(), Stop> {
    let sent = match open(path, len) {
        Ok(stored) => send_all(stored, coding, tx).await,
        Err(error) => Err(broken_body(&error).into()),
    };
    if let Err(Stop::Fault(problem)) = &sent {
        tracing::error!("{}: {}", path.display(), problem.detail);
    }
    sent
}

/// The whole body of `len` bytes that lies in the file, for what must be coded at once.
///
/// Blocking: reads the file, from the page cache as a rule, on the runtime's thread.
pub(super) fn read(path: &Path, len: u64) -> Result<Bytes, Stop> {
    let read = open(path, len).and_then(|mut stored| {
        let mut all = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        stored.reader.read_exact(&mut all)?;
        Ok(Bytes::from(all))
    });
    read.map_err(|error| broken_body(&error).into())
}

pub(super) fn broken_body(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Fault::BadCassette, format!("a body can't be read: {error}"))
}

/// A file that must hold exactly `left` more bytes: a body that came out longer or shorter than
/// its head says would take the bytes of the next answer, or lend it some.
pub(super) struct Stored<R> {
    reader: R,
    left: u64,
}

pub(super) fn open(path: &Path, len: u64) -> io::Result<Stored<File>> {
    let file = cassette::open_file(path)?;
    match file.metadata()?.len() {
        found if found == len => Ok(Stored { reader: file, left: len }),
        found => Err(io::Error::other(format!("expected {len} bytes, found {found}"))),
    }
}

impl<R: Read> Stored<R> {
    /// Whether all of it has been read.
    pub(super) fn is_read(&self) -> bool {
        self.left == 0
    }

    /// The next bytes, at most so many; none at the end.
    ///
    /// Errors: also where the file has become shorter.
    pub(super) fn next(&mut self, most: usize) -> io::Result<Bytes> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        let mut bytes = Vec::with_capacity(most);
        self.reader.by_ref().take(most as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() && most > 0 {
            return Err(io::Error::other(format!("its last {} bytes are gone", self.left)));
        }
        self.left -= bytes.len() as u64;
        Ok(bytes.into())
    }
}

/// Reads this much of a stored body at a time.
const READ_BYTES: usize = 64 << 10;

async fn send_all(
    stored: Stored<File>,
    coding: Option<Coding>,
    tx: &mut Tx<'_, '_>,
) -> Result<(), Stop> {
    match coding {
        None => send_as_is(stored, tx).await,
        Some(coding) => send_coded(stored, coding, tx).await,
    }
}

/// The head leaves with the first bytes; what the connection takes right from the file is read no
/// more, and isn't held while its client is slow.
async fn send_as_is(mut stored: Stored<File>, tx: &mut Tx<'_, '_>) -> Result<(), Stop> {
    while !stored.is_read() {
        // HTTP/2 keeps them until they have left: shared, they aren't copied for that.
        let bytes = stored.next(READ_BYTES).map_err(|error| broken_body(&error))?;
        tx.shared(&bytes).await?;
        drop(bytes);
        if tx.takes_files() {
            pass_on(&mut stored, tx).await?;
        }
    }
    Ok(())
}

/// Sends as much as goes without being read. Where that isn't all, reading the rest tells why.
async fn pass_on(stored: &mut Stored<File>, tx: &mut Tx<'_, '_>) -> Result<(), Stop> {
    while !stored.is_read() {
        match tx.file(&stored.reader, stored.left).await? {
            0 => break,
            sent => stored.left -= sent,
        }
    }
    Ok(())
}

async fn send_coded(
    mut stored: Stored<File>,
    coding: Coding,
    tx: &mut Tx<'_, '_>,
) -> Result<(), Stop> {
    let mut encoder = Encoder::new(coding).map_err(|error| broken_body(&error))?;
    let mut coded = Vec::new();
    while !stored.is_read() {
        let bytes = stored.next(READ_BYTES).map_err(|error| broken_body(&error))?;
        coded.clear();
        encoder.push(&bytes, &mut coded).map_err(|error| broken_body(&error))?;
        tx.data(&coded).await?;
    }
    coded.clear();
    encoder.finish(&mut coded).map_err(|error| broken_body(&error))?;
    Ok(tx.data(&coded).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8], len: u64) -> io::Result<Vec<u8>> {
        let mut stored = Stored { reader: bytes, left: len };
        let mut all = Vec::new();
        while !stored.is_read() {
            all.extend_from_slice(&stored.next(7)?);
        }
        Ok(all)
    }

    #[test]
    fn a_file_that_changes_while_it_is_sent_never_changes_the_length_of_the_body() {
        assert_eq!(read_all(b"0123456789", 10).unwrap(), b"0123456789");
        assert_eq!(read_all(b"0123456789 and more", 10).unwrap(), b"0123456789");
        let error = read_all(b"01234567", 10).unwrap_err();
        assert_eq!(error.to_string(), "its last 2 bytes are gone");
    }
}
