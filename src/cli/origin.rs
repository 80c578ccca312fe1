//! ORIGIN and `--listen`: what a person types instead of a configuration file. Pure.

use std::net::{IpAddr, SocketAddr};

use crate::config::fault::{Fault, Faults, quoted};
use crate::config::{Scheme, Target, parse_address, parse_host};

/// `http://host:port` as the origin to stand for. One slash behind it is no path.
///
/// # Errors
/// Everything that is wrong with it, together.
pub(super) fn parse_origin(text: &str) -> Result<Target, Faults> {
    let parts = Parts::split(text);
    let fault =
        |reason: String| Fault::new(format!("can't use ORIGIN `{}`", parts.shown()), reason);
    let mut faults = Faults::default();
    let scheme = scheme(&parts).unwrap_or_else(|(reason, hint)| {
        faults.push(fault(reason).with_hint(hint));
        Scheme::Http
    });
    if parts.userinfo {
        let reason = "it holds a user name or password".to_owned();
        faults.push(fault(reason).with_hint("let the program under test send its credentials"));
    }
    if !matches!(parts.rest, "" | "/") {
        let what = if parts.rest.starts_with('/') { "path" } else { "query" };
        let hint = format!("write {}; the path and query of each request are kept", parts.root());
        faults.push(
            fault(format!("it holds a {what}, and an origin is a host and port")).with_hint(hint),
        );
    }
    let port = port(&parts, scheme).unwrap_or_else(|hint| {
        let reason = format!(
            "expected a port between 1 and 65535, found {}",
            quoted(parts.port.unwrap_or_default())
        );
        faults.push(fault(reason).with_hint(hint));
        0
    });
    let host = parse_host(parts.host).unwrap_or_else(|why| {
        faults.push(
            fault(format!("{}, found {}", why.reason, quoted(parts.host))).with_hint(why.hint),
        );
        String::new()
    });
    faults.or(Target { scheme, host, port })
}

/// An ORIGIN taken apart, nothing judged.
struct Parts<'a> {
    scheme: Option<&'a str>,
    userinfo: bool,
    /// An IPv6 address keeps its brackets.
    host: &'a str,
    port: Option<&'a str>,
    /// From the first `/`, `?` or `#` on.
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Self {
        let (scheme, after) = match text.split_once("://") {
            Some((scheme, after)) => (Some(scheme), after),
            None => (None, text.trim_start_matches('/')),
        };
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((_, host_port)) => (true, host_port),
            None => (false, authority),
        };
        // The colons of an IPv6 address stand before its closing bracket.
        let (host, port) = match host_port.rsplit_once(':') {
            Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => {
                (host, Some(port))
            }
            _ => (host_port, None),
        };
        Parts { scheme, userinfo, host, port, rest }
    }

    /// The whole, without what may be a secret.
    fn shown(&self) -> String {
        let scheme = self.scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
        let userinfo = if self.userinfo { "REDACTED@" } else { "" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let (path, secret) =
            self.rest.split_at(self.rest.find(['?', '#']).unwrap_or(self.rest.len()));
        let secret = match secret.chars().next() {
            Some(mark) => format!("{mark}REDACTED"),
            None => String::new(),
        };
        let shown = format!("{scheme}{userinfo}{}{port}{path}{secret}", self.host);
        shown.chars().flat_map(char::escape_debug).collect()
    }

    /// What it would be without user, path and query, and in HTTP where it names WebSocket.
    fn root(&self) -> String {
        let port = self.port.filter(|port| parse_port(port).is_some());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = self.scheme.unwrap_or("http");
        let scheme = Scheme::of_websocket(scheme).map_or(scheme, |http| http.as_str());
        format!("{scheme}://{}{port}", self.host)
    }
}

fn scheme(parts: &Parts<'_>) -> Result<Scheme, (String, String)> {
    let Some(scheme) = parts.scheme else {
        // A bare name is mostly a service out there, a port mostly a server at hand.
        let scheme = if parts.port.is_some_and(|port| port != "443") { "http" } else { "https" };
        let port = parts.port.map(|port| format!(":{port}")).unwrap_or_default();
        let hint = format!("write {scheme}://{}{port}", parts.host);
        return Err(("it has no scheme".into(), hint));
    };
    let known = Scheme::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(scheme));
    known.ok_or_else(|| {
        let hint = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "wss" => {
                format!("write {}; WebSocket conversations begin over HTTP", parts.root())
            }
            "h2" | "grpc" | "grpcs" => "write https://, or h2c:// for HTTP/2 without TLS".into(),
            _ => "write http:// or https://, or h2c:// for HTTP/2 without TLS".into(),
        };
        (format!("unknown scheme {}", quoted(scheme)), hint)
    })
}

fn port(parts: &Parts<'_>, scheme: Scheme) -> Result<u16, String> {
    let Some(port) = parts.port else { return Ok(scheme.default_port()) };
    parse_port(port).ok_or_else(|| {
        let (usual, scheme) = (scheme.default_port(), scheme.as_str());
        format!("without `:{port}` it is {usual}, the usual one of {scheme}")
    })
}

/// A port that can be dialled; no sign, which `parse` would take.
fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// `ADDR:PORT` to listen on.
///
/// # Errors
/// What it lacks.
pub(super) fn parse_listen(text: &str) -> Result<(IpAddr, u16), Fault> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip(), address.port()));
    }
    let refuse = |reason: String, hint: String| {
        Err(Fault::new("can't use `--listen`", reason).with_hint(hint))
    };
    let found = quoted(text);
    if text.parse::<u16>().is_ok() {
        return refuse(
            format!("expected ADDR:PORT, found {found}"),
            format!("write 127.0.0.1:{text}"),
        );
    }
    if let Some(port) = text.strip_prefix(':').filter(|port| port.parse::<u16>().is_ok()) {
        let hint = format!("write 127.0.0.1:{port}, or 0.0.0.0:{port} for every network");
        return refuse(format!("expected ADDR:PORT, found {found}"), hint);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        let hint =
            format!("write {}, or port 0 to let the system choose", SocketAddr::new(address, 8080));
        return refuse(format!("expected ADDR:PORT, found {found}"), hint);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let hint = "write 127.0.0.1:8080, or port 0 to let the system choose".into();
        return refuse(format!("expected ADDR:PORT, found {found}"), hint);
    };
    match (parse_address(host), port.parse::<u16>()) {
        (Some(address), Ok(port)) => Ok((address, port)),
        (None, _) => refuse(
            format!("expected an IP address or localhost, found {}", quoted(host)),
            "127.0.0.1 for this machine only, 0.0.0.0 for every network".into(),
        ),
        (_, Err(_)) => refuse(
            format!("expected a port between 0 and 65535, found {}", quoted(port)),
            "0 lets the system choose".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_origin_is_refused_or_read_back_as_it_is_shown(
            text in "\\PC{0,40}|(http|https|h2c)://[a-z0-9.:@/?#\\[\\]-]{0,20}"
        ) {
            if let Ok(target) = parse_origin(&text) {
                prop_assert_eq!(parse_origin(&target.to_string()), Ok(target));
            }
        }

        #[test]
        fn any_listener_is_refused_or_taken(text in "\\PC{0,30}|[a-z0-9.:\\[\\]]{0,20}") {
            if let Ok((address, port)) = parse_listen(&text) {
                let shown = SocketAddr::new(address, port).to_string();
                prop_assert_eq!(parse_listen(&shown), Ok((address, port)));
            }
        }
    }
}
