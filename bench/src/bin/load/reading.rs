//! An answer as it comes, in pieces of any size: its head, then its body by length or in chunks. Each
//! byte of the body is compared when it is there, and none is kept.

use ouli_bench::answer::{BodyLength, read_head};
use ouli_bench::args::fail;

use crate::expected::ExpectedBody;

#[derive(Default)]
pub(crate) struct Reading {
    /// What came of a head that isn't whole.
    head: Vec<u8>,
    state: State,
    /// Bytes of the body that were right so far.
    compared: usize,
    /// Of all answers.
    pub(crate) chunks: u64,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    AwaitHead,
    ReadBody {
        left: u64,
    },
    ReadChunkSize {
        size: u64,
    },
    ReadChunk {
        left: u64,
    },
    /// The line's end behind a chunk.
    EndChunk,
    /// The empty line behind the last one.
    EndBody,
}

impl Reading {
    /// How much of the open answer has come, for who wonders where the rest is.
    pub(crate) fn came(&self) -> usize {
        self.head.len() + self.compared
    }

    /// True once the answer is whole, and right; a wrong one ends the program.
    pub(crate) fn take(&mut self, bytes: &[u8], expected: &ExpectedBody, path: &str) -> bool {
        if !matches!(self.state, State::AwaitHead) {
            return self.take_body(bytes, expected, path);
        }
        if self.head.is_empty() {
            return self.take_head(bytes, expected, path);
        }
        let mut all = std::mem::take(&mut self.head);
        all.extend_from_slice(bytes);
        self.take_head(&all, expected, path)
    }

    fn take_head(&mut self, bytes: &[u8], expected: &ExpectedBody, path: &str) -> bool {
        let Some(head) = read_head(bytes).unwrap_or_else(|e| fail(e)) else {
            self.head.extend_from_slice(bytes);
            return false;
        };
        if head.status != 200 {
            fail(format!("status {}: {}", head.status, String::from_utf8_lossy(bytes)));
        }
        self.state = match head.body {
            BodyLength::Exactly(left) => State::ReadBody { left },
            BodyLength::Chunked => State::ReadChunkSize { size: 0 },
        };
        self.take_body(&bytes[head.len..], expected, path)
    }

    fn take_body(&mut self, bytes: &[u8], expected: &ExpectedBody, path: &str) -> bool {
        let mut rest = bytes;
        loop {
            self.state = match self.state {
                State::AwaitHead => fail("no answer is being read"),
                State::ReadBody { left: 0 } => return self.end(rest, expected, path),
                State::ReadBody { left } => {
                    State::ReadBody { left: left - self.compare(&mut rest, left, expected, path) }
                }
                State::ReadChunk { left: 0 } => State::EndChunk,
                State::ReadChunk { left } => {
                    State::ReadChunk { left: left - self.compare(&mut rest, left, expected, path) }
                }
                State::ReadChunkSize { size } => match next(&mut rest) {
                    None => return false,
                    Some(b'\r') => State::ReadChunkSize { size },
                    Some(b'\n') if size == 0 => State::EndBody,
                    Some(b'\n') => {
                        self.chunks += 1;
                        State::ReadChunk { left: size }
                    }
                    Some(digit) => match char::from(digit).to_digit(16) {
                        Some(digit) => State::ReadChunkSize { size: size * 16 + u64::from(digit) },
                        None => fail("the size of a chunk isn't a number"),
                    },
                },
                State::EndChunk => match next(&mut rest) {
                    None => return false,
                    Some(b'\n') => State::ReadChunkSize { size: 0 },
                    Some(_) => State::EndChunk,
                },
                State::EndBody => match next(&mut rest) {
                    None => return false,
                    Some(b'\n') => return self.end(rest, expected, path),
                    Some(_) => State::EndBody,
                },
            };
            let in_data = matches!(
                self.state,
                State::ReadBody { left: 1.. } | State::ReadChunk { left: 1.. }
            );
            if rest.is_empty() && in_data {
                return false;
            }
        }
    }

    /// Compares what there is of the body's next `left` bytes; returns how many that were.
    fn compare(&mut self, rest: &mut &[u8], left: u64, expected: &ExpectedBody, path: &str) -> u64 {
        let len = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (piece, behind) = rest.split_at(len);
        if !expected.holds(self.compared, piece, path) {
            fail(format!("wrong body for {path}: {}", String::from_utf8_lossy(piece)));
        }
        self.compared += len;
        *rest = behind;
        len as u64
    }

    fn end(&mut self, rest: &[u8], expected: &ExpectedBody, path: &str) -> bool {
        if !rest.is_empty() {
            fail("bytes after the answer");
        }
        if self.compared != expected.len(path) {
            fail(format!("{} bytes of body for {path}, not {}", self.compared, expected.len(path)));
        }
        (self.state, self.compared) = (State::AwaitHead, 0);
        true
    }
}

fn next(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_whole_at_their_last_byte_however_they_are_cut() {
        let expected = ExpectedBody::new(b"hello world".to_vec());
        let by_length = &b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"[..];
        let in_chunks = &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
            6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"[..];
        for answer in [by_length, in_chunks] {
            for size in 1..=answer.len() {
                let mut reading = Reading::default();
                for _ in 0..2 {
                    let pieces: Vec<_> = answer.chunks(size).collect();
                    let (last, before) = pieces.split_last().unwrap();
                    assert!(!before.iter().any(|piece| reading.take(piece, &expected, "/")));
                    assert!(reading.take(last, &expected, "/"));
                }
            }
        }
    }

    #[test]
    fn an_answer_without_a_body_is_whole_with_its_head() {
        let mut reading = Reading::default();
        let expected = ExpectedBody::new(Vec::new());
        assert!(reading.take(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", &expected, "/"));
    }
}
