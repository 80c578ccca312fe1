//! The `endpoints` list: each one on its own, then what they may not share.

use std::net::IpAddr;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use super::{descriptors, template, tls};
use crate::config::fault::{Place, quoted};
use crate::config::host::{parse_address, parse_host};
use crate::config::keys;
use crate::config::read::{At, Reading, Table};
use crate::config::{
    Endpoint, Replacement, SOURCE_ADDRESS, SOURCE_PORT, Scheme, SourceType, Target,
};
use crate::spelling;

/// An endpoint, and what may clash with others. What couldn't be read has its own fault, and is
/// left out of the comparison.
struct Draft {
    endpoint: Endpoint,
    path: String,
    place: Option<Place>,
    name: Comparable<String>,
    source: Comparable<(IpAddr, u16)>,
}

struct Comparable<T> {
    value: Option<T>,
    /// Where it was written down; none for a default.
    written: Option<Place>,
}

pub(super) fn endpoints(reading: &mut Reading, at: &At<'_>) -> Vec<Endpoint> {
    /// Each has listeners and a thread's share of everything; comparing them costs the square.
    const COUNT_MAX: usize = 1000;
    let items = reading.list(at, "endpoints");
    if items.len() > COUNT_MAX {
        let reason = format!("expected at most {COUNT_MAX} endpoints, found {}", items.len());
        reading.refuse(at, reason, "several files and runs of Ouli share the work");
        return Vec::new();
    }
    let drafts: Vec<Draft> = items.iter().filter_map(|item| draft(reading, item)).collect();
    refuse_equal_names(reading, &drafts);
    refuse_equal_sources(reading, &drafts);
    drafts.into_iter().map(|draft| draft.endpoint).collect()
}

/// None if it is no table; then there is a fault.
fn draft(reading: &mut Reading, at: &At<'_>) -> Option<Draft> {
    let table = reading.table(at, &keys::ENDPOINT)?;
    let host = host(reading, &table);
    let name = name(reading, &table, host.as_deref());
    let source = source(reading, &table);
    let target = target(reading, &table, host.unwrap_or_default());
    let mut endpoint = Endpoint::new(target);
    if let Some(text) = &name.value {
        endpoint.name.clone_from(text);
    }
    if let Some((address, port)) = source.value {
        (endpoint.source_address, endpoint.source_port) = (address, port);
    }
    if let Some(kind) = table.get("source_type").and_then(|at| source_type(reading, &at)) {
        endpoint.source_type = kind;
    }
    endpoint.health = table.get("health").and_then(|at| health(reading, &at));
    endpoint.grpc_descriptors =
        table.get("grpc_descriptors").and_then(|at| descriptors::load(reading, &at)).map(Arc::new);
    rewriting(reading, &table, &mut endpoint);
    tls::tls(reading, &table, &mut endpoint);
    Some(Draft { path: at.path.clone(), place: table.place, name, source, endpoint })
}

/// What happens to messages on their way, and what test-server's files may hold besides.
fn rewriting(reading: &mut Reading, table: &Table<'_>, endpoint: &mut Endpoint) {
    if let Some(at) = table.get("redact_request_headers") {
        let items = reading.list(&at, "header names");
        endpoint.redact_request_headers =
            items.iter().filter_map(|item| header_name(reading, item)).collect();
    }
    if let Some(at) = table.get("response_header_replacements") {
        let items = reading.list(&at, "tables with `header`, `regex` and `replace`");
        endpoint.response_header_replacements =
            items.iter().filter_map(|item| replacement(reading, item)).collect();
    }
    if let Some(value) = table.get("rewrite_location").and_then(|at| reading.boolean(&at)) {
        endpoint.rewrite_location = value;
    }
    if let Some(at) = table.get("shutdown_timeout_seconds") {
        reading.warn(
            &at,
            "it is accepted for test-server's files, and has no effect",
            "use `drain_timeout` in [limits]",
        );
    }
}

fn host(reading: &mut Reading, table: &Table<'_>) -> Option<String> {
    let Some(at) = table.get("target_host") else {
        let fault = reading
            .fault(&table.path_of("target_host"), table.place, "this key is missing")
            .with_hint("name the server that Ouli stands for");
        reading.faults.push(fault);
        return None;
    };
    let text = reading.text(&at)?;
    parse_host(text).map_err(|why| reading.refuse_unreadable(&at, why)).ok()
}

/// The default is the host.
fn name(reading: &mut Reading, table: &Table<'_>, host: Option<&str>) -> Comparable<String> {
    match table.get("name") {
        Some(at) => {
            Comparable { value: given_name(reading, &at), written: at.node.place.or(table.place) }
        }
        None => Comparable { value: host.map(str::to_owned), written: None },
    }
}

