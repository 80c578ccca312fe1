//! Peers that send what costs them nothing and Ouli much. Each flood ends its own connection and
//! nothing else: another client goes on being served, and memory stays bounded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, FrameOrigin, Frames, HEADERS, PING,
    RST_STREAM, SETTINGS, fields, request_block,
};
use crate::support::*;

/// RFC 9113 section 7.
const CANCEL: u32 = 8;

/// A flooder gives up after this long; only a failing test gets there.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a flood may cost: debug builds and windows included, bodies and backlogs not.
const MEMORY_KIB: u64 = 32 << 10;

fn origin() -> Origin {
    Origin::h2c().route("/", |n| n.to_string()).h2_script("/hold", |talk| {
        talk.begin(Reply::ok("x"));
        talk.client_resets_within(PATIENCE);
    })
}

/// Runs a flood until its connection ends, while another client, who was there before, goes on.
#[track_caller]
fn ends_only_its_connection(settings: &[(u16, u32)], flood: impl Fn(&mut Frames, u32) -> bool) {
    let origin = origin();
    let ouli = Ouli::record(&origin).config("workers = 1\n").start();
    let mut other = ouli.client_over(Protocol::H2c).connect_h2();
    let mut ask = || other.ask(&Ask::get("/")).unwrap().receive().unwrap().status;
    assert_eq!(ask(), 200);
    let before = ouli.memory_kib("RssAnon");

    let mut frames = Frames::connect(ouli.address(), settings);
    frames.set_patience(Duration::from_secs(5));
    let begun = Instant::now();
    let mut round = 0;
    // Written without reading: what the peer answers waits in its own buffers.
    while flood(&mut frames, round) && begun.elapsed() < PATIENCE {
        round += 1;
        if round % 500 == 0 {
            assert_eq!(ask(), 200, "another client during the flood");
            let grown = ouli.memory_kib("RssAnon").saturating_sub(before);
            assert!(grown < MEMORY_KIB, "grew by {grown} KiB after {round} rounds");
        }
    }
    let (codes, ending) = frames.read_to_end();
    assert!(
        matches!(ending, Ending::Cut | Ending::Reset),
        "after {round} rounds the connection still stands: {codes:?}, {ending:?}"
    );
    assert_eq!(ask(), 200, "the other client's own connection");
    assert_eq!(ouli.client().get("/").status, 200, "a new client");
    ouli.terminate().expect_code(0).expect_unsaid(&["panic"]);
}

fn stream_id(round: u32) -> u32 {
    round * 2 + 1
}

#[test]
fn rapid_resets() {
    ends_only_its_connection(&[], |frames, round| {
        let id = stream_id(round);
        let head = Frame::request(id, END_STREAM, "GET", "/hold").to_bytes();
        frames.write(&[head, Frame::reset(id, CANCEL).to_bytes()].concat())
    });
}

/// Resets that this side provokes instead of sending them (CVE-2025-8671).
#[test]
fn resets_that_ouli_is_made_to_send() {
    ends_only_its_connection(&[], |frames, round| {
        let id = stream_id(round);
        let head = Frame::request(id, END_STREAM, "GET", "/hold").to_bytes();
        // An increment of zero is an error of the stream (RFC 9113 section 6.9).
        frames.write(&[head, Frame::window_update(id, 0).to_bytes()].concat())
    });
}

#[test]
fn a_head_that_never_ends() {
    ends_only_its_connection(&[], |frames, round| {
        let frame = match round {
            0 => Frame::new(HEADERS, END_STREAM, 1, request_block("GET", "/", &[])),
            _ => {
                let name = format!("x-{round}");
                Frame::new(CONTINUATION, 0, 1, fields(&[(&name, &"a".repeat(1000))]))
            }
        };
        frames.send(&frame)
    });
}

#[test]
fn a_head_that_never_ends_and_says_nothing() {
    ends_only_its_connection(&[], |frames, round| match round {
        0 => frames.send(&Frame::new(HEADERS, END_STREAM, 1, request_block("GET", "/", &[]))),
        _ => frames.send(&Frame::new(CONTINUATION, 0, 1, [])),
    });
}

#[test]
fn pings() {
    ends_only_its_connection(&[], |frames, round| {
        frames.send(&Frame::new(PING, 0, 0, u64::from(round).to_be_bytes()))
    });
}

#[test]
fn settings() {
    ends_only_its_connection(&[], |frames, round| {
        frames.send(&Frame::settings(&[(4, 65_535 + round % 2)]))
    });
}

#[test]
fn acknowledgements_of_nothing() {
    ends_only_its_connection(&[], |frames, _| {
        let ack = Frame::new(SETTINGS, ACK, 0, []).to_bytes();
        frames.write(&ack) && frames.send(&Frame::new(PING, ACK, 0, [0; 8]))
    });
}

