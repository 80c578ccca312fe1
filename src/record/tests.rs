//! Recording exchanges, and reading back what was kept of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cassette::EndpointNote;
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::tape::{Side, TapeRun};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn endpoint() -> EndpointNote {
    EndpointNote {
        name: "api".to_owned(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Https, host: "api.example.com".to_owned(), port: 443 },
    }
}

fn request(target: &str) -> RequestHead {
    RequestHead {
        method: "POST".to_owned(),
        target: target.to_owned(),
        version: Version::Http11,
        fields: Fields::from_iter([("Host", "api.example.com"), ("accept", "*/*")]),
    }
}

fn response(media: &str) -> ResponseHead {
    ResponseHead {
        fields: Fields::from_iter([("Content-Type", media)]),
        reason: b"OK".to_vec(),
        ..ResponseHead::default()
    }
}

struct Bench {
    run: Arc<Run>,
    recorder: Recorder,
    dir: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_keeping(Keep::default())
}

fn bench_keeping(keep: Keep) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::open(&dir.path().join("recordings"), vec![endpoint()], |_| {}).unwrap();
    let recorder = Recorder::open(Arc::clone(&run), 0, keep).unwrap();
    Bench { run, recorder, dir }
}

impl Bench {
    fn begin(&self, target: &str) -> Recording {
        let seq = self.run.next_seq();
        self.recorder.begin(seq, "default", "api", 7, &request(target), Vec::new())
    }

    fn tapes(&self) -> TapeRun {
        TapeRun::open(&self.run.tapes()).unwrap()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        self.tapes().exchanges("default").collect::<Result<_, _>>().unwrap()
    }

