//! HTTP/2: the h2 crate as server and as client, under our limits.
//!
//! Owns no protocol: frames, windows and HPACK are h2's. What is here is what h2 leaves to its
//! user: its settings (`settings`), heads to and from the nouns of the domain (`heads`), the two
//! directions of a client's stream as the road uses them (`halves`), who drives a client's
//! connection (`server`), an exchange on an origin's (`client`), and who shares those (`links`).
//! Beside the stream of bytes `frames` counts what a peer sends that carries nothing, and `gather`
//! has what a turn writes leave together.
//!
//! Invariants:
//! - A stream's buffers don't grow with its body: h2 is given no more than its window and
//!   `h2_send_buffer` take, and gets its window back when bytes have been passed on.
//! - A stream that is dropped is reset: whoever stops in the middle cancels the other side.
//! - A peer that floods loses its connection, and nobody else theirs.

mod chunk;
pub mod client;
mod frames;
mod gather;
pub mod halves;
pub mod heads;
pub mod links;
mod liveness;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod server;
mod settings;
pub mod tunnel;
mod watched;

pub use chunk::Chunk;

/// What a client that knows begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Http2,
    Other,
    /// Too few to tell.
    Unclear,
}

/// Tells HTTP/2 with prior knowledge from everything else.
pub fn sniff(first: &[u8]) -> Speaks {
    let len = first.len().min(PREFACE.len());
    match first[..len] == PREFACE[..len] {
        false => Speaks::Other,
        true if len == PREFACE.len() => Speaks::Http2,
        true => Speaks::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http_2() {
        for len in 0..PREFACE.len() {
            assert_eq!(sniff(&PREFACE[..len]), Speaks::Unclear, "{len} bytes");
        }
        assert_eq!(sniff(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), Speaks::Http2);
        for other in
            ["GET / HTTP/1.1\r\n", "PRI * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\n", "p"]
        {
            assert_eq!(sniff(other.as_bytes()), Speaks::Other, "{other:?}");
        }
    }
}
