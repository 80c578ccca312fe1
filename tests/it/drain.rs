//! The orderly end: stop accepting, finish what is in flight, seal, exit.

use std::fs::File;
use std::thread;
use std::time::Duration;

use crate::support::*;

/// Answers `/head` after the gate, `/body` up to its middle before it, all else at once.
fn slow(gate: &Gate) -> Origin {
    let (before_head, in_body) = (gate.clone(), gate.clone());
    Origin::http1()
        .script("/head", move |talk| {
            before_head.pass();
            talk.reply("late");
        })
        .script("/body", move |talk| {
            talk.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nla");
            in_body.pass();
            talk.send("te");
        })
        .route("/", |n| n.to_string())
}

#[track_caller]
fn in_flight(ouli: &Ouli, gate: &Gate, paths: &[&str]) -> Vec<Connection> {
    let mut open: Vec<_> = paths.iter().map(|_| ouli.client().connect()).collect();
    open.iter_mut().zip(paths).for_each(|(connection, path)| connection.ask(&Ask::get(*path)));
    wait_until("all are in flight", || gate.reached() == paths.len());
    open
}

#[test]
fn slow_answers_in_flight_all_complete_and_are_kept() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).start();
    let paths: Vec<_> = ["/head", "/body"].into_iter().cycle().take(60).collect();
    let mut open = in_flight(&ouli, &gate, &paths);
    let address = ouli.address();
    ouli.signal(Signal::TERM);
    wait_until("the listener is closed", || Connection::try_open(address).is_err());
    assert!(!ouli.has_exited(), "answers are in flight");
    gate.open_for_all();
    for (connection, path) in open.iter_mut().zip(&paths) {
        let answer = connection.receive();
        assert_eq!((answer.text(), answer.ending), ("late", Ending::Whole), "{path}");
        if *path == "/head" {
            assert!(answer.headers.lists("connection", "close"), "{answer:?}");
        }
        connection.expect_close();
    }
    ouli.wait().expect_code(0).expect_said(&["default: 60 exchanges"]);
    origin.stop();

    let replay = Ouli::replay(ouli.recordings()).option("--strict").start();
    paths.iter().for_each(|path| assert_eq!(replay.client().get(path).text(), "late"));
    replay.terminate().expect_code(0);
}

#[test]
fn idle_connections_close_at_once() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).start();
    let mut idle: Vec<_> = (0..20).map(|_| ouli.client().connect()).collect();
    for connection in &mut idle {
        connection.ask(&Ask::get("/"));
        connection.receive();
    }
    let mut silent = ouli.client().connect(); // has never asked for anything
    let mut busy = in_flight(&ouli, &gate, &["/head"]);
    ouli.signal(Signal::TERM);
    idle.iter_mut().for_each(Connection::expect_close);
    silent.expect_close();
    assert!(!ouli.has_exited(), "one answer is in flight");
    gate.open();
    assert_eq!(busy[0].receive().text(), "late");
    ouli.wait().expect_code(0);
}

#[test]
fn an_idle_program_ends_at_once_on_either_signal() {
    let origin = Origin::http1().route("/", |_| "x");
    for signal in [Signal::TERM, Signal::INT] {
        let ouli = Ouli::record(&origin).start();
        ouli.client().get("/");
        ouli.signal(signal);
        let ended = ouli.wait();
        ended.expect_code(0);
        assert!(ended.took < Duration::from_secs(3), "{ended:?}");
        assert!(ouli.recordings().files().contains(&"default.json".to_owned()));
    }
}

#[test]
fn a_second_signal_stops_at_once_and_loses_nothing_that_was_seen() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).options(["--drain-timeout", "60s"]).start();
    let seen = ouli.client().get_many("/", 5);
    let mut busy = in_flight(&ouli, &gate, &["/head"]);
    let address = ouli.address();
    ouli.signal(Signal::TERM);
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    thread::sleep(OTHER_WISH);
    ouli.signal(Signal::TERM);
    let ended = ouli.wait();
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    assert!(busy[0].receive_for("GET").is_err(), "the answer in flight is cut");
    gate.open();
    let replay = Ouli::replay(ouli.recordings()).start();
    assert_eq!(replay.client().get_many("/", 5), seen);
}

/// After this long a second signal isn't the first one's echo.
const OTHER_WISH: Duration = Duration::from_millis(150);

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).start();
    let mut busy = in_flight(&ouli, &gate, &["/head"]);
    ouli.signal(Signal::INT);
    ouli.signal(Signal::TERM);
    thread::sleep(OTHER_WISH);
    gate.open();
    assert!(busy[0].receive().is_whole());
    ouli.wait().expect_code(0).expect_unsaid(&["at once"]);
}

#[test]
fn a_second_signal_stops_a_seal_too() {
    let origin = Origin::http1().route("/n", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    assert_eq!(ouli.client().get("/n").text(), "1");
    // Whoever seals takes turns through this file: as long as it is held, nobody can.
    let turn = ouli.recordings().join(".ouli/recovery.lock");
    let turn = File::options().create(true).truncate(false).write(true).open(turn).unwrap();
    turn.lock().unwrap();
    ouli.signal(Signal::TERM);
    thread::sleep(2 * OTHER_WISH);
    ouli.signal(Signal::TERM);
    let ended = ouli.wait();
    ended.expect_code(1).expect_said(&["at once"]);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    drop(turn);
    let replay = Ouli::replay(ouli.recordings()).start();
    assert_eq!(replay.client().get("/n").text(), "1", "recovered at the next run");
}

#[test]
fn the_deadline_cuts_what_is_left_and_the_summary_counts_it() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).options(["--drain-timeout", "300ms"]).start();
    let mut open = in_flight(&ouli, &gate, &["/head", "/body", "/body"]);
    let ended = ouli.terminate();
    ended.expect_code(0).expect_said(&["3", "cut"]);
    assert!(ended.took > Duration::from_millis(250), "{ended:?}");
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    assert!(open.iter_mut().all(|c| c.receive_for("GET").map_or(true, |a| !a.is_whole())));
    gate.open_for_all();
}

#[test]
fn drain_timeout_may_stand_in_the_file() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).limits("drain_timeout = \"200ms\"").start();
    let _open = in_flight(&ouli, &gate, &["/head"]);
    let ended = ouli.terminate();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    gate.open_for_all();
}

#[test]
fn a_pipelined_request_behind_the_last_answer_is_not_served() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).start();
    let mut open = in_flight(&ouli, &gate, &["/head"]);
    ouli.signal(Signal::TERM);
    let address = ouli.address();
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    open[0].ask(&Ask::get("/"));
    gate.open();
    assert!(open[0].receive().headers.lists("connection", "close"));
    open[0].expect_close();
    ouli.wait().expect_code(0);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_request_body_on_its_way_is_finished() {
    let gate = Gate::new();
    let seen = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.read_part(4);
        seen.pass();
        let body = talk.read_body();
        talk.reply(body);
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nhalf");
    wait_until("half is there", || gate.reached() == 1);
    gate.open();
    ouli.signal(Signal::TERM);
    let address = ouli.address();
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    connection.send("rest");
    assert_eq!(connection.receive().text(), "halfrest");
    ouli.wait().expect_code(0);
}

#[test]
fn a_replay_drains_like_a_recorder() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).start();
    let mut idle = replay.client().connect();
    idle.ask(&Ask::get("/"));
    idle.receive();
    replay.signal(Signal::TERM);
    idle.expect_close();
    replay.wait().expect_code(0);
}
