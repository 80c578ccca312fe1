//! Where replay takes its recordings from, and what it says when they are broken, disagree, are
//! missing, or belong to somebody else.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::*;

fn texts(answers: &[Response]) -> Vec<&str> {
    answers.iter().map(Response::text).collect()
}

fn counting() -> Origin {
    Origin::http1().route("/*", |n| n.to_string())
}

/// What a recorder left that was killed after this talk.
fn killed(origin: &Origin, talk: impl Fn(&mut Client)) -> Recordings {
    let ouli = Ouli::record(origin).start();
    talk(&mut ouli.client());
    ouli.kill();
    ouli.recordings()
}

/// So that nothing on the command line names the origin.
fn unnamed(mut recordings: Recordings) -> Recordings {
    recordings.origin = None;
    recordings
}

#[test]
fn replay_alone_serves_what_a_killed_recorder_left() {
    let origin = counting();
    let ouli = Ouli::record(&origin).start();
    let seen = ouli.client().get_many("/", 3);
    let address = ouli.address();
    ouli.kill();
    for _ in 0..2 {
        let replay = Ouli::replay(unnamed(ouli.recordings())).start();
        assert_eq!(replay.address(), address);
        assert_eq!(replay.client().get_many("/", 3), seen);
        let ended = replay.terminate();
        ended.expect_code(0).expect_said(&["default.recovered.json", "rename", "default.json"]);
    }
}

#[test]
fn a_recovered_cassette_that_is_renamed_is_the_sessions_own() {
    let origin = counting();
    let recordings = killed(&origin, |client| drop(client.get_many("/", 2)));
    Ouli::replay(recordings.clone()).start().terminate();
    let path = |name: &str| recordings.path.join(name);
    fs::rename(path("default.recovered.json"), path("default.json")).unwrap();
    let replay = Ouli::replay(recordings).start();
    assert_eq!(texts(&replay.client().get_many("/", 2)), ["1", "2"]);
    replay.terminate().expect_code(0).expect_unsaid(&["recovered"]);
}

#[test]
fn auto_replays_what_was_recovered_and_adds_to_it() {
    let origin = counting();
    let recordings = killed(&origin, |client| drop(client.get("/a")));
    let auto = Ouli::auto(&origin).recordings(&recordings).start();
    assert_eq!(auto.client().get("/a").text(), "1", "recovered");
    assert_eq!(auto.client().get("/b").text(), "2", "forwarded");
    auto.terminate().expect_code(0);
    let replay = Ouli::replay(recordings).option("--strict").start();
    assert_eq!(replay.client().get("/a").text(), "1");
    assert_eq!(replay.client().get("/b").text(), "2");
    replay.terminate().expect_code(0);
}

#[test]
fn a_recovered_session_is_never_recorded_over() {
    let origin = counting();
    for setup in [Ouli::record(&origin), Ouli::auto(&origin)] {
        let ouli = setup.start();
        for name in ["default.recovered", "a/b.recovered-2"] {
            let answer = ouli.client().ask(&Ask::get("/").session(name));
            let problem = answer.problem(400, "bad-session");
            assert!(problem.contains(name), "{problem}");
        }
        ouli.terminate().expect_code(0);
        assert_eq!(origin.connections(), 0);
    }
}

/// A folder that can't be written, whoever asks: permissions don't stop root, a mount does.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(recordings: &Recordings) -> Option<ReadOnly> {
        let path = recordings.path.clone();
        let shown = path.display();
        let script = format!("mount --bind {shown} {shown} && mount -o remount,ro,bind {shown}");
        let mounted = Command::new("sh").args(["-c", &script]).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(ReadOnly(path));
        }
        eprintln!("SKIPPED: this test needs `mount` and the right to use it");
        None
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_read_only_folder_with_tapes_is_replayed_in_place_with_its_cassettes() {
    let large = || "large".repeat(40_000);
    let origin = counting().route("/large", move |_| large()).route("/gzip", |_| {
        Reply::ok(coded("gzip", b"words and words")).header("content-encoding", "gzip")
    });
    let recordings = record(&origin, |client| {
        client.ask(&Ask::get("/n").session("sealed"));
    });
    let recorder = Ouli::record(&origin).recordings(&recordings).start();
    let ask_all = |client: &mut Client| -> Vec<Response> {
        ["/n", "/large", "/gzip", "/n"].map(|path| client.get(path)).into()
    };
    let seen = ask_all(&mut recorder.client());
    recorder.client().ask(&Ask::get("/n").session("sealed"));
    recorder.kill();
    let before = recordings.files();
    let Some(read_only) = ReadOnly::mount(&recordings) else { return };

    let replay = Ouli::replay(recordings.clone()).start();
    assert_eq!(ask_all(&mut replay.client()), seen);
    let sealed = replay.client().ask(&Ask::get("/n").session("sealed"));
    assert_eq!(sealed.text(), "1", "its own cassette, not the tape");
    replay.terminate().expect_code(0).expect_said(&["tape", "default", "sealed.json"]);
    assert_eq!(recordings.files(), before);

    // Nothing on the command line: the tape names the endpoint as well.
    let replay = Ouli::replay(unnamed(recordings.clone())).start();
    assert_eq!(ask_all(&mut replay.client()), seen);
    replay.terminate().expect_code(0);
    drop(read_only);
    Ouli::replay(recordings.clone()).start().terminate();
    assert_eq!(recordings.unsealed(), Vec::<String>::new(), "recovered once it can be");
}

