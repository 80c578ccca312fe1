//! WebSocket conversations over HTTP/1.1 with an origin that sends every message back.
//!
//! - `run`: each conversation has one message under way, and sends the next when it is back
//! - `idle`: conversations that said something, held until stdin closes
//!
//! Every message has 256 bytes and none is sent twice in a conversation, so an echo of another one
//! shows. Each echo is compared, byte for byte.

pub(crate) mod idle;
mod message;
mod opening;
pub(crate) mod run;

/// Whatever stays away this long won't come.
const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(20);
