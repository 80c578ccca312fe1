//! An origin that fails behind any byte of its answer. A client of a recorder sees what it would see
//! without one, and the replay shows the same again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{BOTH, Seen, seen};
use crate::support::*;

/// An answer in each of the framings that HTTP/1.1 has.
const BY_LENGTH: &str = "HTTP/1.1 200 OK\r\nx-kept: 1\r\ncontent-length: 26\r\n\r\n\
     abcdefghijklmnopqrstuvwxyz";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nx-kept: 1\r\ntransfer-encoding: chunked\r\n\
     trailer: x-sum\r\n\r\n\
     3\r\nabc\r\n10;x=y\r\ndefghijklmnopqrs\r\n7\r\ntuvwxyz\r\n0\r\nx-sum: 26\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nx-kept: 1\r\n\r\nabcdefghijklmnopqrstuvwxyz";

/// The answer goes as far as the request's path says, and what happens then stands there as well.
fn failing(answer: &'static str, left: &Arc<AtomicUsize>) -> Origin {
    let left = left.clone();
    Origin::http1().script("/*", move |talk| {
        let path = talk.request().path().to_owned();
        let (_, rest) = path.split_once('/').unwrap();
        let (fault, len) = rest.split_once('/').unwrap();
        let answer = &answer.as_bytes()[..len.parse().unwrap()];
        match fault {
            "trickle" => answer.iter().all(|byte| talk.send([*byte])),
            _ => talk.send(answer),
        };
        match fault {
            "reset" => talk.reset(),
            "stall" if talk.client_leaves_within(Duration::from_secs(10)) => {
                left.fetch_add(1, Ordering::SeqCst);
                talk.close();
            }
            _ => talk.close(),
        }
    })
}

/// Every boundary of the answer, the one before its first byte and the one behind its last included.
fn asks(fault: &str, answer: &str) -> Vec<Ask> {
    (0..=answer.len()).map(|len| Ask::get(format!("/{fault}/{len}"))).collect()
}

#[track_caller]
fn expect_same(asks: &[Ask], road: &str, seen: &[Seen], direct: &[Seen]) {
    for ((ask, seen), direct) in asks.iter().zip(seen).zip(direct) {
        assert_eq!(seen, direct, "{road}: {}", ask.target);
    }
}

/// What breaks off by itself: directly, recorded, and replayed.
#[track_caller]
fn breaks_off_alike(answer: &'static str) {
    let origin = failing(answer, &Arc::default());
    let mut asks: Vec<_> = ["truncate", "reset"].map(|fault| self::asks(fault, answer)).concat();
    asks.push(Ask::get(format!("/trickle/{}", answer.len())));
    // A connection for each: one that is about to be reset may look as if it were kept.
    let see = |address, protocol, asks: &[Ask]| -> Vec<Seen> {
        asks.iter().map(|ask| seen(&mut Client::new(address).over(protocol), ask)).collect()
    };
    let direct = see(origin.address(), Protocol::Http1, &asks);
    let recorder = Ouli::record(&origin).start();
    for protocol in BOTH {
        let recorded = see(recorder.address(), protocol, &asks);
        expect_same(&asks, &format!("recorded, {protocol}"), &recorded, &direct);
    }
    recorder.terminate().expect_code(0);
    origin.stop();

    let came = |seen: &Seen| *seen != Seen::Nothing;
    let (nothing, asks): (Vec<_>, Vec<_>) =
        asks.into_iter().zip(direct).partition(|(_, direct)| !came(direct));
    let (asks, direct): (Vec<_>, Vec<_>) = asks.into_iter().unzip();
    let replay = Ouli::replay(recorder.recordings()).start();
    for protocol in BOTH {
        let replayed = see(replay.address(), protocol, &asks);
        expect_same(&asks, &format!("replayed, {protocol}"), &replayed, &direct);
    }
    for (ask, _) in nothing {
        replay.client().ask(&ask).problem(501, "miss");
    }
}

#[test]
fn an_answer_by_length_breaks_off_at_the_same_byte_on_both_roads() {
    breaks_off_alike(BY_LENGTH);
}

#[test]
fn an_answer_in_chunks_breaks_off_at_the_same_byte_on_both_roads() {
    breaks_off_alike(CHUNKED);
}

#[test]
fn an_answer_that_ends_with_its_connection_breaks_off_at_the_same_byte_on_both_roads() {
    breaks_off_alike(UNTIL_CLOSE);
}

/// What stalls until its client gives up: recorded as far as it came, and replayed so, then cut.
#[track_caller]
fn stalls_alike(answer: &'static str) {
    let left = Arc::default();
    let origin = failing(answer, &left);
    let mut truncated = asks("truncate", answer);
    truncated.pop(); // what is whole doesn't stall
    let direct = |ask| seen(&mut Client::new(origin.address()), ask);
    let truncated: Vec<_> = truncated.iter().map(direct).collect();
    let asks: Vec<_> = asks("stall", answer).into_iter().zip(truncated).collect();
    let called = origin.requests().len();

    let recorder = Ouli::record(&origin).start();
    let client = recorder.client();
    let mut readers: Vec<_> = asks.iter().map(|(ask, _)| Reader::ask(&client, ask)).collect();
    for (reader, (_, seen)) in readers.iter_mut().zip(&asks) {
        if let Seen::Answer { status, body, .. } = seen {
            assert_eq!(reader.head().0, *status);
            reader.expect(body);
        }
    }
    wait_until("all are at the origin", || origin.requests().len() == called + asks.len());
    drop(readers);
    wait_until("the origin has seen all of them leave", || {
        (left.load(Ordering::SeqCst) == asks.len()).then_some(()).ok_or(format!("{left:?}"))
    });
    recorder.terminate().expect_code(0);
    origin.stop();

    let limits = "replay_wait = \"200ms\"";
    let replay = Ouli::replay(recorder.recordings()).limits(limits).start();
    let client = replay.client();
    let open: Vec<_> =
        asks.iter().map(|(ask, seen)| (Reader::ask(&client, ask), ask, seen)).collect();
    for (mut reader, ask, seen) in open {
        let (status, headers) = reader.head();
        match seen {
            Seen::Nothing => assert_eq!(headers.get("ouli-fault"), Some("miss")),
            Seen::Answer { status: expected, body: expected_body, .. } => {
                assert_eq!(status, *expected);
                let (body, ending) = reader.read_to_end();
                assert_eq!(body.escape_ascii().to_string(), *expected_body, "{}", ask.target);
                assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
            }
        }
    }
}

#[test]
fn an_answer_that_stalls_at_any_byte_until_its_client_leaves_comes_as_far_again() {
    [BY_LENGTH, CHUNKED, UNTIL_CLOSE].into_iter().for_each(stalls_alike);
}
