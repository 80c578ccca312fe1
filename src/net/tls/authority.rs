//! The local certificate authority: who issues the certificates of listeners that have none.
//!
//! Kept in the user's data directory, made at first need, and never overwritten: whoever trusts it
//! goes on trusting it. Two programs that need it at once get the same one. Its key never leaves
//! its file and this process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use time::{Duration, OffsetDateTime};

use super::provider;
use crate::net::error::Cause;
use crate::x509::{self, Validity};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca-key.pem";
const LOCK_FILE: &str = ".lock";

/// Long enough that nobody has to trust a new one in the life of a machine.
const YEARS: i64 = 10;

/// Machines whose clock is behind, such as a virtual one that slept, take it all the same.
pub(super) const BACKDATED: Duration = Duration::hours(24);

#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    path: PathBuf,
    validity: Validity,
    issuer: Issuer<'static, KeyPair>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error(
        "there is no place for the local certificate authority: neither HOME nor OULI_CA_DIR is set"
    )]
    NoPlace,
    #[error("could not use `{}`: {cause}", path.display())]
    Disk { path: PathBuf, cause: Cause },
    #[error("the local certificate authority is damaged: `{}` {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("the local certificate authority `{}` has expired on {}", path.display(), x509::date(*.on))]
    Expired { path: PathBuf, on: i64 },
    #[error("the key of the local certificate authority, `{}`, is open to every user", path.display())]
    Exposed { path: PathBuf },
    #[error("could not make a certificate: {0}")]
    Unmakable(String),
}

impl AuthorityError {
    pub fn hint(&self) -> Option<String> {
        match self {
            AuthorityError::NoPlace => Some("OULI_CA_DIR names a folder for it".into()),
            AuthorityError::Disk { .. } => Some("OULI_CA_DIR names another folder for it".into()),
            AuthorityError::Damaged { path, .. } | AuthorityError::Expired { path, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                Some(format!(
                    "remove `{folder}`, make a new one with `ouli ca`, and have clients trust that"
                ))
            }
            AuthorityError::Exposed { path } => Some(format!(
                "`chmod 600 {}`; if others have read it, they can stand for any server to those \
                 who trust it: make a new one",
                path.display()
            )),
            AuthorityError::Unmakable(_) => None,
        }
    }
}

impl Authority {
    /// The user's, made if there is none.
    ///
    /// Blocking: on the disk, and while another program makes it.
    pub fn open() -> Result<Self, AuthorityError> {
        Self::open_in(&folder()?)
    }

    /// As `open`, in this folder.
    pub fn open_in(folder: &Path) -> Result<Self, AuthorityError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| AuthorityError::Disk { path, cause: error.into() }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk(folder))?;
        let files = Files { folder };
        let _lock = files.lock().map_err(disk(&files.path(LOCK_FILE)))?;
        let key = match files.read(KEY_FILE)? {
            Some(_) if files.is_exposed(KEY_FILE) => {
                return Err(AuthorityError::Exposed { path: files.path(KEY_FILE) });
            }
            Some(pem) => files.key(&pem)?,
            None if files.path(CERTIFICATE_FILE).exists() => {
                return Err(files.damaged(CERTIFICATE_FILE, "is there without `ca-key.pem`"));
            }
            None => files.make_key()?,
        };
        // A key alone is what a program that was killed in between has left.
        let certificate = match files.read(CERTIFICATE_FILE)? {
            Some(pem) => files.certificate(&pem)?,
            None => files.make_certificate(&key)?,
        };
        files.fit(certificate, key)
    }

    /// The file to trust.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Issues a certificate with `params` for `key`, and gives it a serial number of its own.
    pub(super) fn issue(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        params.serial_number = Some(serial_number()?);
        params.use_authority_key_identifier_extension = true;
        let issued = params.signed_by(key, &self.issuer).map_err(unmakable)?;
        Ok(issued.der().clone())
    }
}

/// Where the user's is kept.
fn folder() -> Result<PathBuf, AuthorityError> {
    // The XDG specification: a relative path is to be ignored.
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    if let Some(folder) = std::env::var_os("OULI_CA_DIR").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = variable("HOME");
    let data = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_DATA_HOME").or_else(|| home.map(|home| home.join(".local/share")))
    };
    data.map(|data| data.join("ouli")).ok_or(AuthorityError::NoPlace)
}

