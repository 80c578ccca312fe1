//! The messages of one side, inflated one after the other.
//!
//! Each message is a stream of its own here. What its sender may refer back to in earlier ones is
//! put before it as a dictionary, so that between messages nothing is held but that: as much as was
//! said, and at most a window.
//!
//! What is handed out doesn't depend on how the input was cut, up to the very byte at which a fault
//! is found.

use flate2::{Decompress, FlushDecompress, Status};
use thiserror::Error;

/// Plain bytes that a step hands out at most.
const STEP_BYTES: usize = 4 << 10;

/// A stream's own window, the largest there is. A smaller one would only find senders out that
/// refer back further than agreed on, and those only under some cuts.
const WINDOW_BITS: u8 = 15;

/// The tail that was cut off (RFC 7692 section 7.2.2), and an empty block that is the last of its
/// stream: after a whole message they end the stream and say nothing, after half of one they don't.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    #[error("the compressed data is damaged")]
    Malformed,
    #[error("the message inflates to more than it may")]
    TooLarge,
    #[error("an earlier message that this one may refer back to could not be inflated")]
    Lost,
}

/// Inflates the messages of one side of a conversation.
///
/// With context takeover a message that failed takes all later ones with it: they fail with
/// `Fault::Lost`. Without, the next one begins afresh.
#[derive(Debug)]
pub struct Inflater {
    takeover: bool,
    window_bytes: usize,
    bytes_max: u64,
    /// The end of what was said so far, a window at most; empty without takeover.
    history: Vec<u8>,
    flight: Option<Box<Flight>>,
    is_lost: bool,
}

/// A message on its way.
#[derive(Debug)]
struct Flight {
    stream: Decompress,
    /// The stream had its last block (RFC 7692 section 7.2.3.4). Whatever follows begins another.
    is_ended: bool,
    /// What comes next is damaged: told once the bytes before it were handed out.
    is_damaged: bool,
    /// Plain bytes that the message may still have.
    room: u64,
    out: [u8; STEP_BYTES],
    /// Bytes of `out` that the last step made.
    produced: usize,
}

impl Inflater {
    /// For a side whose context is taken over or not and whose window has two to the power of
    /// `bits` bytes. A message may have `bytes_max` plain bytes.
    pub fn new(takeover: bool, bits: u8, bytes_max: u64) -> Inflater {
        let window_bytes = 1 << bits.clamp(8, WINDOW_BITS);
        Inflater {
            takeover,
            window_bytes,
            bytes_max,
            history: Vec::new(),
            flight: None,
            is_lost: false,
        }
    }

    /// Inflates the next piece of a message, and hands out all that it makes readable.
    ///
    /// # Errors
    /// The message is over then, and what was handed out before is right.
    pub fn push(&mut self, piece: &[u8], mut sink: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut at = 0;
        while self.step(piece, &mut at)? {
            sink(self.plain());
        }
        Ok(())
    }

    /// Ends the message, which may be empty. Makes nothing readable that wasn't before.
    ///
    /// # Errors
    /// As `push`; `Malformed` also where the message isn't whole.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.turn(Flight::finish)?;
        self.flight = None;
        Ok(())
    }

    /// As `push`, for those who pass on as they inflate: takes from `input` what lies at `*at`, and
    /// moves that on. False where all of it was taken and nothing made readable; else `plain` has
    /// the bytes.
    ///
    /// # Errors
    /// As `push`.
    pub fn step(&mut self, input: &[u8], at: &mut usize) -> Result<bool, Fault> {
        self.turn(|flight| flight.turn(input, at))
    }

    /// What the last step made readable, before another is made.
    pub fn plain(&self) -> &[u8] {
        self.flight.as_deref().map(Flight::made).unwrap_or_default()
    }

    fn turn(&mut self, turn: impl FnOnce(&mut Flight) -> Result<(), Fault>) -> Result<bool, Fault> {
        if self.is_lost {
            return Err(Fault::Lost);
        }
        let flight = match &mut self.flight {
            Some(flight) => flight,
            none => none.insert(Flight::after(&self.history, self.bytes_max)?),
        };
        if let Err(fault) = turn(flight) {
            self.lose();
            return Err(fault);
        }
        if self.takeover {
            remember(&mut self.history, flight.made(), self.window_bytes);
        }
        Ok(flight.produced > 0)
    }

    fn lose(&mut self) {
        self.flight = None;
        self.history = Vec::new();
        self.is_lost = self.takeover;
    }
}

