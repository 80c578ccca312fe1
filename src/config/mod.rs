//! The checked configuration. Nothing past this module can meet an invalid value.

pub mod limits;

use std::net::IpAddr;
use std::path::PathBuf;

pub use limits::Limits;

#[derive(Clone, Debug)]
pub struct Config {
    pub recording_dir: PathBuf,
    pub limits: Limits,
    pub sockets: Sockets,
    /// At least one, names and listening addresses distinct. Empty only for a replay that takes
    /// its endpoints from the recordings.
    pub endpoints: Vec<Endpoint>,
}

/// TCP options of every socket, accepted or dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// SO_RCVBUF; `None` leaves the kernel's autotuning on.
    pub recv_buffer: Option<usize>,
    /// SO_SNDBUF; `None` leaves the kernel's autotuning on.
    pub send_buffer: Option<usize>,
    pub backlog: u32,
}

impl Default for Sockets {
    fn default() -> Self {
        Sockets { recv_buffer: Some(256 << 10), send_buffer: Some(256 << 10), backlog: 4096 }
    }
}

/// A listener, and the origin it stands for.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub name: String,
    pub source_address: IpAddr,
    /// 0 lets the system choose.
    pub source_port: u16,
    pub source_type: SourceType,
    pub target: Target,
    /// A path that Ouli answers itself with 200, never forwarded or recorded.
    pub health: Option<String>,
    /// Names beyond the built-in credential headers.
    pub redact_request_headers: Vec<String>,
    pub response_header_replacements: Vec<Replacement>,
    pub rewrite_location: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceType {
    Http,
    Https,
}

/// The origin of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub scheme: Scheme,
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets; lower case.
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    /// HTTP/2 without TLS, prior knowledge.
    H2c,
}

/// Rewrites the values of one response header on their way to the client.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub header: String,
    pub regex: regex::bytes::Regex,
    pub replacement: String,
}
