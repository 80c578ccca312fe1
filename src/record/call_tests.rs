//! Recording gRPC calls, and reading back their messages.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::exchange::*;
use crate::grpc;
use crate::tape::TapeRun;

const LARGE: usize = 16 << 20;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn typed(media: &str) -> Fields {
    Fields::from_iter([("content-type", media)])
}

fn head(media: &str) -> ResponseHead {
    ResponseHead { version: Version::Http2, fields: typed(media), ..ResponseHead::default() }
}

fn framed(messages: &[&[u8]]) -> Vec<u8> {
    let one = |bytes: &&[u8]| [&grpc::prefix(false, bytes.len() as u32)[..], bytes].concat();
    messages.iter().flat_map(one).collect()
}

struct Bench {
    run: Arc<Run>,
    recorder: Recorder,
    _dir: tempfile::TempDir,
}

fn bench(keep: Keep) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::open(&dir.path().join("r"), Vec::new(), |_| {}).unwrap();
    let recorder = Recorder::open(Arc::clone(&run), 0, keep).unwrap();
    Bench { run, recorder, _dir: dir }
}

impl Bench {
    fn begin(&self) -> Recording {
        let head = RequestHead {
            method: "POST".to_owned(),
            target: "/chat.Chat/Talk".to_owned(),
            version: Version::Http2,
            fields: typed("application/grpc"),
        };
        self.recorder.begin(self.run.next_seq(), "default", "api", 7, &head, Vec::new())
    }

    fn exchange(&self) -> Exchange {
        let run = TapeRun::open(&self.run.tapes()).unwrap();
        let mut all = run.exchanges("default");
        all.next().unwrap().unwrap()
    }
}

