//! The readable file that a session's exchanges end up in. docs/cassette.md is normative.
//!
//! Owns the format, the body files beside it (`bodies`), and what is done to a body so that people
//! can read it (`keep`, `style`). Doesn't know where cassettes lie, when they are written or how
//! one replaces another: sealing does.
//!
//! - What is written is read again as it was, times to the millisecond; equal exchanges are equal
//!   text.
//! - No file can make a reader panic, run out of stack, or open a file outside `bodies/`.
//! - Every fault of a file has a place in it, and all are found in one run.

pub mod bodies;
mod call;
mod conversation;
mod fault;
mod json;
mod keep;
mod layout;
mod migrations;
mod origin;
#[cfg(any(test, fuzzing))]
pub mod property;
mod protobuf;
mod read;
mod style;
mod time;
mod write;

pub use bodies::{Bodies, BodyError, open_file};
pub use call::keep_message;
pub use fault::{Finding, Place, ReadError};
pub use read::{Exchanges, One, Unfit, check, read, read_bytes, read_endpoints, read_text};
pub use write::{Undecoded, WriteError, Writer};

#[cfg(test)]
pub(crate) mod tests;

use crate::exchange::Exchange;
use crate::grpc::Catalog;

/// The format that is written. A reader takes this one and, through its migrations, all before it.
pub const FORMAT: u64 = 1;

/// One cassette, read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cassette {
    /// The endpoints its exchanges came through, so that `ouli replay` alone can serve them again.
    pub endpoints: Vec<EndpointNote>,
    /// What the messages of gRPC calls were read by, of endpoints that have such.
    pub descriptors: Catalog,
    /// In the order of their request heads.
    pub exchanges: Vec<Exchange>,
}

/// Where an endpoint listened and what it stood for while it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointNote {
    pub name: String,
    /// `127.0.0.1:8080`
    pub listen: std::net::SocketAddr,
    /// `http` or `https`
    pub source_type: crate::config::SourceType,
    pub origin: crate::config::Target,
}
