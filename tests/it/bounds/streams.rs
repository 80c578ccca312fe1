//! Many at once, and streams of many pieces.

use super::*;

const MANY: usize = 50;
const EACH: usize = 4 << 20;

/// What one exchange with a slow peer may hold: the buffers of its two sides.
const EACH_KIB: u64 = 192;

/// Many clients ask for a large answer and leave it; then all of them take it.
#[track_caller]
fn many_slow_readers(ouli: &Ouli) -> u64 {
    ouli.client().get("/");
    let ((), grown) = growth_kib(ouli, || {
        let mut open: Vec<_> = (0..MANY).map(|_| ouli.client().connect()).collect();
        open.iter_mut().for_each(|connection| connection.ask(&Ask::get("/")));
        open.iter_mut().for_each(|connection| drop(connection.receive_head()));
        thread::sleep(Duration::from_millis(500)); // The time in which buffers would grow.
        open.iter_mut().for_each(|one| assert_eq!(one.read_exactly(EACH).len(), EACH));
    });
    grown
}

#[test]
fn many_slow_readers_cost_a_buffer_each() {
    let body = large()[..EACH].to_vec();
    let origin = Origin::http1().route("/", move |_| body.clone());
    let recorder = Ouli::record(&origin).option("-q").start();
    let grown = many_slow_readers(&recorder);
    assert!(grown < MANY as u64 * EACH_KIB, "record: grew by {grown} KiB");
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("-q").start();
    let grown = many_slow_readers(&replay);
    assert!(grown < MANY as u64 * EACH_KIB / 2, "replay: grew by {grown} KiB");
}

#[test]
fn many_streams_that_trickle_cost_a_buffer_each() {
    let origin = Origin::http1().route("/warm", |_| "x").script("/", |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n");
        talk.send("transfer-encoding: chunked\r\n\r\n");
        for _ in 0..200 {
            talk.send("1\r\n.\r\n");
            thread::sleep(Duration::from_millis(5)); // An origin that trickles.
        }
        talk.send("0\r\n\r\n");
    });
    let ouli = Ouli::record(&origin).option("-q").start();
    ouli.client().get("/warm");
    let asks = vec![Ask::get("/"); MANY];
    let (answers, grown) = growth_kib(&ouli, || ouli.client().ask_at_once(&asks));
    answers.iter().for_each(|answer| assert_eq!(answer.body, [b'.'; 200]));
    assert!(grown < MANY as u64 * EACH_KIB, "grew by {grown} KiB");
}

#[test]
fn a_stream_of_many_pieces_costs_no_memory_while_it_is_recorded() {
    const PIECES: usize = 20_000;
    let origin = Origin::http1().route("/warm", |_| "x").script("/", |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n");
        talk.send("transfer-encoding: chunked\r\n\r\n");
        for n in 0..PIECES {
            let event = format!("data: {n:05}\n\n");
            talk.send(format!("{:x}\r\n{event}\r\n", event.len()));
        }
        talk.send("0\r\n\r\n");
    });
    let expected: String = (0..PIECES).map(|n| format!("data: {n:05}\n\n")).collect();
    let recorder = Ouli::record(&origin).option("-q").start();
    recorder.client().get("/warm");
    let (answer, grown) = growth_kib(&recorder, || recorder.client().get("/"));
    assert_eq!(answer.text(), expected);
    assert!(grown < HTTP1_KIB, "grew by {grown} KiB");
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("-q").start();
    assert_eq!(replay.client().get("/").text(), expected);
}
