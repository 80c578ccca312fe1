//! A table `[[endpoints]]` in the making.

use std::net::SocketAddr;

use super::origin::Origin;
use super::protocol::Protocol;

/// Where `Setup::endpoint` puts the tests' authority; relative to the configuration, as users write
/// it.
pub const AUTHORITY_FILE: &str = "tests-authority.pem";

#[derive(Clone)]
pub struct Endpoint {
    name: String,
    source_type: &'static str,
    target_type: &'static str,
    target_host: String,
    target_port: u16,
    trusts_authority: bool,
    more: Vec<String>,
}

impl Endpoint {
    /// On a free port, without TLS; an origin with TLS is trusted by the tests' authority.
    pub fn to(origin: &Origin) -> Self {
        Self::at(origin.protocol(), origin.address())
    }

    pub fn at(protocol: Protocol, address: SocketAddr) -> Self {
        Endpoint {
            name: "api".to_owned(),
            source_type: "http",
            target_type: protocol.target_type(),
            target_host: address.ip().to_string(),
            target_port: address.port(),
            trusts_authority: protocol.is_tls(),
            more: Vec::new(),
        }
    }

    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Clients speak TLS.
    pub fn https(mut self) -> Self {
        self.source_type = "https";
        self
    }

    /// Leaves the tests' authority out: the system's roots count.
    pub fn untrusting(mut self) -> Self {
        self.trusts_authority = false;
        self
    }

    /// A line more in the table.
    pub fn line(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }

    pub(super) fn toml(&self) -> String {
        let Endpoint { name, source_type, target_type, target_host, target_port, .. } = self;
        let mut toml = format!(
            "\n[[endpoints]]\nname = \"{name}\"\nsource_port = 0\nsource_type = \"{source_type}\"\n\
             target_type = \"{target_type}\"\ntarget_host = \"{target_host}\"\n\
             target_port = {target_port}\n"
        );
        if self.trusts_authority {
            toml += &format!("target_ca = \"{AUTHORITY_FILE}\"\n");
        }
        self.more.iter().for_each(|line| toml += &format!("{line}\n"));
        toml
    }
}
