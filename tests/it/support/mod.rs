//! What every black-box test stands on. `Ouli` runs the program, `Origin` plays the remote service,
//! `Client` talks to either; `wait_until` replaces every sleep. Peers speak HTTP/1.1 and HTTP/2,
//! over TLS or not; `frames` writes HTTP/2 as no library would, and `grpc` makes calls.

mod ask;
mod certificates;
mod client;
mod connection;
mod endpoint;
mod finished;
pub mod frames;
mod gate;
pub mod grpc;
mod h1_origin;
mod h2_client;
mod h2_fields;
mod h2_origin;
mod h2_send;
mod h2_talk;
mod message;
mod origin;
mod ouli;
mod pairings;
mod peer;
mod protocol;
mod recordings;
mod reply;
mod roads;
mod setup;
mod socket;
mod talk;
mod tasks;
mod tests;
mod tests_grpc;
mod tests_h2;
mod tools;
mod wait;
mod wire;

pub use ask::Ask;
pub use certificates::{Authority, Flaw, Identity, authority, tls_config};
pub use client::Client;
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use gate::Gate;
pub use h2_client::H2Options;
pub use message::{Ending, Request, Response};
pub use origin::Origin;
pub use ouli::{Ouli, Signal};
pub use pairings::for_every_pairing;
pub use peer::Peer;
pub use protocol::Protocol;
pub use recordings::Recordings;
pub use reply::{Reply, coded, decoded};
pub use roads::{on_both_roads, one_endpoint, record};
pub use talk::Talk;
pub use tools::has_tool;
pub use wait::wait_until;
