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
    interim: Vec<(u16, Headers)>,
    /// Breaks off after the body, HTTP/2 with this code.
    cut: Option<u32>,
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
        let (headers, body) = (Headers::default(), Body::Sized(Vec::new()));
        Reply { status, reason, headers, body, interim: Vec::new(), cut: None }
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

    /// An interim answer before this one.
    pub fn after_interim(mut self, status: u16, name: &str, value: &str) -> Self {
        self.interim.push((status, Headers(vec![(name.to_owned(), value.to_owned())])));
        self
    }

    /// Breaks off where the body ends: HTTP/2 by a reset with this code, HTTP/1.1 by a close in
    /// the midst of a chunked body.
    pub fn cut(mut self, code: u32) -> Self {
        let (chunks, _) = self.parts();
        self.body = Body::Chunked(chunks, Headers::default());
        self.cut = Some(code);
        self
    }

    pub fn ends_with_connection(&self) -> bool {
        self.cut.is_some()
            || matches!(self.body, Body::UntilClose(_))
            || self.headers.lists("connection", "close")
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn interim(&self) -> &[(u16, Headers)] {
        &self.interim
    }

    pub fn is_cut(&self) -> Option<u32> {
        self.cut
    }

    /// The body in its parts, and its trailers.
    pub fn parts(&self) -> (Vec<Vec<u8>>, Headers) {
        match &self.body {
            Body::None => (Vec::new(), Headers::default()),
            Body::Sized(body) | Body::UntilClose(body) => (vec![body.clone()], Headers::default()),
            Body::Chunked(chunks, trailers) => (chunks.clone(), trailers.clone()),
        }
    }

    /// The fields of its head over HTTP/2; what frames a body there is no field.
    pub fn h2_headers(&self) -> Headers {
        let mut headers = self.headers.clone();
        if let Body::Sized(body) = &self.body {
            headers.0.push(("content-length".to_owned(), body.len().to_string()));
        }
        headers
    }

    /// The answer as it goes over the wire; to HEAD only its head.
    pub fn to_bytes(&self, method: &str) -> Vec<u8> {
        let mut head = String::new();
        for (status, headers) in &self.interim {
            head += &format!("HTTP/1.1 {status} Interim\r\n");
            headers.0.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
            head += "\r\n";
        }
        head += &format!("HTTP/1.1 {} {}\r\n", self.status, self.reason);
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
            Body::Chunked(chunks, trailers) => {
                write_chunks(&mut bytes, chunks, trailers);
                if self.cut.is_some() {
                    bytes.truncate(bytes.len() - b"0\r\n\r\n".len());
                }
            }
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

/// The parts of a coded stream, each flushed so that it decodes when it has come; the coding's end
/// comes last.
pub fn coded_parts(coding: &str, parts: &[&str]) -> Vec<Vec<u8>> {
    let mut taken = 0;
    let mut coder = Coder::new(coding);
    let mut coded: Vec<_> = parts
        .iter()
        .map(|part| {
            let all = coder.push(part.as_bytes());
            let new = all[taken..].to_vec();
            taken = all.len();
            new
        })
        .collect();
    coded.push(coder.finish()[taken..].to_vec());
    coded
}

/// A content coding that is put on bit by bit.
enum Coder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Coder {
    fn new(coding: &str) -> Self {
        let level = flate2::Compression::default();
        match coding {
            "gzip" => Coder::Gzip(flate2::write::GzEncoder::new(Vec::new(), level)),
            "deflate" => Coder::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), level)),
            "br" => Coder::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20))),
            "zstd" => Coder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap()),
            other => panic!("no coding `{other}`"),
        }
    }

    /// All that was made so far.
    fn push(&mut self, plain: &[u8]) -> &[u8] {
        let writer: &mut dyn Write = match self {
            Coder::Gzip(coder) => coder,
            Coder::Deflate(coder) => coder,
            Coder::Brotli(coder) => coder,
            Coder::Zstd(coder) => coder,
        };
        writer.write_all(plain).unwrap();
        writer.flush().unwrap();
        match self {
            Coder::Gzip(coder) => coder.get_ref(),
            Coder::Deflate(coder) => coder.get_ref(),
            Coder::Brotli(coder) => coder.get_ref(),
            Coder::Zstd(coder) => coder.get_ref(),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Coder::Gzip(coder) => coder.finish().unwrap(),
            Coder::Deflate(coder) => coder.finish().unwrap(),
            Coder::Brotli(coder) => coder.into_inner(),
            Coder::Zstd(coder) => coder.finish().unwrap(),
        }
    }
}

/// What the beginning of a coded body says, as a reader decodes it that doesn't wait for the rest.
pub fn decoded_so_far(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read + '_> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        "deflate" => Box::new(flate2::read::ZlibDecoder::new(bytes)),
        "br" => Box::new(brotli::Decompressor::new(bytes, 4096)),
        "zstd" => match zstd::stream::read::Decoder::new(bytes) {
            Ok(decoder) => Box::new(decoder),
            Err(error) => panic!("{error}"),
        },
        other => panic!("no coding `{other}`"),
    };
    let mut plain = Vec::new();
    // It has no end, which is an error behind what it says.
    let _ = reader.read_to_end(&mut plain);
    plain
}
