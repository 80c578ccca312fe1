//! An exchange on its way to the tape: its frames, and the write.

use std::hint::black_box;
use std::time::Duration;

use ouli::exchange::{End, Fields, RequestHead, ResponseHead, Version};
use ouli::record::{Keep, Recorder, Run};
use ouli::tape::format::{Frame, encode};

use crate::case::{Body, Case};

pub(crate) const CASES: &[Case] = &[
    Case::new("tape: exchange with 256 bytes, encoded", || exchange(256, Then::Drop)),
    Case::new("tape: exchange with 1 KiB, encoded", || exchange(1024, Then::Drop)),
    Case::new("tape: exchange with 256 bytes, written", || exchange(256, Then::Write)),
    Case::new("tape: exchange with 1 KiB, written", || exchange(1024, Then::Write)),
    Case::new("tape: data frame of 1 KiB", frame),
];

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Drop,
    Write,
}

/// What `http::forward` does for an ordinary GET: its answer came in one read.
fn exchange(body_bytes: usize, then: Then) -> Body {
    let folder = tempfile::tempdir().expect("there is room for files");
    let run =
        Run::open(folder.path(), Vec::new(), |fault| panic!("{fault}")).expect("a new folder");
    let recorder = Recorder::open(run, 0, Keep::default()).expect("a new folder");
    let (request, response, none) = (request(), response(), Fields::new());
    let body = vec![b'x'; body_bytes];
    let mut buffer = Vec::new();
    Box::new(move || {
        let _kept = &folder;
        let lent = std::mem::take(&mut buffer);
        let seq = recorder.run().next_seq();
        let mut recording =
            recorder.begin(seq, "default", "api", 1_795_000_000_000, &request, lent);
        recording.request_end(&none).expect("there is room");
        recording.response_head(Duration::from_micros(900), &response);
        recording.expect_response_bytes(body.len() as u64);
        recording
            .response_data(Duration::from_micros(901), black_box(&body))
            .expect("there is room");
        recording.end(End::Whole, &none).expect("there is room");
        if then == Then::Write {
            recording.flush().expect("there is room");
        }
        buffer = black_box(&mut recording).take_buffer();
    })
}

fn frame() -> Body {
    let (bytes, mut out) = (vec![b'x'; 1024], Vec::new());
    Box::new(move || {
        out.clear();
        let frame = Frame::Data { at: Duration::from_micros(901), bytes: black_box(&bytes) };
        encode(&mut out, ouli::exchange::Seq(7), &frame);
        black_box(&out);
    })
}

fn request() -> RequestHead {
    RequestHead {
        method: "GET".into(),
        target: "/v1/items?page=3".into(),
        version: Version::Http11,
        fields: Fields::from_iter([
            ("Host", "api.example.com"),
            ("User-Agent", "client/1.0 (test)"),
            ("Accept", "application/json"),
            ("Authorization", "Bearer REDACTED"),
        ]),
    }
}

fn response() -> ResponseHead {
    ResponseHead {
        version: Version::Http11,
        status: 200,
        reason: b"OK".to_vec(),
        fields: Fields::from_iter([
            ("Date", "Fri, 20 Nov 2026 09:12:33 GMT"),
            ("Content-Type", "application/json"),
            ("Content-Length", "256"),
            ("Server", "example"),
        ]),
    }
}
