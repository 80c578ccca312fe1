use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cassette::{Bodies, Writer};
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::{Body, End, Exchange, Fields, RequestHead, ResponseHead};
use crate::record::{Keep, Recorder, Run};
use crate::replay::fixture::get;
use crate::session;
use crate::tape::names;

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
    assert_eq!(folder.load("a/b").unwrap().unwrap().cassette.exchanges.len(), 1);
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

/// A killed run that recorded an answer of that size to each target in its session.
fn kill(dir: &Path, endpoint: EndpointNote, exchanges: &[(&str, &str, usize)]) -> Left {
    let run = Run::open(dir, vec![endpoint.clone()], |_| {}).unwrap();
    let recorder = Recorder::open(Arc::clone(&run), 0, Keep::default()).unwrap();
    for (session, target, len) in exchanges {
        let seq = run.next_seq();
        let head =
            RequestHead { method: "GET".into(), target: (*target).into(), ..Default::default() };
        let mut one = recorder.begin(seq, session, &endpoint.name, 0, &head, Vec::new());
        one.request_end(&Fields::new()).unwrap();
        one.response_head(Duration::ZERO, &ResponseHead::default());
        one.response_data(Duration::ZERO, &vec![b'x'; *len]).unwrap();
        one.end(End::Whole, &Fields::new()).unwrap();
        one.flush().unwrap();
    }
    Left::open(&run.tapes()).unwrap()
}

/// The folder with what killed runs left, each of whose recordings answers with its number.
fn tapes(dir: &Path, runs: &[&[&str]]) -> Tapes {
    let run = |(n, sessions): (usize, &&[&str])| {
        let exchanges: Vec<_> = sessions.iter().map(|session| (*session, "/", n + 1)).collect();
        kill(dir, note("api", 1, "h"), &exchanges)
    };
    let left = runs.iter().enumerate().map(run).collect();
    Tapes::new(Folder::open(dir).unwrap(), left)
}

/// The length of the one answer that a session has.
fn answer_len(source: &impl Source, session: &str) -> Option<usize> {
    let loaded = source.load(session).unwrap()?;
    let [exchange] = &loaded.cassette.exchanges[..] else { panic!("one exchange") };
    let Body::Whole(body) = &exchange.response.body else { panic!("a small body") };
    Some(body.len())
}

fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let list = |dir: &Path| fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let all = list(dir).chain(list(&names::folder(dir)));
    let mut files: Vec<_> =
        all.map(|path| (path.clone(), path.metadata().unwrap().len())).collect();
    files.sort();
    files
}

#[test]
fn a_session_without_a_cassette_is_read_from_what_was_recovered_last() {
    let dir = tempfile::tempdir().unwrap();
    let endpoints = [note("a", 1, "a")];
    for session in ["a/b.recovered", "a/b.recovered-2", "c", "c.recovered"] {
        write(dir.path(), session, &endpoints);
    }
    let folder = Folder::open(dir.path()).unwrap();
    let said = |session: &str| {
        let cassette = folder.load(session).unwrap().unwrap().cassette;
        let Body::Whole(body) = &cassette.exchanges[0].response.body else { panic!("whole") };
        String::from_utf8(body.to_vec()).unwrap()
    };
    assert_eq!(said("a/b"), "a/b.recovered-2");
    assert_eq!(folder.path("a/b"), dir.path().join("a/b.recovered-2.json"));
    assert_eq!(said("a/b.recovered"), "a/b.recovered");
    assert_eq!(said("c"), "c");
    assert_eq!(folder.path("c"), dir.path().join("c.json"));
    assert!(folder.load("b").unwrap().is_none());
    assert_eq!(folder.endpoints().notes, endpoints);
}

#[test]
fn a_recovered_cassette_that_answers_for_nobody_does_not_disagree() {
    let dir = tempfile::tempdir().unwrap();
    let (now, before) = (note("now", 1, "now"), note("before", 1, "before"));
    write(dir.path(), "z", std::slice::from_ref(&now));
    write(dir.path(), "z.recovered", &[before.clone(), note("else", 2, "else")]);
    let endpoints = Folder::open(dir.path()).unwrap().endpoints();
    assert_eq!(endpoints.notes, [now.clone(), note("else", 2, "else")]);
    assert!(endpoints.conflicts.is_empty());
    // Alone it answers for its session.
    write(dir.path(), "y.recovered", &[before]);
    let endpoints = Folder::open(dir.path()).unwrap().endpoints();
    assert_eq!(endpoints.conflicts.len(), 1);
}

