//! Python's `httpx` and the `openai` client library, where they are installed: what a program prints
//! that asks the origin, and again while Ouli records and, with the origin gone, replays.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{chunk, event_stream};
use crate::support::*;

/// Prints each event when it comes, and whether the first came well before the last.
const LISTEN: &str = r#"
import httpx, sys, time
from httpx_sse import connect_sse
url, version = sys.argv[1:]
with httpx.Client(http1=version == '1', http2=version == '2', timeout=20) as client:
    for path in ('plain', 'gzip', 'deflate', 'cut'):
        times = []
        try:
            with connect_sse(client, 'GET', url + path, headers={'ouli-pace': 'recorded'}) as source:
                print(path, source.response.status_code, source.response.headers['x-kept'])
                for event in source.iter_sse():
                    times.append(time.monotonic())
                    print(event.id, event.event, repr(event.data))
        except (httpx.RemoteProtocolError, httpx.ReadError):
            print('broke off')
        print('one by one' if times[-1] - times[0] > 0.1 else 'at once')
"#;

/// Between two events, as they are recorded.
const GAP: Duration = Duration::from_millis(150);

const EVENTS: [&str; 3] =
    ["id: 1\ndata: h\u{e4}p\n\n", "event: x\ndata: two\ndata: lines\n\n", "data: [DONE]\n\n"];

/// An event stream for each path, coded as it says or broken off.
fn events() -> Origin {
    Origin::http1().script("/*", |talk| {
        let coding = talk.request().path()[1..].to_owned();
        let (head, parts) = match &*coding {
            "plain" | "cut" => {
                (event_stream(), EVENTS.map(|event| event.as_bytes().to_vec()).to_vec())
            }
            _ => {
                (event_stream().header("content-encoding", &coding), coded_parts(&coding, &EVENTS))
            }
        };
        let head = head.header("x-kept", "1").to_bytes("HEAD");
        talk.send(head);
        for part in parts {
            std::thread::sleep(GAP);
            talk.send(chunk(part));
        }
        match &*coding {
            "cut" => talk.close(),
            _ => drop(talk.send("0\r\n\r\n")),
        }
    })
}

/// What this program prints.
#[track_caller]
fn run(python: &str, script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(python);
    let output =
        command.args(["-c", script]).args(arguments).stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn httpx_sees_each_event_when_it_is_due_and_where_a_stream_breaks_off() {
    let Some(python) = python_with("httpx_sse", "httpx-sse") else { return };
    let mut versions = vec!["1"];
    versions.extend(python_with("h2", "h2").map(|_| "2"));
    let listen = |address: std::net::SocketAddr, version| {
        run(&python, LISTEN, &[&format!("http://{address}/"), version])
    };
    let origin = events();
    let direct = listen(origin.address(), "1");
    let seen = "200 1\n1 message 'h\u{e4}p'\n1 x 'two\\nlines'\n1 message '[DONE]'\n";
    let whole = ["plain", "gzip", "deflate"].map(|path| format!("{path} {seen}one by one\n"));
    assert_eq!(direct, format!("{}cut {seen}broke off\none by one\n", whole.concat()));
    let recorder = Ouli::record(&origin).start();
    for version in &versions {
        assert_eq!(listen(recorder.address(), version), direct, "recorded over HTTP/{version}");
    }
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    for version in &versions {
        assert_eq!(listen(replay.address(), version), direct, "replayed over HTTP/{version}");
    }
    replay.terminate().expect_code(0);
}

/// A streamed completion, one at once, and one without a good key.
const COMPLETE: &str = r#"
import openai, sys
client = openai.OpenAI(base_url=sys.argv[1], api_key='sk-very-secret', max_retries=0, timeout=20)
ask = {'model': 'stand-in', 'messages': [{'role': 'user', 'content': 'Say something'}]}
for chunk in client.chat.completions.create(stream=True, **ask):
    for choice in chunk.choices:
        print(repr(choice.delta.content), choice.finish_reason)
answer = client.chat.completions.create(**ask)
print(answer.id, repr(answer.choices[0].message.content), answer.usage.total_tokens)
try:
    client.chat.completions.create(**{**ask, 'model': 'not-mine'})
except openai.AuthenticationError as error:
    print(error.status_code, error.code, error.body['message'])
"#;

const COMPLETED: &str = "'Some' None\n'thing \u{1f980}' None\nNone stop\n\
    chatcmpl-1 'Something \u{1f980}' 12\n401 invalid_api_key Incorrect API key provided\n";

fn refusal() -> Reply {
    let problem = json!({"error": {
        "message": "Incorrect API key provided",
        "type": "invalid_request_error",
        "param": null,
        "code": "invalid_api_key",
    }});
    let reply = Reply::new(401).header("content-type", "application/json");
    reply.body(problem.to_string())
}

fn completion() -> Reply {
    let message = json!({"role": "assistant", "content": "Something \u{1f980}"});
    let completion = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "stand-in",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    });
    Reply::json(&completion.to_string())
}

/// The event of a part of a streamed completion.
fn delta(delta: &serde_json::Value, finish: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "stand-in",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    });
    format!("data: {chunk}\n\n")
}

/// Stands in for the service. Its streams stay open behind `[DONE]` until their client leaves.
fn service(left: &Gate) -> Origin {
    let left = left.clone();
    Origin::http1().script("/v1/chat/completions", move |talk| {
        let asked: serde_json::Value = serde_json::from_slice(&talk.read_body()).unwrap();
        match (asked["model"].as_str(), asked["stream"].as_bool()) {
            (Some("not-mine"), _) => return talk.reply(refusal()),
            (_, Some(true)) => {}
            _ => return talk.reply(completion()),
        }
        talk.send(event_stream().to_bytes("HEAD"));
        talk.send(chunk(delta(&json!({"role": "assistant", "content": "Some"}), None)));
        talk.send(chunk(delta(&json!({"content": "thing \u{1f980}"}), None)));
        talk.send(chunk(delta(&json!({}), Some("stop"))));
        talk.send(chunk("data: [DONE]\n\n"));
        if talk.client_leaves_within(Duration::from_secs(20)) {
            left.open_for_all();
            left.pass();
        }
        talk.close();
    })
}

#[test]
fn the_openai_client_completes_streams_and_fails_the_same_on_both_roads() {
    let Some(python) = python_with("openai", "openai") else { return };
    let complete = |address| run(&python, COMPLETE, &[&format!("http://{address}/v1")]);
    let left = Gate::new();
    let origin = service(&left);
    assert_eq!(complete(origin.address()), COMPLETED);
    let recorder = Ouli::record(&origin).start();
    assert_eq!(complete(recorder.address()), COMPLETED);
    wait_until("the origin has seen it leave", || left.reached() == 2);
    recorder.terminate().expect_code(0);
    origin.stop();
    assert_eq!(recorder.recordings().files_with("very-secret"), Vec::<String>::new());
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    assert_eq!(complete(replay.address()), COMPLETED);
    replay.terminate().expect_code(0);
}
