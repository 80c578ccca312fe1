//! Certificates that the local authority issues, each on the first use of its name.
//!
//! Bounded: a client that makes up names pushes out those used longest ago, and pays a handshake
//! for each. Issued once, whichever runtimes ask together. All share one key, so that issuing one
//! is a signature and no more.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use time::{Duration, OffsetDateTime};

use super::authority::{Authority, AuthorityError, BACKDATED};

/// Names of one program's clients are few; beyond this it is a scan or an attack. A leaf has
/// some 2 KiB.
pub(super) const COUNT_MAX: usize = 1024;

/// Below the 397 days that browsers take, and longer than any test run.
const VALID: Duration = Duration::days(90);

/// A run that goes on for months issues a new one when this much is left.
const RENEWED: Duration = Duration::days(30);

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// In lower case.
    Name(String),
    Address(IpAddr),
}

#[derive(Debug)]
pub struct Leaves {
    authority: Authority,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    leaves: HashMap<Subject, Place>,
    /// Grows with each use.
    uses: u64,
}

#[derive(Debug)]
struct Place {
    leaf: Arc<OnceLock<Option<Leaf>>>,
    last_use: u64,
}

#[derive(Clone, Debug)]
struct Leaf {
    certified: Arc<CertifiedKey>,
    renew_at: OffsetDateTime,
}

impl Leaves {
    pub fn new(authority: Authority) -> Result<Self, AuthorityError> {
        let unmakable = |error: String| AuthorityError::Unmakable(error);
        let key = KeyPair::generate().map_err(|error| unmakable(error.to_string()))?;
        let der = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| unmakable(error.to_owned()))?;
        let signing = any_supported_type(&der).map_err(|error| unmakable(error.to_string()))?;
        Ok(Leaves { authority, key, signing, shelf: Mutex::default() })
    }

    /// The certificate for `subject`. None where none can be issued for it.
    pub(super) fn leaf(&self, subject: Subject) -> Option<Arc<CertifiedKey>> {
        self.leaf_at(subject, OffsetDateTime::now_utc())
    }

    pub(super) fn leaf_at(
        &self,
        subject: Subject,
        now: OffsetDateTime,
    ) -> Option<Arc<CertifiedKey>> {
        loop {
            let place = self.shelf().place(&subject);
            // Whoever comes first issues it; others wait here, and only for this name.
            let leaf = place.get_or_init(|| self.issue(&subject, now).ok());
            match leaf {
                Some(leaf) if leaf.renew_at > now => return Some(leaf.certified.clone()),
                Some(_) => self.shelf().take_down(&subject, &place),
                None => {
                    self.shelf().take_down(&subject, &place);
                    return None;
                }
            }
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issue(&self, subject: &Subject, now: OffsetDateTime) -> Result<Leaf, AuthorityError> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternatives(subject)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name(subject));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // None outlives the authority.
        let end = self.authority.validity().not_after;
        let end = OffsetDateTime::from_unix_timestamp(end).unwrap_or(now + VALID);
        params.not_before = now - BACKDATED;
        params.not_after = end.min(now + VALID);
        let renew_at = (params.not_after - RENEWED).max(now + Duration::hours(1));
        let certificate = self.authority.issue(params, &self.key)?;
        let certified = CertifiedKey::new(vec![certificate], self.signing.clone());
        Ok(Leaf { certified: Arc::new(certified), renew_at })
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.shelf().leaves.len()
    }
}

impl Shelf {
    fn place(&mut self, subject: &Subject) -> Arc<OnceLock<Option<Leaf>>> {
        self.uses += 1;
        if let Some(place) = self.leaves.get_mut(subject) {
            place.last_use = self.uses;
            return place.leaf.clone();
        }
        if self.leaves.len() >= COUNT_MAX {
            self.take_down_oldest();
        }
        let leaf = Arc::<OnceLock<_>>::default();
        let place = Place { leaf: leaf.clone(), last_use: self.uses };
        self.leaves.insert(subject.clone(), place);
        leaf
    }

    /// A look at each is a few microseconds, beside a handshake's hundreds.
    fn take_down_oldest(&mut self) {
        let oldest = self.leaves.iter().min_by_key(|(_, place)| place.last_use);
        if let Some(subject) = oldest.map(|(subject, _)| subject.clone()) {
            self.leaves.remove(&subject);
        }
    }

    /// Unless somebody has put another in its place.
    fn take_down(&mut self, subject: &Subject, leaf: &Arc<OnceLock<Option<Leaf>>>) {
        if self.leaves.get(subject).is_some_and(|place| Arc::ptr_eq(&place.leaf, leaf)) {
            self.leaves.remove(subject);
        }
    }
}

/// What stands for this machine stands for it by every name it has for itself.
fn alternatives(subject: &Subject) -> Result<Vec<SanType>, AuthorityError> {
    let name = |name: &str| {
        let name = name
            .try_into()
            .map_err(|error: rcgen::Error| AuthorityError::Unmakable(error.to_string()))?;
        Ok(SanType::DnsName(name))
    };
    let is_local = match subject {
        Subject::Name(name) => name == "localhost",
        Subject::Address(address) => {
            [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].contains(address)
        }
    };
    if is_local {
        return Ok(vec![
            name("localhost")?,
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
        ]);
    }
    Ok(vec![match subject {
        Subject::Name(text) => name(text)?,
        Subject::Address(address) => SanType::IpAddress(*address),
    }])
}

/// For people; programs look at the alternative names.
fn common_name(subject: &Subject) -> String {
    /// RFC 5280, appendix A: `ub-common-name`.
    const CHARS_MAX: usize = 64;
    match subject {
        Subject::Name(name) if name.len() <= CHARS_MAX => name.clone(),
        Subject::Name(_) => "Ouli".to_owned(),
        Subject::Address(address) => address.to_string(),
    }
}

/// Chooses by the name that a client asks for, else by the address that it has reached.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) leaves: Arc<Leaves>,
    pub(super) address: IpAddr,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaves.leaf(match hello.server_name() {
            Some(name) => Subject::Name(name.to_ascii_lowercase()),
            None => Subject::Address(self.address),
        })
    }
}
