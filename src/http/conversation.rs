//! What goes on with a client once it was granted a WebSocket conversation: it has left the road.

use std::pin::Pin;
use std::rc::Rc;

use tokio::task::spawn_local;

use super::caught::catch_panic;
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
                go_on(here.clone(), Box::pin(ws::relay(here, client, *relaying)));
            }
            Conversation::Replay(replaying) => {
                go_on(here.clone(), Box::pin(replaying.run(here, client)));
            }
        }
    }
}

/// A panic cuts the conversation, and harms nobody else.
fn go_on(here: Rc<Here>, mut conversation: Pin<Box<impl Future<Output = ()> + 'static>>) {
    spawn_local(async move {
        if catch_panic(conversation.as_mut()).await.is_err() {
            here.worker.counters.panics.add(1);
        }
    });
}
