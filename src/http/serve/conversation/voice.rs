//! Recorded messages as frames, compressed again where both sides agreed on that.
//!
//! What lies in a file goes out as it is read: as one frame, or compressed in fragments, since how
//! long it will be isn't known then.

use std::path::Path;

use crate::exchange::{Compression, Kind, Message, Payload};
use crate::http::fault::Problem;
use crate::http::serve::stored::{self, Stored};
use crate::ws::deflate::{Deflater, Terms};
use crate::ws::frame::{self, Header, Opcode, RSV1};

/// A file on its way out, after what has been said of it already.
pub(super) struct Speech {
    stored: Stored<std::fs::File>,
    /// None where it goes out as it is.
    deflating: Option<Deflating>,
}

struct Deflating {
    deflater: Deflater,
    /// Of the next fragment.
    opcode: Opcode,
    rsv: u8,
}

/// Read from a file at a time.
const READ_BYTES: usize = 64 << 10;

/// A fragment has at least this much, except the last.
const FRAGMENT_BYTES: usize = 16 << 10;

/// Why a message can't be said.
pub(super) enum Unsayable {
    /// It was not kept, or not in a way that can be sent to this client.
    Unkept(&'static str),
    /// Its file is gone or broken.
    Broken(Problem),
}

/// Appends a message to what goes to the client. What it gives is to be asked for the rest.
pub(super) fn say(
    message: &Message,
    terms: Option<Terms>,
    path_of: impl Fn(&crate::exchange::Digest) -> std::path::PathBuf,
    out: &mut Vec<u8>,
) -> Result<Option<Speech>, Unsayable> {
    let deflater = match message.compression {
        Compression::Off => terms.and_then(|terms| Deflater::new(terms.server_bits)),
        Compression::None | Compression::On => None,
    };
    let is_as_sent = message.compression == Compression::On;
    if is_as_sent && terms.is_none() {
        return Err(Unsayable::Unkept(
            "a message is recorded as it was compressed, which this client doesn't take",
        ));
    }
    let opcode = opcode(message.kind);
    let header = Header { rsv: if is_as_sent { RSV1 } else { 0 }, ..Header::new(opcode, 0) };
    match &message.payload {
        Payload::Bytes(bytes) | Payload::Rest(bytes) => {
            match deflater {
                None => frame::write(out, &header, bytes),
                Some(mut deflater) => {
                    let mut compressed = Vec::new();
                    deflater.message(bytes, &mut compressed);
                    frame::write(out, &Header { rsv: RSV1, ..header }, &compressed);
                }
            }
            Ok(None)
        }
        Payload::File { digest, len } => {
            let stored = open(&path_of(digest), *len)?;
            let deflating = deflater.map(|deflater| Deflating { deflater, opcode, rsv: RSV1 });
            if deflating.is_none() {
                Header { len: *len, ..header }.write(out);
            }
            Ok(Some(Speech { stored, deflating }))
        }
        Payload::Omitted { .. } => Err(Unsayable::Unkept(
            "a message was larger than `max_ws_message` when it was recorded, and was not kept",
        )),
    }
}

fn open(path: &Path, len: u64) -> Result<Stored<std::fs::File>, Unsayable> {
    stored::open(path, len).map_err(|error| {
        tracing::error!("{}: {error}", path.display());
        Unsayable::Broken(stored::broken_body(&error))
    })
}

fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}

impl Speech {
    /// Appends the next of it; false once that was the last.
    ///
    /// Blocking: reads the file, from the page cache as a rule, on the runtime's thread.
    pub(super) fn go_on(&mut self, out: &mut Vec<u8>) -> Result<bool, Unsayable> {
        let mut compressed = Vec::new();
        loop {
            let read = self.stored.next(READ_BYTES);
            let bytes = read.map_err(|error| Unsayable::Broken(stored::broken_body(&error)))?;
            let is_last = self.stored.is_read();
            let Some(deflating) = &mut self.deflating else {
                out.extend_from_slice(&bytes);
                return Ok(!is_last);
            };
            deflating.deflater.push(&bytes, &mut compressed);
            if is_last {
                deflating.deflater.finish(&mut compressed);
            }
            if is_last || compressed.len() >= FRAGMENT_BYTES {
                deflating.put(&compressed, is_last, out);
                return Ok(!is_last);
            }
        }
    }
}

impl Deflating {
    fn put(&mut self, compressed: &[u8], fin: bool, out: &mut Vec<u8>) {
        let header = Header { fin, rsv: self.rsv, ..Header::new(self.opcode, 0) };
        frame::write(out, &header, compressed);
        (self.opcode, self.rsv) = (Opcode::Continuation, 0);
    }
}
