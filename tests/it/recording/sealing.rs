//! A kill between any two steps of a seal loses nothing and doubles nothing.

use crate::support::*;

/// More points than a seal has: the loops end at the first run that isn't killed.
const POINTS_MAX: usize = 60;

/// Runs `attempt` with the program killed at each point of its seal in turn. It returns whether
/// the kill happened; the first run without one ends the loop.
fn at_every_point(attempt: impl Fn(&str) -> bool) {
    for point in 0..POINTS_MAX {
        if !attempt(&point.to_string()) {
            assert!(point > 3, "a seal has more steps than {point}");
            return;
        }
    }
    panic!("still killed at point {POINTS_MAX}");
}

fn texts(answers: &[Response]) -> Vec<&str> {
    answers.iter().map(Response::text).collect()
}

/// Small answers and one large enough for a file of its own; every answer says which it is.
fn origin() -> Origin {
    Origin::http1()
        .route("/n", |n| n.to_string())
        .route("/large", |n| (0..50_000).map(|m| format!("{n} {m}\n")).collect::<String>())
}

/// Replays the session strictly: a lost exchange is a miss, a doubled one is left unused.
#[track_caller]
fn holds_exactly(recordings: &Recordings, session: &str, small: &[&str], large: bool, point: &str) {
    let replay =
        Ouli::replay(recordings.clone()).session(session).options(["--strict", "-q"]).start();
    let answers = replay.client().get_many("/n", small.len());
    assert_eq!(texts(&answers), small, "killed at point {point}");
    if large {
        assert!(replay.client().get("/large").text().ends_with(" 49999\n"), "point {point}");
    }
    assert_eq!(replay.terminate().code, Some(0), "killed at point {point}");
    assert_eq!(recordings.unsealed(), Vec::<String>::new(), "killed at point {point}");
}

#[test]
fn of_a_first_recording() {
    at_every_point(|point| {
        let origin = origin();
        let ouli = Ouli::record(&origin).env("OULI_CRASH_AT", point).start();
        ouli.client().get_many("/n", 3);
        ouli.client().get("/large");
        let ended = ouli.terminate();
        holds_exactly(&ouli.recordings(), "default", &["1", "2", "3"], true, point);
        ended.signal.is_some()
    });
}

#[test]
fn of_a_recording_that_replaces_another() {
    at_every_point(|point| {
        let origin = origin();
        let recordings = record(&origin, |client| drop(client.get_many("/n", 2)));
        let ouli =
            Ouli::record(&origin).recordings(&recordings).env("OULI_CRASH_AT", point).start();
        ouli.client().get_many("/n", 3);
        ouli.client().get("/large");
        let ended = ouli.terminate();

        // Opening the directory finishes what was begun.
        Ouli::replay(recordings.clone()).option("-q").start().terminate();
        let new = ["3", "4", "5"];
        if recordings.files().contains(&"default.recovered.json".to_owned()) {
            holds_exactly(&recordings, "default", &["1", "2"], false, point);
            holds_exactly(&recordings, "default.recovered", &new, true, point);
        } else {
            holds_exactly(&recordings, "default", &new, true, point);
        }
        ended.signal.is_some()
    });
}

#[test]
fn of_several_sessions() {
    at_every_point(|point| {
        let origin = origin();
        let ouli = Ouli::record(&origin).env("OULI_CRASH_AT", point).start();
        for session in ["one", "two/three"] {
            (0..2).for_each(|_| drop(ouli.client().ask(&Ask::get("/n").session(session))));
        }
        let ended = ouli.terminate();
        holds_exactly(&ouli.recordings(), "one", &["1", "2"], false, point);
        holds_exactly(&ouli.recordings(), "two/three", &["3", "4"], false, point);
        ended.signal.is_some()
    });
}

#[test]
fn of_what_auto_appends() {
    at_every_point(|point| {
        let origin = origin();
        let recordings = record(&origin, |client| drop(client.get_many("/n", 2)));
        let auto = Ouli::auto(&origin).recordings(&recordings).env("OULI_CRASH_AT", point).start();
        auto.client().get("/large");
        let ended = auto.terminate();

        Ouli::replay(recordings.clone()).option("-q").start().terminate();
        if recordings.files().contains(&"default.recovered.json".to_owned()) {
            holds_exactly(&recordings, "default", &["1", "2"], false, point);
            holds_exactly(&recordings, "default.recovered", &[], true, point);
        } else {
            holds_exactly(&recordings, "default", &["1", "2"], true, point);
        }
        ended.signal.is_some()
    });
}

#[test]
fn of_a_recovery() {
    at_every_point(|point| {
        let origin = origin();
        let ouli = Ouli::record(&origin).start();
        ouli.client().get_many("/n", 3);
        ouli.client().get("/large");
        ouli.kill();
        let opening = Ouli::replay(ouli.recordings()).env("OULI_CRASH_AT", point).spawn();
        let mut killed = false;
        wait_until("it is ready or killed", || {
            killed = opening.has_exited();
            killed || opening.stdout().contains("ready")
        });
        drop(opening);
        holds_exactly(&ouli.recordings(), "default", &["1", "2", "3"], true, point);
        killed
    });
}
