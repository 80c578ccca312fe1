//! What a recording directory holds after seals, kills and recoveries.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::recovery::recover_on;
use super::*;
use crate::cassette::{self, Bodies, Cassette, EndpointNote};
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::record::{Keep, Recorder, Recording};
use crate::tape::faulty::{Fault as DiskFault, FaultyDisk};
use crate::tape::{Disk, RealDisk, names};

const KEEP: Keep = Keep { max_kept_body: 100_000, file_threshold: 9000 };

fn endpoint() -> EndpointNote {
    EndpointNote {
        name: "api".to_owned(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Http, host: "localhost".to_owned(), port: 9000 },
    }
}

fn open(disk: impl Disk + 'static, dir: &Path) -> Arc<Run> {
    Run::open_on(Arc::new(disk), dir, vec![endpoint()], |_| {}).unwrap()
}

fn begin(recorder: &Recorder, session: &str, target: &str) -> Recording {
    let head = RequestHead {
        method: "GET".into(),
        target: target.into(),
        fields: Fields::from_iter([("Host", "localhost:9000")]),
        ..Default::default()
    };
    let mut one =
        recorder.begin(recorder.run().next_seq(), session, "api", 1_000, &head, Vec::new());
    one.request_end(&Fields::new()).unwrap();
    one.response_head(Duration::from_millis(1), &ResponseHead::default());
    one
}

fn record(recorder: &Recorder, session: &str, target: &str, body: &[u8]) {
    let mut one = begin(recorder, session, target);
    for bytes in body.chunks(4000) {
        one.response_data(Duration::from_millis(2), bytes).unwrap();
    }
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
}

/// Records these targets, each in the session that stands before it, and closes the recorder.
fn record_all(run: &Arc<Run>, exchanges: &[(&str, &str)]) {
    let recorder = Recorder::open(Arc::clone(run), 0, KEEP).unwrap();
    for (session, target) in exchanges {
        record(&recorder, session, target, target.as_bytes());
    }
}

/// A killed run: its recordings are there, its lock is not.
fn kill(dir: &Path, exchanges: &[(&str, &str)]) {
    let run = open(RealDisk, dir);
    record_all(&run, exchanges);
}

fn read(dir: &Path, cassette: &Path) -> Result<Cassette, cassette::ReadError> {
    cassette::read(cassette, &Bodies::new(dir), &Catalog::new())
}

/// The targets in a cassette; none when it isn't there.
fn targets(dir: &Path, cassette: &str) -> Vec<String> {
    let path = dir.join(cassette);
    if !path.exists() {
        return Vec::new();
    }
    let read = read(dir, &path).unwrap_or_else(|error| panic!("{cassette}: {error}"));
    read.exchanges.into_iter().map(|one| one.request.head.target).collect()
}

/// What is in `.ouli` but for what stays there.
fn leftovers(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(names::folder(dir)) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| names::parse(name).is_some()).collect()
}

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * at / 7) as u8).collect()
}

#[test]
fn each_session_gets_its_cassette_and_the_tapes_go() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("checkout/pay", "/1"), ("default", "/2"), ("checkout/pay", "/3")]);
    let sealed = seal(run, Existing::Replace).unwrap();
    let told: Vec<_> =
        sealed.sessions.iter().map(|one| (one.session.as_str(), one.kept, one.before)).collect();
    assert_eq!(told, [("checkout/pay", 2, None), ("default", 1, None)]);
    assert_eq!(targets(dir.path(), "checkout/pay.json"), ["/1", "/3"]);
    assert_eq!(targets(dir.path(), "default.json"), ["/2"]);
    assert_eq!(leftovers(dir.path()), [""; 0]);
    let cassette = read(dir.path(), &dir.path().join("default.json")).unwrap();
    assert_eq!(cassette.endpoints, [endpoint()]);
}

