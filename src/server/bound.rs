//! Endpoints with the ports they have, and with what TLS needs: all before any serves.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Error;
use crate::cassette::EndpointNote;
use crate::config::{Config, Endpoint, Mode, SourceType};
use crate::net::listener::{self, Counts};
use crate::net::origin::{Origin, Origins};
use crate::net::tls::{Acceptor, Authority, Certificates, Handshakes, Leaves};

/// An endpoint with the port it has.
pub(super) struct Bound {
    pub(super) endpoint: Arc<Endpoint>,
    origin: Arc<Origin>,
    tls: Option<Arc<Acceptor>>,
    address: SocketAddr,
    pub(super) counts: Arc<Counts>,
    warned_of_cookies: Arc<AtomicBool>,
    sockets: Vec<TcpListener>,
}

/// One endpoint's listener on one runtime.
pub(super) struct Listener {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) origin: Arc<Origin>,
    /// None where clients speak no TLS.
    pub(super) tls: Option<Arc<Acceptor>>,
    pub(super) address: SocketAddr,
    pub(super) counts: Arc<Counts>,
    pub(super) warned_of_cookies: Arc<AtomicBool>,
    pub(super) socket: TcpListener,
}

/// Claims every port, with a socket for each runtime.
///
/// Errors: one can't be had; its address is named. The local authority, where one is needed, can't
/// be used.
pub(super) fn claim_all(config: &Config, workers: usize) -> Result<Vec<Bound>, Error> {
    let mut origins = Origins::default();
    let mut listeners = Tls::new(config);
    let claim = |endpoint: &Endpoint| {
        let address = SocketAddr::new(endpoint.source_address, endpoint.source_port);
        let claimed = listener::claim(&endpoint.name, address, workers, &config.sockets)?;
        Ok(Bound {
            origin: origins.get(&endpoint.target, &endpoint.target_tls),
            tls: listeners.acceptor(endpoint)?,
            endpoint: Arc::new(endpoint.clone()),
            address: claimed.address(),
            counts: Arc::default(),
            warned_of_cookies: Arc::default(),
            sockets: claimed.into_sockets(),
        })
    };
    config.endpoints.iter().map(claim).collect()
}

/// What listeners with TLS share.
struct Tls {
    handshakes: Handshakes,
    patience: Duration,
    /// Certificates of the local authority, once a listener needs them.
    leaves: Option<Arc<Leaves>>,
}

impl Tls {
    fn new(config: &Config) -> Self {
        Tls {
            handshakes: Handshakes::new(config.limits.max_handshakes),
            patience: config.limits.first_byte_timeout,
            leaves: None,
        }
    }

    fn acceptor(&mut self, endpoint: &Endpoint) -> Result<Option<Arc<Acceptor>>, Error> {
        if endpoint.source_type != SourceType::Https {
            return Ok(None);
        }
        let certificates = match &endpoint.source_identity {
            Some(identity) => Certificates::Configured(identity.clone()),
            None => Certificates::Local(self.leaves()?),
        };
        let acceptor = Acceptor::new(
            &endpoint.name,
            endpoint.source_address,
            certificates,
            self.handshakes.clone(),
            self.patience,
        );
        acceptor
            .map(|acceptor| Some(Arc::new(acceptor)))
            .map_err(|error| Error::System("random bytes", io::Error::other(error)))
    }

    fn leaves(&mut self) -> Result<Arc<Leaves>, Error> {
        if let Some(leaves) = &self.leaves {
            return Ok(leaves.clone());
        }
        let leaves = Arc::new(Leaves::new(Authority::open()?)?);
        Ok(self.leaves.insert(leaves).clone())
    }
}

impl Bound {
    /// What stdout says of it.
    pub(super) fn listening_line(&self, mode: Mode) -> String {
        let Bound { endpoint, address, .. } = self;
        let scheme = endpoint.source_type.as_str();
        format!("listening {scheme}://{address} -> {} ({})", endpoint.target, mode.as_str())
    }

    /// What recordings say of it.
    pub(super) fn note(&self) -> EndpointNote {
        EndpointNote {
            name: self.endpoint.name.clone(),
            listen: self.address,
            source_type: self.endpoint.source_type,
            origin: self.endpoint.target.clone(),
        }
    }

    /// The part of the next runtime; none when every one of them has its own.
    pub(super) fn listener(&mut self) -> Option<Listener> {
        Some(Listener {
            socket: self.sockets.pop()?,
            endpoint: self.endpoint.clone(),
            origin: self.origin.clone(),
            tls: self.tls.clone(),
            address: self.address,
            counts: self.counts.clone(),
            warned_of_cookies: self.warned_of_cookies.clone(),
        })
    }
}

/// An endpoint as the recordings remember it.
pub(super) fn endpoint_of(note: EndpointNote) -> Endpoint {
    Endpoint {
        name: note.name,
        source_address: note.listen.ip(),
        source_port: note.listen.port(),
        source_type: note.source_type,
        ..Endpoint::new(note.origin)
    }
}
