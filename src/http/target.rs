//! Where a URL leads: request targets on their way to the origin, and the origin's own URLs on
//! their way back.
//!
//! Pure. A URL "names the origin" when its scheme, host and port are the endpoint's target; a
//! missing port is the scheme's default.

use std::borrow::Cow;

use crate::config::{Scheme, Target};

/// `Host` of a request to this origin: the port only where it isn't the scheme's default
/// (RFC 9110 section 7.2).
pub fn host_field(origin: &Target) -> String {
    if origin.port == origin.scheme.default_port() {
        bracketed(&origin.host).into_owned()
    } else {
        origin.authority()
    }
}

/// The scheme that URLs of such an origin have.
pub fn url_scheme(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http | Scheme::H2c => "http",
        Scheme::Https => "https",
    }
}

/// Whether `authority`, from a URL with this scheme or without one, is the origin's.
fn names_origin(origin: &Target, scheme: Option<&str>, authority: &str) -> bool {
    if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case(url_scheme(origin.scheme))) {
        return false;
    }
    let (host, port) = split_port(authority);
    let port = match port {
        None => Some(origin.scheme.default_port()),
        Some(digits) => digits.parse().ok(),
    };
    host.eq_ignore_ascii_case(&bracketed(&origin.host)) && port == Some(origin.port)
}

fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') { Cow::Owned(format!("[{host}]")) } else { Cow::Borrowed(host) }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, (!port.is_empty()).then_some(port)),
        _ => (authority, None),
    }
}

/// Why a request target can't be served by an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unservable {
    #[error("the request target names another server than this endpoint's origin")]
    ForeignOrigin,
    #[error("CONNECT asks for a tunnel, which a reverse proxy doesn't give")]
    Connect,
    #[error("the request target is neither a path, `*`, nor an absolute URL of the origin")]
    NoPath,
}

/// The origin-form of a request target: absolute-form is served when it names the endpoint's own
/// origin (RFC 9112 section 3.2.2), asterisk-form for OPTIONS only (section 3.2.4).
pub fn origin_form<'t>(
    method: &str,
    target: &'t str,
    origin: &Target,
) -> Result<Cow<'t, str>, Unservable> {
    if target.starts_with('/') {
        return Ok(Cow::Borrowed(target));
    }
    if method == "CONNECT" {
        return Err(Unservable::Connect);
    }
    if target == "*" {
        return if method == "OPTIONS" { Ok(Cow::Borrowed("*")) } else { Err(Unservable::NoPath) };
    }
    let (scheme, rest) = target.split_once("://").ok_or(Unservable::NoPath)?;
    let path_start = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_start);
    if !names_origin(origin, Some(scheme), authority) {
        return Err(Unservable::ForeignOrigin);
    }
    Ok(match path.as_bytes().first() {
        Some(b'/') => Cow::Borrowed(path),
        // The last proxy before the origin asks for the server as a whole (section 3.2.4).
        None if method == "OPTIONS" => Cow::Borrowed("*"),
        _ => Cow::Owned(format!("/{path}")),
    })
}

/// Fields whose URLs are rewritten so that the client stays with Ouli.
pub fn carries_url(name: &[u8]) -> bool {
    ["location", "content-location", "link", "refresh"]
        .iter()
        .any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
}

/// `value` of a field for which `carries_url` holds, with URLs that name `origin` leading to
/// `base` (`http://127.0.0.1:8080`) instead. `None` when nothing changes.
pub fn to_listener(name: &[u8], value: &[u8], origin: &Target, base: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    let rewritten = if name.eq_ignore_ascii_case(b"link") {
        rewrite_links(text, origin, base)
    } else if name.eq_ignore_ascii_case(b"refresh") {
        rewrite_refresh(text, origin, base)
    } else {
        rewrite_url(text, origin, base)
    };
    rewritten.map(String::into_bytes)
}

fn rewrite_url(url: &str, origin: &Target, base: &str) -> Option<String> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            (Some(scheme), rest)
        }
        _ => (None, url.strip_prefix("//")?),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    names_origin(origin, scheme, authority).then(|| format!("{base}{path}"))
}

