//! Who reads nothing is sent nothing more: seen by the side that sends.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;

/// What all buffers and windows between two peers may take, the kernel's included.
const BETWEEN: usize = 16 << 20;

/// How long nothing more passes until it is taken to be stuck.
const QUIET: Duration = Duration::from_millis(500);

/// Sends a body in parts, and counts what went.
fn counting(protocol: Protocol) -> (Origin, Arc<AtomicUsize>) {
    let counted = Arc::new(AtomicUsize::new(0));
    let sent = counted.clone();
    let origin = Origin::of(protocol);
    let part = vec![b'x'; 64 << 10];
    let origin = match protocol.is_h2() {
        false => origin.script("/", move |talk| {
            talk.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"));
            while sent.load(Ordering::SeqCst) < LARGE && talk.send(&part) {
                sent.fetch_add(part.len(), Ordering::SeqCst);
            }
        }),
        true => origin.h2_script("/", move |talk| {
            talk.begin(Reply::new(200).chunked([""; 0]));
            while sent.load(Ordering::SeqCst) < LARGE && talk.send(&*part) {
                sent.fetch_add(part.len(), Ordering::SeqCst);
            }
            talk.finish();
        }),
    };
    (origin, counted)
}

/// Waits until the count rests, and returns it.
fn at_rest(count: &AtomicUsize) -> usize {
    loop {
        let before = count.load(Ordering::SeqCst);
        thread::sleep(QUIET);
        if before > 0 && count.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

#[test]
fn an_origin_can_send_no_more_than_a_window_while_the_client_reads_nothing() {
    for origin_speaks in [Protocol::Http1, Protocol::H2c] {
        for client_speaks in [Protocol::Http1, Protocol::H2c] {
            let (origin, sent) = counting(origin_speaks);
            let ouli = Ouli::record(&origin).option("-q").start();
            let (stuck, read) = match client_speaks.is_h2() {
                false => {
                    let mut connection = ouli.client().connect();
                    connection.ask(&Ask::get("/"));
                    connection.receive_head();
                    let stuck = at_rest(&sent);
                    (stuck, connection.read_exactly(LARGE).len())
                }
                true => {
                    let peer = Peer { protocol: Protocol::H2c, ..Peer::new(ouli.address()) };
                    let mut connection = H2Options::windows(1 << 16, 1 << 20).open(&peer);
                    let mut stream = connection.ask(&Ask::get("/")).unwrap();
                    let stuck = at_rest(&sent);
                    (stuck, stream.receive().unwrap().body.len())
                }
            };
            let pair = (origin_speaks, client_speaks);
            assert!(stuck < BETWEEN, "{pair:?}: {stuck} bytes went to a client that reads none");
            assert_eq!(read, LARGE, "{pair:?}: all of it comes once it is read");
        }
    }
}

/// Reads nothing of a request until the gate opens, then tells how much came.
fn reluctant(protocol: Protocol, gate: &Gate) -> Origin {
    let held = gate.clone();
    let origin = Origin::of(protocol);
    match protocol.is_h2() {
        false => origin.script("/", move |talk| {
            held.pass();
            let len = talk.read_body().len();
            talk.reply(len.to_string());
        }),
        true => origin.h2_script("/", move |talk| {
            held.pass();
            let len = talk.read_body().len();
            talk.reply(len.to_string());
        }),
    }
}

#[test]
fn a_client_can_send_no_more_than_a_window_while_the_origin_reads_nothing() {
    for client_speaks in [Protocol::Http1, Protocol::H2c] {
        let gate = Gate::new();
        let origin = reluctant(Protocol::Http1, &gate);
        let ouli = Ouli::record(&origin).option("-q").start();
        let sent = AtomicUsize::new(0);
        let part = vec![b'x'; 64 << 10];
        let ask = Ask::new("POST", "/").header("content-length", &LARGE.to_string());
        let count = || sent.fetch_add(part.len(), Ordering::SeqCst) + part.len() < LARGE;
        let stuck = thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let stuck = at_rest(&sent);
                gate.open();
                stuck
            });
            let answer = match client_speaks.is_h2() {
                false => {
                    let mut connection = ouli.client().connect();
                    connection.ask(&ask);
                    while connection.try_send(&part) && count() {}
                    connection.receive()
                }
                true => {
                    let mut connection = ouli.client_over(client_speaks).connect_h2();
                    let mut stream = connection.begin(&ask);
                    while stream.try_send(&part) && count() {}
                    stream.finish();
                    stream.receive().unwrap()
                }
            };
            assert_eq!(answer.text(), LARGE.to_string(), "{client_speaks:?}");
            watching.join().unwrap()
        });
        let said = "bytes went to an origin that reads none";
        assert!(stuck < BETWEEN, "{client_speaks:?}: {stuck} {said}");
    }
}
