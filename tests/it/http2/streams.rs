//! Many streams on one connection, and none that holds up another.

use crate::support::frames::{DATA, END_STREAM, Frame, Frames};
use crate::support::*;

fn fill(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// Two runtimes would hide what one does.
fn recorder(origin: &Origin) -> Ouli {
    Ouli::record(origin).config("workers = 1\n").start()
}

#[test]
fn many_streams_at_once_are_all_served_and_replayed() {
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let origin = Origin::of(protocol).on("/*", |request| request.target.clone());
        let ouli = Ouli::record(&origin).start();
        let asks: Vec<_> = (0..200).map(|n| Ask::get(format!("/{n}"))).collect();
        let recorded = ouli.client_over(Protocol::H2c).ask_at_once(&asks);
        for (n, answer) in recorded.iter().enumerate() {
            assert_eq!(answer.text(), format!("/{n}"), "{protocol}");
        }
        ouli.terminate().expect_code(0);
        origin.stop();
        let replay = Ouli::replay(ouli.recordings()).option("--strict").start();
        assert!(replay.client_over(Protocol::H2c).ask_at_once(&asks) == recorded);
        replay.terminate().expect_code(0);
    }
}

#[test]
fn a_slow_reader_does_not_hold_up_the_others() {
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let large = fill(4 << 20);
        let body = large.clone();
        let origin = Origin::of(protocol)
            .route("/large", move |_| Reply::ok(body.clone()))
            .route("/small", |n| n.to_string());
        let ouli = recorder(&origin);
        let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
        let mut slow: Vec<_> =
            (0..8).map(|_| connection.ask(&Ask::get("/large")).unwrap()).collect();
        slow.iter_mut().for_each(|stream| assert_eq!(stream.head().unwrap().0, 200));
        for n in 1..=50 {
            let answer = connection.ask(&Ask::get("/small")).unwrap().receive().unwrap();
            assert_eq!(answer.text(), n.to_string(), "{protocol}");
        }
        for stream in &mut slow {
            assert!(stream.receive().unwrap().body == large, "{protocol}");
        }
    }
}

#[test]
fn a_client_that_reads_nothing_at_all_harms_no_other_client() {
    let body = fill(4 << 20);
    let origin = Origin::h2c()
        .route("/large", move |_| Reply::ok(body.clone()))
        .route("/small", |n| n.to_string());
    let ouli = recorder(&origin);
    let peer = Peer { protocol: Protocol::H2c, ..Peer::new(ouli.address()) };
    let mut stuck = H2Options::windows(1 << 16, 1 << 16).open(&peer);
    let held: Vec<_> = (0..30).map(|_| stuck.ask(&Ask::get("/large")).unwrap()).collect();
    wait_until("the origin has them all", || origin.requests().len() >= 30);
    let mut other = ouli.client_over(Protocol::H2c);
    for n in 1..=50 {
        assert_eq!(other.get("/small").text(), n.to_string());
    }
    drop(held);
}

#[test]
fn a_small_window_gets_all_bytes_in_the_end() {
    let body = fill(300_000);
    let expected = body.clone();
    let origin = Origin::h2c().route("/", move |_| Reply::ok(body.clone()));
    let ouli = recorder(&origin);
    let peer = Peer { protocol: Protocol::H2c, ..Peer::new(ouli.address()) };
    let mut narrow = H2Options::windows(100, 1 << 16).open(&peer);
    let answer = narrow.ask(&Ask::get("/")).unwrap().receive().unwrap();
    assert!(answer.body == expected, "{answer:?}");
}

#[test]
fn the_first_byte_arrives_before_the_last_leaves_in_both_directions() {
    let origin = Origin::h2c().h2_script("/", |talk| {
        talk.begin(Reply::new(200));
        while let Some(part) = talk.read_some() {
            talk.send(part);
        }
        talk.finish();
    });
    let ouli = recorder(&origin);
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/"));
    for n in 0..20 {
        let part = format!("part {n};");
        stream.send(part.as_bytes());
        stream.expect_bytes(&part);
    }
    stream.finish();
    assert!(stream.receive().unwrap().is_whole());
}

#[test]
fn a_slow_reader_costs_little_memory() {
    let body = vec![7; 8 << 20];
    let origin =
        Origin::h2c().route("/large", move |_| Reply::ok(body.clone())).route("/small", |_| "x");
    let ouli = recorder(&origin);
    ouli.client_over(Protocol::H2c).get("/small");
    let before = ouli.memory_kib("RssAnon");
    let peer = Peer { protocol: Protocol::H2c, ..Peer::new(ouli.address()) };
    let mut stuck = H2Options::windows(1 << 16, 1 << 16).open(&peer);
    let mut held: Vec<_> = (0..12).map(|_| stuck.ask(&Ask::get("/large")).unwrap()).collect();
    held.iter_mut().for_each(|stream| assert_eq!(stream.head().unwrap().0, 200));
    // As much as all windows and buffers of twelve streams may take, and no body.
    let mut other = ouli.client_over(Protocol::H2c);
    for _ in 0..200 {
        assert_eq!(other.get("/small").text(), "x");
        let grown = ouli.memory_kib("RssAnon").saturating_sub(before);
        assert!(grown < 24 << 10, "grew by {grown} KiB");
    }
}

#[test]
fn a_client_may_open_as_many_streams_as_it_was_told() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::h2c().h2_script("/", move |talk| {
        held.pass();
        talk.reply("x");
    });
    let ouli = Ouli::record(&origin).limits("h2_max_streams = 5").start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut open = vec![connection.ask(&Ask::get("/")).unwrap()];
    wait_until("the settings came", || connection.max_streams() == 5);
    // The sixth waits at the client until one has ended.
    open.extend((0..5).map(|_| connection.ask(&Ask::get("/")).unwrap()));
    wait_until("five are at the origin", || origin.open_streams() == 5);
    gate.open_for_all();
    open.iter_mut().for_each(|stream| assert_eq!(stream.receive().unwrap().text(), "x"));
    assert_eq!(origin.requests().len(), 6);
}

/// An empty chunk is what ends a body of HTTP/1.1, so there must be one and no more.
#[test]
fn a_body_whose_end_comes_with_nothing_ends_once() {
    for origin in [Origin::http1(), Origin::h2c()] {
        let origin = origin.route("/", |n| n.to_string());
        let ouli = Ouli::record(&origin).config("workers = 1\n").start();
        let mut frames = Frames::connect(ouli.address(), &[]);
        for (stream, body) in [(1, ""), (3, "rest"), (5, "")] {
            let request = [
                Frame::request(stream, 0, "POST", "/"),
                Frame::new(DATA, 0, stream, body),
                Frame::new(DATA, END_STREAM, stream, []),
            ];
            frames.write(&request.iter().flat_map(Frame::to_bytes).collect::<Vec<u8>>());
            let answer = frames.until(DATA);
            let nth = stream.div_ceil(2).to_string();
            assert_eq!(String::from_utf8_lossy(&answer.payload), nth, "stream {stream}");
        }
        let bodies: Vec<_> = origin.requests().into_iter().map(|request| request.body).collect();
        assert_eq!(bodies, [&b""[..], b"rest", b""]);
    }
}