#[test]
fn all_faults_of_all_cassettes_are_found() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "fine", &[]);
    let two = r#"{"format": 1, "endpoints": 1, "exchanges": 2}"#;
    fs::write(dir.path().join("two.json"), two).unwrap();
    fs::write(dir.path().join("one.recovered.json"), "{").unwrap();
    let faults = Folder::open(dir.path()).unwrap().faults();
    let places: Vec<_> = faults.iter().map(|fault| fault.line()).collect();
    assert_eq!(places.len(), 3, "{places:?}");
    assert!(places[0].contains("one.recovered.json"), "{places:?}");
    assert!(places[2].contains("two.json"), "{places:?}");
    assert!(places[2].contains("line 1, column 44: expected"), "{places:?}");
}

#[test]
fn what_killed_runs_left_is_read_from_their_tapes_the_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "sealed", &[note("api", 1, "h")]);
    write(dir.path(), "both.recovered", &[note("api", 1, "h")]);
    let tapes = tapes(dir.path(), &[&["sealed", "both", "old"], &["both"]]);
    let before = files(dir.path());
    assert_eq!(answer_len(&tapes, "old"), Some(1));
    assert_eq!(answer_len(&tapes, "both"), Some(2));
    assert_eq!(answer_len(&tapes, "sealed"), Some("sealed".len()), "its own cassette");
    assert_eq!(answer_len(&tapes, "both.recovered"), Some("both.recovered".len()));
    assert_eq!(answer_len(&tapes, "none"), None);
    assert_eq!(tapes.path("old").extension().unwrap(), "tape");
    assert_eq!(tapes.path("sealed"), dir.path().join("sealed.json"));
    assert_eq!(tapes.endpoints().notes, [note("api", 1, "h")]);
    assert_eq!(files(dir.path()), before, "nothing was written or moved");
}

#[test]
fn large_bodies_on_tapes_are_found_by_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    let left = kill(dir.path(), note("api", 1, "h"), &[("a", "/", 100_000), ("a", "/2", 70_000)]);
    let tapes = Tapes::new(Folder::open(dir.path()).unwrap(), vec![left]);
    let cassette = tapes.load("a").unwrap().unwrap().cassette;
    let lens = cassette.exchanges.iter().map(|one| {
        let Body::File { digest, len } = one.response.body else { panic!("in a file") };
        let path = tapes.body_path(&digest);
        assert_eq!(path.metadata().unwrap().len(), len);
        fs::remove_file(path).unwrap();
        len
    });
    assert_eq!(lens.collect::<Vec<_>>(), [100_000, 70_000]);
    assert!(
        tapes.load("a").unwrap().unwrap().cassette.exchanges.is_empty(),
        "lost with their bodies"
    );
}

#[test]
fn the_endpoints_of_tapes_are_served_too() {
    let dir = tempfile::tempdir().unwrap();
    let left = kill(dir.path(), note("api", 7, "h"), &[("a", "/", 1)]);
    let tapes = Tapes::new(Folder::open(dir.path()).unwrap(), vec![left]);
    assert_eq!(tapes.endpoints().notes, [note("api", 7, "h")]);
}

#[test]
fn conflicts_say_who_disagrees_about_what() {
    let mut endpoints = Endpoints::default();
    endpoints.add(Path::new("1.json"), [note("a", 1, "h")]);
    let secure = EndpointNote { source_type: SourceType::Https, ..note("a", 1, "h") };
    let others = [note("a", 2, "h"), note("a", 1, "other"), note("b", 1, "h"), secure];
    endpoints.add(Path::new("2.json"), others);
    let told: Vec<_> = endpoints.conflicts.iter().map(Conflict::to_string).collect();
    let expected = [
        "`a` listens on 127.0.0.1:1 in `1.json` and on 127.0.0.1:2 in `2.json`",
        "`a` stands for http://h:80 in `1.json` and for http://other:80 in `2.json`",
        "`a` in `1.json` and `b` in `2.json` both listen on 127.0.0.1:1",
        "`a` takes http in `1.json` and https in `2.json`",
    ];
    assert_eq!(told, expected);
}
