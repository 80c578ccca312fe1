//! What of a shelf's file is read at the start: its head, and the tables behind the records.
//!
//! ```text
//! head     as `Head` has it, with a checksum
//! records  one after the other
//! tables   lengths of records and of the answers in them, the index, unusable ones, places of what is
//!          kept elsewhere
//! rest     a cassette of the exchanges that stand on no shelf
//! ```
//!
//! Numbers are little-endian. Nothing here is trusted: what was cut, damaged or made for another
//! cassette is no shelf. Lengths are held against the file's before memory is taken for them.

use std::io::{self, Read};

use crate::exchange::Digest;
use crate::tape::wire::{Malformed, Take, put_u64};

const MAGIC: [u8; 8] = *b"ouli.idx";

pub(super) const HEAD_BYTES: usize = 8 + 4 + 32 + 10 * 8 + 4;

/// What a shelf was made from and for, and how large its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Digest of what the records depend on besides the cassette.
    pub(super) rules: Digest,
    pub(super) cassette: Stamp,
    /// Exchanges on the shelf.
    pub(super) count: u64,
    pub(super) records_bytes: u64,
    pub(super) tables_bytes: u64,
    pub(super) rest_bytes: u64,
    pub(super) tables_crc: u32,
    pub(super) rest_crc: u32,
    pub(super) sizes: Sizes,
}

/// How many of each the index has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::replay) struct Sizes {
    pub(in crate::replay) keys_bytes: u64,
    pub(in crate::replay) groups: u32,
    pub(in crate::replay) occurrences: u32,
    pub(in crate::replay) by_place: u32,
}

/// By what it is known that a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) len: u64,
    /// Of its last change, since the Unix epoch.
    pub(super) changed_ns: u64,
    /// Of the last change of what is known of it, which nobody can set: what is put in its place with
    /// the size and the time of another is told from that by this.
    pub(super) status_ns: u64,
}

impl Head {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.rules.0);
        let crcs = u64::from(self.tables_crc) | u64::from(self.rest_crc) << 32;
        let Sizes { keys_bytes, groups, occurrences, by_place } = self.sizes;
        let sizes = u64::from(groups) | u64::from(occurrences) << 32;
        for number in [
            self.cassette.len,
            self.cassette.changed_ns,
            self.cassette.status_ns,
            self.count,
            self.records_bytes,
            self.tables_bytes,
            self.rest_bytes,
            keys_bytes,
            sizes,
            crcs,
        ] {
            put_u64(&mut out, number);
        }
        out.extend_from_slice(&by_place.to_le_bytes());
        let crc = crc32c::crc32c(&out[12..]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn of_bytes(bytes: &[u8; HEAD_BYTES]) -> Result<Head, Malformed> {
        let mut take = Take(bytes);
        let is_ours = take.raw(MAGIC.len())? == MAGIC;
        let crc = take.u32()?;
        if !is_ours || crc32c::crc32c(take.0) != crc {
            return Err(Malformed);
        }
        let rules = Digest(take.digest()?);
        let cassette = Stamp { len: take.u64()?, changed_ns: take.u64()?, status_ns: take.u64()? };
        let (count, records_bytes) = (take.u64()?, take.u64()?);
        let (tables_bytes, rest_bytes) = (take.u64()?, take.u64()?);
        let (keys_bytes, groups, occurrences) = (take.u64()?, take.u32()?, take.u32()?);
        let (tables_crc, rest_crc, by_place) = (take.u32()?, take.u32()?, take.u32()?);
        let sizes = Sizes { keys_bytes, groups, occurrences, by_place };
        Ok(Head {
            rules,
            cassette,
            count,
            records_bytes,
            tables_bytes,
            rest_bytes,
            tables_crc,
            rest_crc,
            sizes,
        })
    }

    /// Where the tables begin.
    pub(super) fn tables_at(&self) -> Option<u64> {
        (HEAD_BYTES as u64).checked_add(self.records_bytes)
    }

    pub(super) fn rest_at(&self) -> Option<u64> {
        self.tables_at()?.checked_add(self.tables_bytes)
    }

    pub(super) fn file_bytes(&self) -> Option<u64> {
        self.rest_at()?.checked_add(self.rest_bytes)
    }
}

