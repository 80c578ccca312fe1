//! Endpoints with the ports they have: all are claimed before any serves.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cassette::EndpointNote;
use crate::config::{Config, Endpoint, Mode};
use crate::net::NetworkError;
use crate::net::listener::{self, Counts};

/// An endpoint with the port it has.
pub(super) struct Bound {
    pub(super) endpoint: Arc<Endpoint>,
    address: SocketAddr,
    pub(super) counts: Arc<Counts>,
    warned_of_cookies: Arc<AtomicBool>,
    sockets: Vec<TcpListener>,
}

/// One endpoint's listener on one runtime.
pub(super) struct Listener {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) address: SocketAddr,
    pub(super) counts: Arc<Counts>,
    pub(super) warned_of_cookies: Arc<AtomicBool>,
    pub(super) socket: TcpListener,
}

/// Claims every port, with a socket for each runtime.
///
/// Errors: one can't be had; its address is named.
pub(super) fn claim_all(config: &Config, workers: usize) -> Result<Vec<Bound>, NetworkError> {
    let claim = |endpoint: &Endpoint| {
        let address = SocketAddr::new(endpoint.source_address, endpoint.source_port);
        let claimed = listener::claim(&endpoint.name, address, workers, &config.sockets)?;
        Ok(Bound {
            endpoint: Arc::new(endpoint.clone()),
            address: claimed.address(),
            counts: Arc::default(),
            warned_of_cookies: Arc::default(),
            sockets: claimed.into_sockets(),
        })
    };
    config.endpoints.iter().map(claim).collect()
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
