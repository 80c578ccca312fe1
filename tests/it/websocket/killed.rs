//! What a client has seen of a conversation survives `kill -9` of the recorder.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::thread;

use serde_json::json;

use super::{exchange_of, script};
use crate::support::ws::{Said, Talker, echo};
use crate::support::*;

const RECOVERED: &str = "default.recovered";

/// Opening the folder recovers what the killed run left.
#[track_caller]
fn recovered(ouli: &Ouli) -> Recordings {
    ouli.kill();
    let recordings = ouli.recordings();
    Ouli::replay(recordings.clone()).option("-q").start().terminate();
    recordings
}

#[test]
fn every_message_a_client_saw_of_an_open_conversation_is_kept() {
    let origin = Origin::http1().ws_echo("/");
    for count in [0, 1, 20] {
        let ouli = Ouli::record(&origin).start();
        let mut talker = ouli.client().converse("/");
        (0..count).for_each(|n| talker.ask(&format!("message {n}"), &format!("message {n}")));
        let recordings = recovered(&ouli);
        let exchange = exchange_of(&recordings, RECOVERED, 0);
        let expected: Vec<_> = (0..count)
            .flat_map(|n| ["client", "origin"].map(|from| format!("{from}: message {n}")))
            .collect();
        assert_eq!(script(&exchange), expected, "{exchange:#}");
        assert_eq!(exchange["response"]["end"], json!("recorder_killed"), "{exchange:#}");
    }
}

#[test]
fn half_a_message_is_left_out_and_those_before_it_are_kept() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.say("whole");
        talker.send(b"\x81\x7e\x01\x00half of it");
        held.pass();
    });
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.expect_text("whole");
    while !talker.log().received().ends_with(b"half of it") {
        talker.peek().unwrap();
    }
    let recordings = recovered(&ouli);
    gate.open();
    let exchange = exchange_of(&recordings, RECOVERED, 0);
    assert_eq!(script(&exchange), ["origin: whole"], "{exchange:#}");
}

#[test]
fn compressed_messages_of_a_killed_run_are_readable() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.grant(&[("sec-websocket-extensions", "permessage-deflate")]);
        while let Ok(Said::Text(text)) = talker.next() {
            talker.say_compressed(&text);
        }
    });
    let ouli = Ouli::record(&origin).start();
    let client = ouli.client();
    let mut talker = client.handshake("/").extensions("permessage-deflate").open();
    for _ in 0..3 {
        talker.say_compressed("again and again and again");
        talker.expect_text("again and again and again");
    }
    let exchange = exchange_of(&recovered(&ouli), RECOVERED, 0);
    let expected = ["client: again and again and again", "origin: again and again and again"];
    assert_eq!(script(&exchange), expected.repeat(3), "{exchange:#}");
}

fn random_below(end: u64) -> u64 {
    RandomState::new().build_hasher().finish() % end
}

/// Asks on until the recorder is gone; returns how many answers came whole.
fn ask_until_gone(talker: &mut Talker<'_>, client: usize) -> usize {
    for n in 0.. {
        let text = said(client, n);
        if !talker.say(&text) || talker.next() != Ok(Said::Text(text)) {
            return n;
        }
    }
    unreachable!("the recorder is killed before that")
}

/// Some of them large enough for several reads, or for a file of their own.
fn said(client: usize, n: usize) -> String {
    let text = format!("{client} says {n} ");
    match n % 7 {
        3 => text.repeat(1000),
        5 => text.repeat(10_000),
        _ => text,
    }
}

#[test]
fn a_recorder_killed_under_load_keeps_every_message_a_client_saw_whole() {
    const ROUNDS: usize = 8;
    const CLIENTS: usize = 4;
    let origin = Origin::http1().ws("/*", |talk| echo(&mut talk.accept()));
    for round in 0..ROUNDS {
        let ouli = Ouli::record(&origin).option("-q").start();
        let mut talkers: Vec<_> =
            (0..CLIENTS).map(|n| ouli.client().converse(&format!("/{n}"))).collect();
        let before = origin.conversations() - CLIENTS;
        let kill_after = 1 + random_below(1 << 20) as usize;
        let seen: Vec<usize> = thread::scope(|scope| {
            let asking: Vec<_> = talkers
                .iter_mut()
                .enumerate()
                .map(|(client, talker)| scope.spawn(move || ask_until_gone(talker, client)))
                .collect();
            let sent = || -> usize {
                (before..before + CLIENTS).map(|n| origin.conversation(n).sent_len()).sum()
            };
            while sent() < kill_after {
                thread::yield_now();
            }
            ouli.signal(Signal::KILL);
            asking.into_iter().map(|asking| asking.join().unwrap()).collect()
        });
        eprintln!("round {round}: killed after {kill_after} bytes, {seen:?} seen");
        ouli.kill();

        let replay = Ouli::replay(ouli.recordings()).option("-q").start();
        for (client, count) in seen.into_iter().enumerate() {
            let mut talker = replay.client().converse(&format!("/{client}"));
            (0..count).for_each(|n| talker.ask(&said(client, n), &said(client, n)));
        }
    }
}
