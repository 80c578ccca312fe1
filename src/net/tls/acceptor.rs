//! The server's role: TLS with clients.
//!
//! One per endpoint, shared by all runtimes. A handshake runs in its connection's own task, within
//! `first_byte_timeout`, and waits for its turn where many are under way. One that fails is a line
//! in the log that says why; many that fail are not many lines.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ProducesTickets, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use rustls::{Connection, ServerConfig, ServerConnection};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::failure::{ClientFailure, Issuer};
use super::leaves::{Leaves, Resolver};
use super::session::{Role, Session};
use super::{Protocol, provider};
use crate::config::Identity;
use crate::net::conn::Conn;
use crate::net::deadline::Deadline;
use crate::net::drain;
use crate::net::stream::{LINGER_BYTES_MAX, LINGER_MAX, Stream};
use crate::net::throttle::Throttle;

const LOG_PERIOD: Duration = Duration::from_secs(1);

/// How long a handshake that is under way may still take when a drain has started: a few round
/// trips. A client that takes longer has sent no request yet, and loses none.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Local addresses that a listener on all of them tells apart; a machine has few, and a routed
/// network of them is served with the certificate of the first.
const ADDRESSES_MAX: usize = 64;

/// Who the listener is to its clients.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// Issued for each name that is asked for.
    Local(Arc<Leaves>),
    Configured(Identity),
}

/// The bound of handshakes under way, all listeners together. Clones share it.
#[derive(Clone, Debug)]
pub struct Handshakes(Arc<Semaphore>);

impl Handshakes {
    pub fn new(count_max: usize) -> Self {
        Handshakes(Arc::new(Semaphore::new(count_max.min(Semaphore::MAX_PERMITS))))
    }

    pub fn available(&self) -> usize {
        self.0.available_permits()
    }
}

#[derive(Debug)]
pub struct Acceptor {
    endpoint: Arc<str>,
    certificates: Certificates,
    /// By the local address of connections, where that chooses the certificate.
    configs: Mutex<HashMap<IpAddr, Arc<ServerConfig>>>,
    /// Where it is one address only.
    address: IpAddr,
    tickets: Arc<dyn ProducesTickets>,
    handshakes: Handshakes,
    patience: Duration,
    log: Mutex<Throttle>,
}

/// Why a connection got no TLS.
enum Ended {
    /// Nobody is to blame: it said nothing before it left or its time was up, or the program
    /// drains.
    Silent,
    Failed(ClientFailure),
}

impl Acceptor {
    /// `address` is what the listener is bound to; `patience` bounds a connection from here to the
    /// handshake's end.
    ///
    /// Errors: rustls' own, if the system has no randomness.
    pub fn new(
        endpoint: &str,
        address: IpAddr,
        certificates: Certificates,
        handshakes: Handshakes,
        patience: Duration,
    ) -> Result<Self, rustls::Error> {
        Ok(Acceptor {
            endpoint: endpoint.into(),
            certificates,
            configs: Mutex::default(),
            address,
            tickets: Ticketer::new()?,
            handshakes,
            patience,
            log: Mutex::new(Throttle::new(LOG_PERIOD)),
        })
    }

    /// Does the handshake. None if there is no connection any more; then the log says why, and the
    /// client has been told as far as TLS has a word for it.
    ///
    /// The connection's permit and guard are held all the while. To be called once, by the
    /// connection's own task, before anything is read.
    pub async fn accept(&self, conn: Conn) -> Option<Conn> {
        // Boxed: it is over soon, and its state should not count for every connection's size.
        Box::pin(self.accept_or_tell(conn)).await
    }

    async fn accept_or_tell(&self, mut conn: Conn) -> Option<Conn> {
        let Conn { stream, guard, .. } = &mut conn;
        match self.handshake(stream, guard).await {
            Ok(session) => {
                conn.stream.secure(session);
                Some(conn)
            }
            Err(Ended::Silent) => None,
            Err(Ended::Failed(failure)) => {
                self.tell(&conn.stream, &failure);
                // The alert that was sent would be lost in a reset.
                conn.close_lingering(LINGER_BYTES_MAX, LINGER_MAX).await;
                None
            }
        }
    }

