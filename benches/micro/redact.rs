//! Heads and URLs without their secrets, as a recording makes them.

use std::hint::black_box;

use ouli::exchange::{Fields, RequestHead};
use ouli::redact::{Redactor, Scratch};

use crate::case::{Body, Case};

pub(crate) const CASES: &[Case] = &[
    Case::new("redact: head without a secret", || head("/v1/items?page=3", None)),
    Case::new("redact: head with a credential", || {
        head("/v1/items?page=3", Some(("Authorization", "Bearer sk-0123456789abcdef")))
    }),
    Case::new("redact: head with a cookie", || {
        head("/v1/items?page=3", Some(("Cookie", "sid=0123456789abcdef; theme=dark")))
    }),
    Case::new("redact: URL without a secret", || url("/v1/items?sort=name&page=3&filter=all")),
    Case::new("redact: URL with a secret", || url("/v1/items?page=3&token=0123456789abcdef")),
];

fn head(target: &str, secret: Option<(&str, &str)>) -> Body {
    let fields = [
        ("Host", "api.example.com"),
        ("User-Agent", "client/1.0 (test)"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Content-Type", "application/json"),
        ("X-Request-Id", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
    ];
    let fields = Fields::from_iter(fields.into_iter().chain(secret));
    let head = RequestHead {
        method: "GET".into(),
        target: target.into(),
        fields,
        ..RequestHead::default()
    };
    let (redactor, mut scratch) = (Redactor::default(), Scratch::default());
    Box::new(move || {
        black_box(redactor.request_head(black_box(&head), &mut scratch));
    })
}

fn url(target: &'static str) -> Body {
    let redactor = Redactor::default();
    Box::new(move || {
        black_box(redactor.target(black_box(target)));
    })
}
