//! The head that an origin is sent.

use crate::exchange::{Field, RequestHead, Version};
use crate::http::hop;
use crate::http1::framing::Framing;
use crate::session;

/// The head that the origin gets: hop-by-hop fields and the session's gone, `Host` the origin's,
/// framing rebuilt where it stood.
pub(super) fn write(
    out: &mut RequestHead,
    head: &RequestHead,
    path: &str,
    authority: &str,
    framing: Framing,
    expect: bool,
) {
    out.method.clear();
    out.method.push_str(&head.method);
    out.target.clear();
    out.target.push_str(path);
    out.version = Version::Http11;
    out.fields.clear();
    if !head.fields.contains("host") {
        out.fields.push("host", authority);
    }
    let named = hop::Named::by(&head.fields);
    for field in head.fields.iter() {
        if field.is("host") {
            out.fields.push(field.name, authority);
        } else if field.is("content-length") {
            if let Framing::Length(length) = framing {
                out.fields.push(field.name, itoa::Buffer::new().format(length));
            }
        } else if field.is("transfer-encoding") {
            match framing {
                Framing::Chunked => out.fields.push(field.name, "chunked"),
                Framing::Length(length) => {
                    out.fields.push("content-length", itoa::Buffer::new().format(length));
                }
                Framing::None | Framing::Close => {}
            }
        } else if !is_dropped(&field, expect) && !hop::stops(&field, &named) {
            out.fields.push(field.name, field.value);
        }
    }
    if hop::takes_trailers(&head.fields) {
        // TE is good for one hop, so it is named as such (RFC 9110 section 10.1.4).
        out.fields.push("te", "trailers");
        out.fields.push("connection", "te");
    }
}

/// Fields that aren't for the origin: those that pick the session, and `Expect` where the body is
/// at hand.
fn is_dropped(field: &Field<'_>, expect: bool) -> bool {
    session::is_session_field(field.name) || (field.is("expect") && !expect)
}
