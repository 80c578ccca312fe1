//! WebSocket (RFC 6455), its compression (RFC 7692), and its way through HTTP/2 (RFC 8441).
//!
//! Pure: `frame` takes frames out of a run of bytes and writes them, `close` knows codes and
//! reasons, `handshake` what asks for a conversation and what grants one. `extensions` reads the
//! list that a handshake negotiates by, `deflate` knows the one extension there is.

pub mod close;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod handshake;
#[cfg(any(test, fuzzing))]
pub mod property;
