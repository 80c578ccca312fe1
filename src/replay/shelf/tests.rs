//! A session on a shelf answers as one in memory does.

use std::fs::FileTimes;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::cassette::{EndpointNote, Writer};
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::{Body, Exchange, Fields, Message};
use crate::replay::fixture::{asked, get, post, settings};
use crate::replay::{Choice, Hit, Library, Session};

struct Recorded {
    dir: tempfile::TempDir,
}

fn note() -> EndpointNote {
    EndpointNote {
        name: "api".into(),
        listen: "127.0.0.1:1".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Http, host: "api.test".into(), port: 80 },
    }
}

/// A gRPC call without messages.
fn call(target: &str) -> Exchange {
    let mut call = post(target, "", "");
    call.request.head.fields = Fields::from_iter([("content-type", "application/grpc")]);
    call.request.body = Body::Messages(Vec::<Message>::new());
    call.response.head.fields = Fields::from_iter([("content-type", "application/grpc")]);
    call.response.body = Body::Messages(Vec::new());
    call
}

/// A request that was recorded as far as this.
fn part(target: &str, came: &str, answer: &str) -> Exchange {
    let mut part = post(target, came, answer);
    part.request.is_whole = false;
    part
}

impl Recorded {
    fn new(exchanges: &[Exchange]) -> Recorded {
        let recorded = Recorded { dir: tempfile::tempdir().unwrap() };
        recorded.write(exchanges);
        recorded
    }

    fn cassette(&self) -> PathBuf {
        self.dir.path().join("a/b.json")
    }

    fn shelf(&self) -> PathBuf {
        path(self.dir.path(), "a/b")
    }

    fn write(&self, exchanges: &[Exchange]) {
        fs::create_dir_all(self.dir.path().join("a")).unwrap();
        let bodies = cassette::Bodies::new(self.dir.path());
        let file = File::create(self.cassette()).unwrap();
        let mut writer = Writer::new(file, &[note()], &bodies).unwrap();
        exchanges.iter().for_each(|exchange| writer.push(exchange).unwrap());
        writer.finish().unwrap();
    }

    /// Cassettes over so many bytes are indexed.
    fn session(&self, index_over: u64, after_last: AfterLast) -> Result<Arc<Session>, String> {
        let settings = Settings { index_over, ..settings(after_last) };
        let library = Library::open(self.dir.path(), Vec::new(), Catalog::new(), settings).unwrap();
        library.prepare();
        block_on(library.session("a/b")).map_err(|error| error.line())
    }

    fn shelved(&self) -> Arc<Session> {
        let session = self.session(0, AfterLast::Repeat).unwrap();
        assert!(session.shelf.is_some(), "it is in memory");
        session
    }

