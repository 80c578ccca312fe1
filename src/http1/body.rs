//! Taking one message's body out of the bytes of a connection.
//!
//! Hands out ranges of the input, so no body byte is copied. Keeps nothing but where it stands,
//! and the trailer section, which is bounded. Never reads past the message's end: what follows is
//! the next message.

use std::ops::Range;

use thiserror::Error;

use super::Refusal;
use super::chunk::{ChunkEvent, ChunkedDecoder};
use super::framing::Framing;
use super::scan::HeadLimits;
use crate::exchange::Fields;

#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    trailers: Fields,
}

#[derive(Clone, Debug)]
enum State {
    /// More than 0 bytes are still to come.
    Length(u64),
    Chunked(ChunkedDecoder),
    AwaitClose,
    Ended,
}

/// One step of decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that are done with; the next call gets the input after them.
    pub consumed: usize,
    pub event: BodyEvent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyEvent {
    /// All input is consumed and the body goes on.
    NeedMore,
    /// Bytes of the body, at least one: a range of the input that ends where `consumed` does.
    Data(Range<usize>),
    /// The message is over. Comes again on every further call, consuming nothing.
    End,
}

/// The peer closed the connection before the body was over (RFC 9112 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Truncated {
    #[error("the body ends {missing} bytes before its Content-Length (RFC 9112 section 8)")]
    Length { missing: u64 },
    #[error("the body ends before its last chunk (RFC 9112 section 8)")]
    Chunked,
}

impl BodyDecoder {
    /// A decoder for one body. Of `limits`, `bytes_max` and `fields_max` bound the trailers.
    pub fn new(framing: Framing, limits: &HeadLimits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(ChunkedDecoder::new(limits)),
            Framing::Close => State::AwaitClose,
        };
        BodyDecoder { state, trailers: Fields::new() }
    }

    /// Takes the next step. Call again with the rest of the input after `consumed`, until
    /// `NeedMore` or `End`; then with what came since. The data, put together, doesn't depend on
    /// how the input was cut.
    ///
    /// # Errors
    /// Chunked framing that RFC 9112 section 7.1 doesn't allow. The connection is lost then:
    /// where the next message begins can't be known.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, Refusal> {
        match &mut self.state {
            State::Ended => Ok(Decoded { consumed: 0, event: BodyEvent::End }),
            _ if input.is_empty() => Ok(Decoded { consumed: 0, event: BodyEvent::NeedMore }),
            State::AwaitClose => Ok(data(0..input.len())),
            State::Length(left) => {
                let len = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                if *left == 0 {
                    self.state = State::Ended;
                }
                Ok(data(0..len))
            }
            State::Chunked(decoder) => {
                let (consumed, event) = decoder.decode(input, &mut self.trailers)?;
                let event = match event {
                    ChunkEvent::NeedMore => BodyEvent::NeedMore,
                    ChunkEvent::Data(len) => return Ok(data(consumed - len..consumed)),
                    ChunkEvent::End => {
                        self.state = State::Ended;
                        BodyEvent::End
                    }
                };
                Ok(Decoded { consumed, event })
            }
        }
    }

    /// The peer closed. A body framed by the close ends well with it.
    ///
    /// # Errors
    /// `Truncated` where the body isn't over.
    pub fn end_of_input(&mut self) -> Result<(), Truncated> {
        match &self.state {
            State::Ended => Ok(()),
            State::AwaitClose => {
                self.state = State::Ended;
                Ok(())
            }
            State::Length(missing) => Err(Truncated::Length { missing: *missing }),
            State::Chunked(_) => Err(Truncated::Chunked),
        }
    }

    /// Whether every byte of the message has been decoded.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Bytes of the body that are still to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match &self.state {
            State::Ended => Some(0),
            State::Length(left) => Some(*left),
            State::Chunked(_) | State::AwaitClose => None,
        }
    }

    /// The trailer fields; empty until the end.
    pub fn trailers(&self) -> &Fields {
        &self.trailers
    }

    pub fn take_trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }
}

fn data(range: Range<usize>) -> Decoded {
    Decoded { consumed: range.end, event: BodyEvent::Data(range) }
}