#[test]
fn recording_again_replaces_the_sessions_that_kept_something_alone() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("a", "/old"), ("a", "/old2"), ("b", "/old")]);
    seal(run, Existing::Replace).unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("a", "/new")]);
    let recorder = Recorder::open(Arc::clone(&run), 1, KEEP).unwrap();
    begin(&recorder, "b", "/abandoned").abandon();
    drop(recorder);
    let sealed = seal(run, Existing::Replace).unwrap();
    assert_eq!(sealed.sessions.len(), 1);
    assert_eq!((sealed.sessions[0].kept, sealed.sessions[0].before), (1, Some(2)));
    assert_eq!(targets(dir.path(), "a.json"), ["/new"]);
    assert_eq!(targets(dir.path(), "b.json"), ["/old"]);
}

#[test]
fn an_appending_run_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    for target in ["/1", "/2"] {
        let run = open(RealDisk, dir.path());
        record_all(&run, &[("a", target)]);
        seal(run, Existing::Append).unwrap();
    }
    assert_eq!(targets(dir.path(), "a.json"), ["/1", "/2"]);
}

#[test]
fn an_appending_run_leaves_a_cassette_that_it_can_t_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "{ mine").unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("a", "/1")]);
    let sealed = seal(run, Existing::Append).unwrap();
    assert!(sealed.sessions[0].set_aside);
    assert_eq!(std::fs::read_to_string(dir.path().join("a.json")).unwrap(), "{ mine");
    assert_eq!(targets(dir.path(), "a.recovered.json"), ["/1"]);
}

#[test]
fn large_bodies_become_files_named_by_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(RealDisk, dir.path());
    let recorder = Recorder::open(Arc::clone(&run), 0, KEEP).unwrap();
    record(&recorder, "a", "/large", &noise(50_000));
    drop(recorder);
    seal(run, Existing::Replace).unwrap();
    let cassette = read(dir.path(), &dir.path().join("a.json")).unwrap();
    let Body::File { digest, len } = cassette.exchanges[0].response.body else { panic!("file") };
    let kept = std::fs::read(dir.path().join("bodies").join(digest.to_string())).unwrap();
    assert_eq!((len, kept), (50_000, noise(50_000)));
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[test]
fn what_a_killed_run_left_never_replaces_a_cassette() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("a", "/sealed")]);
    seal(run, Existing::Replace).unwrap();
    for target in ["/1", "/2", "/3"] {
        kill(dir.path(), &[("a", target), ("new/b", target)]);
        let recovery = recover(dir.path()).unwrap();
        assert_eq!(recovery.recovered.len(), 1);
        assert!(recovery.faults.is_empty());
    }
    assert_eq!(targets(dir.path(), "a.json"), ["/sealed"]);
    assert_eq!(targets(dir.path(), "a.recovered.json"), ["/1"]);
    assert_eq!(targets(dir.path(), "a.recovered-2.json"), ["/2"]);
    assert_eq!(targets(dir.path(), "new/b.recovered-3.json"), ["/3"]);
    let newest = dir.path().join("a.recovered-3.json");
    assert_eq!(newest_recovered(dir.path(), "a"), Some(newest));
    assert_eq!(newest_recovered(dir.path(), "b"), None);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[test]
fn the_newest_recovered_has_the_highest_number_whatever_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let recover_one = |target| {
        kill(dir.path(), &[("f/a", target)]);
        recover(dir.path()).unwrap();
    };
    recover_one("/1");
    recover_one("/2");
    std::fs::remove_file(dir.path().join("f/a.recovered.json")).unwrap();
    recover_one("/3");
    let newest = newest_recovered(dir.path(), "f/a").unwrap();
    assert_eq!(newest, dir.path().join("f/a.recovered-3.json"));
    assert_eq!(targets(dir.path(), "f/a.recovered-3.json"), ["/3"]);
    assert_eq!(newest_recovered(dir.path(), "a"), None);
}

#[test]
fn what_auto_adds_to_a_session_that_was_only_recovered_stands_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    kill(dir.path(), &[("a", "/1")]);
    recover(dir.path()).unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("a", "/2")]);
    let sealed = seal(run, Existing::Append).unwrap();
    assert_eq!((sealed.sessions[0].kept, sealed.sessions[0].before), (1, Some(1)));
    assert_eq!(targets(dir.path(), "a.json"), ["/1", "/2"]);
    assert_eq!(targets(dir.path(), "a.recovered.json"), ["/1"]);
}

