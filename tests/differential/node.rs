//! Node's parser (llhttp) as the other reader, behind its public `http` module.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use ouli::http1::Refusal;
use ouli::http1::head::Role;
use serde_json::{Value, json};

use crate::cases::Case;
use crate::reading::{Message, Peer, Reading, Stop};

pub(crate) const PEER: Peer =
    Peer { name: "node", alike: PartialEq::eq, ouli_is_stricter, peer_is_stricter };

#[derive(Debug)]
pub(crate) struct NotInstalled;

fn ouli_is_stricter(case: &Case, refusal: &Refusal) -> Option<&'static str> {
    use Refusal::*;
    Some(match refusal {
        EmptyLines { .. } => "node skips any number of empty lines",
        BareLineFeed { .. } => "node skips LF before a request line",
        BadStatusLine => "node skips empty lines before an answer",
        BadRequestLine => "node takes RTSP and ICE as well",
        BadVersion => "node takes HTTP/2.0 and answers as to HTTP/1.1",
        Http09 => "node takes a request line without version",
        BadTargetByte { .. } => "node takes fragments, and more than one space in a request line",
        BadTargetForm => "node leaves it to its service which form fits the method",
        BadStatus => "node takes statuses under 100",
        BadReason { .. } => "node takes control characters in a reason",
        Nul { .. } if case.role == Role::Client => "node takes control characters in a reason",
        MissingHost => "node answers 400 by itself, and reads on",
        SecondHost | BadHost => "node leaves Host to its service",
        LengthWithTransferEncoding => "node takes a length beside an empty Transfer-Encoding",
        TransferEncodingInHttp10 => "node takes chunked in HTTP/1.0 too",
        TwoTransferEncodings => "node takes any codings whose last is chunked",
        UnknownTransferCoding => {
            "node takes any codings whose last is chunked, and reads an answer without it to the close"
        }
        ChunkTooLarge => "node takes any number of zeros before a size",
        ForbiddenTrailer => "node hands out any trailer",
        _ => return None,
    })
}

fn peer_is_stricter(case: &Case, messages: &[Message]) -> Option<&'static str> {
    let (message, before) = messages.split_last()?;
    let (method, _) = message.start.split_once(' ')?;
    let has = |message: &Message, name: &str| message.fields.contains_key(name);
    if case.role == Role::Server && !METHODS.contains(&method) {
        Some("node knows only registered methods; ouli leaves methods to the origin")
    } else if case.role == Role::Server && method == "CONNECT" {
        Some("node makes a tunnel of CONNECT; ouli refuses it after parsing")
    } else if before.last().is_some_and(|before| has(before, "upgrade")) {
        Some("node holds back what follows a request to upgrade")
    } else if before.last().is_some_and(|before| has(before, "proxy-connection")) {
        Some("node takes Proxy-Connection for Connection")
    } else if has(message, "transfer-encoding") && has_unusual_extension(&case.input) {
        Some("node checks the grammar of chunk extensions, without the white space that it allows")
    } else {
        None
    }
}

/// Of those that the inputs use.
const METHODS: &[&str] =
    &["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "CONNECT", "M-SEARCH", "SOURCE"];

fn has_unusual_extension(input: &[u8]) -> bool {
    [&b" ;"[..], b"; ", b";\r", b";\xe9"].iter().any(|mark| input.windows(2).any(|at| at == *mark))
}

/// # Errors
/// Where there is no `node` to run.
pub(crate) fn read_all(cases: &[Case]) -> Result<Vec<Reading>, NotInstalled> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/reader.js");
    let child =
        Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(NotInstalled),
        Err(error) => panic!("node can't be started: {error}"),
    };
    let input: Vec<Value> = cases
        .iter()
        .map(|case| {
            let is_server = case.role == Role::Server;
            json!({"server": is_server, "method": case.method, "input": crate::reading::latin1(&case.input)})
        })
        .collect();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(Value::Array(input).to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "node failed: {}", output.status);
    let readings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    Ok(readings.iter().map(reading).collect())
}

fn reading(value: &Value) -> Reading {
    let messages = list(&value["messages"]).iter().map(message).collect();
    let stop = match value["error"].as_str() {
        Some(error) => Stop::Rejected(error.to_owned()),
        None => Stop::EndOfInput,
    };
    Reading { messages, stop }
}

fn message(value: &Value) -> Message {
    Message {
        start: text(&value["start"]),
        fields: fields(&value["fields"]),
        body: text(&value["body"]),
        trailers: fields(&value["trailers"]),
    }
}

/// Node's flat list of names and values in turn.
fn fields(value: &Value) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in list(value).chunks(2) {
        groups.entry(text(&pair[0]).to_ascii_lowercase()).or_default().push(text(&pair[1]));
    }
    groups
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
