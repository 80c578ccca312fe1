//! How a conversation ends: closed by either side, or lost; and the same on replay.

use serde_json::json;

use super::{clients, close, exchange, script};
use crate::support::ws::{Frame, Said, hold};
use crate::support::*;

/// Says one thing, and closes after the client has.
fn closed_by_origin(code: u16) -> Origin {
    Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.expect_text("hello");
        talker.say("hello yourself");
        talker.close(code, "enough");
        hold(&mut talker);
    })
}

#[test]
fn a_close_by_the_origin_comes_again_with_code_and_reason() {
    for code in [1000, 1001, 1011, 3000, 4999] {
        let origin = closed_by_origin(code);
        let recordings = on_both_roads(&origin, |client| {
            let mut talker = client.converse("/");
            talker.ask("hello", "hello yourself");
            talker.expect(Said::close(code, "enough"));
            talker.close(code, "enough");
            assert_eq!(talker.expect_end(), Ending::Cut);
        });
        let exchange = exchange(&recordings, 0);
        assert_eq!(close(&exchange), ("origin", Some(code.into()), "enough"), "{exchange:#}");
    }
}

#[test]
fn an_empty_close_comes_again_empty() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.frame(Frame::new(8, ""));
        hold(&mut talker);
    });
    let recordings = on_both_roads(&origin, |client| {
        let mut talker = client.converse("/");
        talker.expect(Said::Close(None, String::new()));
        talker.frame(Frame::new(8, ""));
        assert_eq!(talker.expect_end(), Ending::Cut);
    });
    let exchange = exchange(&recordings, 0);
    assert_eq!(close(&exchange), ("origin", None, ""), "{exchange:#}");
}

#[test]
fn a_close_by_the_client_is_answered_with_its_code() {
    let origin = Origin::http1().ws_echo("/");
    let recordings = on_both_roads(&origin, |client| {
        let mut talker = client.converse("/");
        talker.ask("hello", "hello");
        talker.part(4001, "tired");
    });
    let exchange = exchange(&recordings, 0);
    assert_eq!(close(&exchange), ("client", Some(4001), "tired"), "{exchange:#}");
}

#[test]
fn what_the_origin_still_says_after_the_clients_close_is_kept() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.expect(Said::close(1000, ""));
        talker.say("one more thing");
        talker.close(1000, "");
    });
    let recordings = on_both_roads(&origin, |client| {
        let mut talker = client.converse("/");
        talker.close(1000, "");
        talker.expect_text("one more thing");
        talker.expect(Said::close(1000, ""));
        talker.expect_end();
    });
    assert_eq!(script(&exchange(&recordings, 0)), ["origin: one more thing"]);
}

#[test]
fn a_client_that_has_closed_and_sends_no_more_may_still_listen() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.expect(Said::close(1000, ""));
        talker.say("one more thing");
        talker.close(1000, "");
        talker.expect_end();
    });
    let ouli = Ouli::record(&origin).start();
    for client in clients(&ouli) {
        let mut talker = client.converse("/");
        talker.close(1000, "");
        talker.finish();
        talker.expect_text("one more thing");
        talker.expect(Said::close(1000, ""));
        talker.expect_end();
    }
    ouli.terminate().expect_code(0);
    for n in 0..2 {
        let exchange = exchange(&ouli.recordings(), n);
        assert_eq!(script(&exchange), ["origin: one more thing"], "{exchange:#}");
    }
}

#[test]
fn an_origin_that_leaves_in_mid_message_is_seen_to() {
    let half = || Frame::text("cut short").to_bytes()[..6].to_vec();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.say("whole");
        talker.expect_text("go on");
        talker.send(half());
        talker.finish();
    });
    let ouli = Ouli::record(&origin).start();
    for client in clients(&ouli) {
        let mut talker = client.converse("/");
        talker.expect_text("whole");
        talker.say("go on");
        talker.expect_end();
        let received = talker.log().received();
        assert!(received.ends_with(&half()), "what came of it passed: {received:x?}");
    }
    ouli.terminate().expect_code(0);
    for n in 0..2 {
        let exchange = exchange(&ouli.recordings(), n);
        assert_eq!(script(&exchange), ["origin: whole", "client: go on"], "{exchange:#}");
        assert_eq!(exchange["response"]["end"], json!("cut_by_origin"), "{exchange:#}");
        assert!(exchange["conversation"]["close"].is_null(), "{exchange:#}");
    }
}

#[test]
fn an_origin_that_resets_is_seen_to() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.say("whole");
        talker.expect_text("go on");
        talker.reset();
    });
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.expect_text("whole");
    talker.say("go on");
    talker.expect_end();
    ouli.terminate().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    let end = exchange["response"]["end"].as_str().unwrap_or_default();
    assert!(["cut_by_origin", "reset_by_origin"].contains(&end), "{exchange:#}");
}

#[test]
fn a_client_that_leaves_in_mid_message_is_seen_by_the_origin() {
    let leave: [fn(&mut crate::support::ws::Talker<'static>); 2] =
        [|talker| talker.finish(), |talker| talker.reset()];
    for leave in leave {
        let origin = Origin::http1().ws_echo("/");
        let ouli = Ouli::record(&origin).start();
        for (n, client) in clients(&ouli).into_iter().enumerate() {
            let mut talker = client.converse("/");
            talker.ask("whole", "whole");
            let half = Frame::text("cut short").masked([1; 4]).to_bytes()[..8].to_vec();
            talker.send(&half);
            let log = origin.conversation(n);
            wait_until("the half is there", || log.received().ends_with(&half));
            leave(&mut talker);
            drop(talker);
            log.wait_end();
        }
        ouli.terminate().expect_code(0);
        for n in 0..2 {
            let exchange = exchange(&ouli.recordings(), n);
            assert_eq!(script(&exchange), ["client: whole", "origin: whole"], "{exchange:#}");
            assert_eq!(exchange["response"]["end"], json!("left_by_client"), "{exchange:#}");
        }
    }
}

#[test]
fn a_recorded_loss_is_replayed_as_one() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.expect_text("hello");
        talker.say("and then");
        talker.finish();
    });
    on_both_roads(&origin, |client| {
        let mut talker = client.converse("/");
        talker.ask("hello", "and then");
        talker.expect_end();
        let frames = Frame::parse_all(&talker.log().received()).0;
        assert_eq!(frames.len(), 1, "a loss, no close: {frames:?}");
    });
}

#[test]
fn half_a_header_passes_before_its_sender_leaves() {
    let half = &b"\x82\xff\x00\x00"[..];
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        while talker.log().received() != half && talker.peek().is_ok() {}
        talker.send(&half[..3]);
        talker.finish();
    });
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let mut talker = client.converse("/");
        talker.send(half);
        talker.expect_end();
        assert_eq!(talker.log().received(), half[..3]);
        assert_eq!(origin.conversation(n).received(), half);
    }
    ouli.terminate().expect_code(0);
    assert_eq!(script(&exchange(&ouli.recordings(), 1)), Vec::<String>::new());
}