    /// Files in `.ouli` whose name ends so.
    fn files(&self, ending: &str) -> Vec<String> {
        names(self.run.folder()).into_iter().filter(|name| name.ends_with(ending)).collect()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_ordinary_exchange_is_read_back_as_it_was() {
    let bench = bench();
    let mut one = bench.begin("/pay?x=1");
    one.request_data(ms(0), b"{\"a\":").unwrap();
    one.request_data(ms(0), b"1}").unwrap();
    one.request_end(&Fields::new()).unwrap();
    one.interim(ms(3), &ResponseHead { status: 103, ..response("") });
    one.response_head(ms(12), &response("application/json"));
    one.response_data(ms(12), b"{\"ok\":").unwrap();
    one.response_data(ms(13), b"true}").unwrap();
    one.end(End::Whole, &Fields::from_iter([("x-sum", "1")])).unwrap();
    one.flush().unwrap();
    let expected = Exchange {
        endpoint: "api".to_owned(),
        recorded_at_ms: 7,
        request: Request {
            head: request("/pay?x=1"),
            body: Body::Whole("{\"a\":1}".into()),
            coding: None,
            trailers: Fields::new(),
            is_whole: true,
        },
        response: Response {
            at: ms(12),
            after: After::End,
            interim: vec![ResponseHead { status: 103, ..response("") }],
            head: response("application/json"),
            body: Body::Whole("{\"ok\":true}".into()),
            coding: None,
            trailers: Fields::from_iter([("x-sum", "1")]),
            end: End::Whole,
            end_after: After::End,
            close: None,
        },
    };
    assert_eq!(bench.exchanges(), [expected]);
    assert_eq!(bench.tapes().endpoints(), [endpoint()]);
    assert_eq!(bench.tapes().torn(), []);
}

fn bytes_of(run: &TapeRun, body: &Body) -> Vec<u8> {
    match body {
        Body::Absent => Vec::new(),
        Body::Whole(bytes) => bytes.to_vec(),
        Body::Pieces(pieces) => pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect(),
        Body::File { digest, len } => {
            let bytes = std::fs::read(run.body_path(digest).unwrap()).unwrap();
            assert_eq!(bytes.len() as u64, *len);
            assert_eq!(sha256(&bytes), *digest);
            bytes
        }
        other => panic!("{other:?}"),
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest(sha2::Sha256::digest(bytes).into())
}

/// Bytes that repeat nowhere near.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..len).map(next).collect()
}

/// Answers with `body` in reads of `step` bytes, flushing each.
fn answer(one: &mut Recording, media: &str, body: &[u8], step: usize) {
    one.request_end(&Fields::new()).unwrap();
    one.response_head(ms(1), &response(media));
    for (number, bytes) in body.chunks(step).enumerate() {
        one.response_data(ms(1 + number as u64), bytes).unwrap();
        one.flush().unwrap();
    }
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
}

#[test]
fn nothing_reaches_the_tape_before_a_flush() {
    let bench = bench();
    let mut one = bench.begin("/");
    one.response_head(ms(1), &response("text/plain"));
    assert_eq!(bench.exchanges(), []);
    one.flush().unwrap();
    assert_eq!(bench.exchanges()[0].response.end, End::RecorderKilled);
}

#[test]
fn a_body_without_length_moves_to_a_file_when_it_passes_the_threshold() {
    let bench = bench();
    let body = noise(200_000);
    let mut one = bench.begin("/");
    let mut other = bench.begin("/other");
    one.response_head(ms(1), &response("text/plain"));
    for bytes in body.chunks(1000) {
        one.response_data(ms(1), bytes).unwrap();
        one.flush().unwrap();
        other.request_data(ms(0), b"between").unwrap();
        other.flush().unwrap();
    }
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
    let run = bench.tapes();
    let exchange = run.exchanges("default").next().unwrap().unwrap();
    assert_eq!(
        exchange.response.body,
        Body::File { digest: sha256(&body), len: body.len() as u64 }
    );
    assert_eq!(bytes_of(&run, &exchange.response.body), body);
    assert_eq!(bench.files(".body").len(), 1);
}

#[test]
fn a_body_at_the_threshold_stays_on_the_tape() {
    let bench = bench();
    let body = noise(64 << 10);
    answer(&mut bench.begin("/"), "text/plain", &body, 5000);
    assert_eq!(bench.exchanges()[0].response.body, Body::Whole(body.into()));
    assert_eq!(bench.files(".body"), [""; 0]);
}

#[test]
fn a_body_with_a_length_goes_to_its_file_from_the_first_byte() {
    let bench = bench();
    let body = noise(100_000);
    let mut one = bench.begin("/");
    one.expect_response_bytes(100_000);
    answer(&mut one, "text/plain", &body, 8 << 10);
    let tape = std::fs::metadata(&bench.run.tapes()[0]).unwrap().len();
    assert!(tape < 2000, "{tape} bytes of tape hold no body");
    let run = bench.tapes();
    let exchange = run.exchanges("default").next().unwrap().unwrap();
    assert_eq!(bytes_of(&run, &exchange.response.body), body);
}

#[test]
fn a_large_request_has_a_file_of_its_own() {
    let bench = bench();
    let body = noise(300_000);
    let mut one = bench.begin("/");
    for bytes in body.chunks(16 << 10) {
        one.request_data(ms(0), bytes).unwrap();
    }
    answer(&mut one, "text/plain", b"thanks", 100);
    assert_eq!(bench.files(".request.body").len(), 1);
    let run = bench.tapes();
    let exchange = run.exchanges("default").next().unwrap().unwrap();
    assert_eq!(bytes_of(&run, &exchange.request.body), body);
    assert_eq!(exchange.response.body, Body::Whole("thanks".into()));
}

#[test]
fn a_long_event_stream_keeps_its_pieces() {
    let bench = bench();
    let body = noise(150_000);
    answer(&mut bench.begin("/"), "text/event-stream", &body, 1000);
    let Body::Pieces(pieces) = bench.exchanges().remove(0).response.body else { panic!("pieces") };
    assert_eq!(pieces.len(), 150);
    assert_eq!(pieces[70], Piece { at: ms(71), bytes: body[70_000..71_000].to_vec().into() });
}

#[test]
fn ten_thousand_pieces_are_kept_one_by_one() {
    let bench = bench();
    let body = noise(30_000);
    answer(&mut bench.begin("/"), "text/event-stream", &body, 3);
    let Body::Pieces(pieces) = bench.exchanges().remove(0).response.body else { panic!("pieces") };
    assert_eq!(pieces.len(), 10_000);
    assert!(pieces.iter().enumerate().all(|(n, piece)| piece.at == ms(1 + n as u64)));
}

#[test]
fn a_body_over_the_limit_is_kept_as_length_and_digest() {
    let body = noise(50_000);
    let omitted = |side| Omitted { side, len: body.len() as u64, digest: sha256(&body) };
    // From the tape, from a file, and announced.
    for (file_threshold, expected) in [(64 << 10, 0), (1000, 0), (64 << 10, 50_000)] {
        let bench = bench_keeping(Keep { max_kept_body: 20_000, file_threshold });
        let mut one = bench.begin("/");
        one.expect_response_bytes(expected);
        body.chunks(999).for_each(|bytes| one.request_data(ms(0), bytes).unwrap());
        answer(&mut one, "text/plain", &body, 999);
        let both = [omitted(Side::Request), omitted(Side::Response)];
        assert_eq!(one.omitted().collect::<Vec<_>>(), both);
        let exchange = bench.exchanges().remove(0);
        let kept = Body::Omitted { len: body.len() as u64, digest: sha256(&body) };
        assert_eq!(exchange.request.body, kept);
        assert_eq!(exchange.response.body, kept);
        assert_eq!(bench.files(".body"), [""; 0]);
    }
}

#[test]
fn an_abandoned_exchange_leaves_nothing() {
    let bench = bench();
    let untouched = std::fs::metadata(&bench.run.tapes()[0]).unwrap().len();
    bench.begin("/").abandon();
    assert_eq!(std::fs::metadata(&bench.run.tapes()[0]).unwrap().len(), untouched);
    let mut one = bench.begin("/");
    one.request_data(ms(0), &noise(200_000)).unwrap();
    one.response_head(ms(1), &response("text/plain"));
    one.flush().unwrap();
    one.abandon();
    assert_eq!(bench.exchanges(), []);
    assert_eq!(bench.files(".body"), [""; 0]);
}

#[test]
fn the_lent_buffer_comes_back_empty_and_stays_small() {
    let bench = bench();
    let mut one = bench.begin("/");
    // A long upload in small pieces, and nobody flushes.
    (0..60_000).for_each(|_| one.request_data(ms(0), b"x").unwrap());
    let chunk = noise(64 << 10);
    (0..500).for_each(|_| one.request_data(ms(0), &chunk).unwrap());
    one.response_head(ms(1), &response("text/plain"));
    for _ in 0..500 {
        one.response_data(ms(1), &chunk).unwrap();
        one.flush().unwrap();
    }
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
    let buffer = one.take_buffer();
    assert!(buffer.is_empty());
    assert!(buffer.capacity() <= 512 << 10, "{} bytes", buffer.capacity());
    let Body::File { len, .. } = bench.exchanges().remove(0).response.body else { panic!("file") };
    assert_eq!(len, 500 * (64 << 10));
}

#[test]
fn a_body_cut_with_its_recorder_is_what_its_file_holds() {
    let bench = bench();
    let body = noise(100_000);
    let mut one = bench.begin("/");
    one.expect_response_bytes(1 << 20);
    one.response_head(ms(1), &response("text/plain"));
    one.response_data(ms(1), &body).unwrap();
    one.flush().unwrap();
    drop(one);
    let run = bench.tapes();
    let exchange = run.exchanges("default").next().unwrap().unwrap();
    assert_eq!(exchange.response.end, End::RecorderKilled);
    assert_eq!(bytes_of(&run, &exchange.response.body), body);
}

#[test]
fn a_body_file_that_is_gone_is_an_error_of_its_exchange_alone() {
    let bench = bench();
    answer(&mut bench.begin("/1"), "text/plain", &noise(100_000), 5000);
    answer(&mut bench.begin("/2"), "text/plain", b"small", 5000);
    let name = &bench.files(".body")[0];
    std::fs::remove_file(bench.run.folder().join(name)).unwrap();
    let read: Vec<_> = bench.tapes().exchanges("default").map(|one| one.is_ok()).collect();
    assert_eq!(read, [false, true]);
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let bench = bench();
    answer(&mut bench.begin("/"), "text/plain", &noise(100_000), 5000);
    bench.recorder.claim("default").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bench.run.recording_dir()), 0o700);
    assert_eq!(mode(bench.run.folder()), 0o700);
    for name in names(bench.run.folder()) {
        assert_eq!(mode(&bench.run.folder().join(&name)), 0o600, "{name}");
    }
    let ignored = std::fs::read_to_string(bench.run.folder().join(".gitignore")).unwrap();
    assert_eq!(ignored, "*\n");
}

