//! An answer made ready to be sent.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::exchange::{Coding, Digest, Piece, Response};

/// A recorded answer in the form it goes over the wire.
#[derive(Debug)]
pub struct Answer {
    pub content: Content,
    /// What an ordinary HTTP/2 request gets, where that is small and the same for all. Made when it
    /// is first asked for that way.
    pub frames: OnceLock<Option<Frames>>,
}

/// What an ordinary HTTP/1.1 request gets, where that is small and the same for all. Made when it is
/// first asked for that way. Those of a session lie side by side, apart from all else that is known
/// of its recordings: of ten thousand that are asked for in turn, only this has to be at hand.
pub type Ready = OnceLock<Option<Wire>>;

/// Head and body as one run of bytes.
#[derive(Debug)]
pub struct Wire {
    pub status: u16,
    pub bytes: Bytes,
}

/// Makes an answer one run of bytes, where that is small and the same at every endpoint that replaces
/// nothing in heads.
pub type MakeWire = fn(&Response) -> Option<Wire>;

/// An answer in HTTP/2's terms: what becomes a HEADERS and a DATA frame.
#[derive(Debug)]
pub struct Frames {
    pub status: http::StatusCode,
    pub fields: http::HeaderMap,
    pub body: Bytes,
}

/// The body with its content coding on.
#[derive(Debug)]
pub enum Content {
    None,
    Whole(Bytes),
    Pieces(Vec<Piece>),
    /// In a file under `bodies/`, to be coded as it is read.
    File {
        digest: Digest,
        len: u64,
        coding: Option<Coding>,
    },
    /// There is nothing to send, and this is why.
    Unusable(String),
}

impl Content {
    /// How many bytes it has, where that is known before the coding is put on.
    pub fn known_len(&self) -> Option<u64> {
        match self {
            Content::None | Content::Unusable(_) => Some(0),
            Content::Whole(bytes) => Some(bytes.len() as u64),
            Content::Pieces(pieces) => {
                Some(pieces.iter().map(|piece| piece.bytes.len() as u64).sum())
            }
            Content::File { len, coding: None, .. } => Some(*len),
            Content::File { coding: Some(_), .. } => None,
        }
    }
}