fn source(reading: &mut Reading, table: &Table<'_>) -> Comparable<(IpAddr, u16)> {
    let address = match table.get("source_address") {
        Some(at) => address(reading, &at),
        None => Some(SOURCE_ADDRESS),
    };
    let (port, written) = match table.get("source_port") {
        Some(at) => {
            (reading.port(&at, 0, "0 lets the system choose"), at.node.place.or(table.place))
        }
        None => (Some(SOURCE_PORT), None),
    };
    Comparable { value: address.zip(port), written }
}

fn target(reading: &mut Reading, table: &Table<'_>, host: String) -> Target {
    // test-server always speaks TLS to its targets.
    let scheme = table
        .get("target_type")
        .and_then(|at| choice(reading, &at, Scheme::ALL.map(|s| (s.as_str(), s))))
        .unwrap_or(Scheme::Https);
    let port = table
        .get("target_port")
        .and_then(|at| reading.port(&at, 1, "leave it out for the usual port of `target_type`"));
    Target { scheme, host, port: port.unwrap_or(scheme.default_port()) }
}

fn source_type(reading: &mut Reading, at: &At<'_>) -> Option<SourceType> {
    choice(reading, at, [SourceType::Http, SourceType::Https].map(|t| (t.as_str(), t)))
}

fn choice<T: Copy, const N: usize>(
    reading: &mut Reading,
    at: &At<'_>,
    choices: [(&'static str, T); N],
) -> Option<T> {
    let text = reading.text(at)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let names = choices.map(|(name, _)| name);
    let hint = match (Scheme::of_websocket(text), spelling::nearest(text, &names)) {
        (Some(scheme), _) => {
            format!("write `{}`; WebSocket conversations begin over HTTP", scheme.as_str())
        }
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => "in lower case, as here".to_owned(),
    };
    reading.mistaken(at, &one_of(&names), hint);
    None
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}

/// Names go into cassettes, logs and the match key.
fn given_name(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    const BYTES_MAX: usize = 200;
    let text = reading.text(at)?;
    if text.trim().is_empty() || text.len() > BYTES_MAX || text.chars().any(char::is_control) {
        let reason =
            format!("expected a name of 1 to {BYTES_MAX} bytes without control characters");
        reading.refuse(at, reason, "the default is `target_host`");
        return None;
    }
    Some(text.to_owned())
}

fn address(reading: &mut Reading, at: &At<'_>) -> Option<IpAddr> {
    let address = parse_address(reading.text(at)?);
    if address.is_none() {
        let hint = "`127.0.0.1` for this machine only, `0.0.0.0` for every network";
        reading.mistaken(at, "an IP address", hint);
    }
    address
}

/// An empty path is none, as in test-server.
fn health(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    let text = reading.text(at)?;
    if text.is_empty() {
        return None;
    }
    let bad = text.chars().find(|c| !c.is_ascii_graphic() || "?#".contains(*c));
    if !text.starts_with('/') {
        reading.mistaken(at, "a path that begins with `/`", format!("write `/{text}`"));
    } else if let Some(bad) = bad {
        let hint = "it is compared with a request's path alone, without its query";
        reading.refuse(at, format!("a path has no {bad:?}"), hint);
    } else {
        return Some(text.to_owned());
    }
    None
}

/// RFC 9110 section 5.1: a field name is a token.
fn header_name(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    let text = reading.text(at)?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(is_token) {
        let hint = match text.split_once(':') {
            Some((name, _)) => format!("write `{name}` alone"),
            None => "letters, digits and `-`, such as `X-Api-Key`".to_owned(),
        };
        reading.mistaken(at, "the name of a header", hint);
        return None;
    }
    Some(text.to_owned())
}

/// Fields that say where a message ends or how a connection goes on: those are always made anew.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn replacement(reading: &mut Reading, at: &At<'_>) -> Option<Replacement> {
    let table = reading.table(at, &keys::REPLACEMENT)?;
    let header = required(reading, &table, "header").and_then(|at| {
        let name = header_name(reading, &at)?;
        if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            let hint = "name a header that belongs to the answer itself";
            reading.refuse(&at, format!("`{name}` is made anew for every answer"), hint);
            return None;
        }
        Some(name)
    });
    let regex = required(reading, &table, "regex").and_then(|at| regex(reading, &at));
    let replacement = match table.get("replace") {
        Some(at) => replace(reading, &at, regex.as_ref()),
        // As in test-server: what matches is taken out.
        None => Some(String::new()),
    };
    Some(Replacement { header: header?, regex: regex?, replacement: replacement? })
}

