//! Origin connections: kept and used again, and the one safe retry (RFC 9110 section 9.2.2).

use std::net::TcpListener;

use crate::support::*;

#[test]
fn requests_in_turn_share_one_origin_connection() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    ouli.client().get_many("/", 20);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn new_clients_use_kept_origin_connections() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    for _ in 0..40 {
        ouli.client().get("/");
    }
    let runtimes = std::thread::available_parallelism().unwrap().get();
    assert!(origin.connections() <= runtimes, "{} for {runtimes}", origin.connections());
}

#[test]
fn a_connection_that_the_origin_says_to_close_is_not_used_again() {
    let origin =
        Origin::http1().route("/", |n| Reply::ok(n.to_string()).header("Connection", "close"));
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    let answers = client.get_many("/", 3);
    assert_eq!(answers.iter().map(Response::text).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(origin.connections(), 3);
    let closes = answers.iter().any(|answer| answer.headers.has("connection"));
    assert!(!closes, "the client's connection is another one: {answers:?}");
}

/// An origin that answers the first request of its first connection, and then treats the first
/// request to `/again` as `end` says.
fn dying(end: impl Fn(&mut Talk<'_>) + Send + Sync + 'static) -> Origin {
    Origin::http1().route("/warm", |_| "warm").script("/again", move |talk| {
        if talk.nth() == 1 {
            end(talk);
            talk.close();
        } else {
            talk.read_body();
            talk.reply("again");
        }
    })
}

fn count(origin: &Origin, path: &str) -> usize {
    origin.requests().iter().filter(|request| request.path() == path).count()
}

#[test]
fn an_idempotent_request_goes_out_once_more_when_a_kept_connection_dies() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT"] {
        let origin = dying(|_| {});
        let ouli = Ouli::record(&origin).start();
        let mut client = ouli.client();
        client.get("/warm");
        let answer = client.ask(&Ask::new(method, "/again"));
        assert_eq!((answer.status, count(&origin, "/again")), (200, 2), "{method}");
        assert_eq!(origin.connections(), 2);
    }
}

#[test]
fn the_retry_is_recorded_as_one_exchange() {
    let origin = dying(|_| {});
    let recordings = record(&origin, |client| {
        client.get("/warm");
        client.get("/again");
    });
    let replay = Ouli::replay(recordings).option("--strict").start();
    replay.client().get("/warm");
    assert_eq!(replay.client().get("/again").text(), "again");
    replay.terminate().expect_code(0);
}

#[test]
fn it_goes_out_no_third_time() {
    let origin = Origin::http1().route("/warm", |_| "warm").script("/again", |talk| talk.close());
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    client.get("/again").problem(502, "origin-broke-off");
    assert_eq!(count(&origin, "/again"), 2);
}

#[test]
fn a_fresh_connection_that_dies_is_no_reason_to_try_again() {
    let origin = dying(|_| {});
    let ouli = Ouli::record(&origin).start();
    ouli.client().get("/again").problem(502, "origin-broke-off");
    assert_eq!(count(&origin, "/again"), 1);
}

#[test]
fn a_post_whose_body_was_sent_is_never_sent_again() {
    let origin = dying(|talk| drop(talk.read_body()));
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    client.post("/again", "charge the card").problem(502, "origin-broke-off");
    assert_eq!(count(&origin, "/again"), 1);
}

#[test]
fn a_post_without_body_is_never_sent_again() {
    let origin = dying(|_| {});
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    client.post("/again", "").problem(502, "origin-broke-off");
    assert_eq!(count(&origin, "/again"), 1, "its head was sent, and POST isn't idempotent");
}

#[test]
fn an_idempotent_request_whose_body_was_sent_is_not_sent_again() {
    let origin = dying(|talk| drop(talk.read_body()));
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    client.ask(&Ask::new("PUT", "/again").body("value")).problem(502, "origin-broke-off");
    assert_eq!(count(&origin, "/again"), 1);
}

#[test]
fn no_retry_after_a_byte_of_the_answer_has_come() {
    let origin = dying(|talk| {
        talk.send("H");
    });
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    client.get("/again").problem(502, "origin-broke-off");
    assert_eq!(count(&origin, "/again"), 1);
}

#[test]
fn no_retry_after_an_interim_answer_has_come() {
    let origin = dying(|talk| {
        talk.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    });
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    let answer = client.get("/again");
    answer.problem(502, "origin-broke-off");
    assert_eq!((answer.interim.len(), count(&origin, "/again")), (1, 1));
}

