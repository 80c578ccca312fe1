//! Ouli: a record/replay proxy.
//!
//! The map. Arrows go one way: `cli → server → http1::server → http → record, replay → tape,
//! cassette, matching, redact → exchange`; `http` goes to clients and origins through the rest of
//! `http1`, which goes to sockets through `net`. ARCHITECTURE.md tells the three roads through it.

pub mod cassette;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod coding;
pub mod config;
pub mod exchange;
pub mod grpc;
pub mod http;
pub mod http1;
pub mod http2;
pub mod matching;
pub mod net;
pub mod record;
pub mod redact;
pub mod replay;
pub mod seal;
pub mod server;
pub mod session;
pub mod spelling;
pub mod tape;
pub mod telemetry;
pub mod ws;
pub mod x509;
