//! The head that an origin is sent.

use crate::exchange::{Field, Fields, RequestHead, Version};
use crate::http::{hop, road};
use crate::http1::framing::Framing;
use crate::session;
use crate::ws::{frame, handshake};

/// What becomes of `Expect` (RFC 9110 section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    Passed,
    /// The body is at hand, or the client is too old to mean it.
    Dropped,
}

/// What the origin's head is made of.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// The client's.
    pub(super) asked: &'a RequestHead,
    pub(super) path: &'a str,
    /// The origin's.
    pub(super) authority: &'a str,
    pub(super) framing: Framing,
    pub(super) expectation: Expectation,
    /// Of a request for a WebSocket conversation.
    pub(super) upgrade: Option<&'a Upgrade>,
}

/// What a request for a WebSocket conversation has to the origin.
pub(super) struct Upgrade {
    /// For a client of HTTP/2, which has no key of its own.
    pub(super) key: String,
}

impl Upgrade {
    pub(super) fn new() -> Self {
        Upgrade { key: handshake::key(frame::random()) }
    }

    /// Takes a field over that is for the next hop anew; false where it is none of these. A key goes
    /// on only where both hops have one: HTTP/2 has none (RFC 8441 section 5).
    fn takes(&self, field: &Field<'_>, out: &mut Fields, keeps_key: bool) -> bool {
        let value = if field.is("upgrade") {
            handshake::PROTOCOL
        } else if field.is("connection") {
            "Upgrade"
        } else {
            return !keeps_key && field.is(handshake::KEY);
        };
        let is_first = !out.iter().any(|other| other.name.eq_ignore_ascii_case(field.name));
        if is_first {
            out.push(field.name, value);
        }
        true
    }
}

impl Head<'_> {
    /// Writes it for an origin that speaks this version: hop-by-hop fields and the session's gone,
    /// `Host` the origin's, framing rebuilt where it stood. HTTP/2 has the host in `:authority`,
    /// which stands as the field `host` here, and says nothing of framing but a length.
    pub(super) fn write(&self, out: &mut RequestHead, version: Version) {
        let Head { asked, path, authority, framing, expectation, upgrade } = *self;
        out.method.clear();
        out.method.push_str(&asked.method);
        out.target.clear();
        out.target.push_str(path);
        out.version = version;
        out.fields.clear();
        if !asked.fields.contains("host") {
            out.fields.push("host", authority);
        }
        let chunked = framing == Framing::Chunked && version != Version::Http2;
        let mut is_framed = !chunked;
        let keeps_key = version != Version::Http2 && asked.version != Version::Http2;
        let named = hop::Named::by(&asked.fields);
        for field in asked.fields.iter() {
            if field.is("host") {
                out.fields.push(field.name, authority);
            } else if field.is("content-length") {
                if let Framing::Length(length) = framing {
                    out.fields.push(field.name, itoa::Buffer::new().format(length));
                }
            } else if field.is("transfer-encoding") {
                if chunked {
                    out.fields.push(field.name, "chunked");
                    is_framed = true;
                }
            } else if upgrade.is_some_and(|own| own.takes(&field, &mut out.fields, keeps_key)) {
            } else if !is_dropped(&field, expectation) && !hop::stops(&field, &named) {
                out.fields.push(field.name, field.value);
            }
        }
        if !is_framed {
            // From an HTTP/2 client, whose bodies just end.
            out.fields.push("transfer-encoding", "chunked");
        }
        if let Some(upgrade) = upgrade
            && version != Version::Http2
            && asked.version == Version::Http2
        {
            out.fields.push(handshake::KEY, &upgrade.key);
        }
        if hop::takes_trailers(&asked.fields) {
            // TE is good for one hop, so it is named as such (RFC 9110 section 10.1.4).
            out.fields.push("te", "trailers");
            if version != Version::Http2 {
                out.fields.push("connection", "te");
            }
        }
    }
}

