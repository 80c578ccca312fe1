//! What the demo's program asks, the same each time, and what it got.
//!
//! A row of the table is a row here. A protocol that isn't HTTP/1.1 becomes a variant of `Talk`
//! that makes an `Answer` of what it got: everything else is the same for all of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wire::{Content, Wire};
use crate::coding;
use crate::exchange::{Fields, ResponseHead};
use crate::http1::writer;
use crate::net::stream::Stream;

/// For one answer: enough for a debug build on a loaded machine. Only a failing demo takes it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key that the program sends along; a recording must not hold it.
pub(super) const API_KEY: &str = "demo-key-9f4e27";

/// Decoded bytes of an answer at most.
const DECODED_MAX: u64 = 1 << 20;

pub(super) struct Row {
    pub(super) talk: Talk,
    /// Names for a reader what this row shows.
    pub(super) what: &'static str,
}

pub(super) enum Talk {
    Http1(Request),
}

pub(super) struct Request {
    method: &'static str,
    target: &'static str,
    /// JSON, or empty for none.
    body: &'static str,
}

pub(super) static ROWS: [Row; 9] = [
    get("/v1/models", "JSON"),
    get("/v1/models/small?full=1", "JSON, by query"),
    get("/v1/usage", "JSON, gzip"),
    post("/v1/messages", "JSON, by body", r#"{"model": "small", "text": "Hi"}"#),
    post("/v1/messages", "JSON, other body", r#"{"model": "large", "text": "Hi"}"#),
    post("/v1/messages", "SSE stream", r#"{"model": "small", "text": "Hi", "stream": true}"#),
    get("/v1/visits", "JSON, 1st answer"),
    get("/v1/visits", "JSON, 2nd answer"),
    get("/v1/visits", "JSON, 3rd answer"),
];

const fn get(target: &'static str, what: &'static str) -> Row {
    Row { talk: Talk::Http1(Request { method: "GET", target, body: "" }), what }
}

const fn post(target: &'static str, what: &'static str, body: &'static str) -> Row {
    Row { talk: Talk::Http1(Request { method: "POST", target, body }), what }
}

impl Talk {
    /// `GET /v1/models`
    pub(super) fn title(&self) -> String {
        match self {
            Talk::Http1(Request { method, target, .. }) => format!("{method} {target}"),
        }
    }
}

/// What a program sees of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In their order, without those that only frame the body on this connection.
    pub(super) fields: Fields,
    /// Its content coding taken off.
    pub(super) body: Vec<u8>,
    pub(super) trailers: Fields,
}

impl Answer {
    /// Ouli made this answer itself, because of a fault.
    pub(super) fn is_fault(&self) -> bool {
        self.fields.contains("ouli-fault")
    }
}

pub(super) struct Played {
    pub(super) answer: Answer,
    /// From the request's first byte to the answer's last.
    pub(super) took: Duration,
}

/// Asks everything of whatever listens at `address`, one after the other, as one program.
pub(super) async fn play(address: SocketAddr, rows: &[Row]) -> Result<Vec<Played>> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.with_context(|| format!("could not connect to {address}"))?;
    stream.set_nodelay(true)?;
    let mut stream = Stream::from(stream);
    let mut wire = Wire::new(&mut stream);
    let host = address.to_string();
    let mut played = Vec::with_capacity(rows.len());
    for row in rows {
        let one = match timeout(PATIENCE, play_row(&mut wire, &host, row)).await {
            Ok(one) => one,
            Err(_) => bail!("`{}` had no whole answer after {PATIENCE:?}", row.talk.title()),
        };
        played.push(one.with_context(|| format!("`{}` had no answer", row.talk.title()))?);
    }
    Ok(played)
}

async fn play_row(wire: &mut Wire<'_>, host: &str, row: &Row) -> Result<Played> {
    let Talk::Http1(request) = &row.talk;
    let begun = Instant::now();
    wire.send(&request.bytes(host)).await?;
    let (head, content) = wire.response(request.method).await?;
    let took = begun.elapsed();
    Ok(Played { answer: answer(&head, content)?, took })
}

impl Request {
    fn bytes(&self, host: &str) -> Vec<u8> {
        let mut fields = Fields::new();
        fields.push("Host", host);
        fields.push("Accept-Encoding", "gzip");
        fields.push("Authorization", format!("Bearer {API_KEY}"));
        if !self.body.is_empty() {
            fields.push("Content-Type", "application/json");
            fields.push("Content-Length", self.body.len().to_string());
        }
        let mut out = Vec::new();
        writer::request_head(&mut out, self.method, self.target, &fields);
        out.extend_from_slice(self.body.as_bytes());
        out
    }
}

fn answer(head: &ResponseHead, content: Content) -> Result<Answer> {
    /// These say how bytes are cut on one connection; a recoded body may have another length.
    const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];
    let kept = head.fields.iter().filter(|field| !FRAMING.iter().any(|name| field.is(name)));
    let body = match coding::of(&head.fields) {
        Some(coding) => coding::decode(coding, &content.body, DECODED_MAX)
            .with_context(|| format!("its {} content doesn't decode", coding.name()))?,
        None => content.body,
    };
    Ok(Answer {
        status: head.status,
        fields: kept.map(|field| (field.name, field.value)).collect(),
        body,
        trailers: content.trailers,
    })
}
