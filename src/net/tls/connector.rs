//! The client's role: TLS with an origin.
//!
//! One per origin, shared by all runtimes, so that its sessions are resumed whichever dials.
//! Built when first used: the system's roots take milliseconds to read, and a replay needs none.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::failure::OriginFailure;
use super::session::{Role, Session};
use super::{Protocol, provider};
use crate::config::{Target, TargetTls, server_name};
use crate::net::stream::Stream;
use crate::x509;

#[derive(Debug)]
pub struct Connector {
    host: String,
    settings: TargetTls,
    offered: &'static [Protocol],
    config: OnceCell<Arc<ClientConfig>>,
}

impl Connector {
    /// How to speak TLS with `target`.
    pub fn new(target: &Target, settings: TargetTls) -> Self {
        let (host, offered) = (target.host.clone(), &Protocol::ALL);
        Connector { host, settings, offered, config: OnceCell::new() }
    }

    /// Offers the origin these protocols only, best first; without this all of them.
    pub fn offering(self, protocols: &'static [Protocol]) -> Self {
        Connector { offered: protocols, ..self }
    }

    /// Does the handshake on a connected stream, in place.
    ///
    /// Cancel safety: none; the stream is then of no more use.
    pub async fn secure(&self, stream: &mut Stream) -> Result<(), OriginFailure> {
        let name = self.name()?;
        let config = self.config.get_or_try_init(|| self.configure()).await?;
        let connection = ClientConnection::new(config.clone(), name.clone())
            .map_err(|error| OriginFailure::Other(error.to_string()))?;
        let shown = self.settings.identity.is_some();
        let mut session = Session::new(connection, Role::Client { shown });
        poll_fn(|cx| session.poll_handshake(cx, stream.tcp_mut()))
            .await
            .map_err(|broken| OriginFailure::of(broken, &name, shown))?;
        stream.secure(session);
        Ok(())
    }

    /// What a person may do about a failure.
    pub fn hint(&self, failure: &OriginFailure) -> Option<String> {
        failure.hint(self.settings.roots.is_some())
    }

    fn name(&self) -> Result<ServerName<'static>, OriginFailure> {
        let given = self.settings.server_name.clone();
        given
            .or_else(|| server_name(&self.host))
            .ok_or_else(|| OriginFailure::UnusableName(self.host.clone()))
    }

    async fn configure(&self) -> Result<Arc<ClientConfig>, OriginFailure> {
        let other = |error: rustls::Error| OriginFailure::Other(error.to_string());
        let verifier = self.verifier().await?;
        let builder = ClientConfig::builder_with_provider(provider().clone())
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.settings.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.0.clone()))),
        };
        config.alpn_protocols =
            self.offered.iter().map(|protocol| protocol.alpn().to_vec()).collect();
        Ok(Arc::new(config))
    }

    async fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, OriginFailure> {
        if self.settings.danger_accept_invalid {
            return Ok(Arc::new(Anyone));
        }
        match &self.settings.roots {
            Some(roots) => Ok(Arc::new(Listed::new(roots)?)),
            None => Ok(system_verifier().await?),
        }
    }
}

/// Whom the system trusts, read once. Blocking: on the runtime's blocking threads.
async fn system_verifier() -> Result<Arc<SystemVerifier>, OriginFailure> {
    static VERIFIER: OnceLock<Arc<SystemVerifier>> = OnceLock::new();
    if let Some(verifier) = VERIFIER.get() {
        return Ok(verifier.clone());
    }
    let no_roots = |why: String| OriginFailure::NoRoots(why);
    let read = spawn_blocking(|| SystemVerifier::new(provider().clone())).await;
    let verifier = read
        .map_err(|error| no_roots(error.to_string()))?
        .map_err(|error| no_roots(error.to_string()))?;
    Ok(VERIFIER.get_or_init(|| Arc::new(verifier)).clone())
}

/// Trusts the authorities of `target_ca`, and a certificate that stands there itself: the usual
/// self-signed one of a development server.
#[derive(Debug)]
struct Listed {
    chains: Arc<WebPkiServerVerifier>,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Listed {
    fn new(certificates: &Arc<[CertificateDer<'static>]>) -> Result<Self, OriginFailure> {
        let mut roots = RootCertStore::empty();
        // One that can't be a root may still stand for itself.
        roots.add_parsable_certificates(certificates.iter().cloned());
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider().clone())
                .build()
                .map_err(|error| OriginFailure::NoRoots(error.to_string()))?;
        Ok(Listed { chains, certificates: certificates.clone() })
    }
}

impl ServerCertVerifier for Listed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.certificates.iter().any(|listed| listed == end_entity) {
            let chains = &self.chains;
            return chains.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        }
        verify_time(end_entity, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anyone.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anyone.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}

fn verify_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let time = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    };
    let validity = x509::validity(certificate).ok_or(CertificateError::BadEncoding)?;
    let (not_before, not_after) = (time(validity.not_before), time(validity.not_after));
    if validity.is_over(now) {
        return Err(CertificateError::ExpiredContext { time: now, not_after });
    }
    match validity.contains(now) {
        true => Ok(()),
        false => Err(CertificateError::NotValidYetContext { time: now, not_before }),
    }
}

/// Takes any certificate (`danger_accept_invalid_target_cert`). That the peer has its key is
/// checked all the same: without that the handshake would mean nothing.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