/// Writes a table, and knows its checksum and length.
pub(in crate::replay) struct TableWriter<W> {
    out: W,
    crc: u32,
    bytes: u64,
}

impl<W: io::Write> TableWriter<W> {
    pub(in crate::replay) fn new(out: W) -> TableWriter<W> {
        TableWriter { out, crc: 0, bytes: 0 }
    }

    pub(in crate::replay) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    pub(in crate::replay) fn put_u32(&mut self, number: u32) -> io::Result<()> {
        self.put(&number.to_le_bytes())
    }

    /// Length and checksum.
    pub(in crate::replay) fn finish(self) -> (u64, u32) {
        (self.bytes, self.crc)
    }
}

/// Reads a table of known length. What it says counts only once `finish` has said that it is whole.
pub(in crate::replay) struct TableReader<R> {
    file: R,
    left: u64,
    crc: u32,
}

impl<R: Read> TableReader<R> {
    pub(in crate::replay) fn new(file: R, bytes: u64) -> TableReader<R> {
        TableReader { file, left: bytes, crc: 0 }
    }

    /// So many items of so many bytes each.
    ///
    /// Errors: they are more than there are left, before any memory is taken for them.
    pub(in crate::replay) fn take<const N: usize, T>(
        &mut self,
        count: u64,
        item: impl Fn([u8; N]) -> T,
    ) -> io::Result<Vec<T>> {
        let bytes = count.checked_mul(N as u64).filter(|bytes| *bytes <= self.left);
        self.left -= bytes.ok_or(io::ErrorKind::InvalidData)?;
        let mut all = Vec::with_capacity(count as usize);
        let mut buffer = vec![0; N * 4096];
        let mut missing = count as usize;
        while missing > 0 {
            let chunk = &mut buffer[..missing.min(4096) * N];
            self.file.read_exact(chunk)?;
            self.crc = crc32c::crc32c_append(self.crc, chunk);
            let (items, _) = chunk.as_chunks::<N>();
            missing -= items.len();
            all.extend(items.iter().map(|bytes| item(*bytes)));
        }
        Ok(all)
    }

    pub(in crate::replay) fn take_u32s(&mut self, count: u64) -> io::Result<Vec<u32>> {
        self.take(count, u32::from_le_bytes)
    }

    pub(in crate::replay) fn take_bytes(&mut self, count: u64) -> io::Result<Vec<u8>> {
        if count > self.left {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.left -= count;
        let mut all = vec![0; count as usize];
        self.file.read_exact(&mut all)?;
        self.crc = crc32c::crc32c_append(self.crc, &all);
        Ok(all)
    }

    /// Errors: it holds more, or is not what was written.
    pub(super) fn finish(self, crc: u32) -> io::Result<()> {
        match self.left == 0 && self.crc == crc {
            true => Ok(()),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            rules: Digest([7; 32]),
            cassette: Stamp { len: 1 << 40, changed_ns: u64::MAX - 1, status_ns: 12 },
            count: 3,
            records_bytes: 4,
            tables_bytes: 5,
            rest_bytes: 6,
            tables_crc: u32::MAX,
            rest_crc: 8,
            sizes: Sizes { keys_bytes: 9, groups: u32::MAX - 1, occurrences: 10, by_place: 11 },
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_with_no_bit_flipped() {
        let bytes: [u8; HEAD_BYTES] = head().to_bytes().try_into().unwrap();
        assert_eq!(Head::of_bytes(&bytes), Ok(head()));
        for bit in 0..HEAD_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::of_bytes(&bytes), Err(Malformed), "bit {bit}");
        }
    }

    #[test]
    fn sizes_that_overflow_are_no_place_in_a_file() {
        let head = Head { records_bytes: u64::MAX - 50, tables_bytes: 100, ..head() };
        assert_eq!((head.rest_at(), head.file_bytes()), (None, None));
    }

    #[test]
    fn a_table_that_promises_more_than_it_holds_takes_no_memory() {
        let mut table = TableReader::new(&[1u8, 0, 0, 0][..], 4);
        assert!(table.take_u32s(u64::MAX).is_err());
        assert!(table.take_bytes(5).is_err());
        assert_eq!(table.take_u32s(1).unwrap(), [1]);
        assert!(table.take_bytes(1).is_err());
    }
}
