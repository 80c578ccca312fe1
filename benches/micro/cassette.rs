//! Opening recordings, and finding one of them.

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use ouli::cassette;
use ouli::config::Limits;
use ouli::exchange::Fields;
use ouli::grpc::Catalog;
use ouli::matching::{Asked, BodyKey, BodyPrint, Bounds, key};
use ouli::redact::Redactor;
use ouli::replay::choose::AfterLast;
use ouli::replay::{Choice, Library, Session, Settings};

use crate::case::{Body, Case};

const EXCHANGES: u64 = 100;

pub(crate) const CASES: &[Case] = &[
    Case::of(EXCHANGES, "cassette: exchange read", read),
    Case::new("cassette: look-up among 100", || look_up(EXCHANGES)),
    Case::new("cassette: look-up among 10,000", || look_up(10_000)),
];

fn text(count: u64) -> String {
    let mut text = String::from(
        r#"{"format": 1, "endpoints": [{"name": "api", "listen": "127.0.0.1:8080", "source_type": "http", "origin": "http://api.example.com:80"}], "exchanges": ["#,
    );
    let body = "x".repeat(200);
    for n in 0..count {
        let comma = if n > 0 { "," } else { "" };
        write!(
            text,
            r#"{comma}
    {{
      "endpoint": "api",
      "recorded_at": "2026-11-20T09:12:33.125Z",
      "request": {{
        "method": "GET",
        "target": "/v1/items/{n}?page=3",
        "headers": [
          ["Host", "api.example.com"],
          ["Accept", "application/json"],
          ["Authorization", "Bearer REDACTED"]
        ]
      }},
      "response": {{
        "at_ms": 12,
        "status": 200,
        "reason": "OK",
        "headers": [
          ["Content-Type", "application/json"],
          ["Content-Length", "256"]
        ],
        "body": {{"json": {{"id": {n}, "name": "an item", "tags": ["a", "b"], "text": "{body}"}}}}
      }}
    }}"#
        )
        .expect("text takes text");
    }
    text + "]}"
}

fn read() -> Body {
    let text = text(EXCHANGES);
    Box::new(move || {
        let cassette = cassette::read_bytes(black_box(text.as_bytes())).expect("sound");
        assert_eq!(cassette.exchanges.len() as u64, EXCHANGES);
    })
}

/// A request's key is made and looked up.
fn look_up(count: u64) -> Body {
    let folder = tempfile::tempdir().expect("there is room for files");
    std::fs::write(folder.path().join("default.json"), text(count)).expect("there is room");
    let session = session(folder.path());
    let bounds = Bounds::from(&Limits::default());
    let (redactor, mut out) = (Redactor::default(), Vec::new());
    let target = format!("/v1/items/{}?page=3", count / 2);
    let fields = Fields::new();
    Box::new(move || {
        let _kept = &folder;
        let body = BodyKey::new(&fields, bounds, Vec::new());
        let target = black_box(&target);
        let asked = Asked { endpoint: "api", method: "GET", target, body: BodyPrint::None };
        key::write(&mut out, &asked, &redactor);
        let choice = session.choose(&out, &body);
        assert!(matches!(black_box(choice), Choice::Hit(_)));
    })
}

fn session(folder: &Path) -> Arc<Session> {
    let settings = Settings {
        redactor: Redactor::default(),
        bounds: Bounds::from(&Limits::default()),
        after_last: AfterLast::Repeat,
        index_over: u64::MAX,
        make_wire: ouli::http::wire_for_any_endpoint,
    };
    let library =
        Library::open(folder, Vec::new(), Catalog::new(), settings).expect("the folder is there");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(library.session("default")).expect("the cassette is sound")
}