#[test]
fn a_second_run_is_told_whose_a_session_is() {
    let bench = bench();
    bench.recorder.claim("pay").unwrap();
    bench.recorder.claim("pay").unwrap();
    let second = Run::open(&bench.dir.path().join("recordings"), Vec::new(), |_| {}).unwrap();
    let Err(Error::SessionHeld(held)) = second.claim("pay") else { panic!("held") };
    assert_eq!(held.pid, std::process::id());
    assert_eq!(held.run, bench.run.id().to_string());
    assert!(second.fault().is_none(), "a session held is no fault of the disk");
    second.claim("other").unwrap();
}

#[test]
fn two_runtimes_write_tapes_of_one_run() {
    let bench = bench();
    let other = Recorder::open(Arc::clone(&bench.run), 1, Keep::default()).unwrap();
    for number in 0..6 {
        let recorder = if number % 2 == 0 { &bench.recorder } else { &other };
        let target = format!("/{number}");
        let seq = bench.run.next_seq();
        let mut one = recorder.begin(seq, "default", "api", 7, &request(&target), Vec::new());
        answer(&mut one, "text/plain", b"ok", 10);
    }
    let targets: Vec<_> =
        bench.exchanges().into_iter().map(|one| one.request.head.target).collect();
    assert_eq!(targets, ["/0", "/1", "/2", "/3", "/4", "/5"]);
}
