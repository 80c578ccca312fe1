//! A request for a client to send.

use super::message::Headers;

/// A well-formed request; malformed ones are sent as bytes, through `Connection::send`.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    /// `:authority`, if it isn't the address that is called.
    pub authority: Option<String>,
    /// `:protocol` of an extended CONNECT (RFC 8441 section 4).
    pub protocol: Option<String>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Sized(Vec<u8>),
    Chunked(Vec<Vec<u8>>, Headers),
}

impl Ask {
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        let (method, target) = (method.to_owned(), target.into());
        let (headers, body) = (Headers::default(), Body::None);
        Ask { method, target, headers, authority: None, protocol: None, body }
    }

    pub fn get(target: impl Into<String>) -> Self {
        Ask::new("GET", target)
    }

    pub fn post(target: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Ask::new("POST", target).body(body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.to_owned());
        self
    }

    pub fn protocol(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.to_owned());
        self
    }

    pub fn session(self, name: &str) -> Self {
        self.header("ouli-session", name)
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(body.into());
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

    /// The length that the head declares.
    pub fn declared_len(&self) -> Option<usize> {
        match &self.body {
            Body::Sized(body) => Some(body.len()),
            _ => None,
        }
    }

    /// The body in its parts, and its trailers.
    pub fn parts(&self) -> (Vec<Vec<u8>>, Headers) {
        match &self.body {
            Body::None => (Vec::new(), Headers::default()),
            Body::Sized(body) => (vec![body.clone()], Headers::default()),
            Body::Chunked(chunks, trailers) => (chunks.clone(), trailers.clone()),
        }
    }

    /// Head and body as they go over the wire. `host` stands first unless the request has its own.
    pub fn to_bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut line = |name: &str, value: &str| head += &format!("{name}: {value}\r\n");
        if !self.headers.has("host") {
            line("host", host);
        }
        self.headers.0.iter().for_each(|(name, value)| line(name, value));
        match &self.body {
            Body::None => {}
            Body::Sized(body) => line("content-length", &body.len().to_string()),
            Body::Chunked(..) => line("transfer-encoding", "chunked"),
        }
        let mut bytes = super::wire::to_latin1(&head);
        bytes.extend(b"\r\n");
        match &self.body {
            Body::None => {}
            Body::Sized(body) => bytes.extend(body),
            Body::Chunked(chunks, trailers) => write_chunks(&mut bytes, chunks, trailers),
        }
        bytes
    }
}

/// A chunked body, its last chunk and trailers included.
pub fn write_chunks(out: &mut Vec<u8>, chunks: &[Vec<u8>], trailers: &Headers) {
    for chunk in chunks {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n");
    for (name, value) in &trailers.0 {
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    out.extend(b"\r\n");
}