/// Appends `made` to a history, of which the last `window_bytes` are kept, and room for no more.
fn remember(history: &mut Vec<u8>, made: &[u8], window_bytes: usize) {
    let made = made.get(made.len().saturating_sub(window_bytes)..).unwrap_or_default();
    let gone = (history.len() + made.len()).saturating_sub(window_bytes);
    history.drain(..gone);
    history.reserve_exact(made.len());
    history.extend_from_slice(made);
}

impl Flight {
    fn after(history: &[u8], room: u64) -> Result<Box<Flight>, Fault> {
        let mut stream = Decompress::new_with_window_bits(false, WINDOW_BITS);
        if !history.is_empty() {
            stream.set_dictionary(history).map_err(|_| Fault::Malformed)?;
        }
        Ok(Box::new(Flight {
            stream,
            is_ended: false,
            is_damaged: false,
            room,
            out: [0; STEP_BYTES],
            produced: 0,
        }))
    }

    fn made(&self) -> &[u8] {
        self.out.get(..self.produced).unwrap_or_default()
    }

    /// Takes input until something is readable or nothing left.
    fn turn(&mut self, input: &[u8], at: &mut usize) -> Result<(), Fault> {
        loop {
            let rest = input.get(*at..).unwrap_or_default();
            let consumed = self.call(rest)?;
            *at += consumed;
            if self.produced > 0 || rest.len() == consumed {
                return Ok(());
            }
        }
    }

    /// One call into the library; tells how many bytes it took.
    fn call(&mut self, input: &[u8]) -> Result<usize, Fault> {
        self.produced = 0;
        if self.is_damaged {
            return Err(Fault::Malformed);
        }
        if self.is_ended {
            if input.is_empty() {
                return Ok(0);
            }
            self.stream.reset(false);
            self.is_ended = false;
        }
        // Where nothing more may come, one byte shows whether it does.
        let most = self.room.clamp(1, STEP_BYTES as u64) as usize;
        let (taken, made) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.decompress(input, &mut self.out[..most], FlushDecompress::None);
        let consumed = (self.stream.total_in() - taken) as usize;
        self.produced = (self.stream.total_out() - made) as usize;
        self.is_ended = matches!(status, Ok(Status::StreamEnd));
        let is_stuck = consumed == 0 && !input.is_empty() && !self.is_ended;
        self.is_damaged = status.is_err();
        if self.produced == 0 && (self.is_damaged || is_stuck) {
            return Err(Fault::Malformed);
        }
        let room = self.room.checked_sub(self.produced as u64);
        self.room = room.ok_or(Fault::TooLarge)?;
        Ok(consumed)
    }

    /// Puts the tail back and sees whether the message was whole. Two are though RFC 7692 has a byte
    /// more in each: one that ends with the last block of its stream, and an empty one, for which
    /// zlib gives its users nothing to send.
    fn finish(&mut self) -> Result<(), Fault> {
        self.produced = 0;
        if self.is_ended || self.stream.total_in() == 0 {
            return Ok(());
        }
        self.turn(&END, &mut 0)?;
        if self.produced > 0 || !self.is_ended { Err(Fault::Malformed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_messages_nothing_is_held_but_what_may_be_referred_to() {
        // "Hello" (RFC 7692 section 7.2.3.1).
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for (takeover, held) in [(true, 256), (false, 0)] {
            let mut inflater = Inflater::new(takeover, 8, u64::MAX);
            for _ in 0..100 {
                inflater.push(&hello, |_| ()).unwrap();
                assert!(inflater.flight.is_some());
                inflater.finish().unwrap();
                assert!(inflater.flight.is_none() && inflater.history.len() <= held);
            }
            assert_eq!(inflater.history.len(), held);
            assert!(inflater.history.capacity() <= 2 * held, "{}", inflater.history.capacity());
        }
    }
}
