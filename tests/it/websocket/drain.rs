//! The orderly end, with conversations under way.

use std::thread;
use std::time::Duration;

use super::{close, exchange, script};
use crate::support::ws::{Frame, hold};
use crate::support::*;

/// Echoes texts; when Ouli closes, closes as well.
fn echoing() -> Origin {
    Origin::http1().ws_echo("/")
}

#[test]
fn both_sides_are_closed_with_1001_and_the_messages_are_kept() {
    let origin = echoing();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let ouli = Ouli::record(&origin).start();
        let mut talker = ouli.client_over(protocol).converse("/");
        talker.ask("hello", "hello");
        let log = origin.conversation(origin.conversations() - 1);
        ouli.signal(Signal::TERM);
        talker.expect_close(1001);
        talker.close(1001, "");
        assert_ne!(talker.expect_end(), Ending::Silence);
        let ended = ouli.wait();
        ended.expect_code(0);
        assert!(ended.took < Duration::from_secs(5), "{ended:?}");
        let frames = log.frames_received();
        let last = frames.last().expect("the origin was told");
        assert!(last.opcode == 8 && last.payload.starts_with(&[0x03, 0xe9]), "1001: {last:?}");
        assert!(last.mask.is_some(), "as a client: {last:?}");
        let exchange = exchange(&ouli.recordings(), 0);
        assert_eq!(script(&exchange), ["client: hello", "origin: hello"], "{exchange:#}");
        let (from, code, _) = close(&exchange);
        assert_eq!((from, code), ("ouli", Some(1001)), "{exchange:#}");
    }
}

#[test]
fn a_message_under_way_is_finished_first() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.frame(Frame::text("begun ").unfinished());
        held.pass();
        talker.frame(Frame::continuation("and ended"));
        hold(&mut talker);
    });
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.expect_frame(&Frame::text("begun ").unfinished());
    wait_until("the origin is at its middle", || gate.reached() == 1);
    let address = ouli.address();
    ouli.signal(Signal::TERM);
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    gate.open();
    talker.expect_frame(&Frame::continuation("and ended"));
    talker.expect_close(1001);
    talker.close(1001, "");
    ouli.wait().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    assert_eq!(script(&exchange), ["origin: begun and ended"], "{exchange:#}");
}

#[test]
fn a_client_in_mid_message_is_waited_for() {
    let origin = echoing();
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.frame(Frame::text("begun ").unfinished());
    talker.expect_frame(&Frame::text("begun ").unfinished());
    let address = ouli.address();
    ouli.signal(Signal::TERM);
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    talker.frame(Frame::continuation("and ended"));
    origin.conversation(0).wait_frame(b"and ended");
    // The echo may still come before the close, or not any more.
    loop {
        match talker.next_frame() {
            Ok(frame) if frame.opcode == 8 => break assert_eq!(frame.payload[..2], [0x03, 0xe9]),
            Ok(_) => {}
            Err(ending) => panic!("{ending:?} without a close"),
        }
    }
    talker.close(1001, "");
    ouli.wait().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    assert!(script(&exchange).contains(&"client: begun and ended".to_owned()), "{exchange:#}");
}

#[test]
fn an_origin_that_closes_by_itself_meanwhile_is_answered_by_its_client() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.frame(Frame::text("begun ").unfinished());
        held.pass();
        talker.close(1000, "");
        hold(&mut talker);
    });
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.expect_frame(&Frame::text("begun ").unfinished());
    let address = ouli.address();
    ouli.signal(Signal::TERM);
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    // Waits for the origin's message, and nothing shows that it came.
    talker.say("late");
    thread::sleep(Duration::from_millis(100));
    gate.open();
    talker.expect_close(1000);
    talker.close(1000, "");
    origin.conversation(0).wait_frame(b"\x03\xe8");
    let ended = ouli.wait();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
}

#[test]
fn peers_that_do_not_close_are_cut_at_the_deadline() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.say("hello");
        while talker.next_frame().is_ok() {}
    });
    let ouli = Ouli::record(&origin).options(["--drain-timeout", "500ms"]).start();
    let mut talker = ouli.client().converse("/");
    talker.expect_text("hello");
    ouli.signal(Signal::TERM);
    talker.expect_close(1001);
    let ended = ouli.wait();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    assert_ne!(talker.expect_end(), Ending::Silence);
    let exchange = exchange(&ouli.recordings(), 0);
    assert_eq!(script(&exchange), ["origin: hello"], "{exchange:#}");
}

#[test]
fn a_replay_closes_with_1001_too() {
    let origin = echoing();
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        super::say_all(&mut talker, &["one", "two"]);
        talker.part(1000, "");
    });
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let replay = Ouli::replay(recordings.clone()).start();
        let mut talker = replay.client_over(protocol).converse("/");
        talker.ask("one", "one");
        replay.signal(Signal::TERM);
        talker.expect_close(1001);
        talker.close(1001, "");
        talker.expect_end();
        replay.wait().expect_code(0);
    }
}

#[test]
fn a_conversation_recorded_up_to_a_drain_is_replayed_up_to_there() {
    let origin = echoing();
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.ask("hello", "hello");
    ouli.signal(Signal::TERM);
    talker.expect_close(1001);
    talker.close(1001, "");
    ouli.wait().expect_code(0);
    let replay = Ouli::replay(ouli.recordings()).start();
    let mut talker = replay.client().converse("/");
    talker.ask("hello", "hello");
    talker.expect_close(1001);
    talker.close(1001, "");
    replay.terminate().expect_code(0);
}
