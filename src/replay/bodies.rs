//! Recorded request bodies, read for their share of a match key or to be compared with a missed
//! one.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use crate::exchange::{Body, Digest, Request};
use crate::matching::{BodyKey, BodyPrint, Bounds};

/// Says where the file with a body's digest lies.
pub type BodyPath = Arc<dyn Fn(&Digest) -> PathBuf + Send + Sync>;

pub(super) struct Bodies {
    pub(super) path_of: BodyPath,
    pub(super) bounds: Bounds,
}

/// A file that can't be read, and why.
pub(super) struct Unreadable {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl Bodies {
    /// The body's share of the key. Reads a file only when its digest doesn't say enough.
    pub(super) fn print(&self, request: &Request) -> Result<BodyPrint, Unreadable> {
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

    fn key(&self, request: &Request) -> BodyKey {
        BodyKey::recorded(&request.head.fields, request.coding, self.bounds)
    }

    fn push(&self, request: &Request, body: &mut BodyKey) -> Result<(), Unreadable> {
        match &request.body {
            Body::Absent | Body::Messages(_) | Body::Omitted { .. } => {}
            Body::Whole(bytes) => body.push(bytes),
            Body::Pieces(pieces) => pieces.iter().for_each(|piece| body.push(&piece.bytes)),
            Body::File { digest, .. } => {
                let path = (self.path_of)(digest);
                let read = File::open(&path).and_then(|file| push_all(file, body));
                return read.map_err(|source| Unreadable { path, source });
            }
        }
        Ok(())
    }
}

fn push_all(mut file: File, body: &mut BodyKey) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => body.push(&buffer[..len]),
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