#[test]
fn a_post_works_after_the_origin_closed_the_kept_connection_in_between() {
    let origin = Origin::http1()
        .script("/warm", |talk| {
            talk.reply("warm");
            talk.close(); // without having said so
        })
        .route("/post", |_| "posted");
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    client.get("/warm");
    wait_until("the origin has closed it", || origin.open_connections() == 0);
    assert_eq!(client.post("/post", "body").text(), "posted");
}

#[test]
fn an_idle_origin_connection_is_closed_after_origin_idle_timeout() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::record(&origin).limits("origin_idle_timeout = \"200ms\"").start();
    let mut client = ouli.client();
    client.get("/");
    assert_eq!(origin.open_connections(), 1);
    wait_until("the idle connection is closed", || origin.open_connections() == 0);
    client.get("/");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn no_more_than_origin_idle_max_connections_are_kept() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        held.pass();
        talk.reply("x");
    });
    let ouli =
        Ouli::record(&origin).limits("origin_idle_max = 2\norigin_idle_timeout = \"60s\"").start();
    let mut open: Vec<_> = (0..10).map(|_| ouli.client().connect()).collect();
    open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));
    wait_until("all have reached the origin", || gate.reached() == 10);
    gate.open_for_all();
    open.iter_mut().for_each(|connection| drop(connection.receive()));
    wait_until("the rest are closed", || match origin.open_connections() {
        0..=2 => Ok(()),
        more => Err(format!("{more} are open")),
    });
}

/// Has so many clients ask at the same time: all have reached the origin before one is answered.
fn ask_together(open: &mut [Connection], gate: &Gate) {
    let reached = gate.reached();
    open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));
    wait_until("all have reached the origin", || gate.reached() == reached + open.len());
    open.iter().for_each(|_| gate.open());
    open.iter_mut().for_each(|connection| drop(connection.receive()));
}

fn held_by(gate: &Gate) -> Origin {
    let held = gate.clone();
    Origin::http1().script("/", move |talk| {
        held.pass();
        talk.reply("x");
    })
}

/// More than may be kept where others must be dialled.
const MANY: usize = 600;

#[test]
fn by_default_a_connection_is_kept_for_each_of_many_clients() {
    let gate = Gate::new();
    let origin = held_by(&gate);
    let ouli = Ouli::record(&origin).limits("origin_idle_timeout = \"60s\"").start();
    let mut open: Vec<_> = (0..MANY).map(|_| ouli.client().connect()).collect();
    ask_together(&mut open, &gate);
    ask_together(&mut open, &gate);
    assert_eq!(origin.connections(), MANY);
}

#[test]
fn connections_kept_to_one_origin_make_room_for_those_to_another() {
    let (gate, other_gate) = (Gate::new(), Gate::new());
    let (origin, other) = (held_by(&gate), held_by(&other_gate));
    let ouli = Ouli::command("record")
        .endpoint(&Endpoint::to(&origin).named("one"))
        .endpoint(&Endpoint::to(&other).named("other"))
        .more_limits("origin_idle_timeout = \"60s\"")
        .start();
    let clients = |n: usize| {
        let client = Client::new(ouli.listening()[n].0);
        (0..MANY).map(|_| client.connect()).collect::<Vec<_>>()
    };
    ask_together(&mut clients(0), &gate);
    assert_eq!(origin.open_connections(), MANY);
    ask_together(&mut clients(1), &other_gate);
    wait_until("those over 512 are closed", || match origin.open_connections() {
        0..=512 => Ok(()),
        more => Err(format!("{more} are open")),
    });
}

#[test]
fn an_origin_that_refuses_connections_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ouli = Ouli::command("record").origin(format!("http://127.0.0.1:{port}")).start();
    let answer = ouli.client().get("/");
    let problem = answer.problem(502, "origin-unreachable");
    assert!(problem.contains(&port.to_string()), "names the origin: {problem}");
    assert_eq!(ouli.client().post("/", "body").fault(), Some("origin-unreachable"));
    ouli.terminate().expect_code(0).expect_said(&["origin-unreachable"]);
}

#[test]
fn an_origin_without_address_is_unreachable() {
    let ouli = Ouli::command("record").origin("http://no-such-host.invalid:80").start();
    ouli.client().get("/").problem(502, "origin-unreachable");
}
