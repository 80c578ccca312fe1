//! Whom a client calls, and how.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::certificates::{Identity, client_config};
use super::protocol::Protocol;
use super::socket::Socket;

/// Longer than any answer takes; only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    pub protocol: Protocol,
    /// Authorities, as PEM.
    pub trusted: Vec<String>,
    pub identity: Option<Identity>,
    /// The host to ask for, if it isn't the address.
    pub name: Option<String>,
}

impl Peer {
    pub fn new(address: SocketAddr) -> Self {
        let (trusted, identity, name) = (Vec::new(), None, None);
        Peer { address, protocol: Protocol::Http1, trusted, identity, name }
    }

    /// What `Host` and `:authority` say.
    pub fn authority(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}:{}", self.address.port()),
            None => self.address.to_string(),
        }
    }

    pub fn host(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.ip().to_string())
    }

    pub fn tls(&self) -> Arc<ClientConfig> {
        client_config(&[self.protocol.alpn()], &self.trusted, self.identity.as_ref())
    }

    /// A connection, with its handshake done.
    pub fn dial(&self) -> io::Result<Socket> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        match self.protocol.is_tls() {
            false => Ok(Socket::Plain(stream)),
            true => Socket::client(stream, self.tls(), &self.host()),
        }
    }
}
