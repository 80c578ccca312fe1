//! Why no connection to an origin came about, in words for whoever reads the 502.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::net::error::Cause;
use crate::net::tls::OriginFailure;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error("no address is known for the host `{host}`")]
    NoSuchHost { host: String },

    #[error("could not look up the host `{host}`: {cause}")]
    LookupFailed { host: String, cause: Cause },

    /// Every address was tried; never empty.
    #[error("could not connect to {host}:{port}: {}", Attempts(attempts))]
    Failed { host: String, port: u16, attempts: Vec<Attempt> },

    #[error("no connection to {host}:{port} within {:.1} s", after.as_secs_f64())]
    TimedOut { host: String, port: u16, after: Duration },

    #[error("no TLS with {host}:{port}: {why}")]
    Tls { host: String, port: u16, why: OriginFailure, hint: Option<String> },
}

impl DialError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            DialError::Tls { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

/// What became of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub address: SocketAddr,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Refused,
    Unreachable,
    /// The system's own patience, not ours.
    TimedOut,
    Other(Cause),
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Why::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Why::Unreachable,
            io::ErrorKind::TimedOut => Why::TimedOut,
            _ => Why::Other(error.into()),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.why {
            Why::Refused => write!(f, "{address} refused the connection"),
            Why::Unreachable => write!(f, "{address} is unreachable"),
            Why::TimedOut => write!(f, "{address} did not answer"),
            Why::Other(cause) => write!(f, "{address}: {cause}"),
        }
    }
}

struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{attempt}")?;
        }
        Ok(())
    }
}
