//! What people are told of certificates: until when, for which names, which one. Pure.

use rustls::pki_types::UnixTime;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

/// From when until when, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

impl Validity {
    pub fn contains(&self, now: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&seconds(now))
    }

    pub fn is_over(&self, now: UnixTime) -> bool {
        self.not_after < seconds(now)
    }
}

/// None for what is no certificate.
pub fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(Validity {
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// The public key, as certificates and keys both carry it (`SubjectPublicKeyInfo`).
pub fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// Whether it may issue others.
pub fn is_authority(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| certificate.is_ca())
}

/// The names and addresses that it is for, as they would be typed.
pub fn names(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(Into::into);
    let v6 = <[u8; 16]>::try_from(bytes).map(Into::into);
    v4.or(v6).ok()
}

/// SHA-256 of the whole certificate, as browsers and `openssl x509 -fingerprint` show it.
pub fn fingerprint(der: &[u8]) -> String {
    let digest = Sha256::digest(der);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// `2026-11-20`, in UTC.
pub fn date(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds) {
        Ok(time) => {
            let date = time.to_datetime().date();
            format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
        }
        // Beyond the calendar of certificates.
        Err(_) => format!("second {seconds} of the Unix epoch"),
    }
}

pub fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_its_names_and_times() {
        let mut params = rcgen::CertificateParams::new(vec![
            "api.test".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ])
        .unwrap();
        params.not_before = rcgen::date_time_ymd(2025, 2, 28);
        params.not_after = rcgen::date_time_ymd(2026, 11, 20);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = certificate.der();
        assert_eq!(names(der), ["api.test", "127.0.0.1", "::1"]);
        let Validity { not_before, not_after } = validity(der).unwrap();
        assert_eq!((date(not_before), date(not_after)), ("2025-02-28".into(), "2026-11-20".into()));
        assert_eq!(fingerprint(der).len(), 32 * 3 - 1);
        assert!(!is_authority(der));
    }

    #[test]
    fn what_is_no_certificate_tells_nothing() {
        assert_eq!((validity(b"x"), public_key(b"x"), names(b"x")), (None, None, Vec::new()));
        assert!(!is_authority(b""));
    }
}
