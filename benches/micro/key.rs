//! The match key of a request, as a replay makes it for each.

use std::hint::black_box;

use ouli::config::Limits;
use ouli::exchange::Fields;
use ouli::matching::{Asked, BodyKey, BodyPrint, Bounds, key};
use ouli::redact::Redactor;

use crate::case::{Body, Case};

pub(crate) const CASES: &[Case] = &[
    Case::new("key: GET, plain path", || get("/v1/models/small")),
    Case::new("key: GET, query of 3", || get("/v1/items?sort=name&page=3&filter=all")),
    Case::new("key: GET, encoded query of 3", || get("/v1/items?q=a%20b&lang=%c3%a9&n=%7E1")),
    Case::new("key: GET, secret in query", || get("/v1/items?page=3&api_key=sk-0123456789abcdef")),
    Case::new("key: POST, JSON of 1 KiB", || post("application/json", json())),
    Case::new("key: POST, JSON of 1 KiB, sorted", || post("application/json", sorted_json())),
    Case::new("key: POST, form of 1 KiB", || post("application/x-www-form-urlencoded", form())),
    Case::new("key: POST, bytes of 1 KiB", || post("application/octet-stream", vec![7; 1024])),
];

fn get(target: &'static str) -> Body {
    let (redactor, mut out) = (Redactor::default(), Vec::new());
    Box::new(move || {
        let asked = Asked {
            endpoint: "api",
            method: "GET",
            target: black_box(target),
            body: BodyPrint::None,
        };
        key::write(&mut out, &asked, &redactor);
        black_box(&out);
    })
}

fn post(content_type: &str, content: Vec<u8>) -> Body {
    let fields = Fields::from_iter([("Content-Type", content_type)]);
    let bounds = Bounds::from(&Limits::default());
    let (redactor, mut out, mut kept) = (Redactor::default(), Vec::new(), Vec::new());
    Box::new(move || {
        let mut body = BodyKey::new(black_box(&fields), bounds, std::mem::take(&mut kept));
        body.push(black_box(&content));
        let print = body.finish();
        let asked = Asked { endpoint: "api", method: "POST", target: "/v1/chat", body: print };
        key::write(&mut out, &asked, &redactor);
        black_box(&out);
        kept = body.into_buffer();
    })
}

/// What a client of a language model sends, members as they come.
fn json() -> Vec<u8> {
    let text =
        "Why is the sky blue, and why does it turn red in the evening? Say it in one sentence.";
    let turn = |role: &str| format!(r#"{{"role": "{role}", "content": "{text}\n{text}"}}"#);
    let turns = [turn("system"), turn("user"), turn("assistant"), turn("user")].join(", ");
    let rest =
        r#""temperature": 0.7, "max_tokens": 512, "stream": true, "tools": [], "user": null"#;
    let pad = "x".repeat(1024 - 21 - 6 - turns.len() - rest.len() - 38);
    format!(r#"{{"model": "small-{pad}", "messages": [{turns}], {rest}, "seed": 12345678}}"#)
        .into_bytes()
}

fn sorted_json() -> Vec<u8> {
    let members: Vec<_> = (0..40).map(|n| format!(r#""name{n:03}":"value {n:06}""#)).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

fn form() -> Vec<u8> {
    let fields: Vec<_> = (0..40).map(|n| format!("field{n:03}=a+value+{n:07}")).collect();
    fields.join("&").into_bytes()
}
