//! The keys for TLS, and the files they name.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

use super::*;

/// A folder with certificates and keys of every kind beside a configuration.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        let (certificate, key) = made(|_| {});
        folder.write("a.pem", &certificate);
        folder.write("a-key.pem", &key);
        let (old, key) = made(|params| params.not_after = rcgen::date_time_ymd(2020, 2, 29));
        folder.write("old.pem", &old);
        folder.write("old-key.pem", &key);
        folder.write("empty.pem", "# nothing\n");
        folder.write(
            "locked.pem",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        folder.write("cut.pem", &certificate[..certificate.len() / 2]);
        folder.write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn parse(&self, lines: &str) -> Result<Config, Faults> {
        let text = format!("[[endpoints]]\ntarget_host = \"h\"\n{lines}\n");
        parse_bytes(text.as_bytes(), &self.0.path().join("ouli.toml"), Need::Nothing)
    }

    fn used(&self, lines: &str) -> (Endpoint, Vec<String>) {
        let mut config = self.parse(lines).unwrap_or_else(|faults| panic!("{lines}\n{faults}"));
        (config.endpoints.remove(0), config.warnings.iter().map(|w| self.nameless(w)).collect())
    }

    fn refused(&self, lines: &str) -> String {
        self.nameless(&self.parse(lines).expect_err(lines).to_string())
    }

    fn nameless(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn made(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["h".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn the_keys_for_tls_reach_the_endpoint() {
    let folder = Folder::new();
    let (endpoint, warnings) = folder.used(
        "source_type = \"https\"\nsource_cert = \"a.pem\"\nsource_key = \"a-key.pem\"\n\
         target_ca = \"old.pem\"\ntarget_client_cert = \"a.pem\"\ntarget_client_key = \"a-key.pem\"\n\
         target_server_name = \"other.test\"",
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(endpoint.source_identity, endpoint.target_tls.identity);
    assert_eq!(endpoint.source_identity.unwrap().chain().len(), 1);
    assert_eq!(endpoint.target_tls.roots.unwrap().len(), 1);
    assert_eq!(endpoint.target_tls.server_name, server_name("other.test"));
    assert!(!endpoint.target_tls.danger_accept_invalid);
}

#[test]
fn what_lowers_the_guard_or_will_not_work_is_warned_of() {
    let folder = Folder::new();
    let (endpoint, warnings) = folder.used(
        "source_type = \"https\"\nsource_cert = \"old.pem\"\nsource_key = \"old-key.pem\"\n\
         danger_accept_invalid_target_cert = true",
    );
    assert!(endpoint.target_tls.danger_accept_invalid);
    insta::assert_snapshot!(warnings.join("\n"), @r"
    `endpoints[0].source_cert` in `ouli.toml`, line 4: the certificate has expired on 2020-02-29; peers will refuse it
    `endpoints[0].danger_accept_invalid_target_cert` in `ouli.toml`, line 6: whoever answers is taken for https://h:443; `target_ca` names a certificate to trust instead
    ");
}

#[test]
fn keys_of_every_usual_kind_are_taken() {
    let folder = Folder::new();
    let algorithms = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &PKCS_RSA_SHA256,
    ];
    for algorithm in algorithms {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["h".to_owned()]).unwrap();
        folder.write("k.pem", &params.self_signed(&key).unwrap().pem());
        folder.write("k-key.pem", &key.serialize_pem());
        folder.used("source_type = \"https\"\nsource_cert = \"k.pem\"\nsource_key = \"k-key.pem\"");
    }
}

#[test]
fn files_that_cannot_be_used_are_faults() {
    let folder = Folder::new();
    let pair = |certificate: &str, key: &str| {
        folder.refused(&format!(
            "source_type = \"https\"\nsource_cert = \"{certificate}\"\nsource_key = \"{key}\""
        ))
    };
    let told = [
        pair("missing.pem", "a-key.pem"),
        pair(".", "a-key.pem"),
        pair("empty.pem", "a-key.pem"),
        pair("cut.pem", "a-key.pem"),
        pair("junk.pem", "a-key.pem"),
        pair("a.pem", "a.pem"),
        pair("a.pem", "locked.pem"),
        pair("a.pem", "old-key.pem"),
        folder.refused("target_ca = \"empty.pem\""),
        folder.refused("target_ca = \"\""),
    ];
    insta::assert_snapshot!(told.concat(), @r"
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 4, column 15: `missing.pem`: it can't be read: No such file or directory (os error 2)
    hint: name a file that you may read; a path counts from the configuration's folder
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 4, column 15: `.`: it is no file
    hint: name a file that you may read; a path counts from the configuration's folder
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 4, column 15: `empty.pem`: there is no certificate in it
    hint: a PEM file has `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` makes one of a DER file
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 4, column 15: `cut.pem`: it is no PEM file: its last section has no end
    hint: a PEM file has `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` makes one of a DER file
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 4, column 15: `junk.pem`: the certificate number 1 in it can't be read
    hint: a PEM file has `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` makes one of a DER file
    error: invalid `endpoints[0].source_key` in `ouli.toml`
      caused by: line 5, column 14: `a.pem`: there is no private key in it
    hint: a key begins with `-----BEGIN PRIVATE KEY-----` or the like
    error: invalid `endpoints[0].source_key` in `ouli.toml`
      caused by: line 5, column 14: `locked.pem`: the private key in it is encrypted
    hint: `openssl pkey -in FILE -out NEW` writes it without its passphrase
    error: invalid `endpoints[0].source_key` in `ouli.toml`
      caused by: line 5, column 14: `old-key.pem`: it is not the key of the certificate
    hint: name the two files that were made together
    error: invalid `endpoints[0].target_ca` in `ouli.toml`
      caused by: line 3, column 13: `empty.pem`: there is no certificate in it
    hint: a PEM file has `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` makes one of a DER file
    error: invalid `endpoints[0].target_ca` in `ouli.toml`
      caused by: line 3, column 13: this names no file
    hint: name a PEM file
    ");
}

#[test]
fn keys_that_make_no_sense_together_are_faults() {
    let folder = Folder::new();
    let told = [
        folder.refused("source_type = \"https\"\nsource_cert = \"a.pem\""),
        folder.refused("source_type = \"https\"\nsource_key = \"a-key.pem\""),
        folder.refused("target_client_key = \"a-key.pem\""),
        folder.refused("source_cert = \"a.pem\"\nsource_key = \"a-key.pem\""),
        folder.refused("target_type = \"h2c\"\ntarget_ca = \"a.pem\"\ntarget_server_name = \"x\""),
        folder.refused("target_type = \"http\"\ndanger_accept_invalid_target_cert = false"),
        folder.refused("target_server_name = \"https://x\"\ndanger_accept_invalid_target_cert = 1"),
        // One fault, not two.
        folder
            .refused("source_type = \"tls\"\nsource_cert = \"a.pem\"\nsource_key = \"a-key.pem\""),
    ];
    insta::assert_snapshot!(told.concat(), @r#"
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 4, column 15: `source_key` is missing beside it
    hint: a certificate and its key go together
    error: invalid `endpoints[0].source_key` in `ouli.toml`
      caused by: line 4, column 14: `source_cert` is missing beside it
    hint: a certificate and its key go together
    error: invalid `endpoints[0].target_client_key` in `ouli.toml`
      caused by: line 3, column 21: `target_client_cert` is missing beside it
    hint: a certificate and its key go together
    error: invalid `endpoints[0].source_cert` in `ouli.toml`
      caused by: line 3, column 15: it is for `source_type = "https"` only
    hint: write `source_type = "https"`, or leave this out
    error: invalid `endpoints[0].source_key` in `ouli.toml`
      caused by: line 4, column 14: it is for `source_type = "https"` only
    hint: write `source_type = "https"`, or leave this out
    error: invalid `endpoints[0].target_ca` in `ouli.toml`
      caused by: line 4, column 13: it is for `target_type = "https"` only
    hint: write `target_type = "https"`, or leave this out
    error: invalid `endpoints[0].target_server_name` in `ouli.toml`
      caused by: line 5, column 22: it is for `target_type = "https"` only
    hint: write `target_type = "https"`, or leave this out
    error: invalid `endpoints[0].danger_accept_invalid_target_cert` in `ouli.toml`
      caused by: line 4, column 37: it is for `target_type = "https"` only
    hint: write `target_type = "https"`, or leave this out
    error: invalid `endpoints[0].target_server_name` in `ouli.toml`
      caused by: line 3, column 22: expected a host name or an IP address, found "https://x"
    hint: the name that the certificate is for, without scheme or port
    error: invalid `endpoints[0].danger_accept_invalid_target_cert` in `ouli.toml`
      caused by: line 4, column 37: expected true or false, found 1
    hint: without quotes
    error: invalid `endpoints[0].source_type` in `ouli.toml`
      caused by: line 3, column 15: expected `http` or `https`, found "tls"
    hint: in lower case, as here
    "#);
}

#[test]
fn paths_count_from_the_configurations_folder() {
    let folder = Folder::new();
    assert!(Path::new("a.pem").metadata().is_err(), "the test needs another working directory");
    folder.used("target_ca = \"a.pem\"");
    folder.used("target_ca = \"./a.pem\"");
    folder.used(&format!("target_ca = \"{}\"", folder.0.path().join("a.pem").display()));
}
