//! The readable file that a session's exchanges end up in.

mod json;
mod layout;
mod style;

use crate::exchange::Exchange;

/// One cassette, read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cassette {
    /// The endpoints its exchanges came through, so that `ouli replay` alone can serve them again.
    pub endpoints: Vec<EndpointNote>,
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