    fn in_memory(&self) -> Arc<Session> {
        let session = self.session(u64::MAX, AfterLast::Repeat).unwrap();
        assert!(session.shelf.is_none());
        session
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn answer(shelf: &Arc<Shelf>, n: u32) -> Response {
    shelf.response(&block_on(shelf.answer(n)).unwrap()).unwrap()
}

/// What a request gets: an answer, or word of why not.
fn ask(session: &Session, method: &str, target: &str, content: &str) -> String {
    let (key, body) = asked(method, target, content);
    match session.choose(&key, &body) {
        Choice::Hit(Hit::Kept(recorded, _)) => format!("{:?}", recorded.exchange.response),
        Choice::Hit(Hit::Shelved(shelf, n)) => format!("{:?}", answer(shelf, n)),
        Choice::Exhausted => "exhausted".into(),
        Choice::Miss => session.nearest(&key, &body).map_or("miss".into(), |near| near.to_string()),
    }
}

fn mixed() -> Vec<Exchange> {
    vec![
        call("/p.S/M"),
        get("/n?a=1&b=2", "1"),
        post("/j", r#"{"a":1}"#, "json"),
        part("/j", r#"{"b"#, "part"),
        get("/n?b=2&a=1", "2"),
        get("/m", "other"),
        part("/early", "", "early"),
    ]
}

#[test]
fn what_is_on_the_shelf_and_what_is_not_are_one_session() {
    let recorded = Recorded::new(&mixed());
    let session = recorded.shelved();
    assert_eq!((session.recorded.len(), session.len()), (3, 7));
    let memory = recorded.in_memory();
    for (method, target, content) in [
        ("GET", "/n?b=2&a=1", ""),
        ("GET", "/n?a=1&b=2", ""),
        ("GET", "/n?a=1&b=2", ""),
        ("POST", "/j", r#"{ "a": 1 }"#),
        ("POST", "/j", r#"{"b":5}"#),
        ("POST", "/j", r#"{"c":5}"#),
        ("GET", "/mm", ""),
        ("DELETE", "/elsewhere", ""),
    ] {
        let got = ask(&session, method, target, content);
        assert_eq!(got, ask(&memory, method, target, content), "{method} {target} {content}");
    }
    assert_eq!((session.hits(), session.misses()), (5, 3));
    let early = session.choose_early(&asked("POST", "/early", "").0);
    assert!(matches!(early, Some(Hit::Kept(..))));
    let early = session.choose_early(&asked("GET", "/m", "").0);
    assert!(matches!(early, Some(Hit::Shelved(..))));
    assert_eq!(session.unused_count(), 1);
    assert_eq!(session.unused_requests(9), ["POST /p.S/M"]);
    assert!(session.holds(&asked("GET", "/m", "").0));
    assert!(!session.holds(&asked("GET", "/x", "").0));
}

#[test]
fn a_strict_session_on_a_shelf_repeats_no_answer() {
    let recorded = Recorded::new(&[get("/", "1"), get("/", "2"), get("/left", "")]);
    let session = recorded.session(0, AfterLast::Refuse).unwrap();
    let next = || ask(&session, "GET", "/", "");
    assert_eq!([next().contains("1"), next().contains("2")], [true, true]);
    assert_eq!(next(), "exhausted");
    assert_eq!(session.unused_requests(9), ["GET /left"]);
}

#[test]
fn an_answer_that_was_not_kept_is_on_the_shelf_and_not_missed_when_unused() {
    let mut omitted = get("/", "");
    omitted.response.body = Body::Omitted { digest: Digest([0; 32]), len: 1 };
    let session = Recorded::new(&[get("/a", "1"), omitted, get("/b", "2")]).shelved();
    assert_eq!(session.unused_requests(9), ["GET /a", "GET /b"]);
}

#[test]
fn a_shelf_is_made_once_and_anew_for_another_cassette_or_other_rules() {
    let recorded = Recorded::new(&mixed());
    let made = || {
        recorded.shelved();
        fs::metadata(recorded.shelf()).unwrap().ino()
    };
    let first = made();
    assert_eq!(made(), first);
    let keep = fs::File::open(recorded.shelf()).unwrap();
    recorded.write(&[get("/n", "another")]);
    let second = made();
    assert_ne!(second, first);
    // The same length and another time.
    let cassette = File::options().write(true).open(recorded.cassette()).unwrap();
    let keep_too = fs::File::open(recorded.shelf()).unwrap();
    let earlier = SystemTime::now() - Duration::from_secs(3600);
    cassette.set_times(FileTimes::new().set_modified(earlier)).unwrap();
    assert_ne!(made(), second);
    let settings = Settings { index_over: 0, ..settings(AfterLast::Repeat) };
    let metadata = fs::metadata(recorded.cassette()).unwrap();
    assert!(is_current(&recorded.shelf(), &metadata, &settings));
    let mut other = settings.clone();
    other.bounds.match_bytes_max += 1;
    assert!(!is_current(&recorded.shelf(), &metadata, &other));
    let redactor = crate::redact::Redactor::new(["x-mine"]);
    assert!(!is_current(&recorded.shelf(), &metadata, &Settings { redactor, ..settings }));
    drop((keep, keep_too));
}

#[test]
fn a_cassette_put_in_anothers_place_with_its_size_and_time_has_a_shelf_of_its_own() {
    let recorded = Recorded::new(&[get("/", "first")]);
    assert!(ask(&recorded.shelved(), "GET", "/", "").contains("first"));
    let time = fs::metadata(recorded.cassette()).unwrap().modified().unwrap();
    recorded.write(&[get("/", "other")]);
    let cassette = File::options().write(true).open(recorded.cassette()).unwrap();
    cassette.set_times(FileTimes::new().set_modified(time)).unwrap();
    assert!(ask(&recorded.shelved(), "GET", "/", "").contains("other"));
}

#[test]
fn a_coded_answer_is_coded_once_for_all_requests() {
    let mut one = get("/", "some text");
    one.response.head.fields.push("content-encoding", "gzip");
    one.response.coding = Some(crate::exchange::Coding::Gzip);
    let session = Recorded::new(&[one]).shelved();
    let (key, body) = asked("GET", "/", "");
    let Choice::Hit(Hit::Shelved(shelf, n)) = session.choose(&key, &body) else {
        panic!("it is on the shelf")
    };
    let answer = answer(shelf, n);
    let Body::Whole(coded) = answer.body else { panic!("{answer:?}") };
    let decoded = crate::coding::decode(
        crate::exchange::Coding::Gzip,
        &coded,
        crate::coding::Extent::Whole,
        100,
    )
    .unwrap();
    assert_eq!((answer.coding, &decoded[..]), (None, &b"some text"[..]));
}

#[test]
fn what_is_of_no_cassette_and_what_a_killed_maker_left_is_removed() {
    let recorded = Recorded::new(&mixed());
    recorded.shelved();
    let folder = recorded.shelf().parent().unwrap().to_owned();
    for left in ["gone.index", "b.making", "gone.making"] {
        fs::write(folder.join(left), "left").unwrap();
    }
    let busy = File::create(folder.join("busy.making")).unwrap();
    busy.lock().unwrap();
    recorded.shelved();
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b.index", "busy.making"]);
}

#[test]
fn what_was_recovered_is_indexed_under_the_name_that_it_is_asked_for_by() {
    let recorded = Recorded::new(&mixed());
    fs::rename(recorded.cassette(), recorded.dir.path().join("a/b.recovered.json")).unwrap();
    let settings = Settings { index_over: 0, ..settings(AfterLast::Repeat) };
    let library = Library::open(recorded.dir.path(), Vec::new(), Catalog::new(), settings).unwrap();
    library.prepare();
    let made = fs::metadata(recorded.shelf()).unwrap().ino();
    let session = block_on(library.session("a/b")).unwrap();
    assert!(session.shelf.is_some());
    assert_eq!(fs::metadata(recorded.shelf()).unwrap().ino(), made);
    let beside = fs::read_dir(recorded.shelf().parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "one index");
}

#[test]
fn a_cassette_mostly_of_calls_is_in_memory() {
    let calls: Vec<_> = (0..20).map(|n| call(&format!("/p.S/M{n}"))).collect();
    let session = Recorded::new(&calls).session(0, AfterLast::Repeat).unwrap();
    assert!(session.shelf.is_none());
    assert_eq!(session.len(), 20);
}

#[test]
fn a_shelf_that_is_damaged_anywhere_is_made_anew_or_told() {
    let recorded = Recorded::new(&mixed());
    let whole = recorded.shelved();
    let expected = ask(&whole, "GET", "/m", "");
    let bytes = fs::read(recorded.shelf()).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(recorded.shelf(), &damaged).unwrap();
        let session = recorded.shelved();
        let (key, body) = asked("GET", "/m", "");
        match session.choose(&key, &body) {
            Choice::Hit(Hit::Shelved(shelf, n)) => match block_on(shelf.answer(n)) {
                Ok(answer) => {
                    let response = shelf.response(&answer).unwrap();
                    assert_eq!(format!("{response:?}"), expected, "byte {at}");
                }
                Err(Damaged { path, .. }) => assert_eq!(path, recorded.shelf()),
            },
            other => panic!("{other:?} with byte {at} damaged"),
        }
    }
    for len in (0..bytes.len()).step_by(11) {
        fs::write(recorded.shelf(), &bytes[..len]).unwrap();
        assert_eq!(ask(&recorded.shelved(), "GET", "/m", ""), expected, "cut at {len}");
    }
}

#[test]
fn a_faulty_cassette_is_told_as_if_there_were_no_shelves() {
    let recorded = Recorded::new(&mixed());
    let text = fs::read_to_string(recorded.cassette()).unwrap();
    fs::write(recorded.cassette(), text.replacen("\"status\": 200", "\"status\": 2000", 1))
        .unwrap();
    let told = recorded.session(0, AfterLast::Repeat).unwrap_err();
    assert_eq!(told, recorded.session(u64::MAX, AfterLast::Repeat).unwrap_err());
    assert!(told.contains("line") && told.contains("2000"), "{told}");
    let left: Vec<_> = fs::read_dir(recorded.shelf().parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_session_goes_on_as_it_was_whatever_becomes_of_its_files() {
    let recorded = Recorded::new(&mixed());
    let session = recorded.shelved();
    let expected = ask(&session, "GET", "/m", "");
    recorded.write(&[get("/m", "another")]);
    fs::remove_file(recorded.shelf()).unwrap();
    assert_eq!(ask(&session, "GET", "/m", ""), expected);
}

#[test]
fn what_a_killed_maker_left_is_written_over() {
    let recorded = Recorded::new(&mixed());
    let beside = recorded.shelf().with_extension("making");
    fs::create_dir_all(beside.parent().unwrap()).unwrap();
    fs::write(&beside, vec![0xaa; 1 << 20]).unwrap();
    recorded.shelved();
    assert!(!beside.exists());
    let ignored = names::folder(recorded.dir.path()).join(".gitignore");
    assert_eq!(fs::read_to_string(ignored).unwrap(), "*\n");
}

#[test]
fn a_pipe_in_a_shelfs_place_or_beside_it_is_not_waited_for() {
    let recorded = Recorded::new(&mixed());
    recorded.shelved();
    fs::remove_file(recorded.shelf()).unwrap();
    let beside = recorded.shelf().with_file_name("gone.making");
    for path in [recorded.shelf(), beside] {
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
    }
    assert!(ask(&recorded.shelved(), "GET", "/m", "").contains("other"));
}

#[test]
fn of_many_that_want_a_shelf_at_once_each_gets_it_whole() {
    let recorded = Recorded::new(&mixed());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(ask(&recorded.shelved(), "GET", "/m", "").contains("other")));
        }
    });
}

#[test]
fn a_folder_that_can_not_hold_it_is_replayed_from_memory() {
    let recorded = Recorded::new(&mixed());
    fs::write(names::folder(recorded.dir.path()), "no folder").unwrap();
    let session = recorded.session(0, AfterLast::Repeat).unwrap();
    assert!(session.shelf.is_none());
    assert!(ask(&session, "GET", "/m", "").contains("other"));
}

/// When this fails, keys or records have changed: raise `VERSION`, so that no shelf of before is
/// taken for one of now, and put in the new digest.
#[test]
fn a_shelf_of_this_version_has_these_keys_and_records() {
    let mut form = post("/f?x=%7e&a=1", "b=2&a=1", "1");
    form.request.head.fields =
        Fields::from_iter([("content-type", "application/x-www-form-urlencoded")]);
    let session =
        Recorded::new(&[get("/a/../b?k=1#f", "1"), post("/j", r#"{"b":[1.0],"a":2}"#, "2"), form])
            .shelved();
    let shelf = session.shelf.as_ref().unwrap();
    let mut bytes = Vec::new();
    let mut table = table::TableWriter::new(&mut bytes);
    shelf.index.save(&mut table).unwrap();
    table.finish();
    let records = (shelf.bounds[0], (shelf.bounds[3] - shelf.bounds[0]) as usize);
    bytes.extend_from_slice(&shelf.read(records).unwrap());
    let digest = Digest(Sha256::digest(&bytes).into()).to_string();
    assert_eq!((VERSION, &digest[..16]), (2, "1494ee1e21d4aebb"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_shelf_answers_as_memory_does(
        recorded in prop::collection::vec((0..4u8, 0..3u8, 0..2u8), 0..30),
        asked_for in prop::collection::vec((0..4u8, 0..3u8, 0..3u8), 0..40),
        strict in any::<bool>(),
    ) {
        let exchanges: Vec<_> = (0..).zip(&recorded).map(|(n, (kind, target, body))| {
            let (target, body) = (format!("/t{target}?q={body}"), format!("[{body},1]"));
            match kind {
                0 => get(&target, &format!("answer {n}")),
                1 => part(&target, &body[..2], &format!("answer {n}")),
                2 => call(&target),
                _ => post(&target, &body, &format!("answer {n}")),
            }
        }).collect();
        let recorded = Recorded::new(&exchanges);
        let after_last = if strict { AfterLast::Refuse } else { AfterLast::Repeat };
        let shelved = recorded.session(0, after_last).unwrap();
        let memory = recorded.session(u64::MAX, after_last).unwrap();
        let is_ordinary = |one: &Exchange| one.request.is_whole && matches!(one.request.body, Body::Absent | Body::Whole(_));
        prop_assert!(shelved.shelf.is_some() || !exchanges.iter().all(is_ordinary));
        for (kind, target, body) in asked_for {
            let (target, body) = (format!("/t{target}?q={body}"), format!("[{body}, 1]"));
            let (method, body) = if kind == 0 { ("GET", "") } else { ("POST", &body[..]) };
            let got = ask(&shelved, method, &target, body);
            prop_assert_eq!(got, ask(&memory, method, &target, body));
        }
        prop_assert_eq!(shelved.unused_count(), memory.unused_count());
        let sorted = |session: &Session| {
            let mut all = session.unused_requests(100);
            all.sort();
            all
        };
        prop_assert_eq!(sorted(&shelved), sorted(&memory));
    }
}