/// Fields that aren't for the origin: those that pick the session and the pace, and `Expect` where
/// nobody waits for what it asks.
fn is_dropped(field: &Field<'_>, expectation: Expectation) -> bool {
    session::is_session_field(field.name)
        || field.is(road::PACE)
        || (expectation == Expectation::Dropped && field.is("expect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &[(&str, &str)], framing: Framing, expectation: Expectation) -> String {
        written_for(Version::Http11, fields, framing, expectation)
    }

    fn written_for(
        version: Version,
        fields: &[(&str, &str)],
        framing: Framing,
        expectation: Expectation,
    ) -> String {
        let asked = &RequestHead {
            method: "POST".into(),
            target: "http://other.form/ignored".into(),
            version: Version::Http10,
            fields: fields.iter().copied().collect(),
        };
        let mut out = RequestHead::default();
        out.fields.push("left", "over");
        let (path, authority, upgrade) = ("/a?b", "origin:81", None);
        let head = Head { asked, path, authority, framing, expectation, upgrade };
        head.write(&mut out, version);
        let lines = out.fields.iter().map(|field| format!("{field:?}\n"));
        format!(
            "{} {} {}\n{}",
            out.method,
            out.target,
            out.version.as_str(),
            lines.collect::<String>()
        )
    }

    #[test]
    fn fields_keep_their_order_and_host_and_framing_their_place() {
        let fields = [
            ("A", "1"),
            ("HOST", "here:8080"),
            ("Content-LENGTH", "3"),
            ("ouli-session", "s"),
            ("Test-Name", "s"),
            ("Ouli-Pace", "2x"),
            ("Connection", "x-hop"),
            ("X-Hop", "1"),
            ("a", "2"),
        ];
        assert_eq!(
            written(&fields, Framing::Length(3), Expectation::Passed),
            "POST /a?b HTTP/1.1\nA: 1\nHOST: origin:81\nContent-LENGTH: 3\na: 2\n"
        );
    }

    #[test]
    fn a_client_without_host_gets_one() {
        assert_eq!(
            written(&[("a", "1")], Framing::None, Expectation::Passed),
            "POST /a?b HTTP/1.1\nhost: origin:81\na: 1\n"
        );
    }

    #[test]
    fn chunks_and_trailers_are_announced_for_the_next_hop() {
        let fields = [("host", "x"), ("Transfer-Encoding", "Chunked"), ("TE", "gzip, trailers")];
        assert_eq!(
            written(&fields, Framing::Chunked, Expectation::Passed),
            "POST /a?b HTTP/1.1\nhost: origin:81\nTransfer-Encoding: chunked\nte: trailers\n\
             connection: te\n"
        );
    }

    #[test]
    fn an_origin_of_http_2_is_told_of_no_chunks_and_one_of_http_1_is() {
        let fields = [("host", "x"), ("te", "trailers"), ("transfer-encoding", "chunked")];
        assert_eq!(
            written_for(Version::Http2, &fields, Framing::Chunked, Expectation::Passed),
            "POST /a?b HTTP/2\nhost: origin:81\nte: trailers\n"
        );
        assert_eq!(
            written(&[("host", "x"), ("a", "1")], Framing::Chunked, Expectation::Passed),
            "POST /a?b HTTP/1.1\nhost: origin:81\na: 1\ntransfer-encoding: chunked\n"
        );
    }

    #[test]
    fn a_handshake_keeps_what_asks_for_it_and_gets_a_key_where_its_client_has_none() {
        let handshake = |asked: Version, version, fields: &[(&str, &str)]| {
            let asked = &RequestHead {
                method: "GET".into(),
                version: asked,
                fields: fields.iter().copied().collect(),
                ..RequestHead::default()
            };
            let upgrade = Upgrade { key: "made".to_owned() };
            let (framing, expectation) = (Framing::None, Expectation::Dropped);
            let (path, authority, upgrade) = ("/", "o", Some(&upgrade));
            let mut out = RequestHead::default();
            let head = Head { asked, path, authority, framing, expectation, upgrade };
            head.write(&mut out, version);
            out.fields
        };
        let fields: &[_] = &[
            ("Host", "h"),
            ("Connection", "keep-alive, Upgrade, x-hop"),
            ("UPGRADE", "WebSocket"),
            ("X-Hop", "1"),
            ("Sec-WebSocket-Key", "of the client"),
        ];
        let kept: &[_] = &[
            ("Host", "o"),
            ("Connection", "Upgrade"),
            ("UPGRADE", "websocket"),
            ("Sec-WebSocket-Key", "of the client"),
        ];
        let to_http1 = handshake(Version::Http11, Version::Http11, fields);
        assert_eq!(to_http1, kept.iter().copied().collect());
        let to_http2 = handshake(Version::Http11, Version::Http2, fields);
        assert_eq!(to_http2, kept[..3].iter().copied().collect());
        let made = kept[..3].iter().copied().chain([("sec-websocket-key", "made")]);
        let made: Fields = made.collect();
        assert_eq!(handshake(Version::Http2, Version::Http11, &fields[..3]), made);
        // A key over HTTP/2 means nothing.
        assert_eq!(handshake(Version::Http2, Version::Http11, fields), made);
    }

    #[test]
    fn an_expectation_passes_only_where_somebody_waits() {
        let fields = [("host", "x"), ("Expect", "100-continue")];
        let with = |expectation| written(&fields, Framing::None, expectation).contains("Expect");
        assert!(with(Expectation::Passed) && !with(Expectation::Dropped));
    }
}
