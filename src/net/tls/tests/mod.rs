//! Handshakes between Ouli and rustls' own client and server, over real sockets.

mod authority;
mod client_side;
mod origin_side;
mod resources;
mod stream;
mod support;
