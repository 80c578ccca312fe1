//! The checked configuration. Nothing past this module can meet an invalid value.
//!
//! A file becomes a raw tree with places (`toml`, `yaml`), which `resolve` turns into `Config`:
//! the only place that says "invalid". Every fault of a file is found in one run.

pub mod fault;
mod file;
mod host;
pub(crate) mod keys;
pub mod limits;
mod pem;
#[cfg(any(test, fuzzing))]
pub mod property;
mod raw;
mod read;
mod resolve;
mod toml;
pub(crate) mod units;
mod yaml;

#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};

use crate::grpc::{Catalog, Descriptors};

pub use fault::{Fault, Faults, Place};
pub use file::{Checked, Need, check, load, parse_bytes};
pub(crate) use host::{parse_address, parse_host};
pub use limits::Limits;
pub use pem::{Identity, server_name};

/// Where Ouli listens unless told otherwise: loopback, so that nobody else reaches a proxy that
/// adds no check of its own.
pub const SOURCE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const SOURCE_PORT: u16 = 8080;
pub const RECORDING_DIR: &str = "recordings";

/// What a run does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, and keep every exchange.
    Record,
    /// Answer from recordings; nothing leaves.
    Replay,
    /// Replay what is recorded, forward and record what is not.
    Auto,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Record => "record",
            Mode::Replay => "replay",
            Mode::Auto => "auto",
        }
    }

    /// Whether requests may be sent to an origin.
    pub fn forwards(self) -> bool {
        self != Mode::Replay
    }
}

/// How fast a replay answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the client reads.
    Instant,
    /// Each piece after the gap it was recorded with, divided by this: 1.0 for `recorded`, 2.0
    /// for `2x`.
    Recorded { speed: f64 },
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Relative to the working directory, whether it came from a file or the command line.
    pub recording_dir: PathBuf,
    /// Runtimes, each with a thread of its own; none for one per core.
    pub workers: Option<usize>,
    pub limits: Limits,
    pub sockets: Sockets,
    /// At least one, names and listening addresses distinct. Empty only for a replay that takes
    /// its endpoints from the recordings.
    pub endpoints: Vec<Endpoint>,
    /// What was accepted but may not do what its writer expects, a line each. To be logged once.
    pub warnings: Vec<String>,
}

impl Config {
    /// The descriptor sets of all endpoints that have one.
    pub fn descriptors(&self) -> Catalog {
        let named = |endpoint: &Endpoint| {
            let set = endpoint.grpc_descriptors.clone()?;
            Some((endpoint.name.clone(), set))
        };
        self.endpoints.iter().filter_map(named).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            recording_dir: PathBuf::from(RECORDING_DIR),
            workers: None,
            limits: Limits::default(),
            sockets: Sockets::default(),
            endpoints: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// TCP options of every socket, accepted or dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// SO_RCVBUF in bytes; `None` leaves the kernel's autotuning on.
    pub recv_buffer: Option<usize>,
    /// SO_SNDBUF in bytes; `None` leaves the kernel's autotuning on.
    pub send_buffer: Option<usize>,
    /// Connections that wait for `accept`, per listening socket.
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
    /// Names beyond the built-in credential headers, as written.
    pub redact_request_headers: Vec<String>,
    pub response_header_replacements: Vec<Replacement>,
    pub rewrite_location: bool,
    /// Who the listener is under TLS; none where the local authority issues what is asked for.
    pub source_identity: Option<Identity>,
    pub target_tls: TargetTls,
    /// What the messages of gRPC calls are.
    pub grpc_descriptors: Option<Arc<Descriptors>>,
}

impl Endpoint {
    /// An endpoint for `target` with every default: named by its host, on 127.0.0.1:8080.
    pub fn new(target: Target) -> Self {
        Endpoint {
            name: target.host.clone(),
            source_address: SOURCE_ADDRESS,
            source_port: SOURCE_PORT,
            source_type: SourceType::Http,
            target,
            health: None,
            redact_request_headers: Vec::new(),
            response_header_replacements: Vec::new(),
            rewrite_location: true,
            source_identity: None,
            target_tls: TargetTls::default(),
            grpc_descriptors: None,
        }
    }
}

/// How an origin is met under TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetTls {
    /// Who may have issued its certificate; none for those whom the system trusts.
    pub roots: Option<Arc<[CertificateDer<'static>]>>,
    /// Who Ouli is, should it ask.
    pub identity: Option<Identity>,
    /// What its certificate must be for; none for the target's host.
    pub server_name: Option<ServerName<'static>>,
    /// Whether any certificate will do.
    pub danger_accept_invalid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceType {
    Http,
    Https,
}

impl SourceType {
    pub fn as_str(self) -> &'static str {
        match self {
            SourceType::Http => "http",
            SourceType::Https => "https",
        }
    }
}

/// The origin of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub scheme: Scheme,
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets; lower case.
    pub host: String,
    pub port: u16,
}

impl Target {
    /// `host:port`, with the brackets that an IPv6 address needs there.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    /// HTTP/2 without TLS, prior knowledge.
    H2c,
}

impl Scheme {
    pub const ALL: [Scheme; 3] = [Scheme::Http, Scheme::Https, Scheme::H2c];

    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::H2c => "h2c",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http | Scheme::H2c => 80,
            Scheme::Https => 443,
        }
    }

    /// What conversations begin in whose URL has this scheme, in any case (RFC 6455 section 3).
    pub fn of_websocket(scheme: &str) -> Option<Scheme> {
        match scheme.to_ascii_lowercase().as_str() {
            "ws" => Some(Scheme::Http),
            "wss" => Some(Scheme::Https),
            _ => None,
        }
    }
}

/// Rewrites the values of one response header on their way to the client.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// As written; header names compare without case.
    pub header: String,
    /// Every match is replaced.
    pub regex: regex::bytes::Regex,
    /// `$1` and `${name}` stand for groups, `$$` for a dollar sign.
    pub replacement: String,
}
