//! TLS for the bench's programs: a client that accepts one certificate and no other, and a server.
//!
//! Both take rustls' defaults but for what is named here, so the client's order of suites and groups
//! is the same whatever server it meets.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
};

use crate::args::fail;

/// Where the bench's servers are. An address: no server name goes into the handshake, as with wrk and h2load.
pub const SERVER_NAME: &str = "127.0.0.1";

/// The server's proof that it has the certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    Checked,
    /// Checking costs the client as much as signing and more costs the server: a load that did it
    /// would be slower than what it measures. The passes before and after the load check.
    Unchecked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Every handshake is a full one.
    Forgotten,
    Resumed,
}

/// A client for the server that holds the certificate in the PEM file, speaking `protocol`.
pub fn client(
    certificate: &Path,
    protocol: &str,
    sessions: Sessions,
    signature: Signature,
) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = OneCertificate {
        expected: read(CertificateDer::from_pem_file(certificate), certificate),
        algorithms: provider.signature_verification_algorithms,
        signature,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|e| fail(e))
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    config.resumption = match sessions {
        Sessions::Forgotten => Resumption::disabled(),
        Sessions::Resumed => Resumption::in_memory_sessions(8),
    };
    Arc::new(config)
}

pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).unwrap_or_else(|e| fail(e))
}

/// A server with the certificate and key in the PEM files, speaking `protocol`.
pub fn server(certificate: &Path, key: &Path, protocol: &str) -> Arc<ServerConfig> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let chain = vec![read(CertificateDer::from_pem_file(certificate), certificate)];
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|e| fail(e))
        .with_no_client_auth()
        .with_single_cert(chain, read(PrivateKeyDer::from_pem_file(key), key))
        .unwrap_or_else(|e| fail(e));
    config.alpn_protocols = vec![protocol.into()];
    // As nginx does it: what a session needs is in the client's ticket, not in the server.
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap_or_else(|e| fail(e));
    Arc::new(config)
}

fn read<T>(outcome: Result<T, rustls::pki_types::pem::Error>, path: &Path) -> T {
    outcome.unwrap_or_else(|error| fail(format!("{}: {error}", path.display())))
}

/// Accepts one certificate, byte for byte.
#[derive(Debug)]
struct OneCertificate {
    expected: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
    signature: Signature,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.signature {
            Signature::Unchecked => Ok(HandshakeSignatureValid::assertion()),
            Signature::Checked => {
                rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.signature {
            Signature::Unchecked => Ok(HandshakeSignatureValid::assertion()),
            Signature::Checked => {
                rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