fn required<'a>(reading: &mut Reading, table: &Table<'a>, key: &str) -> Option<At<'a>> {
    let found = table.get(key);
    if found.is_none() {
        let fault = reading.fault(&table.path_of(key), table.place, "this key is missing");
        reading.faults.push(fault.with_hint("a replacement has `header`, `regex` and `replace`"));
    }
    found
}

fn regex(reading: &mut Reading, at: &At<'_>) -> Option<Regex> {
    /// Of the compiled program; a rule for one header's value needs a few KiB.
    const BYTES_MAX: usize = 1 << 20;
    let text = reading.text(at)?;
    match RegexBuilder::new(text).size_limit(BYTES_MAX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let reason = format!("{} in {}", regex_fault(&error.to_string()), quoted(text));
            reading.refuse(at, reason, "a `\\` before a special character takes its meaning away");
            None
        }
    }
}

/// The regex crate draws its message over several lines: the pattern, a caret, then the reason.
fn regex_fault(message: &str) -> String {
    let mut lines = message.lines();
    let reason = message.lines().last().unwrap_or(message);
    let reason = reason.trim().trim_start_matches("error: ");
    let caret = lines.find(|line| line.trim_start().starts_with('^'));
    match caret.and_then(|line| line.find('^')) {
        Some(at) => format!("{reason} at character {}", at.saturating_sub(4) + 1),
        None => reason.trim_end_matches('.').to_owned(),
    }
}

fn replace(reading: &mut Reading, at: &At<'_>, regex: Option<&Regex>) -> Option<String> {
    let text = reading.text(at)?;
    // RFC 9110 section 5.5: a line end here would begin another field.
    if text.chars().any(|c| c.is_control() && c != '\t') {
        reading.refuse(at, "a header's value has no control characters", "take them out");
        return None;
    }
    if let Some(group) = regex.and_then(|regex| template::missing_group(text, regex)) {
        let reason = format!("the regex has no group `{group}`, so `${group}` becomes nothing");
        reading.warn(
            at,
            &reason,
            "`${1}` keeps a group apart from letters after it, `$$` is a dollar sign",
        );
    }
    Some(text.to_owned())
}

fn refuse_equal_names(reading: &mut Reading, drafts: &[Draft]) {
    for (at, draft) in drafts.iter().enumerate() {
        let Some(name) = &draft.name.value else { continue };
        let earlier = drafts.iter().take(at).find(|other| other.name.value.as_ref() == Some(name));
        let Some(earlier) = earlier else { continue };
        let (reason, hint) = match draft.name.written {
            Some(_) => {
                (format!("{} is called \"{name}\" already", earlier.path), "give each its own name")
            }
            None => (
                format!(
                    "without it, this endpoint is called \"{name}\" after its `target_host`, and so is {}",
                    earlier.path
                ),
                "set `name`",
            ),
        };
        let key = format!("{}.name", draft.path);
        let place = draft.name.written.or(draft.place);
        reading.faults.push(reading.fault(&key, place, reason).with_hint(hint));
    }
}

fn refuse_equal_sources(reading: &mut Reading, drafts: &[Draft]) {
    for (at, draft) in drafts.iter().enumerate() {
        let Some(source) = draft.source.value else { continue };
        let clashes = |other: &&Draft| other.source.value.is_some_and(|other| clash(other, source));
        let Some(earlier) = drafts.iter().take(at).find(clashes) else { continue };
        let (reason, hint) = match draft.source.written {
            Some(_) => (
                format!("{} listens on port {} already", earlier.path, source.1),
                "give each its own port, or 0 to let the system choose",
            ),
            None => (
                format!(
                    "without it, this endpoint listens on port {}, and so does {}",
                    source.1, earlier.path
                ),
                "set `source_port`; 0 lets the system choose",
            ),
        };
        let key = format!("{}.source_port", draft.path);
        let place = draft.source.written.or(draft.place);
        reading.faults.push(reading.fault(&key, place, reason).with_hint(hint));
    }
}

/// Whether the second socket couldn't be bound beside the first. Port 0 never clashes.
fn clash((one, one_port): (IpAddr, u16), (other, other_port): (IpAddr, u16)) -> bool {
    one_port != 0 && one_port == other_port && overlap(one, other)
}

/// Whether one socket would take what the other listens for. `::` takes IPv4 as well, unless a
/// system is set up otherwise.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| {
        wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    let (one, other) = (one.to_canonical(), other.to_canonical());
    one == other || covers(one, other) || covers(other, one)
}