#[test]
fn an_exchange_cut_by_a_kill_says_so_in_its_cassette() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(RealDisk, dir.path());
    let recorder = Recorder::open(Arc::clone(&run), 0, KEEP).unwrap();
    let mut small = begin(&recorder, "a", "/small");
    small.response_data(Duration::from_millis(2), b"seen").unwrap();
    small.flush().unwrap();
    let mut large = begin(&recorder, "a", "/large");
    for bytes in noise(30_000).chunks(1000) {
        large.response_data(Duration::from_millis(2), bytes).unwrap();
        large.flush().unwrap();
    }
    drop((small, large, recorder, run));
    recover(dir.path()).unwrap();
    let cassette = read(dir.path(), &dir.path().join("a.recovered.json")).unwrap();
    let ends: Vec<_> = cassette.exchanges.iter().map(|one| one.response.end).collect();
    assert_eq!(ends, [End::RecorderKilled; 2]);
    let Body::File { digest, len } = cassette.exchanges[1].response.body else { panic!("file") };
    assert_eq!(len, 30_000);
    assert!(dir.path().join("bodies").join(digest.to_string()).exists());
}

#[test]
fn a_live_run_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(RealDisk, dir.path());
    record_all(&run, &[("a", "/1")]);
    assert!(recover(dir.path()).unwrap().recovered.is_empty());
    seal(run, Existing::Replace).unwrap();
    assert_eq!(targets(dir.path(), "a.json"), ["/1"]);
}

#[test]
fn a_directory_without_recordings_needs_no_recovery() {
    let dir = tempfile::tempdir().unwrap();
    let recovery = recover(&dir.path().join("none")).unwrap();
    assert!(recovery.recovered.is_empty() && recovery.faults.is_empty());
    assert!(!dir.path().join("none").exists());
}

#[test]
fn a_run_that_kept_nothing_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    kill(dir.path(), &[]);
    assert!(recover(dir.path()).unwrap().recovered.is_empty());
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

#[test]
fn recoveries_at_once_recover_once() {
    let dir = tempfile::tempdir().unwrap();
    kill(dir.path(), &[("a", "/1")]);
    let recovered: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| recover(dir.path()).unwrap().recovered.len())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(recovered, 1);
    assert_eq!(targets(dir.path(), "a.recovered.json"), ["/1"]);
    assert!(!dir.path().join("a.recovered-2.json").exists());
}

/// Two old cassettes, one of which the run of the crash tests replaces.
fn prepare_old(dir: &Path) {
    let run = open(FaultyDisk::patient(DiskFault::Fails), dir);
    record_all(&run, &[("a", "/old"), ("b", "/old")]);
    seal(run, Existing::Replace).unwrap();
}

/// The run of the crash tests: it has a large body, and one that was cut in its file.
fn prepare_new(dir: &Path, disk: impl Disk + 'static) -> Arc<Run> {
    let run = open(disk, dir);
    let recorder = Recorder::open(Arc::clone(&run), 0, KEEP).unwrap();
    record(&recorder, "a", "/new", b"new");
    record(&recorder, "c/d", "/large", &noise(20_000));
    let mut cut = begin(&recorder, "a", "/cut");
    for bytes in noise(12_000).chunks(3000) {
        cut.response_data(Duration::from_millis(2), bytes).unwrap();
        cut.flush().unwrap();
    }
    drop((cut, recorder));
    run
}

fn prepare(dir: &Path, disk: &FaultyDisk) -> Arc<Run> {
    prepare_old(dir);
    prepare_new(dir, disk.clone())
}

const FAULTS: [DiskFault; 5] = [
    DiskFault::CrashBefore,
    DiskFault::CrashAfter,
    DiskFault::Torn(100),
    DiskFault::Fails,
    DiskFault::Full(100),
];

