//! From a gRPC call's frames to its messages.
//!
//! The frames of both sides stand on the tape in the order in which Ouli saw things, so how far the
//! request had come when something of the answer did can be told from where that stands.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;

use crate::exchange::{After, Compression, Kind, Message, Payload};
use crate::grpc::{self, Event, Splitter};

/// Bytes read from a body file at a time.
const READ_BYTES: usize = 64 << 10;

/// How far the request had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) bytes: u64,
    pub(super) ended: bool,
}

/// What one read of a body gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) at: Duration,
    pub(super) len: u64,
    /// How far the request had come before.
    pub(super) mark: Mark,
}

/// Where in a request's body its messages end: what makes a mark a number of messages.
#[derive(Debug, Default)]
pub(super) struct Ends(Vec<u64>);

impl Ends {
    pub(super) fn after(&self, mark: Mark) -> After {
        match mark.ended {
            true => After::End,
            false => {
                let count = self.0.partition_point(|end| *end <= mark.bytes);
                After::Messages(u32::try_from(count).unwrap_or(u32::MAX))
            }
        }
    }
}

/// Finds the messages of the body that `source` gives and that came by these arrivals; bytes that
/// no arrival tells of are left. A message came when its last byte did, and after what had come
/// when its first byte did. Each goes through `keep` as soon as it is whole, so that no more of
/// the body is in memory than one message and what `keep` leaves there.
pub(super) fn split<E: From<io::Error>>(
    arrivals: &[Arrival],
    source: &mut dyn Read,
    after: &dyn Fn(Mark) -> After,
    keep: &dyn Fn(Message) -> Result<Message, E>,
) -> Result<(Vec<Message>, Ends), E> {
    let mut splitter = Splitter::new();
    let mut found = Found::default();
    let mut buffer = Vec::new();
    for arrival in arrivals {
        let mut left = arrival.len;
        while left > 0 {
            let wanted = left.min(READ_BYTES as u64);
            buffer.clear();
            let read = (&mut *source).take(wanted).read_to_end(&mut buffer)? as u64;
            if read == 0 {
                break;
            }
            left -= read;
            found.take(&mut splitter, &buffer, arrival, after, keep)?;
        }
    }
    Ok(found.finish(arrivals.last()))
}

#[derive(Default)]
struct Found {
    /// Bytes that have been taken.
    taken: u64,
    messages: Vec<Message>,
    ends: Ends,
    /// What has begun and isn't whole.
    open: Option<Open>,
}

struct Open {
    after: After,
    /// Its prefix, once that is whole.
    prefix: Option<(bool, u32)>,
    /// Its bytes; its prefix's as long as that isn't whole.
    bytes: Vec<u8>,
}

impl Found {
    fn take<E>(
        &mut self,
        splitter: &mut Splitter,
        bytes: &[u8],
        arrival: &Arrival,
        after: &dyn Fn(Mark) -> After,
        keep: &dyn Fn(Message) -> Result<Message, E>,
    ) -> Result<(), E> {
        let begin = || Open { after: after(arrival.mark), prefix: None, bytes: Vec::new() };
        let mut told = 0;
        let mut events = splitter.events(bytes);
        while let Some(event) = events.next() {
            match event {
                Event::Began { compressed, len } => {
                    let open = self.open.get_or_insert_with(begin);
                    open.prefix = Some((compressed, len));
                    open.bytes.clear();
                }
                Event::Data(range) | Event::Rest(range) => {
                    let open = self.open.get_or_insert_with(begin);
                    open.bytes.extend_from_slice(bytes.get(range).unwrap_or_default());
                }
                Event::Ended => {
                    let open = self.open.take().unwrap_or_else(begin);
                    self.ends.0.push(self.taken + events.taken() as u64);
                    self.messages.push(keep(open.into_message(arrival.at))?);
                }
            }
            told = events.taken();
        }
        // A prefix that isn't whole yet was in no event.
        let unfinished = bytes.get(told..).unwrap_or_default();
        if !unfinished.is_empty() {
            self.open.get_or_insert_with(begin).bytes.extend_from_slice(unfinished);
        }
        self.taken += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self, last: Option<&Arrival>) -> (Vec<Message>, Ends) {
        if let (Some(open), Some(last)) = (self.open, last) {
            self.messages.push(open.into_rest(last.at));
        }
        (self.messages, self.ends)
    }
}

impl Open {
    fn into_message(self, at: Duration) -> Message {
        let compression = match self.prefix {
            Some((true, _)) => Compression::On,
            _ => Compression::None,
        };
        let payload = Payload::Bytes(Bytes::from(self.bytes));
        Message { at, after: self.after, kind: Kind::Binary, compression, payload }
    }

    /// What was left when the body ended.
    fn into_rest(self, at: Duration) -> Message {
        let prefix = self.prefix.map(|(compressed, len)| grpc::prefix(compressed, len));
        let rest = [prefix.as_ref().map_or(&[][..], |prefix| prefix), &self.bytes].concat();
        let payload = Payload::Rest(rest.into());
        let (kind, compression) = (Kind::Binary, Compression::None);
        Message { at, after: self.after, kind, compression, payload }
    }
}
