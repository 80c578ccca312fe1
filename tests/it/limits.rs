//! Every bound in `[limits]`, on the wire.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::*;

/// Timeouts are set to this; a test fails if it takes ten times as long.
const SHORT: Duration = Duration::from_millis(300);

/// The peer must act no sooner than after `SHORT`, and not much later.
#[track_caller]
fn assert_timely(begun: Instant) {
    let took = begun.elapsed();
    assert!(took > SHORT.mul_f32(0.9) && took < SHORT * 10, "took {took:?}");
}

fn origin() -> Origin {
    Origin::http1().route("/", |n| n.to_string())
}

#[test]
fn one_connection_more_than_the_limit_is_refused_at_once() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("max_connections = 3").start();
    let mut open: Vec<_> = (0..3).map(|_| ouli.client()).collect();
    open.iter_mut().for_each(|client| drop(client.get("/")));

    let mut refused = ouli.client().connect();
    let answer = refused.receive(); // without having asked for anything
    answer.problem(503, "overloaded");
    assert!(answer.headers.has("retry-after"), "{answer:?}");
    assert!(answer.headers.lists("connection", "close"), "{answer:?}");
    refused.expect_close();

    open.pop();
    wait_until("there is room again", || {
        ouli.client().try_ask(&Ask::get("/")).is_ok_and(|answer| answer.status == 200)
    });
    open.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    ouli.terminate().expect_code(0).expect_said(&["refused"]);
}

#[test]
fn a_refused_client_can_read_its_refusal_although_it_has_sent_a_request() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("max_connections = 1").start();
    let mut first = ouli.client();
    first.get("/");
    for _ in 0..50 {
        let ask = Ask::post("/", vec![b'x'; 2000]);
        ouli.client().ask(&ask).problem(503, "overloaded");
    }
    assert_eq!(first.get("/").status, 200);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn refusals_are_counted_and_logged_at_a_bounded_rate() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("max_connections = 1").start();
    let mut first = ouli.client();
    first.get("/");
    for _ in 0..300 {
        drop(ouli.client().try_ask(&Ask::get("/")));
    }
    drop(first);
    let ended = ouli.terminate();
    ended.expect_said(&["300"]);
    assert!(ended.stderr.lines().count() < 100, "a line for each refusal: {ended:?}");
}

#[test]
fn four_thousand_connections_are_held_open_and_each_is_served() {
    let recordings = record(&origin(), |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).option("-q").start();
    let before_kib = replay.memory_kib("RssAnon");
    let mut open: Vec<_> = (0..4096).map(|_| replay.client().connect()).collect();
    for round in 0..2 {
        open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));
        for (n, connection) in open.iter_mut().enumerate() {
            assert_eq!(connection.receive().text(), "1", "connection {n}, round {round}");
        }
    }
    let grown_kib = replay.memory_kib("RssAnon").saturating_sub(before_kib);
    // Its arenas are given back: a read buffer alone would be more than this.
    assert!(grown_kib < 4096 * 16, "{grown_kib} KiB for 4,096 idle connections");
    replay.client().connect().receive().problem(503, "overloaded");
    drop(open);
    wait_until("there is room again", || {
        replay.client().try_ask(&Ask::get("/")).is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn a_silent_client_is_closed_after_first_byte_timeout() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("first_byte_timeout = \"300ms\"").start();
    let begun = Instant::now();
    let mut connection = ouli.client().connect();
    let (_, ending) = connection.read_to_end();
    assert_ne!(ending, Ending::Silence);
    assert_timely(begun);
}

#[test]
fn a_head_that_takes_longer_than_header_timeout_is_408() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("header_timeout = \"300ms\"").start();
    let begun = Instant::now();
    let mut connection = ouli.client().connect();
    connection.send("GET / HTTP/1.1\r\nhost");
    connection.receive().problem(408, "request-timeout");
    connection.expect_close();
    assert_timely(begun);
}

#[test]
fn a_trickling_head_gets_no_more_time() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("header_timeout = \"300ms\"").start();
    let begun = Instant::now();
    let mut connection = ouli.client().connect();
    while begun.elapsed() < SHORT * 10 && !connection.has_ended() {
        connection.send("G");
        thread::sleep(Duration::from_millis(20));
    }
    assert_timely(begun);
}

