//! Certificates, right and wrong: an authority for the whole run of tests, and what it signs.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::protocol::Protocol;

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    Expired,
    NotYetValid,
    /// For another host than the one that is called.
    WrongName,
    /// Signed by an authority that nobody trusts.
    UnknownAuthority,
    SelfSigned,
}

/// The authority that the clients and configurations of these tests trust.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("Ouli's tests"))
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's certificate for these names and addresses.
    pub fn server(&self, names: &[&str]) -> Identity {
        self.sign(server_params(names))
    }

    /// A client's certificate, for mutual TLS.
    pub fn client(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let cert_pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { cert_pem, key_pem: key.serialize_pem() }
    }
}

fn server_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    pub cert_pem: String,
    pub key_pem: String,
}

/// Where every peer of these tests listens.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

impl Identity {
    /// A server's certificate with one flaw, or none.
    pub fn with(flaw: Flaw) -> Self {
        let mut params = server_params(&HERE);
        match flaw {
            Flaw::None => {}
            Flaw::Expired => {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }
            Flaw::NotYetValid => params.not_before = date_time_ymd(2999, 1, 1),
            Flaw::WrongName => return authority().server(&["other.test"]),
            Flaw::UnknownAuthority => return Authority::new("nobody's friend").sign(params),
            Flaw::SelfSigned => {
                let key = KeyPair::generate().unwrap();
                let cert_pem = params.self_signed(&key).unwrap().pem();
                return Identity { cert_pem, key_pem: key.serialize_pem() };
            }
        }
        authority().sign(params)
    }

    /// Writes `STEM.pem` and `STEM.key` into a folder.
    pub fn write_to(&self, folder: &Path, stem: &str) {
        fs::write(folder.join(format!("{stem}.pem")), &self.cert_pem).unwrap();
        fs::write(folder.join(format!("{stem}.key")), &self.key_pem).unwrap();
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        certificates(&self.cert_pem)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }

    /// How an origin with this certificate speaks TLS; with `clients` it asks for one of theirs.
    pub fn server_config(
        &self,
        protocol: Protocol,
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let config = match clients {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::new(roots(std::slice::from_ref(&clients.pem)));
                let verifier = WebPkiClientVerifier::builder(roots).build().unwrap();
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
        };
        let mut config = config.with_single_cert(self.chain(), self.key()).unwrap();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        Arc::new(config)
    }
}

/// How a client that trusts these authorities (PEM) speaks TLS.
pub fn client_config(
    alpn: &[&[u8]],
    trusted: &[String],
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder().with_root_certificates(roots(trusted));
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(own) => config.with_client_auth_cert(own.chain(), own.key()).unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// How a client speaks TLS that offers these protocols and trusts these authorities.
pub fn tls_config(alpn: &[&[u8]], trusted: &[String]) -> Arc<ClientConfig> {
    client_config(alpn, trusted, None)
}

fn roots(trusted: &[String]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for root in trusted.iter().flat_map(|pem| certificates(pem)) {
        roots.add(root).unwrap();
    }
    roots
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}
