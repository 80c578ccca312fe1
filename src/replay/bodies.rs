//! Recorded request bodies and messages, read for their share of a match key or to be compared with a missed
//! one.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::call::{Protocol, tree};
use crate::cassette;
use crate::coding;
use crate::exchange::{Body, Compression, Digest, Exchange, Fields, Message, Payload, Request};
use crate::matching::{BodyKey, BodyPrint, Bounds, Canonical, MessageKey, MessagePrint, Method};

/// Says where the file with a body's digest lies.
pub type BodyPath = Arc<dyn Fn(&Digest) -> PathBuf + Send + Sync>;

pub(super) struct Bodies {
    pub(super) path_of: BodyPath,
    pub(super) bounds: Bounds,
    pub(super) canonical: Option<Arc<dyn Canonical>>,
}

/// A file that can't be read, and why.
pub(super) struct Unreadable {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl Bodies {
    /// The body's share of the key. Reads a file only when its digest doesn't say enough.
    pub(super) fn print(&self, request: &Request) -> Result<BodyPrint<'static>, Unreadable> {
        let mut body = self.key(request);
        match &request.body {
            Body::File { len, .. } if body.needs_content(*len) => {}
            Body::File { digest, .. } | Body::Omitted { digest, .. } => {
                return Ok(BodyPrint::Bytes(*digest));
            }
            Body::Absent | Body::Whole(_) | Body::Pieces(_) | Body::Messages(_) => {}
        }
        self.push(request, &mut body)?;
        Ok(body.finish())
    }

    /// The body, finished, to be compared with another. Without content when it is too large or
    /// can't be read.
    pub(super) fn content(&self, request: &Request) -> Option<BodyKey> {
        let mut body = self.key(request);
        if let Body::File { len, .. } | Body::Omitted { len, .. } = request.body
            && len > self.bounds.match_bytes_max as u64
        {
            return None;
        }
        self.push(request, &mut body).ok()?;
        body.finish();
        Some(body)
    }

    /// Whether what is recorded of a request's body may be how this one begins: false only where
    /// both are at hand and it isn't.
    pub(super) fn may_begin(&self, recorded: &Request, body: &BodyKey) -> bool {
        if recorded.coding.is_none() && coding::of(&recorded.head.fields).is_some() {
            return true; // a coded body that was cut is kept coded
        }
        if len(&recorded.body) > body.len() {
            return false;
        }
        let Some(mut content) = body.content() else { return true };
        let mut starts_with = |bytes: &[u8]| match content.strip_prefix(bytes) {
            Some(rest) => {
                content = rest;
                true
            }
            None => false,
        };
        match &recorded.body {
            Body::Whole(bytes) => starts_with(bytes),
            Body::Pieces(pieces) => pieces.iter().all(|piece| starts_with(&piece.bytes)),
            Body::File { .. } | Body::Omitted { .. } | Body::Absent | Body::Messages(_) => true,
        }
    }

    /// For the messages of a recorded client, one after the other.
    pub(super) fn message_key<'a>(&'a self, exchange: &'a Exchange) -> MessageKey<'a> {
        if tree::protocol(exchange) == Some(Protocol::WebSocket) {
            return MessageKey::of_conversation(self.bounds, Vec::new());
        }
        let head = &exchange.request.head;
        self.live_message_key(&head.fields, &exchange.endpoint, &head.target, Vec::new())
    }

    /// For the messages of a call with these request fields.
    pub(super) fn live_message_key<'a>(
        &'a self,
        fields: &Fields,
        endpoint: &'a str,
        path: &'a str,
        buffer: Vec<u8>,
    ) -> MessageKey<'a> {
        let canonical = self.canonical.as_deref();
        MessageKey::new(fields, Method { endpoint, path, canonical }, self.bounds, buffer)
    }

    /// A recorded message's print; `key` is its call's. Reads a file only when its digest doesn't
    /// say enough.
    pub(super) fn message_print(
        &self,
        key: &mut MessageKey<'_>,
        message: &Message,
    ) -> Result<MessagePrint, Unreadable> {
        key.begin(message.kind, message.compression == Compression::On);
        if let Payload::File { digest, len } = message.payload
            && !key.needs_content(len)
        {
            return Ok(MessagePrint::of_bytes(message.kind, digest, len));
        }
        self.read_message(key, message)
    }

    /// As `message_print`, and leaves the content in `key`, if it is within bounds.
    pub(super) fn read_message(
        &self,
        key: &mut MessageKey<'_>,
        message: &Message,
    ) -> Result<MessagePrint, Unreadable> {
        key.begin(message.kind, message.compression == Compression::On);
        match &message.payload {
            Payload::Bytes(bytes) | Payload::Rest(bytes) => key.push(bytes),
            Payload::File { digest, .. } => self.read(digest, |bytes| key.push(bytes))?,
            Payload::Omitted { digest, len } => {
                return Ok(MessagePrint::of_bytes(message.kind, *digest, *len));
            }
        }
        Ok(key.finish())
    }

    fn key(&self, request: &Request) -> BodyKey {
        BodyKey::recorded(&request.head.fields, request.coding, self.bounds)
    }

    fn push(&self, request: &Request, body: &mut BodyKey) -> Result<(), Unreadable> {
        match &request.body {
            Body::Absent | Body::Messages(_) | Body::Omitted { .. } => {}
            Body::Whole(bytes) => body.push(bytes),
            Body::Pieces(pieces) => pieces.iter().for_each(|piece| body.push(&piece.bytes)),
            Body::File { digest, .. } => self.read(digest, |bytes| body.push(bytes))?,
        }
        Ok(())
    }

    fn read(&self, digest: &Digest, take: impl FnMut(&[u8])) -> Result<(), Unreadable> {
        let path = (self.path_of)(digest);
        let read = cassette::open_file(&path).and_then(|file| read_all(file, take));
        read.map_err(|source| Unreadable { path, source })
    }
}

fn read_all(mut file: File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => take(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How long a recorded body is as it is kept.
pub(super) fn len(body: &Body) -> u64 {
    match body {
        Body::Absent => 0,
        Body::Whole(bytes) => bytes.len() as u64,
        Body::Pieces(pieces) => pieces.iter().map(|piece| piece.bytes.len() as u64).sum(),
        Body::Messages(messages) => messages.iter().map(|one| one.payload.len()).sum(),
        Body::File { len, .. } | Body::Omitted { len, .. } => *len,
    }
}