#[test]
fn a_read_only_folder_without_tapes_is_replayed() {
    let origin = counting();
    let recordings = record(&origin, |client| drop(client.get("/")));
    let Some(_read_only) = ReadOnly::mount(&recordings) else { return };
    let replay = Ouli::replay(recordings.clone()).option("--strict").start();
    assert_eq!(replay.client().get("/").text(), "1");
    replay.terminate().expect_code(0);
}

#[test]
fn strict_tells_every_fault_of_every_cassette_and_serves_nothing() {
    let origin = counting();
    let recordings = record(&origin, |client| drop(client.get("/")));
    fs::write(recordings.path.join("one.json"), "{\n  \"format\": 1,\n  oops\n}\n").unwrap();
    fs::create_dir(recordings.path.join("two")).unwrap();
    let two = "{\n  \"format\": 1,\n  \"endpoints\": 5,\n  \"exchanges\": 6\n}\n";
    fs::write(recordings.path.join("two/faults.json"), two).unwrap();
    let ended = Ouli::replay(recordings.clone()).option("--strict").run();
    ended.expect_code(1).expect_said(&["3 faults", "one.json: line 3, column 3: expected"]);
    ended.expect_said(&["faults.json: line 3, column 16", "faults.json: line 4, column 16"]);
    ended.expect_said(&["hint:"]);
    assert_eq!(ended.stdout, "");

    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().get("/").text(), "1", "the others do no harm");
    replay.terminate().expect_code(0);
}

#[test]
fn a_broken_cassette_says_where_and_what_was_expected_on_the_wire_and_at_the_end() {
    let origin = counting();
    let recordings = record(&origin, |client| drop(client.get("/")));
    recordings.edit("default", |text| text.replacen("\"status\": 200", "\"status\": \"OK\"", 1));
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().get("/");
    answer.problem(500, "bad-cassette");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    for part in ["default.json", "line ", "column ", "expected", "\"OK\""] {
        assert!(detail.contains(part), "`{part}` isn't in {detail}");
    }
    assert!(answer.json()["hint"].as_str().unwrap().contains("ouli check"), "{answer:?}");
    let ended = replay.terminate();
    ended.expect_code(1);
    assert!(ended.stderr.matches(&detail).count() >= 2, "in the log and at the end: {ended:?}");
}

#[test]
fn strict_counts_the_unused_of_the_sessions_that_were_opened() {
    let origin = counting();
    let recordings = record(&origin, |client| {
        for session in ["one", "two"] {
            client.ask(&Ask::get("/a").session(session));
            client.ask(&Ask::get("/b").session(session));
        }
    });
    let run = |asked: &[(&str, &str)]| {
        let replay = Ouli::replay(recordings.clone()).option("--strict").start();
        for (session, path) in asked {
            replay.client().ask(&Ask::get(*path).session(session));
        }
        replay.terminate()
    };
    run(&[("one", "/a"), ("one", "/b")]).expect_code(0);
    run(&[("one", "/b")]).expect_code(3).expect_said(&["one: unused: GET /a"]);
    run(&[("one", "/a"), ("one", "/b"), ("one", "/a")]).expect_code(3);
    run(&[("none", "/a")]).expect_code(3).expect_said(&["miss"]);
}

/// Records `/` of one origin in a session of its own.
fn record_into(recordings: Option<&Recordings>, session: &str, listen: &str) -> (Recordings, Ouli) {
    let origin = counting();
    let mut setup = Ouli::record(&origin).session(session).options(["--listen", listen]);
    if let Some(recordings) = recordings {
        // Its origin is the one that was recorded first.
        setup = setup.recordings(&unnamed(recordings.clone()));
    }
    let ouli = setup.start();
    ouli.client().get("/");
    ouli.terminate().expect_code(0);
    (ouli.recordings(), ouli)
}

#[test]
fn recordings_that_name_two_origins_for_one_endpoint_need_to_be_told_which() {
    let (recordings, _) = record_into(None, "one", "127.0.0.1:0");
    record_into(Some(&recordings), "two", "127.0.0.1:0");
    let ended = Ouli::replay(unnamed(recordings.clone())).run();
    ended.expect_code(1).expect_said(&["one.json", "two.json", "stands for", "hint:", "ORIGIN"]);
    assert_eq!(ended.stdout, "");
    let replay = Ouli::replay(recordings).session("one").start();
    assert_eq!(replay.client().get("/").text(), "1", "with an ORIGIN it doesn't matter");
}

