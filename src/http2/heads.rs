//! Heads between h2's terms and the domain's.
//!
//! Pure. A head of the domain always has its host as the field `host`, first: HTTP/2 says it as
//! `:authority`. Field names are lower case here, and repeats of a name stand together, which is as
//! much as h2 tells.

use h2::ext::Protocol;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode, Uri, uri};

use crate::exchange::{Field, Fields, RequestHead, ResponseHead, Version};
use crate::http1::framing::Framing;
use crate::http1::grammar;
use crate::http1::head::HeadLimits;
use crate::ws::handshake;

/// Why a request head is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("CONNECT is extended to another protocol than websocket (RFC 8441)")]
    UnknownProtocol,
    /// Names and values together, the request line's parts included.
    #[error("the request head has more than {0} bytes")]
    TooLarge(usize),
    #[error("the request head has more than {0} fields")]
    TooManyFields(usize),
    #[error("the request target has more than {0} bytes")]
    TargetTooLong(usize),
    #[error("the field `host` and the pseudo-field `:authority` disagree (RFC 9113 section 8.3.1)")]
    HostDisagrees,
    #[error("there are several `host` fields (RFC 9110 section 7.2)")]
    SeveralHosts,
    #[error("the host is no host, perhaps with a port (RFC 9113 section 8.3.1)")]
    BadHost,
}

/// Takes a request's head over into `out`, which is cleared.
///
/// # Errors
/// What is wrong with it; `out` is filled all the same, as far as it could be told of.
pub fn read_request(
    parts: &Parts,
    limits: &HeadLimits,
    out: &mut RequestHead,
) -> Result<(), Refused> {
    let is_handshake = asks_for_websocket(parts);
    out.method.clear();
    out.method.push_str(if is_handshake { "GET" } else { parts.method.as_str() });
    out.version = Version::Http2;
    out.target.clear();
    match parts.uri.path_and_query() {
        Some(path) => out.target.push_str(path.as_str()),
        // CONNECT names an authority alone (RFC 9113 section 8.5).
        None => out.target.push_str(parts.uri.authority().map_or("", uri::Authority::as_str)),
    }
    out.fields.clear();
    let authority = parts.uri.authority().map(uri::Authority::as_str);
    let host = one_host(&parts.headers, authority);
    if let Ok(Some(host)) = host {
        out.fields.push("host", host);
    }
    if is_handshake {
        // RFC 8441 section 5, read backwards: the domain has a handshake in HTTP/1.1's terms.
        out.fields.push("upgrade", handshake::PROTOCOL);
        out.fields.push("connection", "Upgrade");
    }
    let mut had_cookie = false;
    for (name, value) in &parts.headers {
        if *name == http::header::HOST {
            continue;
        }
        if *name == http::header::COOKIE {
            if !std::mem::replace(&mut had_cookie, true) {
                push_cookie(&parts.headers, &mut out.fields);
            }
            continue;
        }
        // RFC 8441 section 5: of no use here, and an origin of HTTP/1.1 gets Ouli's own.
        if is_handshake && name.as_str() == handshake::KEY {
            continue;
        }
        out.fields.push(name.as_str(), value.as_bytes());
    }
    host?;
    if parts.method == Method::CONNECT
        && !is_handshake
        && parts.extensions.get::<Protocol>().is_some()
    {
        return Err(Refused::UnknownProtocol);
    }
    if out.target.len() > limits.target_max {
        return Err(Refused::TargetTooLong(limits.target_max));
    }
    if out.fields.len() > limits.fields_max {
        return Err(Refused::TooManyFields(limits.fields_max));
    }
    if out.method.len() + out.target.len() + out.fields.text_bytes() > limits.bytes_max {
        return Err(Refused::TooLarge(limits.bytes_max));
    }
    Ok(())
}

fn asks_for_websocket(parts: &Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.method == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == handshake::PROTOCOL)
}

fn one_host<'p>(
    headers: &'p HeaderMap,
    authority: Option<&'p str>,
) -> Result<Option<&'p [u8]>, Refused> {
    let mut hosts = headers.get_all(http::header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Refused::SeveralHosts);
    }
    match (authority.map(str::as_bytes), host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Refused::HostDisagrees)
        }
        // As in HTTP/1.1. RFC 9113 section 8.3.1 rules out a user in it as well.
        (authority, host) => match authority.or(host) {
            Some(host) if !grammar::is_host(host) => Err(Refused::BadHost),
            host => Ok(host),
        },
    }
}

/// RFC 9113 section 8.2.3: HTTP/2 may split `cookie` for its compression; nobody else may.
fn push_cookie(headers: &HeaderMap, fields: &mut Fields) {
    let mut crumbs = headers.get_all(http::header::COOKIE).iter();
    let Some(first) = crumbs.next() else { return };
    let Some(second) = crumbs.next() else { return fields.push("cookie", first.as_bytes()) };
    let mut cookie = first.as_bytes().to_vec();
    for crumb in [second].into_iter().chain(crumbs) {
        cookie.extend_from_slice(b"; ");
        cookie.extend_from_slice(crumb.as_bytes());
    }
    fields.push("cookie", cookie);
}

