//! Many connections at once and many in turn, each answered right.

use std::time::Duration;

use crate::support::*;

#[test]
fn a_thousand_concurrent_connections_are_each_answered_right_on_both_roads() {
    const COUNT: usize = 1000;
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/*", move |talk| {
        held.pass(); // until all of them are here
        let target = talk.request().target.clone();
        talk.reply(format!("the answer to {target}"));
    });
    let asks: Vec<_> = (0..COUNT).map(|n| Ask::get(format!("/test{n}"))).collect();
    let right = |answers: Vec<Response>| {
        for (ask, answer) in asks.iter().zip(answers) {
            assert_eq!(answer.text(), format!("the answer to {}", ask.target));
        }
    };
    let recorder = Ouli::record(&origin).option("-q").start();
    std::thread::scope(|scope| {
        let answers = scope.spawn(|| recorder.client().ask_at_once(&asks));
        wait_until("all are in flight at the same time", || match gate.reached() {
            COUNT => Ok(()),
            fewer => Err(format!("{fewer} are")),
        });
        gate.open_for_all();
        right(answers.join().unwrap());
    });
    recorder.terminate().expect_code(0);
    origin.stop();

    let replay = Ouli::replay(recorder.recordings()).options(["--strict", "-q"]).start();
    right(replay.client().ask_at_once(&asks));
    replay.terminate().expect_code(0);
}

#[test]
fn ten_thousand_connections_in_turn_leave_nothing_behind() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).option("-q").start();
    let in_turn = |count: usize| {
        for _ in 0..count {
            let mut connection = replay.client().connect();
            connection.ask(&Ask::get("/"));
            assert_eq!(connection.receive().text(), "x");
        }
    };
    in_turn(1000);
    let (before_kib, before_descriptors) =
        (replay.memory_kib("RssAnon"), replay.open_descriptors());
    in_turn(9000);
    wait_until("descriptors are given back", || {
        let open = replay.open_descriptors();
        (open <= before_descriptors).then_some(()).ok_or(format!("{open} are open"))
    });
    let grown_kib = replay.memory_kib("RssAnon").saturating_sub(before_kib);
    assert!(grown_kib < 2048, "memory grew by {grown_kib} KiB");
}

#[test]
fn concurrent_equal_requests_get_every_recorded_answer_once() {
    const COUNT: usize = 200;
    let origin = Origin::http1().route("/n", |n| n.to_string());
    let recordings = record(&origin, |client| drop(client.get_many("/n", COUNT)));
    let replay = Ouli::replay(recordings).options(["--strict", "-q"]).start();
    let asks: Vec<_> = (0..COUNT).map(|_| Ask::get("/n")).collect();
    let answers = replay.client().ask_at_once(&asks);
    let mut seen: Vec<usize> = answers.iter().map(|a| a.text().parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=COUNT).collect::<Vec<_>>());
    replay.terminate().expect_code(0);
}

#[test]
fn a_thousand_exchanges_are_replayed_soon_after_the_start() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let recordings = record(&origin, |client| {
        (0..1000).for_each(|n| drop(client.get(&format!("/{n}"))));
    });
    let begun = std::time::Instant::now();
    let replay = Ouli::replay(recordings).option("-q").start();
    assert_eq!(replay.client().get("/999").text(), "/999");
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
}