#[test]
fn a_kept_connection_is_closed_after_idle_timeout() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("idle_timeout = \"300ms\"").start();
    let mut connection = ouli.client().connect();
    for _ in 0..2 {
        connection.ask(&Ask::get("/"));
        connection.receive();
    }
    let begun = Instant::now();
    connection.expect_close();
    assert_timely(begun);
}

#[test]
fn a_line_end_too_many_after_a_body_begins_no_request() {
    let origin = Origin::http1().on("/", |request| request.body.clone());
    let ouli = Ouli::record(&origin).limits("header_timeout = \"200ms\"").start();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok\r\n");
    assert_eq!(connection.receive().text(), "ok");
    std::thread::sleep(Duration::from_millis(500));
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!((connection.receive().status, origin.requests().len()), (200, 2), "RFC 9112 2.2");
}

#[test]
fn header_and_idle_timeouts_do_not_end_an_answer_that_takes_longer() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na");
        held.pass();
        talk.send("b");
    });
    let limits = "first_byte_timeout = \"300ms\"\nheader_timeout = \"300ms\"\n\
                  idle_timeout = \"300ms\"\nstall_timeout = \"300ms\"\n\
                  origin_header_timeout = \"300ms\"\norigin_idle_timeout = \"300ms\"";
    let ouli = Ouli::record(&origin).limits(limits).start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    connection.receive_head();
    connection.expect_bytes("a");
    thread::sleep(SHORT * 2); // Silence inside an answer is never a timeout.
    gate.open();
    connection.expect_bytes("b");
}

#[test]
fn a_client_that_owes_its_body_is_408_after_stall_timeout() {
    let origin = Origin::http1().script("/", |talk| {
        talk.read_body();
        talk.close();
    });
    let ouli = Ouli::record(&origin).limits("stall_timeout = \"300ms\"").start();
    let mut connection = ouli.client().connect();
    let begun = Instant::now();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf");
    connection.receive().problem(408, "request-timeout");
    connection.expect_close();
    assert_timely(begun);
    wait_until("the origin's connection is closed", || origin.open_connections() == 0);
}

#[test]
fn a_slow_body_that_keeps_coming_is_no_stall() {
    let origin = Origin::http1().on("/", |request| request.body.clone());
    let ouli = Ouli::record(&origin)
        .limits("stall_timeout = \"300ms\"\norigin_header_timeout = \"300ms\"")
        .start();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n");
    for _ in 0..8 {
        connection.send("x");
        thread::sleep(SHORT / 4);
    }
    assert_eq!(connection.receive().text(), "xxxxxxxx");
}

/// An origin that sends zeros until its client has gone, and tells whether it has.
fn endless(gone: &Gate) -> Origin {
    let gone = gone.clone();
    Origin::http1().script("/", move |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n");
        let zeros = vec![0; 1 << 20];
        while talk.send(&zeros) {}
        gone.open_for_all();
        gone.pass();
        talk.close();
    })
}

#[test]
fn a_client_that_takes_no_bytes_is_cut_after_stall_timeout() {
    let gone = Gate::new();
    let origin = endless(&gone);
    let ouli = Ouli::record(&origin).limits("stall_timeout = \"300ms\"").start();
    let mut connection = ouli.client().connect();
    connection.shrink_receive_buffer();
    connection.ask(&Ask::get("/"));
    wait_until("the origin sees its client leave", || gone.reached() == 1);
    let (_, ending) = connection.read_to_end();
    assert_ne!(ending, Ending::Silence);
}