/// Whether the run's exchanges are there exactly once, either sealed or recovered, and with all
/// their bodies.
fn check(dir: &Path, what: &str) {
    let found = |cassette| targets(dir, cassette);
    let sealed = [found("a.json"), found("c/d.json")];
    let recovered = [found("a.recovered.json"), found("c/d.recovered.json")];
    let new = [vec!["/new".to_owned(), "/cut".to_owned()], vec!["/large".to_owned()]];
    let old = [vec!["/old".to_owned()], Vec::new()];
    let none: [Vec<String>; 2] = Default::default();
    let is_sealed = sealed == new && recovered == none;
    let is_recovered = sealed == old && recovered == new;
    assert!(is_sealed || is_recovered, "{what}: sealed {sealed:?}, recovered {recovered:?}");
    assert_eq!(found("b.json"), ["/old"], "{what}");
    assert_eq!(leftovers(dir), [""; 0], "{what}");
    assert!(!dir.join("a.recovered-2.json").exists(), "{what}");
    let cassettes = ["a.json", "c/d.json", "a.recovered.json", "c/d.recovered.json"];
    for path in cassettes.map(|name| dir.join(name)).iter().filter(|path| path.exists()) {
        check_bodies(dir, path, what);
    }
}

fn check_bodies(dir: &Path, cassette: &Path, what: &str) {
    for one in read(dir, cassette).unwrap().exchanges {
        if let Body::File { digest, len } = one.response.body {
            let kept = std::fs::read(dir.join("bodies").join(digest.to_string()));
            let kept = kept.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(kept.len() as u64, len, "{what}");
        }
    }
}

#[test]
fn a_seal_that_dies_at_any_operation_loses_and_doubles_nothing() {
    for fault in FAULTS {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::patient(fault);
            let run = prepare(dir.path(), &disk);
            disk.strike_in(at);
            let sealed = seal(run, Existing::Replace);
            let what = format!("{fault:?} at {at}, {:?}\n{}", sealed.err(), disk.log());
            recover_on(&FaultyDisk::patient(fault), dir.path()).unwrap();
            check(dir.path(), &what);
            if !disk.has_struck() {
                assert!(at > 15, "a seal has many operations");
                break;
            }
        }
    }
}

#[test]
fn a_recovery_that_dies_at_any_operation_loses_and_doubles_nothing() {
    for fault in FAULTS {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            drop(prepare(dir.path(), &FaultyDisk::patient(fault)));
            let disk = FaultyDisk::new(at, fault);
            let recovery = recover_on(&disk, dir.path());
            let what = format!("{fault:?} at {at}, {recovery:?}\n{}", disk.log());
            let again = recover_on(&FaultyDisk::patient(fault), dir.path()).unwrap();
            assert!(again.faults.is_empty(), "{what}\n{again:?}");
            check(dir.path(), &what);
            if !disk.has_struck() {
                break;
            }
        }
    }
}

const CHILD_DIR: &str = "OULI_TEST_SEAL_DIR";

#[test]
#[ignore = "the part of the next test that is killed"]
fn child_that_records_and_seals() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let dir = PathBuf::from(dir);
    recover(&dir).unwrap();
    let run = prepare_new(&dir, RealDisk);
    seal(run, Existing::Replace).unwrap();
}

/// Runs the child until it ends or is killed at the point; says whether it ended.
fn run_child(dir: &Path, crash_at: &str) -> bool {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seal::tests::child_that_records_and_seals", "--ignored"])
        .env(CHILD_DIR, dir)
        .env("OULI_CRASH_AT", crash_at)
        .output()
        .unwrap();
    let killed = std::os::unix::process::ExitStatusExt::signal(&child.status) == Some(9);
    assert!(killed || child.status.success(), "{child:?}");
    !killed
}

#[test]
fn a_process_that_is_killed_between_any_two_steps_of_a_seal_loses_and_doubles_nothing() {
    for at in 0.. {
        let dir = tempfile::tempdir().unwrap();
        prepare_old(dir.path());
        let ended = run_child(dir.path(), &at.to_string());
        recover(dir.path()).unwrap();
        check(dir.path(), &format!("killed at point {at}"));
        if ended {
            assert!(at > 8, "a seal has many steps");
            break;
        }
    }
}

#[test]
fn a_seal_can_be_killed_at_a_step_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    prepare_old(dir.path());
    assert!(!run_child(dir.path(), "committed"));
    assert_eq!(targets(dir.path(), "a.json"), ["/old"]);
    recover(dir.path()).unwrap();
    assert_eq!(targets(dir.path(), "a.json"), ["/new", "/cut"]);
}
