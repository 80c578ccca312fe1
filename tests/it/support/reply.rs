//! Answers that an origin's routes give.

use std::io::{Read, Write};

use super::ask::write_chunks;
use super::message::Headers;

/// A well-formed answer; anything else is sent as bytes, through `Talk::send`.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    reason: String,
    headers: Headers,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// Nothing, and no framing fields but those the test gave.
    None,
    Sized(Vec<u8>),
    Chunked(Vec<Vec<u8>>, Headers),
    /// Ends with the connection.
    UntilClose(Vec<u8>),
}

impl Reply {
    pub fn new(status: u16) -> Self {
        let reason = match status {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            206 => "Partial Content",
            301 => "Moved Permanently",
            302 => "Found",
            304 => "Not Modified",
            404 => "Not Found",
            500 => "Internal Server Error",
            _ => "Whatever",
        };
        let reason = reason.to_owned();
        Reply { status, reason, headers: Headers::default(), body: Body::Sized(Vec::new()) }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Reply::new(200).body(body)
    }

    pub fn json(text: &str) -> Self {
        Reply::ok(text).header("content-type", "application/json")
    }

    /// An event stream, a chunk for each event.
    pub fn events<E: AsRef<str>>(events: impl IntoIterator<Item = E>) -> Self {
        let chunks = events.into_iter().map(|event| format!("data: {}\n\n", event.as_ref()));
        Reply::new(200).header("content-type", "text/event-stream").chunked(chunks)
    }

    pub fn reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(body.into());
        self
    }

    pub fn without_body(mut self) -> Self {
        self.body = Body::None;
        self
    }

    pub fn chunked<B: Into<Vec<u8>>>(mut self, chunks: impl IntoIterator<Item = B>) -> Self {
        self.body = Body::Chunked(chunks.into_iter().map(Into::into).collect(), Headers::default());
        self
    }

    /// Adds a trailer to a chunked body.
    #[track_caller]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        match &mut self.body {
            Body::Chunked(_, trailers) => trailers.0.push((name.to_owned(), value.to_owned())),
            _ => panic!("only a chunked body has trailers"),
        }
        self
    }

    pub fn until_close(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::UntilClose(body.into());
        self
    }

    pub fn ends_with_connection(&self) -> bool {
        matches!(self.body, Body::UntilClose(_)) || self.headers.lists("connection", "close")
    }

    /// The answer as it goes over the wire; to HEAD only its head.
    pub fn to_bytes(&self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, self.reason);
        let mut line = |name: &str, value: &str| head += &format!("{name}: {value}\r\n");
        self.headers.0.iter().for_each(|(name, value)| line(name, value));
        match &self.body {
            Body::None | Body::UntilClose(_) => {}
            Body::Sized(body) => line("content-length", &body.len().to_string()),
            Body::Chunked(..) => line("transfer-encoding", "chunked"),
        }
        let mut bytes = super::wire::to_latin1(&head);
        bytes.extend(b"\r\n");
        match &self.body {
            _ if method == "HEAD" => {}
            Body::None => {}
            Body::Sized(body) | Body::UntilClose(body) => bytes.extend(body),
            Body::Chunked(chunks, trailers) => write_chunks(&mut bytes, chunks, trailers),
        }
        bytes
    }
}

impl From<String> for Reply {
    fn from(body: String) -> Self {
        Reply::ok(body)
    }
}

impl From<&str> for Reply {
    fn from(body: &str) -> Self {
        Reply::ok(body)
    }
}

impl From<Vec<u8>> for Reply {
    fn from(body: Vec<u8>) -> Self {
        Reply::ok(body)
    }
}

/// Puts a content coding on: gzip, deflate, br or zstd.
pub fn coded(coding: &str, plain: &[u8]) -> Vec<u8> {
    use flate2::Compression;
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
            writer.write_all(plain).unwrap();
            drop(writer);
            out
        }
        "zstd" => zstd::stream::encode_all(plain, 3).unwrap(),
        other => panic!("no coding `{other}`"),
    }
}

/// Takes a content coding off.
pub fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out),
        "deflate" => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out),
        other => panic!("no coding `{other}`"),
    };
    read.unwrap_or_else(|e| panic!("not {coding}: {e}"));
    out
}
