//! What two peers can speak, and how a configuration names it.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http1Tls,
    /// HTTP/2 with prior knowledge, without TLS.
    H2c,
    /// HTTP/2 over TLS, agreed on by ALPN.
    H2Tls,
}

impl Protocol {
    pub const ALL: [Protocol; 4] =
        [Protocol::Http1, Protocol::Http1Tls, Protocol::H2c, Protocol::H2Tls];

    pub fn is_tls(self) -> bool {
        matches!(self, Protocol::Http1Tls | Protocol::H2Tls)
    }

    pub fn is_h2(self) -> bool {
        matches!(self, Protocol::H2c | Protocol::H2Tls)
    }

    /// The one protocol to agree on by ALPN.
    pub fn alpn(self) -> &'static [u8] {
        match self.is_h2() {
            true => b"h2",
            false => b"http/1.1",
        }
    }

    /// `target_type` of an endpoint whose origin speaks this; also the scheme of ORIGIN.
    pub fn target_type(self) -> &'static str {
        match self {
            Protocol::Http1 => "http",
            Protocol::H2c => "h2c",
            Protocol::Http1Tls | Protocol::H2Tls => "https",
        }
    }

    /// Scheme of a URL, and `source_type` of a listener.
    pub fn scheme(self) -> &'static str {
        match self.is_tls() {
            true => "https",
            false => "http",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Http1 => "h1",
            Protocol::Http1Tls => "h1+TLS",
            Protocol::H2c => "h2c",
            Protocol::H2Tls => "h2+TLS",
        })
    }
}
