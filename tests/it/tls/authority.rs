//! `ouli ca`: the local authority, where it is kept, and how it is shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::*;

fn authority_in(folder: &Path) -> (PathBuf, String) {
    let shown = Ouli::command("ca").ca_dir(folder).run();
    shown.expect_code(0);
    (PathBuf::from(shown.stdout.lines().next().expect("a path")), shown.stderr)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn its_path_is_all_of_stdout_and_names_a_certificate() {
    let folder = tempfile::TempDir::new().unwrap();
    let shown = Ouli::command("ca").ca_dir(&folder.path().join("ca")).run();
    shown.expect_code(0);
    assert_eq!(shown.stdout.lines().count(), 1, "{shown:?}");
    let path = Path::new(shown.stdout.trim_end());
    assert!(path.is_absolute() && path.starts_with(folder.path()), "{shown:?}");
    let pem = fs::read_to_string(path).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    assert!(!pem.contains("PRIVATE KEY"), "the key is no part of what people hand on");
}

#[test]
fn it_tells_how_to_trust_it_everywhere() {
    let folder = tempfile::TempDir::new().unwrap();
    let (path, said) = authority_in(&folder.path().join("ca"));
    let ways = ["curl", "python", "node", "go", "java", "browser"];
    for way in ways {
        assert!(said.to_lowercase().contains(way), "nothing on {way}: {said}");
    }
    let keys =
        ["--cacert", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "keytool"];
    for key in keys {
        assert!(said.contains(key), "nothing on {key}: {said}");
    }
    assert!(said.contains(path.to_str().unwrap()), "{said}");
}

#[test]
fn it_is_made_once_and_kept() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path().join("ca");
    let (path, _) = authority_in(&folder);
    let first = fs::read(&path).unwrap();
    assert_eq!(authority_in(&folder).0, path);
    assert_eq!(fs::read(&path).unwrap(), first);
}

#[test]
fn nobody_else_may_read_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path().join("ca");
    authority_in(&folder);
    assert_eq!(mode(&folder), 0o700);
    let mut keys = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if fs::read_to_string(&path).is_ok_and(|text| text.contains("PRIVATE KEY")) {
            keys += 1;
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
    assert_eq!(keys, 1);
}

#[test]
fn made_by_many_at_once_it_is_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = &folder.path().join("ca");
    let seen: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| fs::read(authority_in(folder).0).unwrap())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(seen.iter().all(|pem| *pem == seen[0]));
}

#[test]
fn a_listener_makes_it_on_first_use_and_it_outlives_the_run() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path().join("ca");
    let origin = Origin::http1().route("/", |_| "x");
    let setup = || {
        let setup = Ouli::command("record").endpoint(&Endpoint::to(&origin).https());
        setup.ca_dir(&folder).start()
    };
    let first = setup();
    let pem = first.authority();
    assert_eq!(first.client_over(Protocol::H2Tls).get("/").text(), "x");
    first.terminate().expect_code(0);
    let second = setup();
    assert_eq!(second.authority(), pem);
    let mut client = Client::new(second.address()).over(Protocol::H2Tls).trusting(&pem);
    assert_eq!(client.get("/").text(), "x");
}

#[test]
fn broken_files_are_told_by_name_and_left_alone() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path().join("ca");
    let (path, _) = authority_in(&folder);
    fs::write(&path, "not a certificate").unwrap();
    let shown = Ouli::command("ca").ca_dir(&folder).run();
    shown.expect_code(1).expect_said(&[path.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "not a certificate");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_by_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let shown = Ouli::command("ca").ca_dir(&file.join("ca")).run();
    shown.expect_code(1).expect_said(&["file"]);
}
