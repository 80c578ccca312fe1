//! An endpoint's keys for TLS: who the listener is, whom the origin's certificate must be from.
//!
//! The files that they name are read here, so that a run never starts with a certificate that it
//! can't use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::pem::{self, Holds, Identity, Unusable};
use crate::config::read::{At, Reading, Table};
use crate::config::{Endpoint, Scheme, SourceType, TargetTls, server_name};
use crate::x509;

/// Reads them into `endpoint`, whose types are known.
pub(super) fn tls(reading: &mut Reading, table: &Table<'_>, endpoint: &mut Endpoint) {
    let identity = identity(reading, table, ["source_cert", "source_key"]);
    if let Some((identity, at)) = &identity {
        warn_if_over(reading, at, identity);
    }
    endpoint.source_identity = identity.map(|(identity, _)| identity);
    endpoint.target_tls = target_tls(reading, table, endpoint);
    if endpoint.source_type == SourceType::Http && !is_unread(table, "source_type") {
        let hint = "write `source_type = \"https\"`, or leave this out";
        refuse_idle(reading, table, &["source_cert", "source_key"], "source_type", hint);
    }
    if endpoint.target.scheme != Scheme::Https {
        let hint = "write `target_type = \"https\"`, or leave this out";
        refuse_idle(reading, table, &TARGET_KEYS, "target_type", hint);
    }
}

const TARGET_KEYS: [&str; 5] = [
    "target_ca",
    "target_client_cert",
    "target_client_key",
    "target_server_name",
    "danger_accept_invalid_target_cert",
];

/// Whether it holds what is no type; then there is a fault already.
fn is_unread(table: &Table<'_>, key: &str) -> bool {
    table.get(key).is_some_and(|at| !matches!(at.node.as_text(), Some("http" | "https")))
}

/// A key that does nothing is a mistake about the one that it depends on.
fn refuse_idle(
    reading: &mut Reading,
    table: &Table<'_>,
    keys: &[&str],
    depends_on: &str,
    hint: &str,
) {
    for at in keys.iter().filter_map(|key| table.get(key)) {
        reading.refuse(&at, format!("it is for `{depends_on} = \"https\"` only"), hint);
    }
}

fn target_tls(reading: &mut Reading, table: &Table<'_>, endpoint: &Endpoint) -> TargetTls {
    let identity = identity(reading, table, ["target_client_cert", "target_client_key"]);
    if let Some((identity, at)) = &identity {
        warn_if_over(reading, at, identity);
    }
    let accept = table.get("danger_accept_invalid_target_cert");
    let accepts = accept.as_ref().and_then(|at| reading.boolean(at)).unwrap_or(false);
    if let Some(at) = accept.filter(|_| accepts) {
        let reason = format!("whoever answers is taken for {}", endpoint.target);
        reading.warn(&at, &reason, "`target_ca` names a certificate to trust instead");
    }
    TargetTls {
        roots: table.get("target_ca").and_then(|at| roots(reading, &at)),
        identity: identity.map(|(identity, _)| identity),
        server_name: table.get("target_server_name").and_then(|at| name(reading, &at)),
        danger_accept_invalid: accepts,
    }
}

/// The pair that two keys name: both or neither.
fn identity<'a>(
    reading: &mut Reading,
    table: &Table<'a>,
    keys: [&'static str; 2],
) -> Option<(Identity, At<'a>)> {
    let (certificate, key) = match keys.map(|key| table.get(key)) {
        [Some(certificate), Some(key)] => (certificate, key),
        [None, None] => return None,
        [Some(lone), None] => return refuse_lone(reading, &lone, keys[1]),
        [None, Some(lone)] => return refuse_lone(reading, &lone, keys[0]),
    };
    let paths = (path(reading, &certificate), path(reading, &key));
    let (certificate_path, key_path) = (paths.0?, paths.1?);
    match pem::identity(&certificate_path, &key_path) {
        Ok(identity) => Some((identity, certificate)),
        Err((Holds::Certificate, why)) => {
            refuse_file(reading, &certificate, &certificate_path, &why);
            None
        }
        Err((Holds::Key, why)) => {
            refuse_file(reading, &key, &key_path, &why);
            None
        }
    }
}

fn refuse_lone<T>(reading: &mut Reading, at: &At<'_>, partner: &str) -> Option<T> {
    let hint = "a certificate and its key go together";
    reading.refuse(at, format!("`{partner}` is missing beside it"), hint);
    None
}

fn roots(reading: &mut Reading, at: &At<'_>) -> Option<Arc<[CertificateDer<'static>]>> {
    let path = path(reading, at)?;
    match pem::certificates(&path) {
        Ok(certificates) => Some(certificates.into()),
        Err(why) => {
            refuse_file(reading, at, &path, &why);
            None
        }
    }
}

fn refuse_file(reading: &mut Reading, at: &At<'_>, path: &Path, why: &Unusable) {
    reading.refuse(at, format!("`{}`: {why}", path.display()), why.hint());
}

/// Counted from the configuration's folder: certificates lie beside it, wherever it is used from.
fn path(reading: &mut Reading, at: &At<'_>) -> Option<PathBuf> {
    let text = reading.text(at)?;
    if text.is_empty() || text.contains('\0') {
        reading.refuse(at, "this names no file", "name a PEM file");
        return None;
    }
    let folder = reading.path.parent().unwrap_or(Path::new(""));
    Some(folder.join(text))
}

fn name(reading: &mut Reading, at: &At<'_>) -> Option<ServerName<'static>> {
    let name = server_name(reading.text(at)?);
    if name.is_none() {
        let hint = "the name that the certificate is for, without scheme or port";
        reading.mistaken(at, "a host name or an IP address", hint);
    }
    name
}

fn warn_if_over(reading: &mut Reading, at: &At<'_>, identity: &Identity) {
    let validity = identity.chain().first().and_then(|der| x509::validity(der));
    if let Some(validity) = validity.filter(|validity| validity.is_over(UnixTime::now())) {
        let reason = format!("the certificate has expired on {}", x509::date(validity.not_after));
        reading.warn(at, &reason, "peers will refuse it");
    }
}