/// An address that never answers: its queue of waiting connections is full.
struct Unanswering {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

fn unanswering() -> Unanswering {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(100);
    let connect = || TcpStream::connect_timeout(&address, patience).ok();
    let waiting = std::iter::from_fn(connect).take(10).collect();
    Unanswering { address, _listener: listener, _waiting: waiting }
}

#[test]
fn an_origin_that_does_not_accept_is_a_timeout() {
    let silent = unanswering();
    let ouli = Ouli::command("record")
        .origin(format!("http://{}", silent.address))
        .limits("origin_connect_timeout = \"300ms\"")
        .start();
    let begun = Instant::now();
    ouli.client().get("/").problem(504, "origin-timeout");
    assert_timely(begun);
}

#[test]
fn an_origin_that_does_not_answer_is_a_timeout() {
    let origin = Origin::http1().script("/", |talk| {
        talk.client_leaves_within(Duration::from_secs(10));
        talk.close();
    });
    let ouli = Ouli::record(&origin).limits("origin_header_timeout = \"300ms\"").start();
    let begun = Instant::now();
    ouli.client().get("/").problem(504, "origin-timeout");
    assert_timely(begun);
    wait_until("the origin's connection is closed", || origin.open_connections() == 0);
    ouli.terminate().expect_code(0).expect_said(&["origin-timeout"]);
}

/// An origin that holds every request to `/` until the gate opens.
fn held(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::http1().script("/*", move |talk| {
        gate.pass();
        let target = talk.request().target.clone();
        talk.reply(target);
    })
}

#[test]
fn a_request_beyond_max_in_flight_waits_its_turn() {
    let gate = Gate::new();
    let origin = held(&gate);
    let ouli = Ouli::record(&origin).limits("max_in_flight = 2").start();
    let mut open: Vec<_> = (0..5).map(|_| ouli.client().connect()).collect();
    open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));
    wait_until("two are served", || gate.reached() == 2);
    thread::sleep(SHORT / 3); // Nothing is to happen in this time.
    assert_eq!(gate.reached(), 2, "no third while two are in flight");
    gate.open_for_all();
    open.iter_mut().for_each(|connection| assert_eq!(connection.receive().status, 200));
}

#[test]
fn a_request_that_waits_longer_than_queue_timeout_is_overloaded() {
    let gate = Gate::new();
    let origin = held(&gate);
    let ouli = Ouli::record(&origin).limits("max_in_flight = 1\nqueue_timeout = \"300ms\"").start();
    let mut first = ouli.client().connect();
    first.ask(&Ask::get("/"));
    wait_until("the first is served", || gate.reached() == 1);
    let begun = Instant::now();
    let mut second = ouli.client();
    let answer = second.ask(&Ask::get("/second"));
    answer.problem(503, "overloaded");
    assert!(answer.headers.has("retry-after"), "{answer:?}");
    assert_timely(begun);
    gate.open_for_all();
    assert_eq!(first.receive().status, 200);
    assert_eq!(second.get("/third").text(), "/third", "the place is free again");
}

#[test]
fn waiting_requests_are_served_first_come_first_served() {
    let gate = Gate::new();
    let origin = held(&gate);
    let ouli = Ouli::record(&origin).limits("max_in_flight = 1").start();
    let mut open = Vec::new();
    for n in 0..8 {
        let mut connection = ouli.client().connect();
        connection.ask(&Ask::get(format!("/{n}")));
        open.push(connection);
        // Arrival is the subject, and only time tells one from the next.
        thread::sleep(Duration::from_millis(40));
    }
    for _ in 0..8 {
        gate.open();
    }
    open.iter_mut().for_each(|connection| drop(connection.receive()));
    let order: Vec<_> = origin.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(order, (0..8).map(|n| format!("/{n}")).collect::<Vec<_>>());
}

#[test]
fn a_waiting_client_that_leaves_gives_up_its_turn() {
    let gate = Gate::new();
    let origin = held(&gate);
    let ouli = Ouli::record(&origin).limits("max_in_flight = 1").start();
    let mut first = ouli.client().connect();
    first.ask(&Ask::get("/first"));
    wait_until("the first is served", || gate.reached() == 1);
    for _ in 0..10 {
        let mut leaver = ouli.client().connect();
        leaver.ask(&Ask::get("/leaver"));
        thread::sleep(Duration::from_millis(20)); // It is in the queue by then.
    }
    let mut last = ouli.client().connect();
    last.ask(&Ask::get("/last"));
    gate.open_for_all();
    assert_eq!(first.receive().status, 200);
    assert_eq!(last.receive().text(), "/last");
    assert!(origin.requests().iter().all(|request| request.target != "/leaver"));
}

#[test]
fn memory_does_not_grow_with_an_answer_that_a_slow_reader_leaves_waiting() {
    const BODY: usize = 48 << 20;
    let origin = Origin::http1().route("/", |_| vec![b'x'; BODY]).route("/warm", |_| "x");
    let recorder = Ouli::record(&origin).option("-q").start();
    slow_read(&recorder, BODY);
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("-q").start();
    slow_read(&replay, BODY);
}