fn messages(body: &Body) -> &[Message] {
    match body {
        Body::Absent => &[],
        Body::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

/// When each message came, after what, and its bytes.
fn told(body: &Body) -> Vec<(u64, After, Vec<u8>)> {
    let one = |message: &Message| match &message.payload {
        Payload::Bytes(bytes) => (message.at.as_millis() as u64, message.after, bytes.to_vec()),
        other => panic!("{other:?}"),
    };
    messages(body).iter().map(one).collect()
}

#[test]
fn messages_of_an_answer_remember_after_which_of_the_request_they_came() {
    let bench = bench(Keep::default());
    let mut one = bench.begin();
    one.request_data(ms(1), &framed(&[b"ping"])).unwrap();
    one.response_head(ms(2), &head("application/grpc"));
    let (first, second) = (framed(&[b"pong", b"more"]), framed(&[b"two"]));
    // The second message of the answer begins now and is whole later.
    one.response_data(ms(3), &first[..11]).unwrap();
    one.request_data(ms(4), &second[..3]).unwrap();
    one.request_data(ms(5), &second[3..]).unwrap();
    one.response_data(ms(6), &first[11..]).unwrap();
    one.response_data(ms(6), &framed(&[b""])).unwrap();
    one.request_end(&Fields::new()).unwrap();
    one.response_data(ms(8), &framed(&[b"bye"])).unwrap();
    one.end(End::Whole, &Fields::from_iter([("grpc-status", "0")])).unwrap();
    one.flush().unwrap();
    let exchange = bench.exchange();
    let after = After::Messages;
    let request: Vec<_> =
        told(&exchange.request.body).into_iter().map(|(at, _, bytes)| (at, bytes)).collect();
    assert_eq!(request, [(1, b"ping".to_vec()), (5, b"two".to_vec())]);
    assert_eq!(
        told(&exchange.response.body),
        [
            (3, after(1), b"pong".to_vec()),
            (6, after(1), b"more".to_vec()),
            (6, after(2), b"".to_vec()),
            (8, After::End, b"bye".to_vec()),
        ]
    );
    assert_eq!((exchange.response.after, exchange.response.end_after), (after(1), After::End));
    assert!(exchange.request.is_whole);
}

#[test]
fn a_request_goes_on_after_its_answer_is_over() {
    for ends in [true, false] {
        let bench = bench(Keep::default());
        let mut one = bench.begin();
        one.request_data(ms(1), &framed(&[b"a"])).unwrap();
        one.response_head(ms(2), &head("application/grpc"));
        one.end(End::Whole, &Fields::new()).unwrap();
        one.request_data(ms(3), &framed(&[b"b"])).unwrap();
        match ends {
            true => one.request_end(&Fields::new()).unwrap(),
            false => one.request_cut().unwrap(),
        }
        one.flush().unwrap();
        let exchange = bench.exchange();
        assert_eq!(messages(&exchange.request.body).len(), 2);
        assert_eq!(exchange.request.is_whole, ends);
        assert_eq!(exchange.response.end, End::Whole);
        assert_eq!(exchange.response.end_after, After::Messages(1));
        assert_eq!(exchange.response.body, Body::Absent);
    }
}

#[test]
fn a_plain_request_goes_on_after_its_answer_into_a_file() {
    let bench = bench(Keep::default());
    let body: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let head = RequestHead { method: "PUT".to_owned(), target: "/".into(), ..Default::default() };
    let seq = bench.run.next_seq();
    let mut one = bench.recorder.begin(seq, "default", "api", 7, &head, Vec::new());
    one.request_data(ms(0), &body[..10]).unwrap();
    one.response_head(ms(1), &ResponseHead::default());
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
    body[10..].chunks(30_000).for_each(|bytes| one.request_data(ms(2), bytes).unwrap());
    one.request_end(&Fields::new()).unwrap();
    one.flush().unwrap();
    let run = TapeRun::open(&bench.run.tapes()).unwrap();
    let exchange = run.exchanges("default").next().unwrap().unwrap();
    let Body::File { digest, .. } = &exchange.request.body else { panic!("a file") };
    assert_eq!(std::fs::read(run.body_path(digest).unwrap()).unwrap(), body);
    assert!(exchange.request.is_whole);
    assert_eq!(exchange.response.end_after, After::End, "no call");
}

#[test]
fn an_exchange_with_a_passed_request_survives_a_kill_once_its_answer_is_over() {
    let keep = Keep { max_kept_body: 1000, file_threshold: 500 };
    for early in [false, true] {
        let bench = bench(keep);
        let seq = bench.run.next_seq();
        let head = RequestHead::default();
        let mut one = bench.recorder.begin(seq, "default", "api", 7, &head, Vec::new());
        one.request_data(ms(0), &vec![1; if early { 2000 } else { 600 }]).unwrap();
        one.response_head(ms(1), &ResponseHead::default());
        one.end(End::Whole, &Fields::new()).unwrap();
        one.flush().unwrap();
        one.request_data(ms(0), &[1; 2000]).unwrap();
        drop(one);
        let exchange = bench.exchange();
        assert_eq!(exchange.response.end, End::Whole);
        let len = if early { 2000 } else { 600 };
        let digest = crate::cassette::bodies::digest_of(&vec![1; len]);
        assert_eq!(exchange.request.body, Body::Omitted { digest, len: len as u64 });
    }
}

#[test]
fn messages_come_out_singly_however_large_the_body_is() {
    let bench = bench(Keep::default());
    let large: Vec<u8> = (0..LARGE).map(|n| (n * 31 + n / 255) as u8).collect();
    let body = framed(&[b"small", &large, b"", &large[..100_000]]);
    let mut one = bench.begin();
    for (n, bytes) in body.chunks(16 << 10).enumerate() {
        one.request_data(ms(n as u64), bytes).unwrap();
    }
    one.request_end(&Fields::new()).unwrap();
    one.response_head(ms(1), &head("application/grpc"));
    for bytes in body.chunks(60_000) {
        one.response_data(ms(2), bytes).unwrap();
        one.flush().unwrap();
    }
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
    let exchange = bench.exchange();
    for body in [&exchange.request.body, &exchange.response.body] {
        let all = told(body);
        let lens: Vec<_> = all.iter().map(|(.., bytes)| bytes.len()).collect();
        assert_eq!(lens, [5, LARGE, 0, 100_000]);
        assert!(all[1].2 == large);
    }
}

#[test]
fn the_largest_kept_body_is_a_call_s_largest_message() {
    let keep = Keep { max_kept_body: 1000, file_threshold: 500 };
    for (len, is_kept) in [(1000, true), (1001, false)] {
        let bench = bench(keep);
        let message = vec![7; len];
        let body = framed(&[&[1; 900], &[2; 900], &message]);
        let mut one = bench.begin();
        for bytes in body.chunks(70) {
            one.request_data(ms(1), bytes).unwrap();
        }
        one.request_end(&Fields::new()).unwrap();
        one.response_head(ms(1), &head("application/grpc"));
        one.response_data(ms(1), &body).unwrap();
        one.end(End::Whole, &Fields::new()).unwrap();
        one.flush().unwrap();
        assert_eq!(one.omitted().count(), if is_kept { 0 } else { 2 });
        let exchange = bench.exchange();
        for side in [&exchange.request.body, &exchange.response.body] {
            assert_eq!(matches!(side, Body::Messages(all) if all.len() == 3), is_kept);
            assert_eq!(matches!(side, Body::Omitted { .. }), !is_kept, "{side:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_message_are_held_against_the_same_limit() {
    let bench = bench(Keep { max_kept_body: 1000, file_threshold: 500 });
    let mut one = bench.begin();
    one.request_data(ms(1), &[9; 2000]).unwrap();
    one.request_end(&Fields::new()).unwrap();
    one.response_head(ms(1), &head("application/grpc"));
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
    assert!(matches!(bench.exchange().request.body, Body::Omitted { len: 2000, .. }));
}

#[test]
fn what_is_no_whole_message_at_the_end_is_kept_as_rest() {
    for (rest, whole) in [(&b"\0\0\0"[..], 1), (b"\x01\0\0\0\x09abc", 1), (b"\x02??", 1)] {
        let bench = bench(Keep::default());
        let mut one = bench.begin();
        let body = [&framed(&[b"x"])[..], rest].concat();
        body.iter().for_each(|byte| one.request_data(ms(4), &[*byte]).unwrap());
        one.response_head(ms(5), &head("application/grpc"));
        one.end(End::LeftByClient, &Fields::new()).unwrap();
        one.request_cut().unwrap();
        one.flush().unwrap();
        let exchange = bench.exchange();
        let all = messages(&exchange.request.body);
        assert_eq!(all.len(), whole + 1);
        assert_eq!(all[whole].payload, Payload::Rest(rest.to_vec().into()));
        assert_eq!(exchange.response.after, After::Messages(1));
    }
}

#[test]
fn an_answer_to_a_call_that_is_none_itself_is_a_body_like_any_other() {
    let bench = bench(Keep::default());
    let mut one = bench.begin();
    one.request_data(ms(1), &framed(&[b"x"])).unwrap();
    one.response_head(ms(1), &ResponseHead { status: 502, ..head("text/html") });
    one.response_data(ms(1), b"<html>").unwrap();
    one.end(End::Whole, &Fields::new()).unwrap();
    one.request_end(&Fields::new()).unwrap();
    one.flush().unwrap();
    let exchange = bench.exchange();
    assert_eq!(exchange.response.body, Body::Whole("<html>".into()));
    assert_eq!(exchange.response.end_after, After::Messages(1));
}

/// What happens in a call.
#[derive(Clone, Debug)]
enum Step {
    Sends(Vec<u8>),
    Answers(Vec<u8>),
    EndsRequest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..400);
    let step = prop_oneof![
        4 => bytes().prop_map(Step::Sends),
        4 => bytes().prop_map(Step::Answers),
        1 => Just(Step::EndsRequest),
    ];
    prop::collection::vec(step, 0..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the pieces are, and whether bodies go to files, a call reads back as it went; and
    /// killed anywhere it reads as its beginning.
    #[test]
    fn a_call_reads_back_as_it_went(
        steps in steps(),
        piece in 1usize..80,
        file_threshold in prop_oneof![Just(100u64), Just(1 << 20)],
        stop in 0usize..16,
    ) {
        let bench = bench(Keep { max_kept_body: 10_000, file_threshold });
        let mut one = bench.begin();
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        let mut has_ended = false;
        one.response_head(ms(0), &head("application/grpc"));
        one.flush().unwrap();
        for (n, step) in steps.iter().take(stop).enumerate() {
            match step {
                Step::Sends(bytes) if !has_ended => {
                    for bytes in framed(&[bytes]).chunks(piece) {
                        one.request_data(ms(n as u64), bytes).unwrap();
                    }
                    sent.push(bytes.clone());
                }
                Step::Answers(bytes) => {
                    for bytes in framed(&[bytes]).chunks(piece) {
                        one.response_data(ms(n as u64), bytes).unwrap();
                    }
                    let after = match has_ended {
                        true => After::End,
                        false => After::Messages(sent.len() as u32),
                    };
                    answered.push((n as u64, after, bytes.clone()));
                }
                Step::EndsRequest if !has_ended => {
                    one.request_end(&Fields::new()).unwrap();
                    has_ended = true;
                }
                _ => {}
            }
            one.flush().unwrap();
        }
        let is_killed = stop < steps.len();
        if !is_killed {
            one.end(End::Whole, &Fields::new()).unwrap();
            one.flush().unwrap();
        }
        drop(one);
        let exchange = bench.exchange();
        let request: Vec<_> =
            told(&exchange.request.body).into_iter().map(|(.., bytes)| bytes).collect();
        prop_assert_eq!(request, sent);
        prop_assert_eq!(told(&exchange.response.body), answered);
        prop_assert_eq!(exchange.request.is_whole, has_ended);
        let end = if is_killed { End::RecorderKilled } else { End::Whole };
        prop_assert_eq!(exchange.response.end, end);
    }
}
