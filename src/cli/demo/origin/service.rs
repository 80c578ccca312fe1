//! What the origin answers, whichever version of HTTP it is asked in.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::coding;
use crate::exchange::{Coding, Fields};

/// Before each part of a stream. Together they are what the table shows a replay to save.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// What is streamed, in an event or a message each.
pub(super) const WORDS: [&str; 7] =
    ["Recorded ", "once, ", "answered ", "ever ", "after, ", "without ", "me."];

#[derive(Default)]
pub(super) struct Service {
    requests: Cell<u64>,
    visits: Cell<u64>,
    chats: Cell<u64>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    /// Without those that frame the body.
    pub(super) fields: Fields,
    pub(super) body: Body,
}

pub(super) enum Body {
    Whole(Vec<u8>),
    /// Of `events`.
    Events,
}

/// The events of a stream, in their order.
pub(super) fn events() -> impl Iterator<Item = String> {
    let event = |word: &str| format!("event: delta\ndata: {}\n\n", json!({"text": word}));
    WORDS.into_iter().map(event).chain(["data: [DONE]\n\n".to_owned()])
}

impl Service {
    pub(super) fn answer(&self, method: &str, target: &str, body: &[u8]) -> Result<Answer> {
        match (method, target) {
            ("GET", "/v1/models") => Ok(self.json(200, &json!({"models": ["small", "large"]}))),
            ("GET", "/v1/models/small?full=1") => {
                Ok(self.json(200, &json!({"id": "small", "context": 8192, "price": 0.25})))
            }
            ("GET", "/v1/usage") => self.gzip(&usage()),
            ("GET", "/v1/visits") => Ok(self.json(200, &json!({"visits": next(&self.visits)}))),
            ("POST", "/v1/messages") => Ok(self.message(body)),
            _ => Ok(self.json(404, &json!({"error": "not found"}))),
        }
    }

    /// The fields that every answer has.
    pub(super) fn fields(&self, content_type: &str) -> Fields {
        let mut fields = Fields::new();
        fields.push("Content-Type", content_type);
        fields.push("X-Request-Id", self.request_id());
        fields
    }

    /// Tells an answer from all others.
    pub(super) fn request_id(&self) -> String {
        format!("req-{}", next(&self.requests))
    }

    /// The number of a conversation that begins.
    pub(super) fn chat(&self) -> u64 {
        next(&self.chats)
    }

    fn message(&self, body: &[u8]) -> Answer {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        if asked.get("stream").and_then(Value::as_bool) == Some(true) {
            let fields = self.fields("text/event-stream");
            return Answer { status: 200, fields, body: Body::Events };
        }
        self.json(200, &json!({"role": "assistant", "text": "Hello!", "asked": asked}))
    }

    fn json(&self, status: u16, value: &Value) -> Answer {
        let body = Body::Whole(value.to_string().into_bytes());
        Answer { status, fields: self.fields("application/json"), body }
    }

    fn gzip(&self, value: &Value) -> Result<Answer> {
        let coded = coding::encode(Coding::Gzip, value.to_string().as_bytes())?;
        let mut fields = self.fields("application/json");
        fields.push("Content-Encoding", Coding::Gzip.name());
        Ok(Answer { status: 200, fields, body: Body::Whole(coded) })
    }
}

/// Counts from 1.
fn next(count: &Cell<u64>) -> u64 {
    count.set(count.get() + 1);
    count.get()
}

/// Long enough that coding it pays.
fn usage() -> Value {
    let day = |day| json!({"day": format!("2026-01-{day:02}"), "requests": day * 37, "errors": 0});
    json!({"days": (1..=28).map(day).collect::<Vec<_>>()})
}