    async fn handshake(
        &self,
        stream: &mut Stream,
        guard: &mut drain::Guard,
    ) -> Result<Session, Ended> {
        let mut deadline = Deadline::new();
        deadline.set_after(self.patience);
        let mut session = self.session(stream).map_err(Ended::Failed)?;
        self.first_bytes(&mut session, stream, guard, &mut deadline).await?;
        let mut acquiring = std::pin::pin!(self.handshakes.0.acquire());
        let turn = poll_fn(|cx| match acquiring.as_mut().poll(cx) {
            Poll::Ready(turn) => Poll::Ready(Some(turn)),
            Poll::Pending => poll_over(cx, guard, &mut deadline).map(|()| None),
        });
        let Some(_turn) = turn.await else { return Err(self.overdue(guard)) };
        let done = poll_fn(|cx| match session.poll_handshake(cx, stream.tcp_mut()) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => poll_over(cx, guard, &mut deadline).map(|()| None),
        });
        match done.await {
            None => Err(self.overdue(guard)),
            Some(Ok(())) => Ok(session),
            Some(Err(broken)) => {
                let (name, first) = (server_name(&session), session.first_byte());
                Err(Ended::Failed(ClientFailure::of(broken, name, self.issuer(), first)))
            }
        }
    }

    fn overdue(&self, guard: &drain::Guard) -> Ended {
        match guard.is_draining() {
            true => Ended::Silent,
            false => Ended::Failed(ClientFailure::TimedOut(self.patience)),
        }
    }

    /// Waits until the client has begun. Silent ones take no turn from others, and are treated as
    /// they are without TLS.
    async fn first_bytes(
        &self,
        session: &mut Session,
        stream: &mut Stream,
        guard: &mut drain::Guard,
        deadline: &mut Deadline,
    ) -> Result<(), Ended> {
        let first = poll_fn(|cx| match session.poll_first_bytes(cx, stream.tcp_mut()) {
            Poll::Ready(read) => Poll::Ready(read.is_ok_and(|count| count > 0)),
            Poll::Pending if guard.poll_started(cx).is_ready() => Poll::Ready(false),
            Poll::Pending => deadline.poll_expired(cx).map(|()| false),
        });
        if first.await { Ok(()) } else { Err(Ended::Silent) }
    }

    fn session(&self, stream: &Stream) -> Result<Session, ClientFailure> {
        let other = |error: rustls::Error| ClientFailure::Other(error.to_string());
        let address = match self.address.is_unspecified() {
            false => self.address,
            true => local_address(stream).map_err(|error| ClientFailure::Io(error.into()))?,
        };
        let config = self.config(address).map_err(other)?;
        let connection = ServerConnection::new(config).map_err(other)?;
        Ok(Session::new(connection, Role::Server))
    }

    /// What holds for connections to `address`.
    fn config(&self, address: IpAddr) -> Result<Arc<ServerConfig>, rustls::Error> {
        let address = match self.certificates {
            Certificates::Local(_) => address,
            // Then it is one for all of them.
            Certificates::Configured(_) => self.address,
        };
        let mut configs = lock(&self.configs);
        if let Some(config) = configs.get(&address) {
            return Ok(config.clone());
        }
        if configs.len() >= ADDRESSES_MAX
            && let Some(any) = configs.values().next()
        {
            return Ok(any.clone());
        }
        let config = Arc::new(self.configure(address)?);
        configs.insert(address, config.clone());
        Ok(config)
    }

    fn configure(&self, address: IpAddr) -> Result<ServerConfig, rustls::Error> {
        let resolver: Arc<dyn ResolvesServerCert> = match &self.certificates {
            Certificates::Local(leaves) => Arc::new(Resolver { leaves: leaves.clone(), address }),
            Certificates::Configured(identity) => {
                Arc::new(SingleCertAndKey::from(identity.0.clone()))
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider().clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = Protocol::ALL.map(|protocol| protocol.alpn().to_vec()).into();
        config.ticketer = self.tickets.clone();
        Ok(config)
    }

    fn issuer(&self) -> Issuer {
        match self.certificates {
            Certificates::Local(_) => Issuer::Local,
            Certificates::Configured(_) => Issuer::Configured,
        }
    }

    fn tell(&self, stream: &Stream, failure: &ClientFailure) {
        let Some(unsaid) = lock(&self.log).pass(Instant::now()) else { return };
        let endpoint = &*self.endpoint;
        // One that has left for good has no address any more.
        let peer = stream.tcp().peer_addr().map_or_else(|_| "gone".into(), |peer| peer.to_string());
        tracing::warn!(endpoint, peer, unsaid, "no TLS with a client: {failure}");
    }
}

/// Ready when the time is up. A drain leaves little of it.
fn poll_over(
    cx: &mut std::task::Context<'_>,
    guard: &mut drain::Guard,
    deadline: &mut Deadline,
) -> Poll<()> {
    if guard.poll_started(cx).is_ready() {
        let soon = Instant::now() + DRAIN_PATIENCE;
        if deadline.at().is_none_or(|at| at > soon) {
            deadline.set(soon);
        }
    }
    deadline.poll_expired(cx)
}

fn server_name(session: &Session) -> Option<&str> {
    match session.connection() {
        Connection::Server(connection) => connection.server_name(),
        Connection::Client(_) => None,
    }
}

fn local_address(stream: &Stream) -> io::Result<IpAddr> {
    Ok(stream.tcp().local_addr()?.ip().to_canonical())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
