//! Two recorders may share a directory, but not a session.

use crate::support::*;

#[test]
fn two_recorders_of_different_sessions_share_a_directory() {
    let origin = Origin::http1().route("/*", |n| n.to_string());
    let one = Ouli::record(&origin).session("one").start();
    let two = Ouli::record(&origin).recordings(&one.recordings()).session("two").start();
    one.client().get("/");
    two.client().get("/");
    one.terminate().expect_code(0);
    two.client().get("/");
    two.terminate().expect_code(0);
    let replay = Ouli::replay(one.recordings()).option("--strict").start();
    let ask =
        |session: &str| replay.client().ask(&Ask::get("/").session(session)).text().to_owned();
    assert_eq!([ask("one"), ask("two"), ask("two")], ["1", "2", "3"]);
    replay.terminate().expect_code(0);
}

#[test]
fn the_second_recorder_of_a_session_is_told_whose_it_is() {
    let origin = Origin::http1().route("/*", |n| n.to_string());
    let first = Ouli::record(&origin).start();
    assert_eq!(first.client().get("/").text(), "1");
    let second = Ouli::record(&origin).recordings(&first.recordings()).spawn();
    let owner = first.pid().to_string();
    // At start, or at the first request of the session.
    wait_until("it serves or has ended", || {
        second.has_exited() || second.stdout().contains("ready")
    });
    if second.has_exited() {
        second.wait().expect_code(1).expect_said(&[&owner]);
    } else {
        let answer = second.client().get("/");
        let problem = answer.problem(503, "tape-unavailable");
        assert!(problem.contains(&owner), "names process {owner}: {problem}");
        second.terminate();
    }
    assert_eq!(first.client().get("/").text(), "2", "forwarded by the first alone");
    first.terminate().expect_code(0).expect_said(&["default: 2 exchanges"]);
}

#[test]
fn a_session_is_free_again_once_its_recorder_was_killed() {
    let origin = Origin::http1().route("/*", |n| n.to_string());
    let first = Ouli::record(&origin).start();
    first.client().get("/");
    first.kill();
    let second = Ouli::record(&origin).recordings(&first.recordings()).start();
    assert_eq!(second.client().get("/").text(), "2");
    second.terminate().expect_code(0);
    let recordings = first.recordings();
    assert!(recordings.files().contains(&"default.recovered.json".to_owned()));
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().get("/").text(), "2");
}

#[test]
fn a_live_tape_is_left_alone_by_a_replay_that_starts_beside_it() {
    let origin = Origin::http1().route("/*", |n| n.to_string());
    let recorder = Ouli::record(&origin).start();
    recorder.client().get("/");
    let replay = Ouli::replay(recorder.recordings()).start();
    replay.client().get("/").problem(501, "miss");
    replay.terminate();
    recorder.client().get("/");
    recorder.terminate().expect_code(0).expect_said(&["default: 2 exchanges"]);
    assert!(!recorder.recordings().files().contains(&"default.recovered.json".to_owned()));
}