#[test]
fn one_endpoint_recorded_at_two_addresses_is_served_at_the_first_with_a_warning() {
    let origin = counting();
    let first = Ouli::record(&origin).session("a").start();
    let second = Ouli::record(&origin).recordings(&first.recordings()).session("b").start();
    for ouli in [&first, &second] {
        ouli.client().get("/");
    }
    let address = first.address();
    for ouli in [&first, &second] {
        ouli.terminate().expect_code(0);
    }
    let broken = first.recordings().path.join("broken.json");
    fs::write(broken, "{").unwrap();
    let replay = Ouli::replay(unnamed(first.recordings())).start();
    assert_eq!(replay.listening().len(), 1);
    assert_eq!(replay.address(), address);
    let ended = replay.terminate();
    ended.expect_code(0).expect_said(&["listens on", "b.json", "broken.json", "line 1"]);
}

#[test]
fn an_empty_or_missing_folder_is_an_error_with_a_hint() {
    let empty = Ouli::command("replay").options(["--recording-dir", "."]).run();
    empty.expect_code(1).expect_said(&["no endpoint", "hint:", "ouli replay ORIGIN"]);
    let missing = Ouli::command("replay").options(["--recording-dir", "nowhere"]).run();
    missing.expect_code(1).expect_said(&["nowhere", "hint:", "ouli record ORIGIN"]);
    assert_eq!(empty.stdout + &missing.stdout, "");
}

#[test]
fn a_miss_shows_the_nearest_recording_to_client_and_log_without_secrets() {
    let origin = counting();
    let recordings = record(&origin, |client| {
        client.get("/v1/pay?key=s3cr3t-one&page=1");
    });
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().get("/v1/pay?key=s3cr3t-two&page=2");
    let problem = answer.problem(501, "miss");
    let nearest = &answer.json()["nearest"];
    assert_eq!(nearest["request"], "GET /v1/pay?key=REDACTED&page=1", "{problem}");
    assert_eq!(nearest["number"], 1);
    let difference = &nearest["differences"][0];
    assert_eq!(difference["in"], "query parameter `page`", "{problem}");
    assert_eq!((&difference["asked"], &difference["recorded"]), (&"2".into(), &"1".into()));
    assert!(!problem.contains("s3cr3t"), "{problem}");
    let ended = replay.terminate();
    ended.expect_code(0).expect_unsaid(&["s3cr3t"]).expect_said(&[
        "miss: no recording in session `default` matches GET /v1/pay?key=REDACTED&page=2\n  \
         nearest recorded: GET /v1/pay?key=REDACTED&page=1 (number 1)\n  \
         query parameter `page`: asked 2, recorded 1\n",
    ]);
}

#[test]
fn a_miss_hints_at_a_session_that_has_it_or_says_that_there_is_nothing() {
    let origin = counting();
    let recordings = record(&origin, |client| {
        client.ask(&Ask::get("/a").session("one"));
    });
    let replay = Ouli::replay(recordings).start();
    let hint = |session: &str, path: &str| {
        let answer = replay.client().ask(&Ask::get(path).session(session));
        answer.problem(501, "miss");
        assert_eq!(answer.json().get("nearest").is_some(), session == "one");
        answer.json()["hint"].as_str().unwrap().to_owned()
    };
    let none = hint("none", "/a");
    assert!(none.contains("no recordings") && none.contains("--session none"), "{none}");
    let missing = hint("one", "/b");
    assert!(missing.contains("ouli auto"), "{missing}");
    let elsewhere = hint("none", "/a");
    assert!(elsewhere.contains("ouli-session: one"), "{elsewhere}");
}

#[test]
fn two_live_recorders_share_a_folder_and_not_a_session() {
    let origin = counting();
    let first = Ouli::record(&origin).start();
    assert_eq!(first.client().get("/").text(), "1");
    let second = Ouli::record(&origin).recordings(&first.recordings()).start();
    let owner = format!("process {}", first.pid());
    wait_until("the second has warned", || second.stderr().contains(&owner));
    let refused = second.client().get("/");
    let problem = refused.problem(503, "tape-unavailable");
    assert!(problem.contains(&owner) && problem.contains("--session"), "{problem}");
    let other = second.client().ask(&Ask::get("/").session("other"));
    assert_eq!(other.text(), "2", "the refused one was not forwarded");
    let taken = first.client().ask(&Ask::get("/").session("other"));
    assert!(taken.problem(503, "tape-unavailable").contains(&format!("process {}", second.pid())));
    assert_eq!(first.client().get("/").text(), "3");
    second.terminate().expect_code(0).expect_said(&["other: 1 exchange"]);
    first.terminate().expect_code(0).expect_said(&["default: 2 exchanges"]);

    let replay = Ouli::replay(first.recordings()).option("--strict").start();
    assert_eq!(texts(&replay.client().get_many("/", 2)), ["1", "3"]);
    assert_eq!(replay.client().ask(&Ask::get("/").session("other")).text(), "2");
    replay.terminate().expect_code(0);
}
