//! One exchange on a connection to an origin, seen from its receiving side.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::Refusal;
use super::framing::{self, Framing};
use super::head::{self, HeadLimits, HeadScanner, Role};
use super::input::{Input, Room};
use super::receiver::{Receiver, Step};
use crate::exchange::{Fields, ResponseHead};
use crate::net::stream::ReadHalf;
use crate::net::tls::OriginFailure;

/// Why an origin's answer can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the origin closed its connection before it answered")]
    BeforeAnswer,
    #[error("the origin closed its connection in the middle of its answer")]
    Closed,
    #[error("the origin switched to another protocol that nobody asked for")]
    Unasked,
    /// RFC 6455 section 4.1.
    #[error("the origin granted a WebSocket conversation without the answer to its key")]
    KeyUnanswered,
    #[error("the origin sent interim answers without end")]
    Endless,
    #[error("the connection to the origin failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("the origin's answer is malformed: {0}")]
    Malformed(#[from] Refusal),
}

impl Broken {
    /// Why the origin wants nothing of Ouli, where TLS has told.
    pub fn refusal(&self) -> Option<&OriginFailure> {
        match self {
            Broken::Io(error) => OriginFailure::in_error(error),
            _ => None,
        }
    }
}

/// Receives an origin's answer.
pub struct Answering<'c> {
    receiver: Receiver<'c>,
    limits: HeadLimits,
    scanner: HeadScanner,
    /// Whether a byte of the answer has come, of an interim one too.
    has_begun: bool,
}

impl<'c> Answering<'c> {
    /// `buffer` is lent by the arena; `into_buffer` gives it back.
    pub fn new(
        reader: ReadHalf<'c>,
        mut buffer: Vec<u8>,
        ahead_max: usize,
        limits: HeadLimits,
    ) -> Self {
        buffer.clear();
        let room = Room::ahead(ahead_max).or(Room::whole(limits.bytes_max + 1));
        Answering {
            receiver: Receiver::new(reader, Input::new(buffer), room),
            limits,
            scanner: HeadScanner::new(Role::Client),
            has_begun: false,
        }
    }

    pub fn into_buffer(self) -> Vec<u8> {
        self.receiver.input.into_buffer()
    }

    /// What has come behind the last head.
    pub fn ahead(&self) -> Bytes {
        Bytes::copy_from_slice(self.receiver.input.data())
    }

    /// Reads the next head, interim or final, into `out`.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn head(&mut self, out: &mut ResponseHead) -> Result<(), Broken> {
        loop {
            let input = self.receiver.input.data();
            if let Some(bytes) = self.scanner.scan(input, &self.limits)? {
                head::parse_response(&input[..bytes], &self.limits, out)?;
                self.receiver.input.consume(bytes);
                self.scanner.reset();
                return Ok(());
            }
            match self.receiver.fill().await {
                // It doesn't want this client, and would not another time either.
                Err(error) if OriginFailure::in_error(&error).is_some() => {
                    return Err(error.into());
                }
                Ok(0) | Err(_) if !self.has_begun => return Err(Broken::BeforeAnswer),
                Ok(0) => return Err(Broken::Closed),
                Ok(_) => self.has_begun = true,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Broken::Closed);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sets the body's framing from the final head (RFC 9112 section 6.3).
    pub fn begin_body(&mut self, head: &ResponseHead, method: &str) -> Result<Framing, Broken> {
        let framing = framing::response_framing(head, method)?;
        self.receiver.expect_body(framing, &self.limits);
        Ok(framing)
    }

    pub fn step(&mut self) -> Result<Step, Broken> {
        Ok(self.receiver.step()?)
    }

    pub fn data(&self, range: Range<usize>) -> &[u8] {
        self.receiver.data(range)
    }

    /// Waits for more of the body. `Ok(false)`: the body ended properly with the connection.
    pub async fn more(&mut self) -> Result<bool, Broken> {
        match self.receiver.fill().await {
            Ok(0) if self.receiver.ends_with_input() => Ok(false),
            Ok(0) => Err(Broken::Closed),
            Ok(_) => Ok(true),
            // TLS without its close_notify: a body that ends with its connection is cut by that
            // (RFC 9112 section 9.8), and any other is cut in any case.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Broken::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the last byte of a body of known length has been handed out.
    pub fn is_complete(&self) -> bool {
        self.receiver.is_complete()
    }

    pub fn trailers(&self) -> &Fields {
        self.receiver.trailers()
    }

    /// Whether nothing is left over behind the answer.
    pub fn is_clean(&self) -> bool {
        self.receiver.is_ended() && self.receiver.input.is_empty()
    }
}