/// `<URL>; rel="next", <URL>; …` (RFC 8288 section 3).
fn rewrite_links(value: &str, origin: &Target, base: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut changed = false;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((url, tail)) = after.split_once('>') else { break };
        let rewritten = rewrite_url(url, origin, base);
        changed |= rewritten.is_some();
        out.push_str(before);
        out.push('<');
        out.push_str(rewritten.as_deref().unwrap_or(url));
        out.push('>');
        rest = tail;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// `5; url=https://…`, the URL quoted or not.
fn rewrite_refresh(value: &str, origin: &Target, base: &str) -> Option<String> {
    let at = value.to_ascii_lowercase().find("url=")? + "url=".len();
    let (before, url) = value.split_at(at);
    let (quote, url) = match url.chars().next() {
        Some(quote @ ('"' | '\'')) => (&before[..0], url.strip_prefix(quote)?),
        _ => ("", url),
    };
    let opened = &value[at..value.len() - url.len()];
    rewrite_url(url, origin, base).map(|url| format!("{before}{quote}{opened}{url}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Target {
        Target { scheme: Scheme::Https, host: "api.example.com".into(), port: 443 }
    }

    fn rewritten(name: &str, value: &str) -> Option<String> {
        to_listener(name.as_bytes(), value.as_bytes(), &origin(), "http://127.0.0.1:8080")
            .map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn urls_that_name_the_origin_lead_to_the_listener() {
        let base = "http://127.0.0.1:8080";
        for (value, expected) in [
            ("https://api.example.com/a?b#c", Some(format!("{base}/a?b#c"))),
            ("HTTPS://API.example.com:443/a", Some(format!("{base}/a"))),
            ("https://api.example.com", Some(base.to_string())),
            ("https://api.example.com?x", Some(format!("{base}?x"))),
            ("//api.example.com/a", Some(format!("{base}/a"))),
            ("/relative", None),
            ("relative?u=https://api.example.com/", None),
            ("http://api.example.com/other-scheme", None),
            ("https://api.example.com:8443/other-port", None),
            ("https://api.example.com.evil.org/", None),
            ("https://user@api.example.com/", None),
        ] {
            assert_eq!(rewritten("Location", value), expected, "{value}");
        }
    }

    #[test]
    fn links_and_refresh_are_rewritten_inside_their_syntax() {
        assert_eq!(
            rewritten(
                "Link",
                "<https://api.example.com/?p=2>; rel=next, <https://other/>; rel=last"
            )
            .unwrap(),
            "<http://127.0.0.1:8080/?p=2>; rel=next, <https://other/>; rel=last"
        );
        assert_eq!(
            rewritten("refresh", "5; URL=https://api.example.com/x").unwrap(),
            "5; URL=http://127.0.0.1:8080/x"
        );
        assert_eq!(
            rewritten("refresh", "0;url='https://api.example.com/x'").unwrap(),
            "0;url='http://127.0.0.1:8080/x'"
        );
        assert_eq!(rewritten("refresh", "5"), None);
    }

    #[test]
    fn absolute_form_is_served_for_the_own_origin_only() {
        let form = |method, target| origin_form(method, target, &origin()).map(Cow::into_owned);
        assert_eq!(form("GET", "/a?b"), Ok("/a?b".into()));
        assert_eq!(form("GET", "https://api.example.com/a?b"), Ok("/a?b".into()));
        assert_eq!(form("GET", "https://api.example.com?b"), Ok("/?b".into()));
        assert_eq!(form("GET", "https://other.example.com/"), Err(Unservable::ForeignOrigin));
        assert_eq!(form("OPTIONS", "*"), Ok("*".into()));
        assert_eq!(form("OPTIONS", "https://api.example.com"), Ok("*".into()));
        assert_eq!(form("OPTIONS", "https://api.example.com/"), Ok("/".into()));
        assert_eq!(form("GET", "https://api.example.com"), Ok("/".into()));
        assert_eq!(form("GET", "*"), Err(Unservable::NoPath));
        assert_eq!(form("CONNECT", "api.example.com:443"), Err(Unservable::Connect));
    }

    #[test]
    fn the_host_field_shows_the_port_only_where_it_matters() {
        let target = |host: &str, port| Target { scheme: Scheme::Http, host: host.into(), port };
        assert_eq!(host_field(&target("a", 80)), "a");
        assert_eq!(host_field(&target("::1", 8080)), "[::1]:8080");
        assert_eq!(host_field(&target("::1", 80)), "[::1]");
    }
}
