//! Why a client and Ouli, its server, agreed on nothing.

use std::fmt;
use std::time::Duration;

use rustls::{AlertDescription, InvalidMessage};

use super::{Broken, incompatible, is_gone, name_of};
use crate::net::error::Cause;

/// Why a client and Ouli, its server, agreed on nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFailure {
    #[error("the client does not trust the certificate{}", Trust(.0))]
    Untrusted(Issuer),
    /// Its own authority has the same name and another key.
    #[error("the client trusts another authority of the same name{}", Trust(.0))]
    OtherAuthority(Issuer),
    #[error("the client says that the certificate has expired; is its clock right?")]
    Expired,
    #[error(
        "the client asks for {} and refuses the certificate ({alert}): it does not trust it, or it \
         is not for that name{}",
        Asked(.name),
        Trust(.issuer)
    )]
    Refused { alert: String, name: Option<String>, issuer: Issuer },
    #[error("no TLS version, cipher or key exchange is known to both sides: {0}")]
    NothingInCommon(String),
    #[error("the client speaks neither HTTP/2 nor HTTP/1.1 above TLS")]
    NoProtocol,
    #[error("no certificate could be issued for {}", Asked(.0))]
    NoCertificate(Option<String>),
    #[error("the client speaks plain HTTP to a port with TLS: its URL begins with https://")]
    PlainHttp,
    #[error("the client speaks no TLS")]
    NotTls,
    #[error("the client left during the handshake{}", Untold(.0))]
    Left(Issuer),
    #[error("the handshake was not complete after {0:?}")]
    TimedOut(Duration),
    #[error("{0}")]
    Io(Cause),
    #[error("{0}")]
    Other(String),
}

/// Whose certificates a listener shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The local authority's.
    Local,
    /// `source_cert`.
    Configured,
}

impl ClientFailure {
    /// `name`: what the client asked for. `first`: the first byte that it sent.
    pub(in crate::net::tls) fn of(
        broken: Broken,
        name: Option<&str>,
        issuer: Issuer,
        first: Option<u8>,
    ) -> Self {
        match broken {
            Broken::Left => ClientFailure::Left(issuer),
            Broken::Io(error) if is_gone(&error) => ClientFailure::Left(issuer),
            Broken::Io(error) => ClientFailure::Io(error.into()),
            Broken::Tls(error) => Self::of_tls(error, name, issuer, first),
        }
    }

    fn of_tls(error: rustls::Error, name: Option<&str>, issuer: Issuer, first: Option<u8>) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::of_alert(alert, name, issuer),
            rustls::Error::NoApplicationProtocol => ClientFailure::NoProtocol,
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                // Methods are words in capitals.
                match first {
                    Some(b'A'..=b'Z') => ClientFailure::PlainHttp,
                    _ => ClientFailure::NotTls,
                }
            }
            rustls::Error::PeerIncompatible(why) => {
                ClientFailure::NothingInCommon(incompatible(&why))
            }
            // rustls' words for a resolver that has none.
            rustls::Error::General(why) if why.contains("no server certificate chain") => {
                ClientFailure::NoCertificate(name.map(str::to_owned))
            }
            other => ClientFailure::Other(other.to_string()),
        }
    }

    fn of_alert(alert: AlertDescription, name: Option<&str>, issuer: Issuer) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::UnknownCA => ClientFailure::Untrusted(issuer),
            Alert::DecryptError => ClientFailure::OtherAuthority(issuer),
            Alert::CertificateExpired => ClientFailure::Expired,
            // Most libraries say one of these for whatever they don't like of a certificate.
            Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => {
                let name = name.map(str::to_owned);
                ClientFailure::Refused { alert: name_of(alert), name, issuer }
            }
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
                ClientFailure::NothingInCommon(format!("the client says {}", name_of(alert)))
            }
            Alert::UserCanceled => ClientFailure::Left(issuer),
            other => ClientFailure::Other(format!("the client says {}", name_of(other))),
        }
    }
}

struct Asked<'a>(&'a Option<String>);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("this address"))
    }
}

/// What makes a client trust it.
struct Trust<'a>(&'a Issuer);

impl fmt::Display for Trust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Issuer::Local => "; `ouli ca` says how to have it trusted",
            Issuer::Configured => "; it is that of `source_cert`",
        })
    }
}

/// Some clients leave without a word when they don't like a certificate.
struct Untold<'a>(&'a Issuer);

impl fmt::Display for Untold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Issuer::Local => "; if it does not trust the certificate, `ouli ca` says what to do",
            Issuer::Configured => "; it may not trust the certificate of `source_cert`",
        })
    }
}
