//! Where the messages of a body begin and end, whatever pieces it comes in.

use std::ops::Range;

use super::PREFIX_BYTES;

/// What stands in some bytes of a body, in its order. Ranges are of those bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message's prefix is complete.
    Began { compressed: bool, len: u32 },
    /// Bytes of the message that began last; never empty.
    Data(Range<usize>),
    /// The message is complete.
    Ended,
    /// A prefix began with a flag that is neither 0 nor 1. From there on no message can be told;
    /// every later byte is rest as well.
    Rest(Range<usize>),
}

/// Takes a body in whatever pieces it comes and finds its messages. Holds no bytes of it but an
/// unfinished prefix.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    state: State,
    /// Messages that have come whole.
    messages: u32,
    /// Bytes up to the end of the last of them.
    whole_bytes: u64,
    /// Bytes that have come.
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    AwaitPrefix {
        got: [u8; PREFIX_BYTES],
        count: usize,
    },
    /// `left` may be 0 only between two events.
    Within {
        left: u32,
    },
    Malformed,
}

impl Default for State {
    fn default() -> Self {
        State::AwaitPrefix { got: [0; PREFIX_BYTES], count: 0 }
    }
}

impl Splitter {
    pub fn new() -> Splitter {
        Splitter::default()
    }

    /// What the next bytes of the body hold. They count as come once the events have been asked
    /// for to their end.
    pub fn events<'s>(&'s mut self, bytes: &'s [u8]) -> Events<'s> {
        Events { splitter: self, bytes, at: 0 }
    }

    /// As `events`, where nobody wants them.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.events(bytes).for_each(drop);
    }

    /// Messages that have come whole. Stays where it is at its largest value.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Bytes of the body up to the end of the last whole message.
    pub fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Nothing has come since the last whole message: the body may end here.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::AwaitPrefix { count: 0, .. })
    }

    pub fn is_malformed(&self) -> bool {
        matches!(self.state, State::Malformed)
    }

    /// The next event of `bytes`, of which the first `at` have been taken, and how many are then.
    fn step(&mut self, bytes: &[u8], at: &mut usize) -> Option<Event> {
        loop {
            let left = bytes.len().saturating_sub(*at);
            match &mut self.state {
                State::Within { left: 0 } => {
                    self.state = State::default();
                    self.messages = self.messages.saturating_add(1);
                    self.whole_bytes = self.bytes;
                    return Some(Event::Ended);
                }
                _ if left == 0 => return None,
                State::Within { left: wanted } => {
                    let len = left.min(*wanted as usize);
                    *wanted -= len as u32;
                    return Some(Event::Data(self.take(at, len)));
                }
                State::Malformed => return Some(Event::Rest(self.take(at, left))),
                State::AwaitPrefix { got, count } => {
                    let byte = bytes.get(*at).copied()?;
                    if *count == 0 && byte > 1 {
                        self.state = State::Malformed;
                        continue;
                    }
                    if let Some(place) = got.get_mut(*count) {
                        *place = byte;
                    }
                    *count += 1;
                    let (got, is_whole) = (*got, *count == PREFIX_BYTES);
                    self.take(at, 1);
                    if is_whole {
                        let [flag, a, b, c, d] = got;
                        let len = u32::from_be_bytes([a, b, c, d]);
                        self.state = State::Within { left: len };
                        return Some(Event::Began { compressed: flag == 1, len });
                    }
                }
            }
        }
    }

    fn take(&mut self, at: &mut usize, len: usize) -> Range<usize> {
        let start = *at;
        *at += len;
        self.bytes = self.bytes.saturating_add(len as u64);
        start..*at
    }
}

/// The events of one piece of a body.
#[derive(Debug)]
pub struct Events<'s> {
    splitter: &'s mut Splitter,
    bytes: &'s [u8],
    /// Bytes that have been taken.
    at: usize,
}

impl Events<'_> {
    /// Bytes of the piece that earlier events were about.
    pub fn taken(&self) -> usize {
        self.at
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.splitter.step(self.bytes, &mut self.at)
    }
}
