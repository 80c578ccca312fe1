//! What goes on with a client once it was granted a WebSocket conversation: it has left the road.

use std::rc::Rc;

use tokio::task::spawn_local;

use super::context::Here;
pub use super::serve::conversation::Replaying;
use crate::ws::wire::Wire;
use crate::ws::{self, Relaying};

/// A conversation that has been granted.
pub enum Conversation {
    Relay(Box<Relaying>),
    Replay(Box<Replaying>),
}

impl Conversation {
    /// Goes on with it in a task of its own, until it is over.
    pub fn spawn(self, here: Rc<Here>, client: Wire) {
        match self {
            Conversation::Relay(relaying) => {
                spawn_local(ws::relay(here, client, *relaying));
            }
            Conversation::Replay(replaying) => {
                spawn_local(replaying.run(here, client));
            }
        }
    }
}
