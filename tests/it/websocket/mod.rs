//! WebSocket: conversations relayed byte for byte, recorded message by message, and replayed with
//! the origin gone.

mod auto;
mod bounds;
mod browser;
mod choice;
mod compression;
mod drain;
mod endings;
mod handshakes;
mod http2;
mod killed;
mod misses;
mod node;
mod pairings;
mod peers;
mod python;
mod recording;
mod relay;
mod replay;
mod slow;
mod violations;

use serde_json::Value;

use crate::support::ws::{Log, Talker};
use crate::support::*;

/// An exchange of the default session's cassette.
#[track_caller]
fn exchange(recordings: &Recordings, index: usize) -> Value {
    exchange_of(recordings, "default", index)
}

#[track_caller]
fn exchange_of(recordings: &Recordings, session: &str, index: usize) -> Value {
    let cassette = recordings.cassette(session);
    let exchange = &cassette["exchanges"][index];
    assert!(exchange.is_object(), "no exchange {index} in {cassette:#}");
    exchange.clone()
}

/// Every message of a kept conversation as `FROM: CONTENT`, in the order of the cassette.
#[track_caller]
fn script(exchange: &Value) -> Vec<String> {
    let messages = exchange["conversation"]["messages"].as_array();
    let messages = messages.map_or(&[][..], Vec::as_slice);
    messages.iter().map(|message| line(message)).collect()
}

#[track_caller]
fn line(message: &Value) -> String {
    let from = message["from"].as_str().unwrap_or_else(|| panic!("from nobody: {message:#}"));
    let content = match (&message["text"], &message["json"], &message["base64"]) {
        (Value::String(text), Value::Null, Value::Null) => text.clone(),
        (Value::Array(lines), Value::Null, Value::Null) => {
            lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
        }
        (Value::Null, json, Value::Null) if !json.is_null() => json.to_string(),
        (Value::Null, Value::Null, Value::String(base64)) => format!("base64 {base64}"),
        _ => panic!("not of one content: {message:#}"),
    };
    format!("{from}: {content}")
}

/// Who closed a kept conversation, with which code and reason.
#[track_caller]
fn close(exchange: &Value) -> (&str, Option<u64>, &str) {
    let close = &exchange["conversation"]["close"];
    let from = close["from"].as_str().unwrap_or_else(|| panic!("nobody closed: {exchange:#}"));
    (from, close["code"].as_u64(), close["reason"].as_str().unwrap_or_default())
}

/// Says each text, and must hear the same.
#[track_caller]
fn say_all(talker: &mut Talker<'_>, texts: &[&str]) {
    texts.iter().for_each(|text| talker.ask(text, text));
}

/// A client of either version to the same plain port.
fn clients(ouli: &Ouli) -> [Client; 2] {
    [Protocol::Http1, Protocol::H2c].map(|protocol| ouli.client_over(protocol))
}

/// What one side sent is what the other received, in both directions.
#[track_caller]
fn expect_same_bytes(origin: &Log, client: &Log) {
    origin.wait_received(&client.sent());
    client.wait_received(&origin.sent());
}
