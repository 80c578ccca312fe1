//! `ouli ca`: makes or shows the local certificate authority, and says how to trust it.
//!
//! stdout has the path of its certificate and nothing else, for scripts. What a person needs goes
//! to stderr.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::report;
use crate::net::tls::Authority;
use crate::telemetry;
use crate::x509;

pub fn run() -> ExitCode {
    match Authority::open() {
        Ok(authority) => {
            telemetry::tell(HowTo::of(&authority));
            // `ouli ca | head -c0` is no failure.
            let _ = writeln!(io::stdout(), "{}", authority.path().display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let hint = error.hint();
            report(error.into(), hint.as_deref());
            ExitCode::FAILURE
        }
    }
}

/// What there is to know of the authority.
struct HowTo<'a> {
    path: &'a Path,
    fingerprint: String,
    until: String,
}

impl<'a> HowTo<'a> {
    fn of(authority: &'a Authority) -> Self {
        HowTo {
            path: authority.path(),
            fingerprint: x509::fingerprint(authority.certificate()),
            until: x509::date(authority.validity().not_after),
        }
    }
}

impl fmt::Display for HowTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HowTo { path, fingerprint, until } = self;
        let path = Quoted(path);
        write!(
            f,
            r#"Ouli's local certificate authority, good until {until}
SHA-256 {fingerprint}

Listeners with `source_type = "https"` and no `source_cert` show certificates that it issues.
Whoever has the key beside it can do the same: trust it where you test, and keep the folder to yourself.

To trust it for one command:
  curl      curl --cacert {path} https://localhost:8443/
  Python    export SSL_CERT_FILE={path}        # ssl, httpx, aiohttp
            export REQUESTS_CA_BUNDLE={path}   # requests
  Node      export NODE_EXTRA_CA_CERTS={path}
  Go        export SSL_CERT_FILE={path}        # on Linux
  gRPC      export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH={path}   # C++, Python, Ruby and the like
  Java      keytool -importcert -noprompt -alias ouli -file {path} -keystore ouli.p12 -storepass changeit
            java -Djavax.net.ssl.trustStore=ouli.p12 -Djavax.net.ssl.trustStorePassword=changeit ...
SSL_CERT_FILE, REQUESTS_CA_BUNDLE, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH and a trust store of their own stand instead of all
other authorities; a program that calls the real internet as well needs a file with both.

To trust it in a browser, or everywhere:
  Firefox   Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import
  Chrome    chrome://certificate-manager, Custom, Installed by you, Import
  macOS     security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {path}
  Debian    sudo cp {path} /usr/local/share/ca-certificates/ouli.crt && sudo update-ca-certificates
  Fedora    sudo trust anchor {path}

To stop trusting it, undo the same:
  macOS     security remove-trusted-cert {path}
  Debian    sudo rm /usr/local/share/ca-certificates/ouli.crt && sudo update-ca-certificates --fresh
  Fedora    sudo trust anchor --remove {path}
and in a browser delete it where it was imported. Removing its folder then removes the authority itself."#
        )
    }
}

/// A path as a shell takes it.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.display().to_string();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
        if text.chars().all(is_plain) {
            return f.write_str(&text);
        }
        write!(f, "'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_how_to_trust_it_and_how_to_stop() {
        let how_to = HowTo {
            path: Path::new("/home/ada/.local/share/ouli/ca.pem"),
            fingerprint: "AB:CD".into(),
            until: "2036-11-20".into(),
        };
        insta::assert_snapshot!(how_to, @r#"
        Ouli's local certificate authority, good until 2036-11-20
        SHA-256 AB:CD

        Listeners with `source_type = "https"` and no `source_cert` show certificates that it issues.
        Whoever has the key beside it can do the same: trust it where you test, and keep the folder to yourself.

        To trust it for one command:
          curl      curl --cacert /home/ada/.local/share/ouli/ca.pem https://localhost:8443/
          Python    export SSL_CERT_FILE=/home/ada/.local/share/ouli/ca.pem        # ssl, httpx, aiohttp
                    export REQUESTS_CA_BUNDLE=/home/ada/.local/share/ouli/ca.pem   # requests
          Node      export NODE_EXTRA_CA_CERTS=/home/ada/.local/share/ouli/ca.pem
          Go        export SSL_CERT_FILE=/home/ada/.local/share/ouli/ca.pem        # on Linux
          gRPC      export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=/home/ada/.local/share/ouli/ca.pem   # C++, Python, Ruby and the like
          Java      keytool -importcert -noprompt -alias ouli -file /home/ada/.local/share/ouli/ca.pem -keystore ouli.p12 -storepass changeit
                    java -Djavax.net.ssl.trustStore=ouli.p12 -Djavax.net.ssl.trustStorePassword=changeit ...
        SSL_CERT_FILE, REQUESTS_CA_BUNDLE, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH and a trust store of their own stand instead of all
        other authorities; a program that calls the real internet as well needs a file with both.

        To trust it in a browser, or everywhere:
          Firefox   Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import
          Chrome    chrome://certificate-manager, Custom, Installed by you, Import
          macOS     security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db /home/ada/.local/share/ouli/ca.pem
          Debian    sudo cp /home/ada/.local/share/ouli/ca.pem /usr/local/share/ca-certificates/ouli.crt && sudo update-ca-certificates
          Fedora    sudo trust anchor /home/ada/.local/share/ouli/ca.pem

        To stop trusting it, undo the same:
          macOS     security remove-trusted-cert /home/ada/.local/share/ouli/ca.pem
          Debian    sudo rm /usr/local/share/ca-certificates/ouli.crt && sudo update-ca-certificates --fresh
          Fedora    sudo trust anchor --remove /home/ada/.local/share/ouli/ca.pem
        and in a browser delete it where it was imported. Removing its folder then removes the authority itself.
        "#);
    }

    #[test]
    fn a_path_is_quoted_for_the_shell_where_it_has_to_be() {
        for (path, quoted) in [
            ("/a/b-c.pem", "/a/b-c.pem"),
            ("/Library/Application Support/x", "'/Library/Application Support/x'"),
            ("/it's", r"'/it'\''s'"),
        ] {
            assert_eq!(Quoted(Path::new(path)).to_string(), quoted);
        }
    }

    #[test]
    fn the_authority_tells_its_file_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open_in(dir.path()).unwrap();
        let how_to = HowTo::of(&authority);
        assert_eq!(how_to.path, dir.path().join("ca.pem"));
        let told = how_to.to_string();
        assert!(told.contains(&how_to.fingerprint) && how_to.fingerprint.len() == 95, "{told}");
        assert!(told.contains(&how_to.until), "{told}");
    }
}
