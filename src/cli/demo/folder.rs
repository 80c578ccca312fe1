//! The demo's own folder: the configuration, the recordings and the certificates, all of which go
//! with it. Nothing is written anywhere else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use super::script::API_KEY;

/// Where `ouli` looks for its configuration by itself.
const CONFIGURATION: &str = "ouli.toml";

/// Where `ouli record` keeps the session that nobody named.
pub(super) const CASSETTE: &str = "recordings/default.json";

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ouli-demo-").tempdir();
        Ok(Folder(folder.context("could not make a folder for the recordings")?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the origin makes the authority that issues its certificate.
    pub(super) fn origin_authority(&self) -> PathBuf {
        self.path().join("origin")
    }

    /// Where Ouli makes its local authority.
    pub(super) fn local_authority(&self) -> PathBuf {
        self.path().join("authority")
    }

    /// Writes what `ouli` finds there: an endpoint for each side of the origin.
    pub(super) fn configure(&self, plain: SocketAddr, secure: SocketAddr) -> Result<()> {
        let text = configuration(plain, secure);
        fs::write(self.path().join(CONFIGURATION), text)
            .context("could not write the configuration")
    }

    /// The size of the cassette in bytes.
    ///
    /// # Errors
    /// It isn't there, or the key that was sent is in it.
    pub(super) fn inspect_cassette(&self) -> Result<usize> {
        let text = fs::read_to_string(self.path().join(CASSETTE));
        let text = text.context("`ouli record` left no cassette")?;
        if text.contains(API_KEY) {
            bail!("the API key that was sent stands in the cassette");
        }
        Ok(text.len())
    }

    /// # Errors
    /// Something of it is left.
    pub(super) fn remove(self) -> Result<()> {
        self.0.close().context("could not remove the demo's folder")
    }
}

/// The certificate of an authority that was made in `folder`.
pub(super) fn root(folder: &Path) -> Result<CertificateDer<'static>> {
    let path = folder.join("ca.pem");
    CertificateDer::from_pem_file(&path)
        .with_context(|| format!("could not read the certificate `{}`", path.display()))
}

fn configuration(plain: SocketAddr, secure: SocketAddr) -> String {
    format!(
        r#"[[endpoints]]
name = "plain"
source_port = 0
target_type = "http"
target_host = "{}"
target_port = {}

[[endpoints]]
name = "secure"
source_type = "https"
source_port = 0
target_type = "https"
target_host = "{}"
target_port = {}
target_ca = "origin/ca.pem"
"#,
        plain.ip(),
        plain.port(),
        secure.ip(),
        secure.port(),
    )
}
