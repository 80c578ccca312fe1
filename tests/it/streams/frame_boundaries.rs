//! The same over HTTP/2: an origin whose frames break off behind any byte, and the connection with
//! them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{BOTH, Seen, seen};
use crate::support::frames::*;
use crate::support::*;

/// A head, a body in two frames, and trailers, on the first stream of a connection.
fn answer() -> [Frame; 4] {
    let head = fields(&[(":status", "200"), ("x-kept", "1")]);
    [
        Frame::new(HEADERS, END_HEADERS, 1, head),
        Frame::new(DATA, 0, 1, "abcdefghijklm"),
        Frame::new(DATA, 0, 1, "nopqrstuvwxyz"),
        Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, fields(&[("x-sum", "26")])),
    ]
}

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::to_bytes).collect()
}

/// What an origin does behind the bytes that it sends.
#[derive(Clone, Copy)]
enum Fault {
    Truncate,
    /// Once its peer has read them: a reset may overtake bytes.
    Reset,
    /// Waits for the stream's end.
    Stall,
}

impl Fault {
    /// After how many bytes: at every boundary, the one behind the last included.
    fn boundaries(self) -> Vec<usize> {
        let answer = answer();
        match self {
            Fault::Truncate => (0..=bytes_of(&answer).len()).collect(),
            // A peer says that it has read a frame, and not that it has read half of one.
            Fault::Reset => (0..=answer.len()).map(|n| bytes_of(&answer[..n]).len()).collect(),
            // What is whole doesn't stall.
            Fault::Stall => (0..bytes_of(&answer).len()).collect(),
        }
    }

    fn asks(self) -> Vec<Ask> {
        self.boundaries().iter().map(|len| Ask::get(format!("/{len}"))).collect()
    }
}

/// The nth connection gets an answer up to the nth boundary.
fn failing(fault: Fault) -> (FrameOrigin, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(0));
    let (noted, boundaries, answer) = (left.clone(), fault.boundaries(), bytes_of(&answer()));
    let origin = FrameOrigin::new(&[], move |talk| {
        if talk.request().is_none() {
            return;
        }
        let len = boundaries.get(talk.connection).copied().unwrap_or(answer.len());
        talk.frames.write(&answer[..len]);
        match fault {
            Fault::Truncate => {
                talk.frames.finish_sending();
                talk.wait_close();
            }
            Fault::Reset => {
                talk.frames.ping();
                talk.frames.reset_when_dropped();
            }
            Fault::Stall => {
                talk.frames.until(RST_STREAM);
                noted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (origin, left)
}

/// What a client sees of each without anybody between.
fn direct(fault: Fault) -> Vec<Seen> {
    let (origin, _) = failing(fault);
    let see = |ask| seen(&mut Client::new(origin.address()).over(Protocol::H2c), ask);
    fault.asks().iter().map(see).collect()
}

#[track_caller]
fn breaks_off_alike(fault: Fault) {
    let direct = direct(fault);
    assert!(direct.iter().any(|seen| matches!(seen, Seen::Answer { is_whole: true, .. })));
    BOTH.into_iter().for_each(|client| seen_by(client, fault, &direct));
}

/// What a client over this version sees of each, recorded and replayed.
#[track_caller]
fn seen_by(protocol: Protocol, fault: Fault, direct: &[Seen]) {
    let asks = fault.asks();
    let (origin, _) = failing(fault);
    let recorder = Ouli::command("record").origin(origin.url()).start();
    let mut client = recorder.client_over(protocol);
    for (ask, direct) in asks.iter().zip(direct) {
        assert_eq!(seen(&mut client, ask), *direct, "recorded, {protocol}: {}", ask.target);
    }
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).start();
    let mut client = replay.client_over(protocol);
    for (ask, direct) in asks.iter().zip(direct) {
        match direct {
            Seen::Nothing => drop(client.ask(ask).problem(501, "miss")),
            _ => {
                assert_eq!(seen(&mut client, ask), *direct, "replayed, {protocol}: {}", ask.target)
            }
        }
    }
}

#[test]
fn frames_that_end_with_their_connection_break_off_at_the_same_byte_on_both_roads() {
    breaks_off_alike(Fault::Truncate);
}

#[test]
fn frames_whose_connection_is_reset_break_off_at_the_same_byte_on_both_roads() {
    breaks_off_alike(Fault::Reset);
}

#[test]
fn frames_that_stall_at_any_byte_until_their_client_leaves_come_as_far_again() {
    let (asks, direct) = (Fault::Stall.asks(), direct(Fault::Truncate));
    let (origin, left) = failing(Fault::Stall);
    let recorder = Ouli::command("record").origin(origin.url()).start();
    let client = recorder.client_over(Protocol::H2c);
    for (n, (ask, seen)) in asks.iter().zip(&direct).enumerate() {
        let mut reader = Reader::ask(&client, ask);
        if let Seen::Answer { body, .. } = seen {
            assert_eq!(reader.head().0, 200);
            reader.expect(body);
        }
        wait_until("it is at the origin", || origin.seen().iter().flatten().count() > n);
        drop(reader);
        wait_until("the origin has seen it leave", || left.load(Ordering::SeqCst) == n + 1);
    }
    recorder.terminate().expect_code(0);

    let limits = "replay_wait = \"200ms\"";
    let replay = Ouli::replay(recorder.recordings()).limits(limits).start();
    let client = replay.client_over(Protocol::H2c);
    let open: Vec<_> = asks.iter().map(|ask| Reader::ask(&client, ask)).collect();
    for ((mut reader, ask), seen) in open.into_iter().zip(&asks).zip(&direct) {
        let (status, headers) = reader.head();
        let Seen::Answer { body: expected, .. } = seen else {
            assert_eq!(headers.get("ouli-fault"), Some("miss"), "{}", ask.target);
            continue;
        };
        let (body, ending) = reader.read_to_end();
        assert_eq!((status, body.escape_ascii().to_string()), (200, expected.clone()));
        assert!(matches!(ending, Ending::StreamReset(_)), "{}: {ending:?}", ask.target);
    }
}
