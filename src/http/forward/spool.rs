//! A request body set aside: while a recording is looked for, or to be sent again.

use std::io::{self, Read, Seek, Write};

/// A request body set aside: in memory while small, else in a file without a name.
#[derive(Default)]
pub(in crate::http) struct Spool {
    memory: Vec<u8>,
    file: Option<std::fs::File>,
    len: u64,
}

/// A spooled body over this size goes to a file.
pub(super) const MEMORY_MAX: usize = 64 << 10;

impl Spool {
    /// Bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(in crate::http) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        if self.file.is_none() && self.memory.len() + bytes.len() <= MEMORY_MAX {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    /// The next bytes after `offset`, at most `buffer.len()` of them.
    ///
    /// Errors: also when there are none, which isn't asked for.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.file {
            Some(file) => {
                file.seek(io::SeekFrom::Start(offset))?;
                file.read(buffer)?
            }
            None => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.memory.len());
                (&self.memory[start..]).read(buffer)?
            }
        };
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(spool: &mut Spool) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
        while (all.len() as u64) < spool.len() {
            let count = spool.read_at(all.len() as u64, &mut buffer).unwrap();
            all.extend_from_slice(&buffer[..count]);
        }
        assert!(spool.read_at(all.len() as u64, &mut buffer).is_err());
        all
    }

    #[test]
    fn a_body_comes_back_as_it_was_pushed_from_memory_and_from_a_file() {
        for len in [0, 1, MEMORY_MAX, MEMORY_MAX + 1, 3 * MEMORY_MAX] {
            let body: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let mut spool = Spool::default();
            body.chunks(7001).for_each(|piece| spool.push(piece).unwrap());
            assert_eq!(spool.file.is_some(), len > MEMORY_MAX);
            assert!(read_all(&mut spool) == body, "{len} bytes");
            assert!(read_all(&mut spool) == body, "{len} bytes, again");
        }
    }
}
