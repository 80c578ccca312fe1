//! What every black-box test stands on. `Ouli` runs the program, `Origin` plays the remote service,
//! `Client` talks to either; `wait_until` replaces every sleep.

mod ask;
mod client;
mod finished;
mod gate;
mod message;
mod origin;
mod ouli;
mod recordings;
mod reply;
mod roads;
mod setup;
mod talk;
mod tests;
mod tools;
mod wait;
mod wire;

pub use ask::Ask;
pub use client::{Client, Connection};
pub use gate::Gate;
pub use message::{Ending, Request, Response};
pub use origin::Origin;
pub use ouli::{Ouli, Signal};
pub use recordings::Recordings;
pub use reply::{Reply, coded, decoded};
pub use roads::{on_both_roads, one_endpoint, record};
pub use talk::Talk;
pub use tools::has_tool;
pub use wait::wait_until;
