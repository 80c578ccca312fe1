//! The head of an answer on its way to the client, and how its body will be framed.
//!
//! Pure. Framing is rebuilt, never relayed: the origin's `Content-Length` or `Transfer-Encoding`
//! only says where among the fields the new one stands.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Endpoint;
use crate::exchange::{Field, ResponseHead, Version};
use crate::http::{hop, target};
use crate::http1::framing::Framing;
use crate::http1::writer;
use crate::http2;
use crate::ws::handshake;

/// What of the request decides how its answer is sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub version: Version,
    /// An answer to HEAD has no body, whatever its fields say.
    pub is_head: bool,
    /// A gRPC call: what Ouli itself answers has a `grpc-status`.
    pub is_grpc: bool,
    /// Whether the client's connection stays open after this answer.
    pub keep_alive: bool,
    /// The client's `Host`: rewritten URLs lead there.
    pub host: &'a str,
}

impl Asked<'_> {
    /// As asked, but the connection ends after the answer unless `fit`.
    pub fn kept_if(self, fit: bool) -> Self {
        Asked { keep_alive: self.keep_alive && fit, ..self }
    }
}

/// How a body will be delimited towards the client, given how long it is known to be.
///
/// `length`: `None` when it is not known before the body ends.
pub fn framing(asked: &Asked<'_>, status: u16, length: Option<u64>) -> Framing {
    if asked.is_head || matches!(status, 100..=199 | 204 | 304) {
        return Framing::None;
    }
    match length {
        Some(length) => Framing::Length(length),
        None if asked.version == Version::Http10 => Framing::Close,
        None => Framing::Chunked,
    }
}

/// Writes the whole head. `framing` comes from `framing()`; with `Framing::Close` the connection
/// can't be kept and the caller must have said so in `asked.keep_alive`.
pub fn write_head(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    framing: Framing,
) {
    writer::status_line(out, Version::Http11, head.status, reason(head));
    // A rewritten URL has the client's host in it.
    let put = writer::field_writer(&head.fields, asked.host.as_bytes());
    each_field(head, endpoint, asked, framing, |name, value| put(out, name, value));
    if !asked.keep_alive {
        writer::field(out, b"connection", b"close");
    } else if asked.version == Version::Http10 {
        writer::field(out, b"connection", b"keep-alive");
    }
    writer::end_of_head(out);
}

