//! WebSocket (RFC 6455), its compression (RFC 7692), and its way through HTTP/2 (RFC 8441).
//!
//! `frame` takes frames out of a run of bytes and writes them, `close` knows codes and reasons,
//! `handshake` what asks for a conversation and what grants one, `extensions` reads the list that it
//! negotiates by, `deflate` knows the one extension there is; `relay` is what passes between two
//! sides and what it means, `receiver` what a client says to Ouli itself, with `violation` where it
//! breaks a rule and `utf8` where text isn't any: all pure. `wire` is one end of a conversation,
//! `pulse` whether it shows life, `pump` drives the relay over two of them, and `keeping` takes what
//! it notes to the tape.

pub mod close;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod handshake;
mod keeping;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod pulse;
mod pump;
pub mod receiver;
pub mod relay;
pub mod utf8;
pub mod violation;
pub mod wire;

pub use pump::{Relaying, relay};
