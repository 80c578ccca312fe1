//! The requests that the load sends over HTTP/1.1.

use ouli_bench::args::Args;

use crate::expected::Asked;

/// A request as a test's client would send it: wrk's own fields, so that both loads cost the same.
pub(crate) fn get(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// How requests are made: GETs, or POSTs of JSON.
pub(crate) struct Form {
    host: String,
    body: Option<Vec<u8>>,
}

impl Form {
    /// `--send FILE` makes it a POST of what the file holds.
    pub(crate) fn new(args: &Args) -> Self {
        let body = args.get::<String>("send").map(|_| args.need_file("send"));
        Self { host: args.need("addr"), body }
    }

    pub(crate) fn write(&self, asked: &Asked, request: &mut Vec<u8>) {
        request.clear();
        if self.body.is_none() && asked.session.is_none() {
            request.extend_from_slice(&get(&asked.path, &self.host));
            return;
        }
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", asked.path, self.host);
        if let Some(session) = asked.session {
            head.push_str(&format!("ouli-session: s{session:06}\r\n"));
        }
        if let Some(body) = &self.body {
            let len = body.len();
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {len}\r\n"));
        }
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(self.body.as_deref().unwrap_or_default());
    }
}