#[test]
fn data_without_bytes() {
    ends_only_its_connection(&[], |frames, round| match round {
        0 => frames.send(&Frame::request(1, 0, "POST", "/")),
        _ => frames.send(&Frame::new(DATA, 0, 1, [])),
    });
}

#[test]
fn priorities() {
    ends_only_its_connection(&[], |frames, round| {
        const PRIORITY: u8 = 2;
        frames.send(&Frame::new(PRIORITY, 0, stream_id(round), [0, 0, 0, 0, 16]))
    });
}

/// They move a window, so they are no idle frames; what they cost, their sender pays for.
#[test]
fn window_updates_by_one_harm_no_other_client() {
    let origin = origin();
    let ouli = Ouli::record(&origin).config("workers = 1\n").start();
    let mut other = ouli.client_over(Protocol::H2c);
    assert_eq!(other.get("/").status, 200);
    let before = ouli.memory_kib("RssAnon");
    let mut frames = Frames::connect(ouli.address(), &[]);
    frames.send(&Frame::request(1, END_STREAM, "GET", "/hold"));
    let updates = [Frame::window_update(0, 1).to_bytes(), Frame::window_update(1, 1).to_bytes()];
    let many = updates.concat().repeat(1000);
    for _ in 0..50 {
        frames.write(&many);
        assert_eq!(other.get("/").status, 200);
    }
    assert!(ouli.memory_kib("RssAnon").saturating_sub(before) < MEMORY_KIB);
}

/// A small table that every request names many times over: a few bytes that unfold into many.
#[test]
fn a_head_that_unfolds_is_refused() {
    let origin = origin();
    let ouli = Ouli::record(&origin).start();
    let before = ouli.memory_kib("RssAnon");
    let mut frames = Frames::connect(ouli.address(), &[]);
    // A literal with incremental indexing (RFC 7541 section 6.2.1) of 3,000 bytes, index 62 then.
    let mut block = request_block("GET", "/", &[]);
    let mut literal = vec![0x40, 1, b'x', 0x7f];
    literal.extend([0xb9, 0x16]); // 127 + 0x39 + 0x16 * 128 = 3,000
    literal.extend([b'a'; 3000]);
    block.extend(literal);
    block.extend(vec![0x80 | 62; 10_000]);
    let head = Frame::new(HEADERS, END_STREAM | END_HEADERS, 1, block);
    frames.send(&head);
    let answer = loop {
        match frames.next() {
            Ok(frame) if frame.kind == HEADERS || frame.code().is_some() => break Some(frame),
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    assert!(origin.requests().is_empty(), "it was let through: {answer:?}");
    let grown = ouli.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < MEMORY_KIB, "grew by {grown} KiB");
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").status, 200);
}

/// Asks for much with no window to send it in.
#[test]
fn requests_whose_answers_nobody_takes_cost_little() {
    let large = vec![7; 4 << 20];
    let origin = origin().route("/large", move |_| Reply::ok(large.clone()));
    let ouli = Ouli::record(&origin).config("workers = 1\n").start();
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").status, 200);
    let before = ouli.memory_kib("RssAnon");
    let mut frames = Frames::connect(ouli.address(), &[(4, 0)]);
    for round in 0..100 {
        frames.send(&Frame::request(stream_id(round), END_STREAM, "GET", "/large"));
    }
    wait_until("all are at the origin, or wait their turn", || {
        let count = origin.requests().len();
        (count >= 16).then_some(()).ok_or(format!("{count} requests"))
    });
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").status, 200, "another client");
    let grown = ouli.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < MEMORY_KIB, "grew by {grown} KiB");
}

#[test]
fn a_client_that_takes_nothing_is_cut_off_in_time() {
    let large = vec![7; 4 << 20];
    let origin = origin().route("/large", move |_| Reply::ok(large.clone()));
    let ouli = Ouli::record(&origin).limits("stall_timeout = \"500ms\"").start();
    let mut frames = Frames::connect(ouli.address(), &[(4, 10)]);
    frames.send(&Frame::request(1, END_STREAM, "GET", "/large"));
    let cut = loop {
        match frames.next() {
            Ok(frame) if frame.code().is_some() => break true,
            Ok(_) => {}
            Err(ending) => break matches!(ending, Ending::Cut | Ending::Reset),
        }
    };
    assert!(cut);
    wait_until("the origin's work is cancelled", || origin.open_streams() == 0);
}

#[test]
fn windows_that_grow_past_all_bounds_end_the_connection() {
    let origin = origin();
    let ouli = Ouli::record(&origin).start();
    let mut frames = Frames::connect(ouli.address(), &[]);
    frames.send(&Frame::window_update(0, 0x7fff_ffff));
    let (codes, _) = frames.read_to_end();
    const FLOW_CONTROL_ERROR: u32 = 3;
    assert_eq!(codes, [FLOW_CONTROL_ERROR]);
    assert_eq!(ouli.client().get("/").status, 200);
}

