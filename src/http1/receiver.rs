//! Takes one message after the other off a connection: what both roles' receiving sides share.

use std::io;
use std::ops::Range;

use super::Refusal;
use super::framing::{BodyDecoder, BodyEvent, Framing};
use super::head::HeadLimits;
use super::input::{Input, Room};
use crate::exchange::Fields;
use crate::net::stream::ReadHalf;

pub struct Receiver<'c> {
    pub reader: ReadHalf<'c>,
    pub input: Input,
    decoder: BodyDecoder,
    /// Input bytes that the last `Step::Data` stood in, framing included. They stay where they are
    /// until the next step, so that whoever takes the data needs no copy.
    handed: usize,
    room: Room,
}

/// What stands next in a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes of the body, at this place of `Receiver::data`.
    Data(Range<usize>),
    End,
    NeedMore,
}

impl<'c> Receiver<'c> {
    pub fn new(reader: ReadHalf<'c>, input: Input, room: Room) -> Self {
        let no_trailers = HeadLimits { bytes_max: 0, fields_max: 0, target_max: 0 };
        let decoder = BodyDecoder::new(Framing::None, &no_trailers);
        Receiver { reader, input, decoder, handed: 0, room }
    }

    /// From here on the input is a body framed like this.
    pub fn expect_body(&mut self, framing: Framing, limits: &HeadLimits) {
        self.decoder = BodyDecoder::new(framing, limits);
    }

    pub fn step(&mut self) -> Result<Step, Refusal> {
        self.release();
        if self.decoder.is_ended() {
            return Ok(Step::End);
        }
        let decoded = self.decoder.decode(self.input.data())?;
        if let BodyEvent::Data(range) = decoded.event {
            self.handed = decoded.consumed;
            return Ok(Step::Data(range));
        }
        self.input.consume(decoded.consumed);
        Ok(if decoded.event == BodyEvent::End { Step::End } else { Step::NeedMore })
    }

    /// The bytes that a `Step::Data` named, until the next step.
    pub fn data(&self, range: Range<usize>) -> &[u8] {
        &self.input.data()[range]
    }

    /// Gives back the bytes that the last `Step::Data` named.
    pub fn release(&mut self) {
        self.input.consume(std::mem::take(&mut self.handed));
    }

    /// Reads once; 0 is the end of input.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.input.fill(&mut self.reader, self.room).await
    }

    /// Whether no more can be read ahead.
    pub fn is_full(&self) -> bool {
        self.input.is_full(self.room)
    }

    /// Whether the body is over, its framing included.
    pub fn is_ended(&self) -> bool {
        self.decoder.is_ended()
    }

    /// Whether the last byte of a body of known length has been handed out.
    pub fn is_complete(&self) -> bool {
        self.decoder.is_ended() || self.decoder.remaining() == Some(0)
    }

    /// The peer closed: whether the body ends properly with that (RFC 9112 section 8).
    pub fn ends_with_input(&mut self) -> bool {
        self.decoder.end_of_input().is_ok()
    }

    pub fn trailers(&self) -> &Fields {
        self.decoder.trailers()
    }
}
