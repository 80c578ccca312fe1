//! A request body set aside while a recording is looked for.

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
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => {
                file.seek(io::SeekFrom::Start(offset))?;
                file.read(buffer)
            }
            None => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.memory.len());
                (&self.memory[start..]).read(buffer)
            }
        }
    }
}
