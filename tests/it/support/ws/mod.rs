//! WebSocket, spoken without a library and without Ouli's own code: a client and an origin that can
//! send what no well-behaved peer would, and keep every byte that went either way. The handshake
//! goes over HTTP/1.1 or HTTP/2, with TLS or without.

mod deflate;
mod duct;
mod frame;
mod handshake;
mod log;
mod origin;
mod said;
mod talker;

pub use frame::Frame;
pub use handshake::Handshake;
pub use log::Log;
pub(super) use origin::run;
pub use origin::{WsTalk, echo, hold};
pub use said::{Said, binary, text};
pub use talker::Talker;
