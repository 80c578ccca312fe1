//! Why an origin and Ouli, its client, agreed on nothing.

use std::fmt;
use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::{Broken, incompatible, is_gone, name_of};
use crate::net::error::Cause;
use crate::x509;

/// Why an origin and Ouli, its client, agreed on nothing. Completes "no TLS with …:".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginFailure {
    #[error("its certificate is from an authority that is not trusted here")]
    UnknownIssuer,
    /// One of the same name is.
    #[error("its certificate is not from the authority of that name that is trusted here")]
    OtherAuthority,
    #[error("its certificate is self-signed, and not trusted here")]
    SelfSigned,
    #[error("its certificate is for {}, and not for {asked}", Names(has))]
    WrongName { asked: String, has: Vec<String> },
    #[error("its certificate has expired{}", On(.0))]
    Expired(Option<String>),
    #[error("its certificate is not valid yet{}", Until(.0))]
    NotYetValid(Option<String>),
    #[error("its certificate is not fit for a server: {0}")]
    BadCertificate(String),
    #[error("no TLS version, cipher or key exchange is known to both sides: {0}")]
    NothingInCommon(String),
    #[error("it speaks neither HTTP/2 nor HTTP/1.1 above TLS")]
    NoProtocol,
    #[error("it wants a client certificate")]
    WantsCertificate,
    #[error("it refuses the client certificate ({0})")]
    RefusesCertificate(String),
    #[error("it does not know the name {0}")]
    UnknownName(String),
    #[error("no certificate can be for the name {0}")]
    UnusableName(String),
    #[error("it speaks no TLS")]
    NotTls,
    #[error("it closed the connection during the handshake")]
    Left,
    #[error("the system's root certificates can't be had: {0}")]
    NoRoots(String),
    #[error("{0}")]
    Io(Cause),
    #[error("{0}")]
    Other(String),
}

impl OriginFailure {
    /// `asked`: the name that the certificate had to be for. `shown`: whether Ouli had a
    /// certificate to show.
    pub(in crate::net::tls) fn of(broken: Broken, asked: &ServerName<'_>, shown: bool) -> Self {
        match broken {
            Broken::Left => OriginFailure::Left,
            Broken::Io(error) if is_gone(&error) => OriginFailure::Left,
            Broken::Io(error) => OriginFailure::Io(error.into()),
            Broken::Tls(error) => Self::of_tls(error, asked, shown),
        }
    }

    /// What an origin said after the handshake.
    pub(in crate::net::tls) fn later(error: rustls::Error, shown: bool) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::of_alert(alert, shown),
            other => OriginFailure::Other(other.to_string()),
        }
    }

    /// That which an error of a stream stands for: an origin may refuse a client when the
    /// handshake is done.
    pub fn in_error(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn of_tls(error: rustls::Error, asked: &ServerName<'_>, shown: bool) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => Self::of_certificate(why, asked),
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
                OriginFailure::UnknownName(host(asked))
            }
            rustls::Error::AlertReceived(alert) => Self::of_alert(alert, shown),
            rustls::Error::NoApplicationProtocol => OriginFailure::NoProtocol,
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                OriginFailure::NotTls
            }
            rustls::Error::PeerIncompatible(why) => {
                OriginFailure::NothingInCommon(incompatible(&why))
            }
            other => OriginFailure::Other(other.to_string()),
        }
    }

    fn of_certificate(why: CertificateError, asked: &ServerName<'_>) -> Self {
        let asked = || host(asked);
        match why {
            CertificateError::UnknownIssuer => OriginFailure::UnknownIssuer,
            CertificateError::BadSignature => OriginFailure::OtherAuthority,
            CertificateError::NotValidForName => {
                OriginFailure::WrongName { asked: asked(), has: Vec::new() }
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let has = presented.iter().filter_map(|name| presented_name(name)).collect();
                OriginFailure::WrongName { asked: asked(), has }
            }
            CertificateError::Expired => OriginFailure::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => {
                OriginFailure::Expired(Some(date(not_after)))
            }
            CertificateError::NotValidYet => OriginFailure::NotYetValid(None),
            CertificateError::NotValidYetContext { not_before, .. } => {
                OriginFailure::NotYetValid(Some(date(not_before)))
            }
            // webpki's word for an authority's certificate that a server shows as its own.
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                OriginFailure::SelfSigned
            }
            other => OriginFailure::BadCertificate(other.to_string()),
        }
    }

    /// What a server says when it gives up (RFC 8446 section 6.2).
    fn of_alert(alert: AlertDescription, shown: bool) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired => OriginFailure::WantsCertificate,
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied
                if shown =>
            {
                OriginFailure::RefusesCertificate(name_of(alert))
            }
            // Before TLS 1.3 there was no better word for it.
            Alert::BadCertificate | Alert::NoCertificate => OriginFailure::WantsCertificate,
            Alert::NoApplicationProtocol => OriginFailure::NoProtocol,
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
                OriginFailure::NothingInCommon(format!("the origin says {}", name_of(alert)))
            }
            other => OriginFailure::Other(format!("the origin says {}", name_of(other))),
        }
    }

    /// What a person may do about it. `own_roots`: whether `target_ca` is set.
    pub(in crate::net::tls) fn hint(&self, own_roots: bool) -> Option<String> {
        let hint = match self {
            OriginFailure::UnknownIssuer
            | OriginFailure::OtherAuthority
            | OriginFailure::SelfSigned
                if own_roots =>
            {
                "`target_ca` holds other certificates than the one it needs"
            }
            OriginFailure::UnknownIssuer | OriginFailure::OtherAuthority => {
                "name its authority's certificate with `target_ca`, if you trust it"
            }
            OriginFailure::SelfSigned => "name the certificate with `target_ca`, if you trust it",
            OriginFailure::WrongName { has, .. } => {
                let name = has.iter().find(|name| !name.starts_with('*'))?;
                return Some(format!("`target_server_name = \"{name}\"` asks for that name"));
            }
            OriginFailure::Expired(_) | OriginFailure::NotYetValid(_) => {
                "look at this machine's clock as well"
            }
            OriginFailure::WantsCertificate => {
                "give it one with `target_client_cert` and `target_client_key`"
            }
            OriginFailure::UnknownName(_) => "`target_server_name` asks for another name",
            OriginFailure::UnusableName(_) => "give it one with `target_server_name`",
            OriginFailure::NotTls => {
                "an origin without TLS needs `http://`, or `h2c://` if it speaks HTTP/2"
            }
            OriginFailure::NoRoots(_) => {
                "install the system's CA certificates, or name a file of them with `target_ca`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn host(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

/// `DnsName("api.test")` as `api.test`, `IpAddress(::1)` as `::1`.
fn presented_name(debug: &str) -> Option<String> {
    let inside = |kind: &str| debug.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    let name = inside("DnsName").or_else(|| inside("IpAddress"))?;
    Some(name.trim_matches('"').to_owned())
}

fn date(time: UnixTime) -> String {
    x509::date(x509::seconds(time))
}

/// Names of a certificate, the first few.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 5;
        match self.0 {
            [] => f.write_str("another name"),
            names if names.len() > SHOWN_MAX => {
                let more = names.len() - SHOWN_MAX;
                write!(f, "{} and {more} more", names[..SHOWN_MAX].join(", "))
            }
            names => f.write_str(&names.join(", ")),
        }
    }
}

struct On<'a>(&'a Option<String>);

impl fmt::Display for On<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |date| write!(f, " on {date}"))
    }
}

struct Until<'a>(&'a Option<String>);

impl fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |date| write!(f, ", but from {date} on"))
    }
}
