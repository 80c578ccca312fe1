//! Reading HTTP/1.1: heads, what they say of the body, chunks.

use std::hint::black_box;

use ouli::exchange::{RequestHead, ResponseHead};
use ouli::http1::body::{BodyDecoder, BodyEvent};
use ouli::http1::framing::{Framing, request_framing, response_framing};
use ouli::http1::head::{HeadLimits, HeadScanner, Role, parse_request, parse_response};

use crate::case::{Body, Case};

const CHUNKS: u64 = 16;

pub(crate) const CASES: &[Case] = &[
    Case::new("http1: request head, 2 fields", || request(SMALL)),
    Case::new("http1: request head, 12 fields", || request(BROWSER)),
    Case::new("http1: answer head, 6 fields", response),
    Case::of(CHUNKS, "http1: chunk of 256 bytes", chunked),
];

const SMALL: &str = "GET /v1/items?page=3 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: */*\r\n\r\n";

const BROWSER: &str = "GET /v1/items?sort=name&page=3&filter=all HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/items\r\n\
    Authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\n\
    Cookie: sid=0123456789abcdef; theme=dark\r\n\
    Connection: keep-alive\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-site\r\n\r\n";

const ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    Date: Fri, 20 Nov 2026 09:12:33 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 256\r\n\
    Cache-Control: no-store\r\n\
    ETag: \"0f1e2d3c4b5a6978\"\r\n\
    Server: example\r\n\r\n";

/// The default limits.
const LIMITS: HeadLimits =
    HeadLimits { bytes_max: 64 << 10, fields_max: 100, target_max: 32 << 10 };

fn request(text: &'static str) -> Body {
    let (mut scanner, mut head) = (HeadScanner::new(Role::Server), RequestHead::default());
    Box::new(move || {
        let bytes = black_box(text).as_bytes();
        scanner.reset();
        let end = scanner.scan(bytes, &LIMITS).expect("sound").expect("whole");
        parse_request(&bytes[..end], &LIMITS, &mut head).expect("sound");
        black_box(request_framing(&head).expect("sound"));
    })
}

fn response() -> Body {
    let (mut scanner, mut head) = (HeadScanner::new(Role::Client), ResponseHead::default());
    Box::new(move || {
        let bytes = black_box(ANSWER).as_bytes();
        scanner.reset();
        let end = scanner.scan(bytes, &LIMITS).expect("sound").expect("whole");
        parse_response(&bytes[..end], &LIMITS, &mut head).expect("sound");
        black_box(response_framing(&head, "GET").expect("sound"));
    })
}

fn chunked() -> Body {
    let chunk = format!("100\r\n{}\r\n", "x".repeat(256));
    let text = chunk.repeat(CHUNKS as usize) + "0\r\n\r\n";
    Box::new(move || {
        let mut decoder = BodyDecoder::new(Framing::Chunked, &LIMITS);
        let mut rest = black_box(&text).as_bytes();
        loop {
            let decoded = decoder.decode(rest).expect("sound");
            rest = &rest[decoded.consumed..];
            match black_box(decoded.event) {
                BodyEvent::Data(_) => {}
                BodyEvent::End => break,
                BodyEvent::NeedMore => unreachable!("the body is whole"),
            }
        }
    })
}
