//! The messages of gRPC calls, for the demo's origin and its client alike.
//!
//! Each says a line of text, as the message `google.protobuf.StringValue`.

use std::collections::VecDeque;
use std::mem;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use h2::RecvStream;
use prost_reflect::prost::Message as _;

use super::http2;
use crate::exchange::Fields;
use crate::grpc::{self, Event, Splitter};

/// One direction of a call, as it comes.
pub(super) struct Messages {
    body: RecvStream,
    splitter: Splitter,
    /// What has come of the message that isn't whole yet.
    begun: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
}

impl Messages {
    pub(super) fn new(body: RecvStream) -> Self {
        let splitter = Splitter::new();
        Messages { body, splitter, begun: Vec::new(), whole: VecDeque::new() }
    }

    /// The next message, its prefix taken off; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(message) = self.whole.pop_front() {
                return Ok(Some(message));
            }
            match http2::piece(&mut self.body).await? {
                Some(bytes) => self.take(&bytes)?,
                None if self.splitter.is_between() => return Ok(None),
                None => bail!("the stream ended in the middle of a message"),
            }
        }
    }

    /// What stands behind the last message.
    pub(super) async fn trailers(&mut self) -> Result<Fields> {
        http2::trailers(&mut self.body).await
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        for event in self.splitter.events(bytes) {
            match event {
                Event::Began { compressed: false, .. } => {}
                Event::Began { compressed: true, .. } => {
                    bail!("a message is compressed, which nobody asked for")
                }
                Event::Data(range) => {
                    self.begun.extend_from_slice(bytes.get(range).unwrap_or_default());
                }
                Event::Ended => self.whole.push_back(mem::take(&mut self.begun)),
                Event::Rest(_) => bail!("what came is no gRPC message"),
            }
        }
        Ok(())
    }
}

/// A message that says `line`, behind its prefix.
pub(super) fn framed(line: &str) -> Result<Bytes> {
    let message = line.to_owned().encode_to_vec();
    let len = u32::try_from(message.len()).context("a message is longer than gRPC can say")?;
    Ok([&grpc::prefix(false, len), message.as_slice()].concat().into())
}

/// What a message says.
pub(super) fn line(message: &[u8]) -> Result<String> {
    String::decode(message).context("a message isn't a line of text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_string_value_behind_five_bytes() {
        let bytes = framed("Hi").unwrap();
        assert_eq!(bytes, &b"\x00\x00\x00\x00\x04\x0a\x02Hi"[..]);
        assert_eq!(line(&bytes[grpc::PREFIX_BYTES..]).unwrap(), "Hi");
        assert!(line(b"\x0a\x05Hi").is_err());
    }
}
