//! TLS on both sides: certificates, handshakes, and the session under a stream.
//!
//! - `acceptor`, `connector` the two roles, each with its handshake and the reasons it fails for
//! - `session` one connection's state; `net::stream` puts it over its socket
//! - `failure` why a handshake failed, in plain words, from either side
//! - `authority` the local certificate authority; `leaves` certificates that it issues on first use

mod acceptor;
mod authority;
mod connector;
mod failure;
mod leaves;
pub(in crate::net) mod session;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use acceptor::{Acceptor, Certificates, Handshakes};
pub use authority::{Authority, AuthorityError};
pub use connector::Connector;
pub use failure::{ClientFailure, Issuer, OriginFailure};
pub use leaves::Leaves;

/// The cryptography that both roles use.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
}

/// What the two ends of a connection speak above TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// Best first, as they are offered and chosen (RFC 7301).
    pub const ALL: [Protocol; 2] = [Protocol::Http2, Protocol::Http1];

    /// Its name in the registry of ALPN protocols.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        }
    }

    /// What was agreed on; who names nothing means HTTP/1.1.
    fn from_alpn(agreed: Option<&[u8]>) -> Self {
        match agreed {
            Some(name) if name == Protocol::Http2.alpn() => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }
}
