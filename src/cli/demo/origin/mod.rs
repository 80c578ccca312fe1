//! The demo's origin: a small API of the kind that programs under test call, without TLS in
//! HTTP/1.1, and with it in HTTP/2 as well, gRPC included. It converses over WebSocket in either.
//!
//! Knows nothing of Ouli. No two of its answers are equal, since each carries a request id of its
//! own: an answer that comes again byte for byte comes from a recording.

mod calls;
mod chat;
mod http1;
mod http2;
mod service;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::net::conn::Conn;
use crate::net::drain::Drain;
use crate::net::permits::Permits;
use crate::net::stream::Stream;
use crate::net::tls::{Acceptor, Authority, Certificates, Handshakes, Leaves, Protocol};
use service::Service;

/// At once, with TLS: more than all runtimes of a recorder open.
const CONNECTIONS_MAX: usize = 1024;

/// For a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Running until it is stopped or dropped.
pub(super) struct Origin {
    plain: SocketAddr,
    secure: SocketAddr,
    serving: JoinSet<()>,
}

impl Origin {
    /// The authority that issues its certificate is made in `folder`.
    pub(super) async fn start(folder: &Path) -> Result<Origin> {
        Self::serve(folder).await.context("could not start the demo's origin")
    }

    async fn serve(folder: &Path) -> Result<Origin> {
        let (service, tls) = (Rc::<Service>::default(), Rc::new(Tls::new(folder)?));
        let mut serving = JoinSet::new();
        let mut listen = async |tls: Option<Rc<Tls>>| -> Result<SocketAddr> {
            let listener = TcpListener::bind((HOST, 0)).await?;
            let address = listener.local_addr()?;
            serving.spawn_local(accept(listener, tls, service.clone()));
            Ok(address)
        };
        let (plain, secure) = (listen(None).await?, listen(Some(tls)).await?);
        Ok(Origin { plain, secure, serving })
    }

    /// Where it speaks HTTP/1.1 without TLS.
    pub(super) fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it speaks HTTP/2 and HTTP/1.1 with TLS.
    pub(super) fn secure(&self) -> SocketAddr {
        self.secure
    }

    /// Closes the listeners and every connection.
    pub(super) async fn stop(mut self) {
        self.serving.shutdown().await;
    }
}

/// Ends with its task, and all connections with it.
async fn accept(listener: TcpListener, tls: Option<Rc<Tls>>, service: Rc<Service>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Whoever talks nonsense or goes away ends a connection and nothing else.
        connections.spawn_local(connection(stream, tls.clone(), service.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(tcp: TcpStream, tls: Option<Rc<Tls>>, service: Rc<Service>) -> Result<()> {
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return http1::serve(tcp.into(), &service).await };
    let Some(conn) = tls.handshake(tcp.into()).await else { return Ok(()) };
    let (stream, _held) = conn.into_parts();
    match stream.protocol() {
        Some(Protocol::Http2) => http2::serve(stream, service).await,
        _ => http1::serve(stream, &service).await,
    }
}

/// Who the origin is under TLS, and what a connection needs to be one of Ouli's kind.
struct Tls {
    acceptor: Acceptor,
    permits: Permits,
    drain: Drain,
}

impl Tls {
    fn new(folder: &Path) -> Result<Self> {
        let leaves = Leaves::new(Authority::open_in(folder)?)?;
        let certificates = Certificates::Local(Arc::new(leaves));
        let handshakes = Handshakes::new(CONNECTIONS_MAX);
        let acceptor = Acceptor::new("origin", HOST, certificates, handshakes, PATIENCE)?;
        Ok(Tls { acceptor, permits: Permits::new(CONNECTIONS_MAX), drain: Drain::new() })
    }

    async fn handshake(&self, stream: Stream) -> Option<Conn> {
        let permit = self.permits.try_acquire()?;
        self.acceptor.accept(Conn::new(stream, permit, self.drain.watch().guard())).await
    }
}
