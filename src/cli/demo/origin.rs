//! The demo's origin: a small API of the kind that programs under test call.
//!
//! Knows nothing of Ouli. No two of its answers are equal, since each carries a request id of its
//! own: an answer that comes again byte for byte comes from a recording.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use tokio::time::sleep;

use super::wire::Wire;
use crate::coding;
use crate::exchange::{Coding, Fields, RequestHead, Version};
use crate::http1::writer;
use crate::net::stream::Stream;

/// Before each event of a stream. Together they are what the table shows a replay to save.
const EVENT_PAUSE: Duration = Duration::from_millis(60);

/// What is streamed, an event each.
const WORDS: [&str; 7] =
    ["Recorded ", "once, ", "answered ", "ever ", "after, ", "without ", "me."];

/// Running until it is stopped or dropped.
pub(super) struct Origin {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Origin {
    pub(super) async fn start() -> Result<Origin> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("could not start the demo's origin")?;
        let address = listener.local_addr().context("could not start the demo's origin")?;
        Ok(Origin { address, serving: spawn_local(serve(listener)) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection.
    pub(super) async fn stop(mut self) {
        self.serving.abort();
        // That it was cancelled is what was asked for.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Ends with its task, and all connections with it.
async fn serve(listener: TcpListener) {
    let service = Arc::new(Service::default());
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Whoever talks nonsense or goes away ends a connection and nothing else.
        connections.spawn_local(connection(stream, service.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(tcp: TcpStream, service: Arc<Service>) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = Stream::from(tcp);
    let mut wire = Wire::new(&mut stream);
    while let Some((head, content)) = wire.request().await? {
        let answer = service.answer(&head, &content.body);
        send(&mut wire, &service.next_id(), answer).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Service {
    requests: AtomicU64,
    visits: AtomicU64,
}

enum Answer {
    Json(Value),
    Gzip(Value),
    Events,
    NotFound,
}

impl Service {
    fn next_id(&self) -> String {
        format!("req-{}", 1 + self.requests.fetch_add(1, Ordering::Relaxed))
    }

    fn answer(&self, head: &RequestHead, body: &[u8]) -> Answer {
        match (head.method.as_str(), head.target.as_str()) {
            ("GET", "/v1/models") => Answer::Json(json!({"models": ["small", "large"]})),
            ("GET", "/v1/models/small?full=1") => {
                Answer::Json(json!({"id": "small", "context": 8192, "price": 0.25}))
            }
            ("GET", "/v1/usage") => Answer::Gzip(usage()),
            ("GET", "/v1/visits") => {
                let visits = 1 + self.visits.fetch_add(1, Ordering::Relaxed);
                Answer::Json(json!({"visits": visits}))
            }
            ("POST", "/v1/messages") => message(body),
            _ => Answer::NotFound,
        }
    }
}

fn message(body: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    match asked.get("stream").and_then(Value::as_bool) {
        Some(true) => Answer::Events,
        _ => Answer::Json(json!({"role": "assistant", "text": "Hello!", "asked": asked})),
    }
}

/// Long enough that coding it pays.
fn usage() -> Value {
    let day = |day| json!({"day": format!("2026-01-{day:02}"), "requests": day * 37, "errors": 0});
    json!({"days": (1..=28).map(day).collect::<Vec<_>>()})
}

async fn send(wire: &mut Wire<'_>, id: &str, answer: Answer) -> Result<()> {
    match answer {
        Answer::Json(value) => send_whole(wire, id, 200, None, value.to_string().as_bytes()).await,
        Answer::Gzip(value) => {
            let coded = coding::encode(Coding::Gzip, value.to_string().as_bytes())?;
            send_whole(wire, id, 200, Some(Coding::Gzip), &coded).await
        }
        Answer::Events => send_events(wire, id).await,
        Answer::NotFound => send_whole(wire, id, 404, None, b"{\"error\":\"not found\"}").await,
    }
}

async fn send_whole(
    wire: &mut Wire<'_>,
    id: &str,
    status: u16,
    coding: Option<Coding>,
    body: &[u8],
) -> Result<()> {
    let mut out = begin(id, status, "application/json");
    if let Some(coding) = coding {
        writer::field(&mut out, b"content-encoding", coding.name().as_bytes());
    }
    writer::field_number(&mut out, b"content-length", body.len() as u64);
    writer::end_of_head(&mut out);
    out.extend_from_slice(body);
    Ok(wire.send(&out).await?)
}

/// The head at once, then an event after each pause, then the end.
async fn send_events(wire: &mut Wire<'_>, id: &str) -> Result<()> {
    let mut out = begin(id, 200, "text/event-stream");
    writer::field(&mut out, b"transfer-encoding", b"chunked");
    writer::end_of_head(&mut out);
    wire.send(&out).await?;
    for word in WORDS {
        sleep(EVENT_PAUSE).await;
        out.clear();
        let event = format!("event: delta\ndata: {}\n\n", json!({"text": word}));
        writer::chunk(&mut out, event.as_bytes());
        wire.send(&out).await?;
    }
    out.clear();
    writer::chunk(&mut out, b"data: [DONE]\n\n");
    writer::last_chunk(&mut out, &Fields::new());
    Ok(wire.send(&out).await?)
}

fn begin(id: &str, status: u16, content_type: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let reason: &[u8] = if status == 200 { b"OK" } else { b"Not Found" };
    writer::status_line(&mut out, Version::Http11, status, reason);
    writer::field(&mut out, b"Content-Type", content_type.as_bytes());
    writer::field(&mut out, b"X-Request-Id", id.as_bytes());
    out
}
