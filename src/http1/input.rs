//! What a peer has sent and nobody has taken yet.
//!
//! Owns one buffer, lent by the arena. Grows only as far as its reader lets it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A first read takes this much: most requests, and most small answers, whole.
pub const FIRST_READ: usize = 16 << 10;

/// What comes in bulk is taken so much at a time: the kernel's part of a write to a file costs a third
/// less than by `FIRST_READ`, and hardly less with more. Others wait meanwhile.
const BULK_READ: usize = 64 << 10;

/// How far an input may grow.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes that may wait at once. With as many nothing can be read.
    max: usize,
    /// How large the buffer gets for reads that fill it, though nothing waits in it.
    bulk: usize,
}

impl Room {
    /// To read ahead at most `max` bytes.
    pub fn ahead(max: usize) -> Room {
        Room { max, bulk: max.min(BULK_READ) }
    }

    /// For something that has to be whole before any of it is taken, and has at most `max` bytes.
    pub fn whole(max: usize) -> Room {
        Room { max, bulk: 0 }
    }

    /// For one as well as for the other.
    pub fn or(self, other: Room) -> Room {
        Room { max: self.max.max(other.max), bulk: self.bulk.max(other.bulk) }
    }
}

#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// Everything before it has been consumed. start <= bytes.len().
    start: usize,
    /// Whether the last read took all that there was room for, and nothing was done about that: more
    /// is likely to be there.
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

    /// Whether nothing more can be read.
    pub fn is_full(&self, room: Room) -> bool {
        self.len() >= room.max
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

    /// Reads once. 0 is the end of input. The caller keeps `len()` below what there is room for, else
    /// nothing can be read and the answer is an error.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn fill(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        room: Room,
    ) -> io::Result<usize> {
        self.make_room(room)?;
        let read = reader.read_buf(&mut self.bytes).await?;
        self.was_full = self.bytes.len() == self.bytes.capacity();
        Ok(read)
    }

    fn make_room(&mut self, room: Room) -> io::Result<()> {
        // What comes in bulk goes on in bulk: to the tape and to its peer, each with one call.
        let grows = std::mem::take(&mut self.was_full) && self.bytes.capacity() < room.bulk;
        if !grows && self.bytes.capacity() - self.bytes.len() >= FIRST_READ / 4 {
            return Ok(());
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.len() >= room.max {
            return Err(io::Error::other("the read buffer is full"));
        }
        let wanted = if grows {
            room.bulk
        } else {
            (self.bytes.capacity() * 2).clamp(FIRST_READ, room.max.max(FIRST_READ))
        };
        if wanted > self.bytes.capacity() {
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn every_byte_comes_out_once_and_the_buffer_stays_bounded() {
        let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let mut reader = &sent[..];
        let mut input = Input::default();
        let mut seen = Vec::new();
        while input.fill(&mut reader, Room::ahead(20_000)).await.unwrap() > 0 {
            let take = (input.len() * 2 / 3).max(1);
            seen.extend_from_slice(&input.data()[..take]);
            input.consume(take);
        }
        seen.extend_from_slice(input.data());
        assert!(seen == sent);
        assert!(input.into_buffer().capacity() <= 40_000);
    }

    /// What each read takes of bytes that are all there, in KiB.
    async fn reads(room: Room) -> Vec<usize> {
        let sent = vec![7; 1 << 20];
        let mut reader = &sent[..];
        let mut input = Input::default();
        let mut reads = Vec::new();
        loop {
            let read = input.fill(&mut reader, room).await.unwrap();
            if read == 0 {
                return reads;
            }
            reads.push(read >> 10);
            input.consume(read);
        }
    }

    #[tokio::test]
    async fn what_comes_in_bulk_is_read_in_bulk_as_far_as_it_may() {
        assert_eq!(reads(Room::ahead(64 << 10)).await[..3], [16, 64, 64]);
        assert_eq!(reads(Room::ahead(20 << 10)).await[..3], [16, 20, 20]);
        // Neither a large read-ahead nor a large head makes reads that others would wait for.
        assert_eq!(reads(Room::ahead(64 << 20)).await[..3], [16, 64, 64]);
        let head = Room::whole(16 << 20);
        assert_eq!(reads(head).await[..3], [16, 16, 16]);
        assert_eq!(reads(Room::ahead(1 << 10).or(head)).await[..3], [16, 16, 16]);
    }

    #[tokio::test]
    async fn a_buffer_grows_for_bytes_that_came_and_for_nothing_else() {
        let room = Room::ahead(64 << 10);
        let mut input = Input::default();
        for _ in 0..1000 {
            input.fill(&mut &[7; 1000][..], room).await.unwrap();
            input.consume(1000);
        }
        assert_eq!(input.bytes.capacity(), FIRST_READ);
        input.fill(&mut &[7; FIRST_READ][..], room).await.unwrap();
        for _ in 0..10 {
            let (mut silent, _other) = tokio::io::duplex(1);
            let waiting = input.fill(&mut silent, Room::ahead(1 << 30));
            assert!(timeout(Duration::ZERO, waiting).await.is_err());
        }
        assert_eq!(input.bytes.capacity(), BULK_READ);
    }

    #[tokio::test]
    async fn a_full_buffer_is_an_error_and_not_an_end_of_input() {
        let sent = vec![0; 100_000];
        let mut reader = &sent[..];
        let mut input = Input::default();
        while input.len() < FIRST_READ {
            input.fill(&mut reader, Room::ahead(FIRST_READ)).await.unwrap();
        }
        assert!(input.fill(&mut reader, Room::ahead(FIRST_READ)).await.is_err());
    }
}
