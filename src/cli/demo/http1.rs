//! Whole messages in HTTP/1.1 over one connection, for the demo's origin and its client alike.
//!
//! A blunt tool beside the library's own drivers: it takes each message whole, before anything is
//! done with it.

use std::io;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;

use crate::config::Limits;
use crate::exchange::{Fields, RequestHead, ResponseHead};
use crate::http1::framing::{self, Framing};
use crate::http1::head::{self, HeadLimits, HeadScanner, Role};
use crate::http1::input::{Input, Room};
use crate::http1::receiver::{Receiver, Step};
use crate::net::stream::{Stream, WriteHalf};

pub(super) struct Wire<'c> {
    receiver: Receiver<'c>,
    writer: WriteHalf<'c>,
    limits: HeadLimits,
}

/// The content of a message, its framing taken off.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) body: Vec<u8>,
    pub(super) trailers: Fields,
}

impl<'c> Wire<'c> {
    pub(super) fn new(stream: &'c mut Stream) -> Self {
        let limits = Limits::default();
        let head_limits = HeadLimits::from(&limits);
        let room = Room::ahead(limits.buffer_size).or(Room::whole(head_limits.bytes_max + 1));
        let (reader, writer) = stream.split();
        let receiver = Receiver::new(reader, Input::default(), room);
        Wire { receiver, writer, limits: head_limits }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await?;
        self.writer.flush().await
    }

    /// The next request; none when the peer has sent its last.
    pub(super) async fn request(&mut self) -> Result<Option<(RequestHead, Content)>> {
        let Some(bytes) = self.head(Role::Server).await? else { return Ok(None) };
        let mut head = RequestHead::default();
        head::parse_request(&bytes, &self.limits, &mut head)?;
        let content = self.content(framing::request_framing(&head)?).await?;
        Ok(Some((head, content)))
    }

    /// What comes next after a switch to another protocol; none at the end.
    pub(super) async fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.receiver.input.is_empty() && self.receiver.fill().await? == 0 {
            return Ok(None);
        }
        let input = &mut self.receiver.input;
        let bytes = input.data().to_vec();
        input.consume(bytes.len());
        Ok(Some(bytes))
    }

    /// The answer to a request with `method`, interim ones left out.
    pub(super) async fn response(&mut self, method: &str) -> Result<(ResponseHead, Content)> {
        loop {
            let bytes = self.head(Role::Client).await?;
            let bytes = bytes.context("the connection was closed without an answer")?;
            let mut head = ResponseHead::default();
            head::parse_response(&bytes, &self.limits, &mut head)?;
            // Interim answers go before the one that counts (RFC 9110 section 15.2). 101 is none:
            // nothing more comes in HTTP/1.1.
            if head.status >= 200 || head.status == 101 {
                let content = self.content(framing::response_framing(&head, method)?).await?;
                return Ok((head, content));
            }
        }
    }

    async fn head(&mut self, role: Role) -> Result<Option<Vec<u8>>> {
        let mut scanner = HeadScanner::new(role);
        loop {
            let input = &mut self.receiver.input;
            if let Some(bytes) = scanner.scan(input.data(), &self.limits)? {
                let head = input.data().get(..bytes).unwrap_or_default().to_vec();
                input.consume(bytes);
                return Ok(Some(head));
            }
            if self.receiver.fill().await? == 0 {
                match self.receiver.input.is_empty() {
                    true => return Ok(None),
                    false => bail!("the connection was closed in the middle of a head"),
                }
            }
        }
    }

    async fn content(&mut self, framing: Framing) -> Result<Content> {
        self.receiver.expect_body(framing, &self.limits);
        let mut body = Vec::new();
        loop {
            match self.receiver.step()? {
                Step::Data(range) => body.extend_from_slice(self.receiver.data(range)),
                Step::End => break,
                Step::NeedMore => {
                    if self.receiver.fill().await? == 0 {
                        match self.receiver.ends_with_input() {
                            true => break,
                            false => bail!("the connection was closed in the middle of a body"),
                        }
                    }
                }
            }
        }
        Ok(Content { body, trailers: self.receiver.trailers().clone() })
    }
}