/// Asks for a large body, lets it wait, then takes all of it.
fn slow_read(ouli: &Ouli, len: usize) {
    ouli.client().get("/warm");
    let before_kib = ouli.memory_kib("RssAnon");
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    connection.receive_head();
    thread::sleep(SHORT); // The time in which a buffer would grow.
    let mut grown_kib = ouli.memory_kib("RssAnon").saturating_sub(before_kib);
    let mut read = 0;
    while read < len {
        read += connection.read_some().unwrap().len();
        if read % 64 == 0 {
            grown_kib = grown_kib.max(ouli.memory_kib("RssAnon").saturating_sub(before_kib));
        }
    }
    assert!(grown_kib < 4096, "anonymous memory grew by {grown_kib} KiB");
}

#[test]
fn memory_does_not_grow_with_a_request_that_a_slow_origin_leaves_waiting() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().route("/warm", |_| "x").script("/", move |talk| {
        held.pass();
        let len = talk.read_body().len();
        talk.reply(len.to_string());
    });
    let ouli = Ouli::record(&origin).option("-q").start();
    ouli.client().get("/warm");
    let before_kib = ouli.memory_kib("RssAnon");
    let mut connection = ouli.client().connect();
    let body = vec![b'x'; 48 << 20];
    connection
        .send(format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()));
    let sent = connection.send_until_stuck(&body, SHORT);
    assert!(sent < body.len() / 2, "{sent} bytes went although the origin reads none");
    let grown_kib = ouli.memory_kib("RssAnon").saturating_sub(before_kib);
    assert!(grown_kib < 4096, "anonymous memory grew by {grown_kib} KiB");
    gate.open();
    connection.send(&body[sent..]);
    assert_eq!(connection.receive().text(), body.len().to_string());
}

#[test]
fn running_out_of_descriptors_does_not_spin() {
    let origin = origin();
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).start();
    replay.client().get("/");
    // Takes the descriptors away from under the running program.
    let pid = Pid::from_raw(replay.pid());
    let usual = rustix::process::getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(replay.open_descriptors() as u64 + 3), ..usual };
    prlimit(pid, Resource::Nofile, few).unwrap();
    let mut open: Vec<_> = (0..20).map(|_| replay.client().connect()).collect();
    open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));

    let before = replay.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let used = replay.cpu_time() - before;
    assert!(used < Duration::from_millis(200), "{used:?} of CPU in a second without descriptors");

    prlimit(pid, Resource::Nofile, usual).unwrap();
    open.iter_mut().for_each(|connection| assert_eq!(connection.receive().text(), "1"));
    let ended = replay.terminate();
    assert!(ended.stderr.lines().count() < 50, "logged at a bounded rate: {ended:?}");
}

#[test]
fn the_soft_descriptor_limit_is_raised_to_what_the_limit_needs() {
    let recordings = record(&origin(), |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).after("ulimit -S -n 64").option("-q").start();
    let mut open: Vec<_> = (0..200).map(|_| replay.client().connect()).collect();
    open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));
    open.iter_mut().for_each(|connection| assert_eq!(connection.receive().text(), "1"));
}

#[test]
fn a_hard_descriptor_limit_below_a_configured_limit_is_an_error_that_says_the_number() {
    let origin = origin();
    let limited = Ouli::record(&origin).limits("max_connections = 4000").after("ulimit -n 300");
    let ended = limited.run();
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    ended.expect_said(&["300", "4000"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_hard_descriptor_limit_below_the_default_lowers_the_limit_and_warns() {
    let origin = origin();
    let ouli = Ouli::record(&origin).after("ulimit -n 1200").start();
    assert_eq!(ouli.client().get("/").text(), "1");
    ouli.terminate().expect_code(0).expect_said(&["lowered the connection limit"]);

    // A replay keeps no origin connections, so it does with less.
    let replay = Ouli::replay(ouli.recordings()).after("ulimit -n 256").start();
    assert_eq!(replay.client().get("/").text(), "1");
    replay.terminate().expect_code(0).expect_said(&["lowered the connection limit"]);
}

#[test]
fn heads_are_bounded_as_configured() {
    let origin = origin();
    let ouli = Ouli::record(&origin).limits("max_header_bytes = \"1KiB\"\nmax_headers = 5").start();
    let fits = Ask::get("/").header("a", &"x".repeat(700));
    assert_eq!(ouli.client().ask(&fits).status, 200);
    let large = Ask::get("/").header("a", &"x".repeat(1100));
    ouli.client().ask(&large).problem(431, "head-too-large");
    let many = (0..6).fold(Ask::get("/"), |ask, _| ask.header("a", "b"));
    ouli.client().ask(&many).problem(431, "head-too-large");
}
