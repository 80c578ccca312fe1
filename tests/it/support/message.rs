//! Messages as a test sees them, and how they ended.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// Fields in the order, case and repetition of the wire. Bytes above 127 stand as Latin-1.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The only value under this name; two are a failure.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "`{name}` came {} times: {self:?}", all.len());
        all.first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// Names as they stood on the wire.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Whether a comma-separated list under this name holds the token, in any line and case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let lines = self.all(name);
        lines.iter().flat_map(|l| l.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "  {name}: {value}"))
    }
}

/// How a message's bytes came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As its framing promised.
    Whole,
    /// The peer closed in an orderly way before that.
    Cut,
    /// The peer reset the connection before that.
    Reset,
    /// Nothing more came for the reader's patience.
    Silence,
    /// HTTP/2: the peer reset the stream, with this code.
    StreamReset(u32),
    /// HTTP/2: the connection ended under the stream, with this code.
    GoneAway(u32),
}

/// No head of a message came, or what came isn't HTTP.
#[derive(Clone, Debug)]
pub struct Failure {
    pub ending: Ending,
    /// What is wrong with the bytes, if that is the trouble.
    pub malformed: Option<String>,
    /// What came of the message.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.malformed.as_deref().unwrap_or("no head of an answer came");
        write!(f, "{what} ({:?}) after {}", self.ending, Printable(&self.bytes))
    }
}

/// An answer as a client read it.
#[derive(Clone)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub reason: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// Interim answers that came before it.
    pub interim: Vec<(u16, Headers)>,
    pub ending: Ending,
    /// Chunks as they came, with the time since reading began. Not part of equality.
    pub chunks: Vec<(Duration, Vec<u8>)>,
}

impl PartialEq for Response {
    fn eq(&self, other: &Self) -> bool {
        let key = |r: &Self| (r.status, r.reason.clone(), r.version.clone(), r.ending);
        key(self) == key(other)
            && self.headers == other.headers
            && self.body == other.body
            && self.trailers == other.trailers
            && self.interim == other.interim
    }
}

impl Response {
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    pub fn is_whole(&self) -> bool {
        self.ending == Ending::Whole
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// The fault's name, when Ouli itself made this answer.
    #[track_caller]
    pub fn fault(&self) -> Option<&str> {
        self.headers.get("ouli-fault")
    }

    /// Checks the form of Ouli's own answers (RFC 9457) and returns the problem's text.
    #[track_caller]
    pub fn problem(&self, status: u16, fault: &str) -> String {
        assert_eq!((self.status, self.fault()), (status, Some(fault)), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert!(problem.is_object(), "a problem is an object: {self:?}");
        if let Some(own) = problem.get("status") {
            assert_eq!(own.as_u64(), Some(u64::from(status)), "{self:?}");
        }
        assert!(problem["title"].is_string() || problem["detail"].is_string(), "{self:?}");
        self.text().to_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (status, headers) in &self.interim {
            write!(f, "\n(interim) {status}\n{headers:?}")?;
        }
        write!(f, "\n{} {} {}\n{:?}", self.version, self.status, self.reason, self.headers)?;
        write!(f, "\n{} [{:?}]\n{:?}", Printable(&self.body), self.ending, self.trailers)
    }
}

/// A request as an origin read it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    /// Whom the client asks for: `Host`, or `:authority`.
    pub authority: String,
    /// `:protocol` of an extended CONNECT.
    pub protocol: Option<String>,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// The head as it stood on the wire of HTTP/1.1.
    pub raw_head: Vec<u8>,
    /// Whether the body has come to its end.
    pub whole: bool,
}

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Bytes for people: text with escapes, the middle of long ones left out.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 2048;
        match self.0.get(SHOWN..) {
            None | Some([]) => write!(f, "{}", self.0.escape_ascii()),
            Some(rest) => {
                write!(f, "{} … and {} more bytes", self.0[..SHOWN].escape_ascii(), rest.len())
            }
        }
    }
}