/// HTTP/2 has no reasons. People read them in HTTP/1.1, so the usual one stands there.
fn reason(head: &ResponseHead) -> &[u8] {
    if head.version != Version::Http2 || !head.reason.is_empty() {
        return &head.reason;
    }
    let status = http::StatusCode::from_u16(head.status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or_default().as_bytes()
}

/// The head for an HTTP/2 client, with the fields that `write_head` would write.
pub fn h2_head(
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    framing: Framing,
) -> http::Response<()> {
    let mut response = http2::heads::response(head.status);
    let fields = response.headers_mut();
    fields.reserve(head.fields.len() + 1);
    each_field(head, endpoint, asked, framing, |name, value| {
        http2::heads::append(fields, &Field { name, value });
    });
    response
}

/// As `write_interim`, for an HTTP/2 client.
pub fn h2_interim(
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
) -> http::Response<()> {
    let mut response = http2::heads::response(head.status);
    let fields = response.headers_mut();
    each_interim_field(head, endpoint, asked, |name, value| {
        http2::heads::append(fields, &Field { name, value });
    });
    response
}

/// The fields that the client gets, in their order, framing made anew.
fn each_field(
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    framing: Framing,
    mut put: impl FnMut(&[u8], &[u8]),
) {
    let named = hop::Named::by(&head.fields);
    let mut framed = false;
    for field in head.fields.iter() {
        if field.is("content-length") || field.is("transfer-encoding") {
            if !framed {
                framed = put_framing(&field, head.status, asked, framing, &mut put);
            }
        } else if !hop::stops(&field, &named) {
            put_passing(&field, endpoint, asked, &mut put);
        }
    }
    // HTTP/2 frames without saying so.
    if !framed && asked.version != Version::Http2 {
        append_framing(framing, &mut put);
    }
}

/// Writes the head that grants a WebSocket conversation. `accept` goes instead of the origin's
/// answer to the client's key, where Ouli answers it itself.
pub fn write_switch(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    accept: Option<&str>,
) {
    writer::status_line(out, Version::Http11, 101, switch_reason(head));
    writer::field(out, b"upgrade", handshake::PROTOCOL.as_bytes());
    writer::field(out, b"connection", b"Upgrade");
    if let Some(accept) = accept {
        writer::field(out, handshake::ACCEPT.as_bytes(), accept.as_bytes());
    }
    each_interim_field(head, endpoint, asked, |name, value| {
        if accept.is_none() || !is_accept(name) {
            writer::field(out, name, value);
        }
    });
    writer::end_of_head(out);
}

/// HTTP/2 has none, and says 200.
fn switch_reason(head: &ResponseHead) -> &[u8] {
    match head.reason.is_empty() || head.version == Version::Http2 {
        true => b"Switching Protocols",
        false => &head.reason,
    }
}

/// As `write_switch`, for an HTTP/2 client, which has no key (RFC 8441 section 5).
pub fn h2_switch(
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
) -> http::Response<()> {
    let mut response = http2::heads::response(200);
    let fields = response.headers_mut();
    each_interim_field(head, endpoint, asked, |name, value| {
        if !is_accept(name) {
            http2::heads::append(fields, &Field { name, value });
        }
    });
    response
}

fn is_accept(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(handshake::ACCEPT.as_bytes())
}

fn each_interim_field(
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    mut put: impl FnMut(&[u8], &[u8]),
) {
    let named = hop::Named::by(&head.fields);
    for field in head.fields.iter() {
        if !hop::stops(&field, &named) && !field.is("content-length") {
            put_passing(&field, endpoint, asked, &mut put);
        }
    }
}

/// Writes an interim answer: rewritten like a final one, since early hints hold links.
pub fn write_interim(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
) {
    writer::status_line(out, Version::Http11, head.status, reason(head));
    each_interim_field(head, endpoint, asked, |name, value| writer::field(out, name, value));
    writer::end_of_head(out);
}

/// Puts the new framing field where the recorded one stood; false where it must be appended.
/// HTTP/2 leaves out what says how HTTP/1.1 frames (`http2::heads::append`).
fn put_framing(
    field: &Field<'_>,
    status: u16,
    asked: &Asked<'_>,
    framing: Framing,
    put: &mut impl FnMut(&[u8], &[u8]),
) -> bool {
    match framing {
        Framing::Length(length) if field.is("content-length") => {
            put(field.name, itoa::Buffer::new().format(length).as_bytes());
            true
        }
        Framing::Chunked if field.is("transfer-encoding") => {
            put(field.name, b"chunked");
            true
        }
        // HEAD and 304 may say how long the body would be (RFC 9110 section 8.6); 204 may not.
        Framing::None if field.is("content-length") && (asked.is_head || status == 304) => {
            put(field.name, field.value);
            true
        }
        _ => false,
    }
}

fn append_framing(framing: Framing, put: &mut impl FnMut(&[u8], &[u8])) {
    match framing {
        Framing::Length(length) => {
            put(b"content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        Framing::Chunked => put(b"transfer-encoding", b"chunked"),
        Framing::None | Framing::Close => {}
    }
}

fn put_passing(
    field: &Field<'_>,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    put: &mut impl FnMut(&[u8], &[u8]),
) {
    if is_for_the_origin_only(field) {
        return;
    }
    let mut value = std::borrow::Cow::Borrowed(field.value);
    if endpoint.rewrite_location && target::carries_url(field.name) {
        let base = format!("{}://{}", endpoint.source_type.as_str(), asked.host);
        if let Some(rewritten) =
            target::to_listener(field.name, field.value, &endpoint.target, &base)
        {
            value = rewritten.into();
        }
    }
    for rule in &endpoint.response_header_replacements {
        if field.is(&rule.header) {
            let replaced = rule.regex.replace_all(&value, rule.replacement.as_bytes());
            value = without_line_ends(replaced.into_owned()).into();
        }
    }
    put(field.name, &value);
}

/// A replacement is the user's own text: it must not be able to end the line it stands on.
fn without_line_ends(mut value: Vec<u8>) -> Vec<u8> {
    value.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    value
}

/// Promises about the origin's own address, which would lead the client past Ouli.
fn is_for_the_origin_only(field: &Field<'_>) -> bool {
    field.is("alt-svc") || field.is("strict-transport-security")
}

/// Whether sending this head depends on the client's `Host`, so that it can't be built in advance.
pub fn depends_on_host(head: &ResponseHead, endpoint: &Endpoint) -> bool {
    endpoint.rewrite_location && head.fields.iter().any(|field| target::carries_url(field.name))
}

/// Warns, once per endpoint, of cookies that a client of plain HTTP will not send back.
pub fn warn_of_lost_cookies(head: &ResponseHead, endpoint: &Endpoint, warned: &AtomicBool) {
    if warned.load(Ordering::Relaxed) {
        return;
    }
    let lost = head.fields.get_all("set-cookie").find_map(|cookie| {
        cookie.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii).find_map(|attribute| {
            let name = attribute.split(|byte| *byte == b'=').next().unwrap_or(attribute);
            let name = name.trim_ascii();
            if name.eq_ignore_ascii_case(b"secure") {
                Some("Secure")
            } else if name.eq_ignore_ascii_case(b"domain") {
                Some("Domain")
            } else {
                None
            }
        })
    });
    if let Some(attribute) = lost
        && !warned.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(
            endpoint = endpoint.name,
            "the origin sets a cookie with `{attribute}`; clients of this plain HTTP listener may \
             not send it back"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Replacement, Scheme, Target};
    use crate::exchange::Fields;

    fn endpoint() -> Endpoint {
        Endpoint {
            name: "api".into(),
            ..Endpoint::new(Target { scheme: Scheme::Http, host: "origin.test".into(), port: 80 })
        }
    }

    fn asked() -> Asked<'static> {
        Asked {
            version: Version::Http11,
            is_head: false,
            is_grpc: false,
            keep_alive: true,
            host: "here:8080",
        }
    }

    fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
        ResponseHead {
            status,
            reason: b"Reason".to_vec(),
            fields: fields.iter().copied().collect::<Fields>(),
            ..ResponseHead::default()
        }
    }

    fn written(head: &ResponseHead, endpoint: &Endpoint, asked: Asked<'_>, f: Framing) -> String {
        let mut out = Vec::new();
        write_head(&mut out, head, endpoint, &asked, f);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn framing_is_rebuilt_where_it_stood() {
        let origin = head(200, &[("A", "1"), ("Content-LENGTH", "9"), ("b", "2"), ("B", "3")]);
        assert_eq!(
            written(&origin, &endpoint(), asked(), Framing::Length(5)),
            "HTTP/1.1 200 Reason\r\nA: 1\r\nContent-LENGTH: 5\r\nb: 2\r\nB: 3\r\n\r\n"
        );
        let origin = head(200, &[("Transfer-Encoding", "chunked"), ("b", "2")]);
        assert_eq!(
            written(&origin, &endpoint(), asked(), Framing::Chunked),
            "HTTP/1.1 200 Reason\r\nTransfer-Encoding: chunked\r\nb: 2\r\n\r\n"
        );
        assert_eq!(
            written(&origin, &endpoint(), asked(), Framing::Length(1)),
            "HTTP/1.1 200 Reason\r\nb: 2\r\ncontent-length: 1\r\n\r\n"
        );
    }

    #[test]
    fn a_head_answer_and_304_keep_their_length_and_204_loses_it() {
        let fields = [("content-length", "9")];
        let asked_head = Asked { is_head: true, ..asked() };
        assert!(
            written(&head(200, &fields), &endpoint(), asked_head, Framing::None)
                .contains("content-length: 9")
        );
        assert!(
            written(&head(304, &fields), &endpoint(), asked(), Framing::None)
                .contains("content-length: 9")
        );
        assert!(
            !written(&head(204, &fields), &endpoint(), asked(), Framing::None)
                .contains("content-length")
        );
    }

    #[test]
    fn the_client_stays_with_ouli() {
        let origin = head(
            302,
            &[
                ("Location", "http://origin.test/next"),
                ("Alt-Svc", "h3=\":443\""),
                ("Strict-Transport-Security", "max-age=1"),
            ],
        );
        assert_eq!(
            written(&origin, &endpoint(), asked(), Framing::Length(0)),
            "HTTP/1.1 302 Reason\r\nLocation: http://here:8080/next\r\ncontent-length: 0\r\n\r\n"
        );
        let stays = Endpoint { rewrite_location: false, ..endpoint() };
        assert!(
            written(&origin, &stays, asked(), Framing::Length(0))
                .contains("Location: http://origin.test/next")
        );
    }

    #[test]
    fn neither_a_field_nor_the_host_in_a_rewritten_one_can_end_a_line() {
        let broken = head(302, &[("a", "1\r\nb: 2"), ("Location", "http://origin.test/next")]);
        assert_eq!(
            written(&broken, &endpoint(), asked(), Framing::None),
            "HTTP/1.1 302 Reason\r\na: 1  b: 2\r\nLocation: http://here:8080/next\r\n\r\n"
        );
        let clean = head(302, &[("Location", "http://origin.test/next")]);
        let asked = Asked { host: "here\r\nc: 3", ..asked() };
        assert_eq!(
            written(&clean, &endpoint(), asked, Framing::None),
            "HTTP/1.1 302 Reason\r\nLocation: http://here  c: 3/next\r\n\r\n"
        );
    }

    #[test]
    fn an_interim_answer_is_rewritten_and_has_no_framing() {
        let hints = head(
            103,
            &[
                ("Link", "<http://origin.test/a.css>; rel=preload"),
                ("Content-Length", "0"),
                ("Connection", "x-hop"),
                ("X-Hop", "1"),
                ("alt-svc", "h3"),
            ],
        );
        let mut out = Vec::new();
        write_interim(&mut out, &hints, &endpoint(), &asked());
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 103 Reason\r\nLink: <http://here:8080/a.css>; rel=preload\r\n\r\n"
        );
    }

    #[test]
    fn replacements_rewrite_values_and_never_end_a_line() {
        let mut endpoint = endpoint();
        endpoint.response_header_replacements.push(Replacement {
            header: "X-Upload".into(),
            regex: regex::bytes::Regex::new("https://[a-z.]*").unwrap(),
            replacement: "http://localhost\r\n".into(),
        });
        assert!(
            written(
                &head(200, &[("x-upload", "https://up.example/a")]),
                &endpoint,
                asked(),
                Framing::None
            )
            .contains("x-upload: http://localhost/a\r\n")
        );
    }

    #[test]
    fn a_grant_is_told_in_the_terms_of_the_clients_version() {
        let origin = head(
            101,
            &[
                ("Upgrade", "WebSocket"),
                ("Connection", "upgrade, x-hop"),
                ("Sec-WebSocket-Accept", "of the origin"),
                ("X-Hop", "1"),
                ("Sec-WebSocket-Protocol", "chat"),
            ],
        );
        let written = |accept| {
            let mut out = Vec::new();
            write_switch(&mut out, &origin, &endpoint(), &asked(), accept);
            String::from_utf8(out).unwrap()
        };
        let start = "HTTP/1.1 101 Reason\r\nupgrade: websocket\r\nconnection: Upgrade\r\n";
        let end = "Sec-WebSocket-Protocol: chat\r\n\r\n";
        assert_eq!(written(None), format!("{start}Sec-WebSocket-Accept: of the origin\r\n{end}"));
        assert_eq!(written(Some("own")), format!("{start}sec-websocket-accept: own\r\n{end}"));
        let granted = h2_switch(&origin, &endpoint(), &asked());
        assert_eq!(granted.status(), 200);
        let names: Vec<_> = granted.headers().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["sec-websocket-protocol"]);
    }

    #[test]
    fn an_old_client_is_told_that_its_connection_stays() {
        let old = Asked { version: Version::Http10, ..asked() };
        assert_eq!(framing(&old, 200, None), Framing::Close);
        assert!(
            written(&head(200, &[]), &endpoint(), old, Framing::Length(0))
                .ends_with("connection: keep-alive\r\n\r\n")
        );
    }
}