/// How long a message's body is, given whether it has ended with its head.
pub fn framing_of(fields: &Fields, is_ended: bool) -> Framing {
    // h2 holds the body against it, and refuses what isn't a number.
    let length = fields.get("content-length").and_then(|value| std::str::from_utf8(value).ok());
    match length.and_then(|value| value.trim().parse().ok()) {
        // A server of HTTP/1.1 may insist on it (RFC 9110 section 8.6).
        Some(0) => Framing::Length(0),
        _ if is_ended => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

/// Why a request can't be sent to an HTTP/2 origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's {0} can't be expressed in HTTP/2")]
pub struct Unspeakable(&'static str);

/// A request as h2 sends it: `head.fields`' host becomes `:authority`, a handshake extended CONNECT
/// (RFC 8441 section 4).
pub fn request(head: &RequestHead, scheme: &'static str) -> Result<Request<()>, Unspeakable> {
    let authority = head.fields.get("host").unwrap_or_default();
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(head.target.as_str())
        .build()
        .map_err(|_| Unspeakable("target"))?;
    let mut request = Request::new(());
    *request.method_mut() =
        Method::from_bytes(head.method.as_bytes()).map_err(|_| Unspeakable("method"))?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    let is_handshake = handshake::is_asked_by(head);
    if is_handshake {
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static(handshake::PROTOCOL));
    }
    let headers = request.headers_mut();
    headers.reserve(head.fields.len());
    let is_elsewhere = |field: &Field<'_>| {
        // A key proves nothing where a stream begins with `:protocol` (RFC 8441 section 5).
        field.is("host") || (is_handshake && field.is(handshake::KEY))
    };
    for field in head.fields.iter().filter(|field| !is_elsewhere(field)) {
        append(headers, &field);
    }
    Ok(request)
}

/// Takes an answer's head over into `out`, which is cleared.
pub fn read_response(status: StatusCode, headers: &HeaderMap, out: &mut ResponseHead) {
    out.version = Version::Http2;
    out.status = status.as_u16();
    out.reason.clear();
    out.fields.clear();
    read_fields(headers, &mut out.fields);
}

/// Trailers, or any fields.
pub fn read_fields(headers: &HeaderMap, out: &mut Fields) {
    for (name, value) in headers {
        out.push(name.as_str(), value.as_bytes());
    }
}

/// An answer's head without fields; 101 has no meaning here (RFC 9113 section 8.6).
pub fn response(status: u16) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Fields as trailers: those of one connection have no place in HTTP/2.
pub fn trailers(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    fields.iter().for_each(|field| append(&mut map, &field));
    map
}

/// Adds a field. One whose name no HTTP/2 message can have is left out.
pub fn append(map: &mut HeaderMap, field: &Field<'_>) {
    let Ok(name) = HeaderName::from_bytes(field.name) else { return };
    if is_of_connection(&name) {
        return;
    }
    map.append(name, value(field.value));
}

/// RFC 9113 section 8.2.2: a message with one of these is malformed. So is one whose `te` says more
/// than `trailers`, and no other leaves this proxy (`http::hop`).
fn is_of_connection(name: &HeaderName) -> bool {
    const NAMES: [&str; 5] =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    NAMES.contains(&name.as_str())
}

/// What can't stand in a value becomes a space, as in HTTP/1.1's writer.
fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap_or_else(|_| {
        let fits = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let spaced: Vec<u8> = bytes.iter().map(|b| if fits(*b) { *b } else { b' ' }).collect();
        HeaderValue::from_bytes(&spaced).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes_max: 1000, fields_max: 10, target_max: 100 };

    fn parts(uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut builder = Request::builder().method("POST").uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn read(uri: &str, fields: &[(&str, &str)]) -> Result<String, Refused> {
        let mut head = RequestHead::default();
        read_request(&parts(uri, fields), &LIMITS, &mut head)?;
        let lines = head.fields.iter().map(|field| format!("{field:?}\n")).collect::<String>();
        Ok(format!("{} {}\n{lines}", head.method, head.target))
    }

    #[test]
    fn the_authority_is_the_host() {
        let expected = "POST /a%20b?x=1\nhost: api.test:81\nx: 1\n";
        assert_eq!(read("http://api.test:81/a%20b?x=1", &[("x", "1")]).unwrap(), expected);
        let with = [("x", "1"), ("host", "API.test:81")];
        assert_eq!(read("http://api.test:81/a%20b?x=1", &with).unwrap(), expected);
        assert_eq!(read("/p", &[("host", "h")]).unwrap(), "POST /p\nhost: h\n");
        assert_eq!(read("http://a/", &[("host", "b")]), Err(Refused::HostDisagrees));
        assert_eq!(read("/", &[("host", "b"), ("host", "b")]), Err(Refused::SeveralHosts));
        assert_eq!(read("http://user:word@api.test/", &[]), Err(Refused::BadHost));
        assert_eq!(read("/", &[("host", "a b")]), Err(Refused::BadHost));
    }

    #[test]
    fn a_call_that_is_refused_can_still_be_told_to_be_one() {
        let fields = [("content-type", "application/grpc"), ("host", "b")];
        let mut head = RequestHead::default();
        let refused = read_request(&parts("http://a/", &fields), &LIMITS, &mut head);
        assert_eq!(refused, Err(Refused::HostDisagrees));
        assert!(crate::grpc::is_call(&head.fields), "{head:?}");
    }

    #[test]
    fn a_body_that_has_ended_has_a_length_only_where_it_says_so() {
        let fields = |length: &'static str| Fields::from_iter([("content-length", length)]);
        assert_eq!(framing_of(&Fields::new(), true), Framing::None);
        assert_eq!(framing_of(&Fields::new(), false), Framing::Chunked);
        assert_eq!(framing_of(&fields("0"), true), Framing::Length(0));
        assert_eq!(framing_of(&fields("5"), true), Framing::None);
        assert_eq!(framing_of(&fields("5"), false), Framing::Length(5));
    }

    #[test]
    fn crumbs_become_one_cookie_where_the_first_stood() {
        let fields =
            [("a", "1"), ("cookie", "x=1"), ("b", "2"), ("cookie", "y=2"), ("cookie", "z")];
        let expected = "POST /\nhost: h\na: 1\ncookie: x=1; y=2; z\nb: 2\n";
        assert_eq!(read("http://h/", &fields).unwrap(), expected);
    }

    #[test]
    fn a_head_beyond_its_bounds_is_refused_for_its_reason() {
        let long = format!("http://h/{}", "p".repeat(100));
        assert_eq!(read(&long, &[]), Err(Refused::TargetTooLong(100)));
        assert_eq!(read("/", &[("a", "b"); 11]), Err(Refused::TooManyFields(10)));
        let value = "v".repeat(1000);
        assert_eq!(read("/", &[("a", &value)]), Err(Refused::TooLarge(1000)));
    }

    #[test]
    fn what_goes_out_has_no_connection_fields_and_no_broken_values() {
        let head = RequestHead {
            method: "PATCH".into(),
            target: "/a?b".into(),
            version: Version::Http2,
            fields: [
                ("Host", "h:1"),
                ("X-A", "1"),
                ("connection", "te"),
                ("te", "trailers"),
                ("x-a", "2"),
                ("bad name", "x"),
                ("split", "a\r\nb"),
            ]
            .into_iter()
            .collect(),
        };
        let request = request(&head, "https").unwrap();
        assert_eq!(request.uri(), "https://h:1/a?b");
        let mut fields = Fields::new();
        read_fields(request.headers(), &mut fields);
        let expected = [("x-a", "1"), ("x-a", "2"), ("te", "trailers"), ("split", "a  b")];
        assert_eq!(fields, expected.into_iter().collect());
    }

    #[test]
    fn a_target_that_no_uri_holds_is_told_of() {
        let head = RequestHead {
            method: "GET".into(),
            target: "/a b".into(),
            fields: [("host", "h")].into_iter().collect(),
            ..RequestHead::default()
        };
        assert_eq!(request(&head, "http").unwrap_err(), Unspeakable("target"));
    }

    #[test]
    fn extended_connect_is_a_handshake_in_http_1s_terms_and_back() {
        let fields = [("sec-websocket-key", "of no use"), ("sec-websocket-version", "13")];
        let mut asked = parts("http://h/chat?x", &fields);
        asked.method = Method::CONNECT;
        asked.extensions.insert(Protocol::from_static("websocket"));
        let mut head = RequestHead::default();
        read_request(&asked, &LIMITS, &mut head).unwrap();
        assert!(handshake::is_asked_by(&head), "{head:?}");
        assert!(!head.fields.contains(handshake::KEY), "{head:?}");
        head.fields.push("Sec-WebSocket-Key", "of HTTP/1.1 alone");
        let request = request(&head, "https").unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::CONNECT, "/chat"));
        let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
        assert_eq!(protocol, Some("websocket"));
        let mut fields = Fields::new();
        read_fields(request.headers(), &mut fields);
        assert_eq!(fields, [("sec-websocket-version", "13")].into_iter().collect());
    }

    #[test]
    fn another_protocol_is_no_handshake() {
        let mut asked = parts("http://h/", &[]);
        asked.method = Method::CONNECT;
        asked.extensions.insert(Protocol::from_static("connect-udp"));
        let mut head = RequestHead::default();
        let refused = read_request(&asked, &LIMITS, &mut head);
        assert_eq!(refused, Err(Refused::UnknownProtocol));
    }

    #[test]
    fn an_asterisk_is_a_target() {
        let head = RequestHead {
            method: "OPTIONS".into(),
            target: "*".into(),
            fields: [("host", "h")].into_iter().collect(),
            ..RequestHead::default()
        };
        assert_eq!(request(&head, "http").unwrap().uri().path(), "*");
    }
}
