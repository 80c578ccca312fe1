//! The local authority's files: made once, never overwritten, and read with suspicion.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use crate::net::tls::{Authority, AuthorityError};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_made_for_its_user_alone_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data/ouli");
    let made = Authority::open_in(&folder).unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("ca.pem")), 0o600);
    assert_eq!(mode(&folder.join("ca-key.pem")), 0o600);
    let again = Authority::open_in(&folder).unwrap();
    assert_eq!(made.certificate(), again.certificate());
    assert_eq!(made.path(), folder.join("ca.pem"));
}

#[test]
fn programs_that_start_at_once_get_the_same_one() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ouli");
        let opened: Vec<_> = thread::scope(|scope| {
            let open = || Authority::open_in(&folder).unwrap().certificate().clone();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|certificate| *certificate == opened[0]));
    }
}

#[test]
fn one_that_was_killed_between_its_two_files_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    Authority::open_in(dir.path()).unwrap();
    let key = fs::read_to_string(dir.path().join("ca-key.pem")).unwrap();
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    Authority::open_in(dir.path()).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("ca-key.pem")).unwrap(), key);
    Authority::open_in(dir.path()).unwrap();
}

#[test]
fn a_key_that_everybody_may_read_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    Authority::open_in(dir.path()).unwrap();
    let path = dir.path().join("ca-key.pem");
    for (mode, is_used) in [(0o644, false), (0o602, false), (0o640, true), (0o400, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let opened = Authority::open_in(dir.path()).map(drop);
        let exposed = Err(AuthorityError::Exposed { path: path.clone() });
        assert_eq!(opened, if is_used { Ok(()) } else { exposed }, "{mode:o}");
    }
}

#[test]
fn damage_is_told_and_nothing_is_overwritten() {
    let other = tempfile::tempdir().unwrap();
    Authority::open_in(other.path()).unwrap();
    type Harm<'a> = &'a dyn Fn(&Path);
    let damage: [(&str, Harm<'_>); 6] = [
        ("is there without `ca-key.pem`", &|dir| {
            fs::remove_file(dir.join("ca-key.pem")).unwrap();
        }),
        ("holds no private key", &|dir| fs::write(dir.join("ca-key.pem"), "").unwrap()),
        ("holds no certificate", &|dir| fs::write(dir.join("ca.pem"), "x").unwrap()),
        ("is no PEM file", &|dir| fs::write(dir.join("ca.pem"), b"\xff\xfe").unwrap()),
        ("does not belong to `ca-key.pem`", &|dir| {
            fs::copy(other.path().join("ca.pem"), dir.join("ca.pem")).unwrap();
        }),
        ("is not the certificate of an authority", &|dir| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
            fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        }),
    ];
    for (expected, harm) in damage {
        let dir = tempfile::tempdir().unwrap();
        Authority::open_in(dir.path()).unwrap();
        harm(dir.path());
        let names = ["ca.pem", "ca-key.pem"].map(|name| fs::read(dir.path().join(name)).ok());
        let error = Authority::open_in(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(error.hint().unwrap().contains("make a new one"), "{error:?}");
        let after = ["ca.pem", "ca-key.pem"].map(|name| fs::read(dir.path().join(name)).ok());
        assert_eq!(after, names, "{expected}");
    }
}

#[test]
fn one_that_has_expired_is_told() {
    let dir = tempfile::tempdir().unwrap();
    Authority::open_in(dir.path()).unwrap();
    let key = fs::read_to_string(dir.path().join("ca-key.pem")).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.not_after = rcgen::date_time_ymd(2020, 2, 29);
    let old = params.self_signed(&rcgen::KeyPair::from_pem(&key).unwrap()).unwrap();
    fs::write(dir.path().join("ca.pem"), old.pem()).unwrap();
    let error = Authority::open_in(dir.path()).unwrap_err();
    assert!(matches!(&error, AuthorityError::Expired { .. }), "{error}");
    assert!(error.to_string().ends_with("has expired on 2020-02-29"), "{error}");
}

#[test]
fn a_place_that_cannot_be_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Authority::open_in(&file.join("ouli")).unwrap_err();
    assert!(error.to_string().ends_with("not a directory"), "{error}");
    assert!(error.hint().unwrap().contains("OULI_CA_DIR"));
}