/// RFC 9113 section 6.9.1: such a stream ends with this code, and no other.
#[test]
fn a_stream_whose_window_an_origin_grows_past_all_bounds_ends_with_the_right_code() {
    const FLOW_CONTROL_ERROR: u32 = 3;
    let codes = Arc::new(Mutex::new(Vec::new()));
    let seen = codes.clone();
    let origin = FrameOrigin::new(&[], move |talk| {
        while let Some(stream) = talk.request() {
            talk.frames.send(&Frame::answer(stream, 0, 200));
            talk.frames.send(&Frame::window_update(stream, 0x7fff_ffff));
            talk.frames.send(&Frame::window_update(stream, 0x7fff_ffff));
            let reset = talk.frames.until(RST_STREAM);
            seen.lock().unwrap().extend(reset.code());
        }
    });
    let ouli = Ouli::command("record").origin(origin.url()).start();
    // Its request is still open: where nothing more is to be sent, no window counts.
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let _open = connection.begin(&Ask::new("POST", "/"));
    wait_until("the stream is reset", || !codes.lock().unwrap().is_empty());
    assert_eq!(*codes.lock().unwrap(), [FLOW_CONTROL_ERROR]);
}

/// An origin that floods loses its connection, and the client gets an answer.
#[test]
fn an_origin_that_floods_is_left() {
    let floods: [fn(&mut Frames, u32) -> bool; 3] = [
        |frames, _| frames.send(&Frame::new(PING, 0, 0, [0; 8])),
        |frames, _| frames.send(&Frame::settings(&[])),
        |frames, round| match round {
            0 => frames.send(&Frame::new(HEADERS, 0, 1, fields(&[(":status", "200")]))),
            _ => frames.send(&Frame::new(CONTINUATION, 0, 1, fields(&[("x", &"a".repeat(999))]))),
        },
    ];
    for flood in floods {
        let origin = FrameOrigin::new(&[], move |talk| {
            if talk.request().is_some() {
                let mut round = 0;
                while flood(&mut talk.frames, round) {
                    round += 1;
                }
            }
        });
        let ouli = Ouli::command("record").origin(origin.url()).start();
        let answer = ouli.client().get("/");
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(ouli.memory_kib("RssAnon") < 2 * MEMORY_KIB);
    }
}

/// RFC 9113 section 8.1: who has answered before the request was whole says that it needs no more.
#[test]
fn an_origin_that_needs_no_bodies_keeps_its_connection() {
    const NO_ERROR: u32 = 0;
    let origin = FrameOrigin::new(&[], |talk| {
        while let Some(stream) = talk.request() {
            talk.answer(stream, "enough");
            talk.frames.send(&Frame::reset(stream, NO_ERROR));
        }
    });
    let ouli =
        Ouli::command("record").origin(origin.url()).limits("h2_max_idle_frames = 16").start();
    let mut client = ouli.client();
    for n in 0..100 {
        let answer = client.post("/", "x");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"enough"[..]), "request {n}");
    }
    assert_eq!(origin.seen().len(), 1, "{:?}", origin.seen());
    ouli.terminate().expect_code(0).expect_unsaid(&["h2_max_idle_frames"]);
}

/// gRPC's servers do, to learn how much can be under way. A piece is a part of a request's body, or
/// a message of a conversation.
#[test]
fn an_origin_may_ping_for_each_piece_that_it_gets() {
    const ENABLE_CONNECT_PROTOCOL: u16 = 8;
    let pieces = Arc::new(AtomicUsize::new(0));
    let came = pieces.clone();
    let origin = FrameOrigin::new(&[(ENABLE_CONNECT_PROTOCOL, 1)], move |talk| {
        while let Some(stream) = talk.request() {
            talk.frames.send(&Frame::answer(stream, 0, 200));
            while let Ok(frame) = talk.frames.next() {
                if frame.kind != DATA {
                    continue;
                }
                talk.frames.send(&Frame::new(PING, 0, 0, [0; 8]));
                came.fetch_add(1, Ordering::Relaxed);
                if frame.flags & END_STREAM != 0 {
                    talk.frames.send(&Frame::new(DATA, END_STREAM, stream, "all"));
                    break;
                }
            }
        }
    });
    let ouli =
        Ouli::command("record").origin(origin.url()).limits("h2_max_idle_frames = 16").start();
    let wait_for = |count| {
        wait_until("the piece is at the origin", || {
            let came = pieces.load(Ordering::Relaxed);
            (came >= count).then_some(()).ok_or(format!("{came} of {count}"))
        });
    };

    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/"));
    for n in 1..=100 {
        stream.send("piece");
        wait_for(n);
    }
    stream.finish();
    assert_eq!(stream.receive().unwrap().body, b"all");

    pieces.store(0, Ordering::Relaxed);
    let mut talker = ouli.client().converse("/");
    for n in 1..=100 {
        talker.say("piece");
        wait_for(n);
    }
    assert!(!ouli.stderr().contains("h2_max_idle_frames"), "{}", ouli.stderr());
}
