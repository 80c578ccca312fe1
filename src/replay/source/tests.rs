use std::net::SocketAddr;

use super::*;
use crate::cassette::Writer;
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::Exchange;
use crate::replay::fixture::get;

fn note(name: &str, port: u16, host: &str) -> EndpointNote {
    EndpointNote {
        name: name.into(),
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Http, host: host.into(), port: 80 },
    }
}

fn write(dir: &Path, session: &str, endpoints: &[EndpointNote]) {
    let path = session::cassette_path(dir, session);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bodies = Bodies::new(dir);
    let mut writer = Writer::new(fs::File::create(path).unwrap(), endpoints, &bodies).unwrap();
    for endpoint in endpoints.iter().take(1) {
        let exchange = Exchange { endpoint: endpoint.name.clone(), ..get("/", session) };
        writer.push(&exchange).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn cassettes_are_found_in_folders_and_other_files_are_not() {
    let dir = tempfile::tempdir().unwrap();
    for session in ["default", "checkout/pay", "checkout/pay.recovered"] {
        write(dir.path(), session, &[]);
    }
    for other in [".ouli", "bodies"] {
        fs::create_dir(dir.path().join(other)).unwrap();
        fs::write(dir.path().join(other).join("x.json"), "no cassette").unwrap();
    }
    fs::write(dir.path().join("README.md"), "").unwrap();
    let (sessions, unreadable) = Folder::open(dir.path()).unwrap().sessions();
    assert_eq!(sessions, ["checkout/pay", "checkout/pay.recovered", "default"]);
    assert!(unreadable.is_empty());
}

#[test]
fn a_session_is_read_from_its_cassette_or_has_none() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/b", &[note("a", 1, "a")]);
    let folder = Folder::open(dir.path()).unwrap();
    assert_eq!(folder.load("a/b").unwrap().unwrap().exchanges.len(), 1);
    for none in ["a", "c", "a/b/c"] {
        assert!(folder.load(none).unwrap().is_none(), "{none}");
    }
}

#[test]
fn a_broken_cassette_is_told_with_its_place_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, "{\n  nonsense").unwrap();
    let error = Folder::open(dir.path()).unwrap().load("a").unwrap_err();
    assert_eq!(error.to_string(), format!("could not open the cassette `{}`", path.display()));
    assert!(error.cause.to_string().starts_with("line 2, column 3"), "{}", error.cause);
    assert!(error.hint.unwrap().starts_with("`ouli check "));
}

#[test]
fn endpoints_are_gathered_from_all_cassettes_that_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (note("a", 1, "a"), note("b", 2, "b"));
    write(dir.path(), "one", std::slice::from_ref(&a));
    write(dir.path(), "two", &[a.clone(), b.clone()]);
    fs::write(dir.path().join("broken.json"), "{").unwrap();
    let endpoints = Folder::open(dir.path()).unwrap().endpoints();
    assert_eq!(endpoints.notes, [a, b]);
    assert!(endpoints.conflicts.is_empty());
    assert_eq!(endpoints.unreadable[0].path, dir.path().join("broken.json"));
}

#[test]
fn cassettes_that_disagree_are_reported() {
    let mut endpoints = Endpoints::default();
    let kept = note("a", 1, "h");
    endpoints.add(Path::new("1.json"), [kept.clone()]);
    let others = [
        (note("a", 2, "h"), ConflictKind::Listen),
        (note("a", 1, "other"), ConflictKind::Name),
        (note("b", 1, "h"), ConflictKind::Address),
    ];
    for (other, kind) in others {
        endpoints.add(Path::new("2.json"), [other.clone()]);
        let expected = Conflict {
            kind,
            kept: kept.clone(),
            kept_from: "1.json".into(),
            other,
            other_from: "2.json".into(),
        };
        assert_eq!(endpoints.conflicts.last(), Some(&expected));
    }
    assert_eq!(endpoints.notes, [kept]);
}
