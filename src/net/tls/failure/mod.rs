//! Why a handshake failed, in plain words, from either side.
//!
//! rustls names what it saw; here is what that means to whoever reads the log or the 502.

mod client;
mod origin;

use std::io;

use rustls::{AlertDescription, PeerIncompatible};

pub use client::{ClientFailure, Issuer};
pub use origin::OriginFailure;

/// What ended a handshake, before anybody has put it into words.
#[derive(Debug)]
pub(in crate::net) enum Broken {
    Tls(rustls::Error),
    Io(io::Error),
    /// The peer closed its connection in the middle.
    Left,
}

impl From<rustls::Error> for Broken {
    fn from(error: rustls::Error) -> Self {
        Broken::Tls(error)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Io(error)
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
}

/// What rustls found missing, less its type's name.
fn incompatible(why: &PeerIncompatible) -> String {
    let text = match why {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => "TLS 1.2 or 1.3 is needed",
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite in common",
        PeerIncompatible::NoKxGroupsInCommon => "no key exchange in common",
        PeerIncompatible::NoSignatureSchemesInCommon => {
            "no way to sign in common; the certificate's key may be of a kind that is too new or \
             too old"
        }
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

/// An alert by its name in RFC 8446.
fn name_of(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else { return format!("alert {}", u8::from(alert)) };
    let mut out = String::new();
    for (index, letter) in name.char_indices() {
        let after_small = index > 0 && name.as_bytes()[index - 1].is_ascii_lowercase();
        if letter.is_ascii_uppercase() && after_small {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
