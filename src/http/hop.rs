//! Hop-by-hop rules: which header fields stop at this proxy.
//!
//! Pure functions over `Fields`; they build a new list, so order, case and repetition of what
//! passes are kept. Knows nothing of framing: whoever sends a message adds its own.

use std::borrow::Cow;

use crate::exchange::{Field, Fields};

/// Fields that describe one connection, not the message (RFC 9110 section 7.6.1). `Trailer` isn't
/// among them: trailers pass, and some clients drop those that were not announced.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade"];

/// Names listed by every `Connection` line of a head: several proxies read only the first. Not
/// `keep-alive`, which most lines say and which stops in any case: without it nothing is allocated.
pub struct Named<'a>(Vec<&'a [u8]>);

impl<'a> Named<'a> {
    pub fn by(fields: &'a Fields) -> Self {
        let named = fields.get_all("connection").flat_map(tokens);
        Named(named.filter(|name| !name.eq_ignore_ascii_case(b"keep-alive")).collect())
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.0.iter().any(|named| named.eq_ignore_ascii_case(name))
    }
}

/// Whether this field ends at the proxy, given what its head's `Connection` lines name.
pub fn stops(field: &Field<'_>, named: &Named<'_>) -> bool {
    is_hop_by_hop(field.name) || named.contains(field.name)
}

fn is_hop_by_hop(name: &[u8]) -> bool {
    // Nearly every field is told apart by its first letter and length.
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'c' | b'k' | b'p' | b't' | b'u') if name.len() <= 17 => {
            HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop.as_bytes()))
        }
        _ => false,
    }
}

/// The fields that pass: for trailers, where nothing else is taken out.
pub fn passing(fields: &Fields) -> Cow<'_, Fields> {
    if fields.is_empty() {
        return Cow::Borrowed(fields);
    }
    let named = Named::by(fields);
    if !fields.iter().any(|field| stops(&field, &named)) {
        return Cow::Borrowed(fields);
    }
    let passing = fields.iter().filter(|field| !stops(field, &named));
    Cow::Owned(passing.map(|field| (field.name, field.value)).collect())
}

/// Whether the sender accepts trailers (RFC 9110 section 10.1.4): the one member of `TE` that a
/// proxy passes on.
pub fn takes_trailers(fields: &Fields) -> bool {
    fields.get_all("te").flat_map(tokens).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

/// The members of a comma-separated list, parameters cut off, empty ones skipped.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').filter_map(|member| {
        let token = member.split(|byte| *byte == b';').next().unwrap_or(member).trim_ascii();
        (!token.is_empty()).then_some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(fields: &Fields) -> Vec<String> {
        let named = Named::by(fields);
        fields
            .iter()
            .filter(|field| !stops(field, &named))
            .map(|field| String::from_utf8_lossy(field.name).into_owned())
            .collect()
    }

    #[test]
    fn fields_named_by_a_second_connection_line_are_not_forwarded() {
        let fields = Fields::from_iter([
            ("X-One", "1"),
            ("Connection", "X-Two , close"),
            ("x-two", "2"),
            ("connection", "x-THREE"),
            ("X-Three", "3"),
            ("X-Four", "4"),
        ]);
        assert_eq!(passing(&fields), ["X-One", "X-Four"]);
    }

    #[test]
    fn framing_and_connection_fields_stop_here() {
        let fields = Fields::from_iter([
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("Proxy-Connection", "keep-alive"),
            ("Cookie", "a=b"),
            ("Content-Type", "text/plain"),
            ("Trailer", "x-sum"),
        ]);
        assert_eq!(passing(&fields), ["Cookie", "Content-Type", "Trailer"]);
    }

    #[test]
    fn te_trailers_is_found_among_other_members() {
        assert!(takes_trailers(&Fields::from_iter([("TE", "gzip;q=0.5, Trailers")])));
        assert!(!takes_trailers(&Fields::from_iter([("TE", "gzip")])));
    }
}
