//! WebSocket (RFC 6455), its compression (RFC 7692), and its way through HTTP/2 (RFC 8441).
//!
//! `frame` takes frames out of a run of bytes and writes them, `close` knows codes and reasons,
//! `handshake` what asks for a conversation and what grants one, `extensions` reads the list that it
//! negotiates by, `deflate` knows the one extension there is; `relay` is what passes between two
//! sides and what it means: all pure. `wire` is one end of a conversation, `pulse` whether it shows
//! life, `pump` drives the relay over two of them.

pub mod close;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod handshake;
#[cfg(any(test, fuzzing))]
pub mod property;
mod pulse;
mod pump;
pub mod relay;
pub mod wire;

use std::rc::Rc;

use tokio::task::spawn_local;

use crate::http::context::Here;
pub use pump::Relaying;
use wire::Wire;

/// A conversation that has been granted: what goes on with its client once the handshake's answer
/// has been sent.
pub enum Conversation {
    Relay(Box<Relaying>),
}

impl Conversation {
    /// Goes on with it in a task of its own, until it is over.
    pub fn spawn(self, here: Rc<Here>, client: Wire) {
        match self {
            Conversation::Relay(relaying) => {
                spawn_local(pump::relay(here, client, *relaying));
            }
        }
    }
}
