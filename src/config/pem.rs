//! Certificates and keys from PEM files, checked as far as they can be without a peer.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

/// A bundle of all the roots in use has some 250 KiB; more is the wrong file.
const BYTES_MAX: u64 = 4 << 20;

/// Who one is to a peer: a certificate, those that lead to its root, and the certificate's key.
#[derive(Clone)]
pub struct Identity(pub Arc<CertifiedKey>);

impl Identity {
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }
}

/// The key fits the certificate, so that the certificate tells identities apart.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.chain() == other.chain()
    }
}

impl Eq for Identity {}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.chain().len())
    }
}

/// Which of two files it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Certificate,
    Key,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is no file")]
    NoFile,
    #[error("it has more than 4MiB")]
    TooLarge,
    #[error("it is no PEM file: {0}")]
    Malformed(String),
    #[error("there is no certificate in it")]
    NoCertificate,
    #[error("the certificate number {0} in it can't be read")]
    BadCertificate(usize),
    #[error("there is no private key in it")]
    NoKey,
    #[error("the private key in it is encrypted")]
    EncryptedKey,
    #[error("the private key in it is of a kind that can't be used: {0}")]
    BadKey(String),
    #[error("it is not the key of the certificate")]
    OtherKey,
}

impl Unusable {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Unusable::Unreadable(_) | Unusable::NoFile => {
                "name a file that you may read; a path counts from the configuration's folder"
            }
            Unusable::TooLarge => "name a PEM file",
            Unusable::Malformed(_) | Unusable::BadCertificate(_) | Unusable::NoCertificate => {
                "a PEM file has `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` \
                 makes one of a DER file"
            }
            Unusable::NoKey => "a key begins with `-----BEGIN PRIVATE KEY-----` or the like",
            Unusable::EncryptedKey => {
                "`openssl pkey -in FILE -out NEW` writes it without its passphrase"
            }
            Unusable::BadKey(_) => "use an ECDSA (P-256, P-384, P-521), Ed25519 or RSA key",
            Unusable::OtherKey => "name the two files that were made together",
        }
    }
}

/// All certificates of a file, at least one, each readable.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let bytes = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(&error))?;
    if certificates.is_empty() {
        return Err(Unusable::NoCertificate);
    }
    let bad = certificates.iter().position(|der| ParsedCertificate::try_from(der).is_err());
    match bad {
        Some(index) => Err(Unusable::BadCertificate(index + 1)),
        None => Ok(certificates),
    }
}

/// A certificate (the first of its file, followed by those that lead to its root) and its key.
///
/// # Errors
/// The file that is at fault, and why.
pub(super) fn identity(certificate: &Path, key: &Path) -> Result<Identity, (Holds, Unusable)> {
    let chain = certificates(certificate).map_err(|why| (Holds::Certificate, why))?;
    let key = private_key(key).map_err(|why| (Holds::Key, why))?;
    let signing = any_supported_type(&key)
        .map_err(|error| (Holds::Key, Unusable::BadKey(error.to_string())))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(Identity(Arc::new(certified))),
        Err(_) => Err((Holds::Key, Unusable::OtherKey)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        _ if is_encrypted(&bytes) => Unusable::EncryptedKey,
        pem::Error::NoItemsFound => Unusable::NoKey,
        error => malformed(&error),
    })
}

fn malformed(error: &pem::Error) -> Unusable {
    Unusable::Malformed(match error {
        pem::Error::MissingSectionEnd { .. } => "its last section has no end".to_owned(),
        error => error.to_string(),
    })
}

/// PKCS #8 has a label of its own for it; older files say so in a header (RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(pem, text).is_some();
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    // A pipe or a device might never end.
    if !path.metadata()?.is_file() {
        return Err(Unusable::NoFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX { Err(Unusable::TooLarge) } else { Ok(bytes) }
}

/// A host as TLS names it: without the final dot (RFC 6066 section 3), an address as an address.
/// None for what no certificate could be for.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}
