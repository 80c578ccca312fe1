//! Recorded exchanges for tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{BodyPath, Session, Settings};
use crate::exchange::{
    After, Body, End, Exchange, Fields, Request, RequestHead, Response, ResponseHead,
};
use crate::matching::{Asked, BodyKey, Bounds, key};
use crate::redact::Redactor;
use crate::replay::answer::Wire;
use crate::replay::choose::AfterLast;

pub(super) fn settings(after_last: AfterLast) -> Settings {
    let bounds = Bounds { match_bytes_max: 4096, decoded_bytes_max: 1 << 20 };
    Settings {
        redactor: Redactor::default(),
        bounds,
        after_last,
        index_over: u64::MAX,
        make_wire: wire,
    }
}

/// Something around the body.
pub(super) fn wire(response: &Response) -> Option<Wire> {
    let body: &[u8] = match &response.body {
        Body::Whole(bytes) => bytes,
        Body::Absent => b"",
        _ => return None,
    };
    Some(Wire { status: response.head.status, bytes: [b"head ", body, b" tail"].concat().into() })
}

pub(super) fn no_bodies() -> BodyPath {
    Arc::new(|digest| PathBuf::from(format!("/nonexistent/{digest}")))
}

pub(super) fn session(exchanges: Vec<Exchange>) -> Session {
    Session::build("test", exchanges, &settings(AfterLast::Repeat), no_bodies(), None).unwrap()
}

/// An exchange whose answer's body is `answer`.
pub(super) fn exchange(method: &str, target: &str, body: Body, answer: &str) -> Exchange {
    let json = Fields::from_iter([("content-type", "application/json")]);
    let head = RequestHead {
        method: method.into(),
        target: target.into(),
        fields: json,
        ..RequestHead::default()
    };
    Exchange {
        endpoint: "api".into(),
        recorded_at_ms: 0,
        request: Request { head, body, coding: None, trailers: Fields::new(), is_whole: true },
        response: Response {
            at: Duration::ZERO,
            after: After::End,
            interim: Vec::new(),
            head: ResponseHead::default(),
            body: Body::Whole(Bytes::copy_from_slice(answer.as_bytes())),
            coding: None,
            trailers: Fields::new(),
            end: End::Whole,
            end_after: After::End,
            close: None,
        },
    }
}

pub(crate) fn get(target: &str, answer: &str) -> Exchange {
    exchange("GET", target, Body::Absent, answer)
}

pub(super) fn post(target: &str, body: &str, answer: &str) -> Exchange {
    exchange("POST", target, Body::Whole(Bytes::copy_from_slice(body.as_bytes())), answer)
}

/// A live request's key, and its body.
pub(super) fn asked(method: &str, target: &str, content: &str) -> (Vec<u8>, BodyKey) {
    let settings = settings(AfterLast::Repeat);
    let json = Fields::from_iter([("Content-Type", "application/json; charset=utf-8")]);
    let mut body = BodyKey::new(&json, settings.bounds, Vec::new());
    body.push(content.as_bytes());
    let asked = Asked { endpoint: "api", method, target, body: body.finish() };
    let mut key = Vec::new();
    key::write(&mut key, &asked, &settings.redactor);
    (key, body)
}
