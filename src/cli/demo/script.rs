//! What the demo's program asks, the same each time. A row of the table is a row here.

use crate::exchange::Fields;
use crate::ws::frame;
use crate::ws::handshake;

/// The key that the program sends along; a recording must not hold it.
pub(super) const API_KEY: &str = "demo-key-9f4e27";

pub(super) struct Row {
    pub(super) talk: Talk,
    /// Names for a reader what this row shows.
    pub(super) what: &'static str,
}

pub(super) enum Talk {
    Request(Over, Request),
    /// Over HTTP/2 and TLS.
    Call(Call),
    /// On a connection of its own, or a stream.
    Conversation(Over, Conversation),
}

/// How a request goes out.
#[derive(Clone, Copy)]
pub(super) enum Over {
    Http1,
    Http1Tls,
    Http2Tls,
}

pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    /// JSON, or empty for none.
    pub(super) body: &'static str,
}

/// A gRPC call.
pub(super) struct Call {
    /// `/demo.Chat/Ask`
    pub(super) path: &'static str,
    pub(super) first: &'static str,
    /// Each is said when the one before has been answered.
    pub(super) others: &'static [&'static str],
}

/// A WebSocket conversation.
pub(super) struct Conversation {
    pub(super) target: &'static str,
    pub(super) compression: Compression,
    /// Each is said when the one before has been answered, the first after a greeting.
    pub(super) lines: &'static [Line],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Offered,
    None,
}

pub(super) enum Line {
    Text(&'static str),
    Binary(&'static [u8]),
    Ping,
}

const LINES: &[Line] = &[
    Line::Text(r#"{"say": "Hi"}"#),
    Line::Ping,
    Line::Binary(&[0x00, 0x01, 0xfe, 0xff]),
    Line::Text(r#"{"bye": true}"#),
];

pub(super) static ROWS: [Row; 16] = [
    get("/v1/models", "JSON"),
    get("/v1/models/small?full=1", "JSON, by query"),
    get("/v1/usage", "JSON, gzip"),
    post("/v1/messages", "JSON, by body", r#"{"model": "small", "text": "Hi"}"#),
    post("/v1/messages", "JSON, other body", r#"{"model": "large", "text": "Hi"}"#),
    post("/v1/messages", "SSE stream", r#"{"model": "small", "text": "Hi", "stream": true}"#),
    get("/v1/visits", "JSON, 1st answer"),
    get("/v1/visits", "JSON, 2nd answer"),
    get("/v1/visits", "JSON, 3rd answer"),
    over(Over::Http1Tls, get("/v1/models", "JSON, TLS")),
    over(Over::Http2Tls, get("/v1/models", "JSON, HTTP/2 over TLS")),
    call("/demo.Chat/Ask", "gRPC, unary", "Ada", &[]),
    call("/demo.Chat/Tell", "gRPC, server stream", "a story", &[]),
    call("/demo.Chat/Talk", "gRPC, both ways", "ping 1", &["ping 2", "ping 3"]),
    conversation(Over::Http1, "WebSocket, compressed", Compression::Offered),
    conversation(Over::Http2Tls, "WebSocket over HTTP/2", Compression::None),
];

const fn get(target: &'static str, what: &'static str) -> Row {
    let request = Request { method: "GET", target, body: "" };
    Row { talk: Talk::Request(Over::Http1, request), what }
}

const fn post(target: &'static str, what: &'static str, body: &'static str) -> Row {
    let request = Request { method: "POST", target, body };
    Row { talk: Talk::Request(Over::Http1, request), what }
}

const fn over(over: Over, row: Row) -> Row {
    match row {
        Row { talk: Talk::Request(_, request), what } => {
            Row { talk: Talk::Request(over, request), what }
        }
        other => other,
    }
}

const fn call(
    path: &'static str,
    what: &'static str,
    first: &'static str,
    others: &'static [&'static str],
) -> Row {
    Row { talk: Talk::Call(Call { path, first, others }), what }
}

const fn conversation(over: Over, what: &'static str, compression: Compression) -> Row {
    let conversation = Conversation { target: "/v1/chat", compression, lines: LINES };
    Row { talk: Talk::Conversation(over, conversation), what }
}

impl Talk {
    /// `GET /v1/models`, `demo.Chat/Ask`
    pub(super) fn title(&self) -> String {
        match self {
            Talk::Request(_, Request { method, target, .. }) => format!("{method} {target}"),
            Talk::Call(Call { path, .. }) => path.trim_start_matches('/').to_owned(),
            Talk::Conversation(_, Conversation { target, .. }) => format!("GET {target}"),
        }
    }
}

impl Request {
    pub(super) fn fields(&self, host: &str) -> Fields {
        let mut fields = fields(host);
        fields.push("Accept-Encoding", "gzip");
        if !self.body.is_empty() {
            fields.push("Content-Type", "application/json");
            fields.push("Content-Length", self.body.len().to_string());
        }
        fields
    }
}

impl Call {
    pub(super) fn fields(host: &str) -> Fields {
        let mut fields = fields(host);
        fields.push("TE", "trailers");
        fields.push("Content-Type", "application/grpc");
        fields
    }
}

impl Conversation {
    /// In the terms of HTTP/1.1.
    pub(super) fn fields(&self, host: &str) -> Fields {
        let mut fields = fields(host);
        fields.push("Upgrade", handshake::PROTOCOL);
        fields.push("Connection", "Upgrade");
        fields.push("Sec-WebSocket-Version", handshake::VERSION);
        fields.push("Sec-WebSocket-Key", handshake::key(frame::random()));
        if self.compression == Compression::Offered {
            fields.push("Sec-WebSocket-Extensions", "permessage-deflate");
        }
        fields
    }
}

/// Those that everything asked has.
fn fields(host: &str) -> Fields {
    let mut fields = Fields::new();
    fields.push("Host", host);
    fields.push("Authorization", format!("Bearer {API_KEY}"));
    fields
}
