//! What a peer has sent and nobody has taken yet.
//!
//! Owns one buffer, lent by the arena. Grows only as far as its reader lets it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A first read takes this much: most requests, and most small answers, whole.
pub const FIRST_READ: usize = 16 << 10;

#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// Everything before it has been consumed. start <= bytes.len().
    start: usize,
    /// Whether the last read took all that there was room for: more is likely to be there.
    was_full: bool,
}

impl Input {
    /// Around a buffer whose content, if it has any, counts as received.
    pub fn new(bytes: Vec<u8>) -> Self {
        Input { bytes, ..Input::default() }
    }

    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Drops a line end that is all there is: clients that end a body with one too many
    /// (RFC 9112 section 2.2) have begun nothing with it.
    pub fn skip_stray_line_end(&mut self) {
        if self.data() == b"\r\n" {
            self.consume(2);
        }
    }

    /// Reads once. 0 is the end of input. The caller keeps `len()` below `limit`, else nothing
    /// can be read and the answer is an error.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn fill(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        limit: usize,
    ) -> io::Result<usize> {
        self.make_room(limit)?;
        let read = reader.read_buf(&mut self.bytes).await?;
        self.was_full = self.bytes.len() == self.bytes.capacity();
        Ok(read)
    }

    fn make_room(&mut self, limit: usize) -> io::Result<()> {
        let room = self.bytes.capacity() - self.bytes.len();
        if room >= FIRST_READ / 4 && !(self.was_full && self.bytes.capacity() < limit) {
            return Ok(());
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.len() >= limit {
            return Err(io::Error::other("the read buffer is full"));
        }
        // What comes in bulk goes on in bulk: to the tape and to its peer, each with one call.
        let growth = if self.was_full { 4 } else { 2 };
        let wanted = (self.bytes.capacity() * growth).clamp(FIRST_READ, limit.max(FIRST_READ));
        if wanted > self.bytes.capacity() {
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_byte_comes_out_once_and_the_buffer_stays_bounded() {
        let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let mut reader = &sent[..];
        let mut input = Input::default();
        let mut seen = Vec::new();
        while input.fill(&mut reader, 20_000).await.unwrap() > 0 {
            let take = (input.len() * 2 / 3).max(1);
            seen.extend_from_slice(&input.data()[..take]);
            input.consume(take);
        }
        seen.extend_from_slice(input.data());
        assert!(seen == sent);
        assert!(input.into_buffer().capacity() <= 40_000);
    }

    #[tokio::test]
    async fn what_comes_in_bulk_is_read_in_bulk() {
        let sent = vec![7; 1 << 20];
        let mut reader = &sent[..];
        let mut input = Input::default();
        let mut reads = Vec::new();
        loop {
            let read = input.fill(&mut reader, 64 << 10).await.unwrap();
            if read == 0 {
                break;
            }
            reads.push(read >> 10);
            input.consume(read);
        }
        assert_eq!(reads[..3], [16, 64, 64]);
        // What comes a little at a time needs no more room than it takes.
        let mut input = Input::default();
        for _ in 0..1000 {
            let mut few = &sent[..1000];
            input.fill(&mut few, 64 << 10).await.unwrap();
            input.consume(1000);
        }
        assert_eq!(input.into_buffer().capacity(), FIRST_READ);
    }

    #[tokio::test]
    async fn a_full_buffer_is_an_error_and_not_an_end_of_input() {
        let sent = vec![0; 100_000];
        let mut reader = &sent[..];
        let mut input = Input::default();
        while input.len() < FIRST_READ {
            input.fill(&mut reader, FIRST_READ).await.unwrap();
        }
        assert!(input.fill(&mut reader, FIRST_READ).await.is_err());
    }
}
