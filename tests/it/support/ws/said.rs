//! What a side says, put together from its frames.

use super::super::message::Printable;

#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason; no code where the frame is empty.
    Close(Option<u16>, String),
}

pub fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

pub fn binary(bytes: impl Into<Vec<u8>>) -> Said {
    Said::Binary(bytes.into())
}

impl Said {
    pub fn close(code: u16, reason: &str) -> Said {
        Said::Close(Some(code), reason.to_owned())
    }

    pub(super) fn closing(payload: &[u8]) -> Said {
        match payload.split_first_chunk::<2>() {
            None => {
                assert!(payload.is_empty(), "a close frame of one byte");
                Said::Close(None, String::new())
            }
            Some((code, reason)) => Said::close(
                u16::from_be_bytes(*code),
                std::str::from_utf8(reason).expect("a reason in UTF-8"),
            ),
        }
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = match self {
            Said::Text(text) => ("text", text.as_bytes()),
            Said::Binary(bytes) => ("binary", &bytes[..]),
            Said::Ping(bytes) => ("ping", &bytes[..]),
            Said::Pong(bytes) => ("pong", &bytes[..]),
            Said::Close(code, reason) => return write!(f, "close {code:?} {reason:?}"),
        };
        write!(f, "{name} \"{}\" ({} bytes)", Printable(bytes), bytes.len())
    }
}
