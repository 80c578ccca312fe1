//! Certificates of every kind, peers that use them, and a log that tests can read.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::config::{Identity, Scheme, Target, TargetTls};
use crate::net::conn::Conn;
use crate::net::drain::Drain;
use crate::net::origin::{Connection, DialError, Dialer, Origin, Speak};
use crate::net::permits::Permits;
use crate::net::testing::LOOPBACK;
use crate::net::tls::{Acceptor, Authority, Certificates, Handshakes, Leaves, provider};

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// An authority that tests make.
pub(super) struct Ca {
    pub(super) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(super) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self::called(&format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed)))
    }

    /// Two of one name have two keys.
    pub(super) fn called(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let der = params.self_signed(&key).unwrap().der().clone();
        Ca { der, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, changed by `change`, with its key.
    pub(super) fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        certified(der, &key)
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        roots
    }
}

/// Trusted by nobody but who knows it.
pub(super) fn self_signed(name: &str, is_ca: IsCa) -> Arc<CertifiedKey> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = is_ca;
    let der = params.self_signed(&key).unwrap().der().clone();
    certified(der, &key)
}

fn certified(der: CertificateDer<'static>, key: &KeyPair) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(vec![der], key))
}

pub(super) fn server_config(certified: Arc<CertifiedKey>) -> ServerConfig {
    ServerConfig::builder_with_provider(provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}

pub(super) fn client_config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Terms under which only `ca` is trusted.
pub(super) fn trusting(ca: &CertificateDer<'static>) -> TargetTls {
    TargetTls { roots: Some(Arc::new([ca.clone()])), ..TargetTls::default() }
}

pub(super) fn identity(certified: Arc<CertifiedKey>) -> Identity {
    Identity(certified)
}

/// What became of dialling an origin, and of the origin's side.
pub(super) type Met = (Result<Connection, DialError>, io::Result<server::TlsStream<TcpStream>>);

/// Has Ouli dial `host` under these terms, where a server with `config` answers.
pub(super) async fn dial(host: &str, terms: TargetTls, config: ServerConfig) -> Met {
    let (listener, address) = listener().await;
    let serving = async {
        let (tcp, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(tcp).await
    };
    tokio::join!(dialling(host, address, terms), serving)
}

/// As `dial`, where the peer does as it likes.
pub(super) async fn dial_peer<F: Future<Output = ()>>(
    terms: TargetTls,
    peer: impl FnOnce(TcpStream) -> F,
) -> Result<Connection, DialError> {
    let (listener, address) = listener().await;
    let serving = async {
        let (tcp, _) = listener.accept().await.unwrap();
        peer(tcp).await;
    };
    tokio::join!(dialling("localhost", address, terms), serving).0
}

async fn dialling(
    host: &str,
    address: SocketAddr,
    terms: TargetTls,
) -> Result<Connection, DialError> {
    let dialer = Dialer::new(crate::config::Sockets::default(), PATIENCE);
    let mut connection = dialer.dial(&origin(host, address.port(), terms), Speak::Any).await?;
    // The last words of the handshake would go with a request.
    let _ = connection.stream.flush().await;
    Ok(connection)
}

pub(super) fn origin(host: &str, port: u16, terms: TargetTls) -> Origin {
    Origin::new(0, Target { scheme: Scheme::Https, host: host.into(), port }, terms)
}

pub(super) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A listener with TLS, a connection at a time.
pub(super) struct Front {
    pub(super) acceptor: Acceptor,
    pub(super) drain: Drain,
    pub(super) permits: Permits,
    listener: TcpListener,
    address: SocketAddr,
}

impl Front {
    pub(super) async fn new(certificates: Certificates) -> Self {
        Self::with(certificates, Handshakes::new(8), PATIENCE).await
    }

    pub(super) async fn with(
        certificates: Certificates,
        handshakes: Handshakes,
        patience: Duration,
    ) -> Self {
        let (listener, address) = listener().await;
        let acceptor =
            Acceptor::new("api", address.ip(), certificates, handshakes, patience).unwrap();
        Front { acceptor, drain: Drain::new(), permits: Permits::new(8), listener, address }
    }

    pub(super) async fn connect(&self) -> (Conn, TcpStream) {
        let client = TcpStream::connect(self.address).await.unwrap();
        let (tcp, _) = self.listener.accept().await.unwrap();
        let permit = self.permits.try_acquire().unwrap();
        (Conn::new(tcp.into(), permit, self.drain.watch().guard()), client)
    }

    /// Both ends of a handshake with a client of rustls.
    pub(super) async fn meet(
        &self,
        name: &str,
        config: ClientConfig,
    ) -> (Option<Conn>, io::Result<client::TlsStream<TcpStream>>) {
        let (conn, tcp) = self.connect().await;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        tokio::join!(self.acceptor.accept(conn), connecting)
    }
}

/// Leaves of a local authority in a folder of its own.
pub(super) fn local() -> (Certificates, RootCertStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open_in(dir.path()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    (Certificates::Local(Arc::new(Leaves::new(authority).unwrap())), roots, dir)
}

/// What is logged on this thread from here on.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    pub(super) fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let told = Told::default();
        let writer = told.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .finish();
        (told, tracing::subscriber::set_default(subscriber))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
