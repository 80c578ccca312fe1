//! WebSocket conversations, for the demo's origin and its client alike.
//!
//! Messages are whole here, one frame each: neither side sends fragments, and nothing on the way
//! makes any.

use std::collections::VecDeque;
use std::mem;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::{RecvStream, SendStream};

use super::http1::Wire;
use super::http2;
use crate::exchange::Kind;
use crate::ws::close;
use crate::ws::deflate::{Deflater, Inflater, Terms};
use crate::ws::frame::{self, Event, Frames, Header, Mask, Opcode, RSV1};

/// Plain bytes of a message at most.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// What passes the bytes, once the handshake is done.
pub(super) enum Way<'w, 'c> {
    Switched(&'w mut Wire<'c>),
    Stream { came: RecvStream, out: SendStream<Bytes> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// One of the two who converse.
pub(super) struct Party<'w, 'c> {
    way: Way<'w, 'c>,
    role: Role,
    frames: Frames,
    /// The frame that is under way.
    header: Header,
    payload: Vec<u8>,
    whole: VecDeque<(Header, Vec<u8>)>,
    /// Where compression was agreed on, for what is said and for what is heard.
    compression: Option<(Deflater, Inflater)>,
}

pub(super) enum Heard {
    Message(Message),
    Pong(Vec<u8>),
    Closed(close::Said),
}

/// Unmasked and inflated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

impl<'w, 'c> Party<'w, 'c> {
    pub(super) fn new(way: Way<'w, 'c>, role: Role, terms: Option<Terms>) -> Self {
        Party {
            way,
            role,
            frames: Frames::new(),
            header: Header::new(Opcode::Text, 0),
            payload: Vec::new(),
            whole: VecDeque::new(),
            compression: terms.and_then(|terms| compression(role, terms)),
        }
    }

    /// What the other one says next. A ping is answered on the way.
    pub(super) async fn hear(&mut self) -> Result<Heard> {
        loop {
            while let Some((header, payload)) = self.whole.pop_front() {
                match header.opcode {
                    Opcode::Text => return self.plain(Kind::Text, &header, payload),
                    Opcode::Binary => return self.plain(Kind::Binary, &header, payload),
                    Opcode::Ping => self.send(Opcode::Pong, 0, &payload).await?,
                    Opcode::Pong => return Ok(Heard::Pong(payload)),
                    Opcode::Close => return Ok(Heard::Closed(close::read(&payload))),
                    other => bail!("a frame came that nobody sends here: {other:?}"),
                }
            }
            let bytes = self.way.bytes().await?;
            self.take(&bytes.context("the connection was closed in the middle of it")?)?;
        }
    }

    pub(super) async fn say(&mut self, kind: Kind, payload: &[u8]) -> Result<()> {
        let opcode = match kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        };
        let Some((deflater, _)) = &mut self.compression else {
            return self.send(opcode, 0, payload).await;
        };
        let mut compressed = Vec::new();
        deflater.message(payload, &mut compressed);
        self.send(opcode, RSV1, &compressed).await
    }

    pub(super) async fn ping(&mut self, payload: &[u8]) -> Result<()> {
        self.send(Opcode::Ping, 0, payload).await
    }

    pub(super) async fn close(&mut self, code: Option<u16>, reason: &str) -> Result<()> {
        self.send(Opcode::Close, 0, &close::payload(code, reason)).await
    }

    /// Ends it, once both have closed: the server ends its connection first (RFC 6455 section
    /// 7.1.1).
    pub(super) async fn end(mut self) -> Result<()> {
        if let Way::Stream { out, .. } = &mut self.way {
            out.send_data(Bytes::new(), true)?;
        }
        if self.role == Role::Client {
            while self.way.bytes().await?.is_some() {}
        }
        Ok(())
    }

    async fn send(&mut self, opcode: Opcode, rsv: u8, payload: &[u8]) -> Result<()> {
        // RFC 6455 section 5.1: a client masks, a server doesn't.
        let mask = (self.role == Role::Client).then(frame::random_key);
        let mut out = Vec::new();
        frame::write(&mut out, &Header { rsv, mask, ..Header::new(opcode, 0) }, payload);
        self.way.send(out).await
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let mut at = 0;
        while let Some(event) = self.frames.next(bytes, &mut at) {
            match event {
                Event::Header(header) => {
                    ensure!(header.fin, "a message comes in fragments, which nobody sends here");
                    self.header = header;
                }
                Event::Payload(range) => {
                    self.payload.extend_from_slice(bytes.get(range).unwrap_or_default());
                }
                Event::End => {
                    let mut payload = mem::take(&mut self.payload);
                    if let Some(key) = self.header.mask {
                        Mask::new(key).apply(&mut payload);
                    }
                    self.whole.push_back((self.header, payload));
                }
            }
        }
        Ok(())
    }

    fn plain(&mut self, kind: Kind, header: &Header, payload: Vec<u8>) -> Result<Heard> {
        if header.rsv == 0 {
            return Ok(Heard::Message(Message { kind, payload }));
        }
        let Some((_, inflater)) = &mut self.compression else {
            bail!("a message is compressed, which was not agreed on");
        };
        let mut plain = Vec::new();
        inflater.push(&payload, |bytes| plain.extend_from_slice(bytes))?;
        inflater.finish()?;
        Ok(Heard::Message(Message { kind, payload: plain }))
    }
}

fn compression(role: Role, terms: Terms) -> Option<(Deflater, Inflater)> {
    let client = (terms.client_takeover, terms.client_bits);
    let server = (terms.server_takeover, terms.server_bits);
    let ((_, bits), (takeover, their_bits)) = match role {
        Role::Client => (client, server),
        Role::Server => (server, client),
    };
    Some((Deflater::new(bits)?, Inflater::new(takeover, their_bits, MESSAGE_BYTES_MAX)))
}

impl Way<'_, '_> {
    /// The next bytes; none at the end.
    async fn bytes(&mut self) -> Result<Option<Bytes>> {
        match self {
            Way::Switched(wire) => Ok(wire.bytes().await?.map(Bytes::from)),
            Way::Stream { came, .. } => http2::piece(came).await,
        }
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self {
            Way::Switched(wire) => Ok(wire.send(&bytes).await?),
            Way::Stream { out, .. } => Ok(out.send_data(bytes.into(), false)?),
        }
    }
}
