//! A side that doesn't read slows the other, and holds up nobody else.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::ws::{Frame, Log, hold};
use crate::support::*;

const MESSAGE: usize = 256 << 10;
const COUNT: usize = 256;
const ALL: usize = MESSAGE * COUNT;

/// What the kernel's buffers of two loopback connections hold at most, and Ouli's own.
const IN_BUFFERS: usize = ALL / 2;

/// In which nothing happens that was going to.
const STILL: Duration = Duration::from_millis(300);

/// Waits until a side has sent no more for a while; returns how much it has.
fn sent_until_stuck(log: &Log) -> usize {
    let (mut sent, mut since) = (log.sent_len(), Instant::now());
    while sent == 0 || since.elapsed() < STILL {
        thread::sleep(Duration::from_millis(5));
        if log.sent_len() != sent {
            (sent, since) = (log.sent_len(), Instant::now());
        }
    }
    sent
}

fn pushing() -> Origin {
    Origin::http1().ws_echo("/echo").ws("/", |talk| {
        let mut talker = talk.accept();
        for n in 0..COUNT {
            if !talker.frame(Frame::binary(vec![n as u8; MESSAGE])) {
                return;
            }
        }
        hold(&mut talker);
    })
}

#[test]
fn a_client_that_reads_nothing_slows_the_origin_and_nobody_else() {
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let origin = pushing();
        let ouli = Ouli::record(&origin).option("-q").start();
        let before = ouli.memory_kib("RssAnon");
        let mut slow = ouli.client_over(protocol).converse("/");
        let sent = sent_until_stuck(&origin.conversation(0));
        assert!(sent < IN_BUFFERS, "{protocol}: {sent} bytes went although the client reads none");
        let grown = ouli.memory_kib("RssAnon").saturating_sub(before);
        assert!(grown < 4096, "{protocol}: anonymous memory grew by {grown} KiB");
        ouli.client_over(protocol).converse("/echo").ask("others go on", "others go on");
        for n in 0..COUNT {
            assert!(slow.next_frame().unwrap().payload == vec![n as u8; MESSAGE], "message {n}");
        }
    }
}

#[test]
fn an_origin_that_reads_nothing_slows_the_client() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        held.pass();
        let mut read = 0;
        while read < COUNT && talker.next_frame().is_ok() {
            read += 1;
        }
        talker.say(&format!("{read} came"));
        hold(&mut talker);
    });
    let ouli = Ouli::record(&origin).option("-q").start();
    let before = ouli.memory_kib("RssAnon");
    let mut talker = ouli.client().converse("/");
    let log = talker.log();
    let sending = thread::spawn(move || {
        for _ in 0..COUNT {
            talker.frame(Frame::binary(vec![7; MESSAGE]));
        }
        talker
    });
    let sent = sent_until_stuck(&log);
    assert!(sent < IN_BUFFERS, "{sent} bytes went although the origin reads none");
    let grown = ouli.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 4096, "anonymous memory grew by {grown} KiB");
    gate.open();
    sending.join().unwrap().expect_text(&format!("{COUNT} came"));
}

#[test]
fn a_client_that_leaves_everything_unread_holds_nothing_once_it_is_gone() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).option("-q").start();
    let before = ouli.open_descriptors();
    let client = ouli.client();
    let mut connection = client.connect();
    connection.ask(&client.handshake("/").upgrade());
    let message = Frame::binary(vec![7; MESSAGE]).masked([1, 2, 3, 4]).to_bytes();
    // Each side waits for the other to read.
    let sent = connection.send_until_stuck(&message.repeat(COUNT), STILL);
    assert!(sent > 0 && sent < ALL, "{sent} bytes went");
    drop(connection);
    wait_until("both connections are closed", || ouli.open_descriptors() <= before);
    ouli.terminate().expect_code(0);
}

#[test]
fn a_slow_conversation_does_not_hold_up_the_others_on_its_connection() {
    let origin = pushing();
    let ouli = Ouli::record(&origin).option("-q").start();
    let client = ouli.client_over(Protocol::H2c);
    let mut connection = client.connect_h2();
    let mut slow = client.handshake("/").open_on(&mut connection);
    sent_until_stuck(&origin.conversation(0));
    let mut quick = client.handshake("/echo").open_on(&mut connection);
    (0..20).for_each(|n| quick.ask(&n.to_string(), &n.to_string()));
    assert!(slow.next_frame().unwrap().payload == vec![0; MESSAGE]);
}

#[test]
fn a_replay_waits_for_a_client_that_reads_nothing() {
    let origin = pushing();
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        (0..COUNT).for_each(|_| drop(talker.next_frame().unwrap()));
    });
    origin.stop();
    let replay = Ouli::replay(recordings).option("-q").start();
    let before = replay.memory_kib("RssAnon");
    let mut slow = replay.client().converse("/");
    thread::sleep(STILL); // The time in which a buffer would grow.
    let grown = replay.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 16 << 10, "anonymous memory grew by {grown} KiB");
    for n in 0..COUNT {
        assert!(slow.next_frame().unwrap().payload == vec![n as u8; MESSAGE], "message {n}");
    }
}
