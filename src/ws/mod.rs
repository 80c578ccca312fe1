//! WebSocket (RFC 6455), its compression (RFC 7692), and its way through HTTP/2 (RFC 8441).
//!
//! Pure: `frame` takes frames out of a run of bytes and writes them, `close` knows codes and
//! reasons, `handshake` what asks for a conversation and what grants one. `extensions` reads the
//! list that a handshake negotiates by, `deflate` knows the one extension there is. `receiver` says
//! what a client's bytes mean where Ouli is the server itself, and which rule they break
//! (`violation`, `utf8`).

pub mod close;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod handshake;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod receiver;
pub mod utf8;
pub mod violation;