/// The folder while it is locked.
struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Held until it is dropped, or its process ends in whatever way.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let lock =
            options.write(true).create(true).truncate(false).mode(0o600).open(self.path(LOCK_FILE));
        let lock = match lock {
            // A folder that may only be read holds what others have made.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                return File::open(self.folder);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return File::open(self.folder);
            }
            lock => lock?,
        };
        lock.lock()?;
        Ok(lock)
    }

    fn read(&self, name: &str) -> Result<Option<String>, AuthorityError> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.damaged(name, "is no PEM file"))
            }
            Err(error) => Err(AuthorityError::Disk { path, cause: error.into() }),
        }
    }

    /// Whether users may read or change it who are neither its owner nor of its group.
    fn is_exposed(&self, name: &str) -> bool {
        const OTHERS: u32 = 0o006;
        fs::metadata(self.path(name)).is_ok_and(|file| file.mode() & OTHERS != 0)
    }

    fn damaged(&self, name: &str, what: &str) -> AuthorityError {
        AuthorityError::Damaged { path: self.path(name), what: what.to_owned() }
    }

    fn key(&self, pem: &str) -> Result<KeyPair, AuthorityError> {
        KeyPair::from_pem(pem).map_err(|_| self.damaged(KEY_FILE, "holds no private key"))
    }

    fn certificate(&self, pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok();
        let certificate = certificate.filter(|der| x509::validity(der).is_some());
        certificate.ok_or_else(|| self.damaged(CERTIFICATE_FILE, "holds no certificate"))
    }

    fn make_key(&self) -> Result<KeyPair, AuthorityError> {
        let key = KeyPair::generate().map_err(unmakable)?;
        self.write(KEY_FILE, &key.serialize_pem())?;
        Ok(key)
    }

    fn make_certificate(&self, key: &KeyPair) -> Result<CertificateDer<'static>, AuthorityError> {
        let certificate = params()?.self_signed(key).map_err(unmakable)?;
        self.write(CERTIFICATE_FILE, &certificate.pem())?;
        Ok(certificate.der().clone())
    }

    /// Whole or not at all, and never over a file that is there.
    fn write(&self, name: &str, text: &str) -> Result<(), AuthorityError> {
        let path = self.path(name);
        let write = || {
            // Made with 0600.
            let mut file = tempfile::NamedTempFile::new_in(self.folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&path).map_err(|error| error.error)?;
            File::open(self.folder)?.sync_all()
        };
        write().map_err(|error| AuthorityError::Disk { path: path.clone(), cause: error.into() })
    }

    /// The two as one, if they belong together.
    fn fit(
        &self,
        certificate: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<Authority, AuthorityError> {
        let path = self.path(CERTIFICATE_FILE);
        if !x509::is_authority(&certificate) {
            return Err(self.damaged(CERTIFICATE_FILE, "is not the certificate of an authority"));
        }
        if x509::public_key(&certificate) != Some(key.subject_public_key_info()) {
            return Err(self.damaged(CERTIFICATE_FILE, "does not belong to `ca-key.pem`"));
        }
        let validity = x509::validity(&certificate)
            .ok_or_else(|| self.damaged(CERTIFICATE_FILE, "holds no certificate"))?;
        if validity.is_over(UnixTime::now()) {
            return Err(AuthorityError::Expired { path, on: validity.not_after });
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|_| self.damaged(CERTIFICATE_FILE, "holds a certificate of a foreign kind"))?;
        Ok(Authority { certificate, path, validity, issuer })
    }
}

fn params() -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name());
    // It issues no authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial_number()?);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = now + Duration::days(YEARS * 365);
    Ok(params)
}

/// So that people find it among those that they trust, and know whose it is.
fn common_name() -> String {
    /// RFC 5280, appendix A: `ub-common-name`.
    const CHARS_MAX: usize = 64;
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = user.unwrap_or_else(|| "unknown".into());
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let owner = format!("{user}@{}", host.split('.').next().unwrap_or_default());
    const FRAME: &str = "Ouli local CA ()";
    let shown: String =
        owner.chars().filter(|letter| !letter.is_control()).take(CHARS_MAX - FRAME.len()).collect();
    format!("Ouli local CA ({shown})")
}

/// Random, because two certificates of one issuer with one number are refused by browsers.
fn serial_number() -> Result<SerialNumber, AuthorityError> {
    // RFC 5280 section 4.1.2.2: positive, up to 20 bytes.
    let mut bytes = [0; 16];
    provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| AuthorityError::Unmakable("the system has no random bytes".into()))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn unmakable(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Unmakable(error.to_string())
}
