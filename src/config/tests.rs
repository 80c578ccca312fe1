//! What a file means, and what is said about a bad one.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn parse(name: &str, text: &str) -> Result<Config, Faults> {
    parse_bytes(text.as_bytes(), Path::new(name), Need::Nothing)
}

fn used(name: &str, text: &str) -> Config {
    parse(name, text).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

/// What is printed about a bad file.
fn refused(name: &str, text: &str) -> String {
    parse(name, text).expect_err(text).to_string()
}

/// One endpoint with `lines` in it, as TOML.
fn endpoint(lines: &str) -> Result<Endpoint, Faults> {
    let text = format!("[[endpoints]]\ntarget_host = \"h\"\n{lines}\n");
    parse("one.toml", &text).map(|mut config| config.endpoints.remove(0))
}

fn limit(line: &str) -> Result<Limits, String> {
    let config = parse("limits.toml", &format!("[limits]\n{line}\n"));
    config.map(|config| config.limits).map_err(|faults| faults.to_string())
}

#[test]
fn an_empty_file_is_all_defaults() {
    for text in ["", "\u{feff}", "# nothing but a comment\n"] {
        for name in ["a.toml", "a.yaml", "a.YML"] {
            let config = used(name, text);
            assert_eq!(config.limits, Limits::default());
            assert_eq!(config.sockets, Sockets::default());
            assert!(config.endpoints.is_empty());
        }
    }
}

const EVERY_KEY: &str = r#"
recording_dir = "tests/recordings"
workers = 3

[limits]
max_connections = 10
max_in_flight = 11
queue_timeout = "0s"
buffer_size = "16KiB"
first_byte_timeout = "1s"
header_timeout = "2s"
idle_timeout = "1m30s"
stall_timeout = "300ms"
origin_connect_timeout = "4s"
origin_header_timeout = "1h"
origin_idle_timeout = "0s"
origin_idle_max = 0
max_header_bytes = 4096
max_headers = 50
max_kept_body = "1GiB"
max_match_body = 0
max_ws_message = "1MiB"
replay_wait = "5s"
drain_timeout = "6s"
seal_timeout = "7s"

[sockets]
recv_buffer = "kernel"
send_buffer = "128KiB"
backlog = 16

[[endpoints]]
name = "a b"
source_address = "::1"
source_port = 0
source_type = "https"
target_type = "h2c"
target_host = "API.Example.com"
target_port = 8443
health = "/healthz"
redact_request_headers = ["X-Secret"]
rewrite_location = false

[[endpoints.response_header_replacements]]
header = "X-Url"
regex = "^http://([^/]+)"
replace = "https://$1"
"#;

#[test]
fn every_key_reaches_the_configuration() {
    let config = used("ouli.toml", EVERY_KEY);
    let secs = Duration::from_secs;
    assert_eq!(config.recording_dir, Path::new("tests/recordings"));
    assert_eq!(config.workers, Some(3));
    let limits = Limits {
        max_connections: 10,
        max_connections_configured: true,
        max_in_flight: 11,
        queue_timeout: secs(0),
        buffer_size: 16 << 10,
        first_byte_timeout: secs(1),
        header_timeout: secs(2),
        idle_timeout: secs(90),
        stall_timeout: Duration::from_millis(300),
        origin_connect_timeout: secs(4),
        origin_header_timeout: secs(3600),
        origin_idle_timeout: secs(0),
        origin_idle_max: 0,
        max_header_bytes: 4096,
        max_headers: 50,
        max_kept_body: 1 << 30,
        max_match_body: 0,
        max_ws_message: 1 << 20,
        replay_wait: secs(5),
        drain_timeout: secs(6),
        seal_timeout: secs(7),
    };
    assert_eq!(config.limits, limits);
    let sockets = Sockets { recv_buffer: None, send_buffer: Some(128 << 10), backlog: 16 };
    assert_eq!(config.sockets, sockets);
    let [endpoint] = config.endpoints.as_slice() else { panic!("{:?}", config.endpoints) };
    assert_eq!(endpoint.name, "a b");
    assert_eq!((endpoint.source_address.to_string().as_str(), endpoint.source_port), ("::1", 0));
    assert_eq!(endpoint.source_type, SourceType::Https);
    assert_eq!(endpoint.target.to_string(), "h2c://api.example.com:8443");
    assert_eq!(endpoint.health.as_deref(), Some("/healthz"));
    assert_eq!(endpoint.redact_request_headers, ["X-Secret"]);
    assert!(!endpoint.rewrite_location);
    let [replacement] = endpoint.response_header_replacements.as_slice() else { panic!() };
    let replaced = replacement.regex.replace_all(b"http://h/x", replacement.replacement.as_bytes());
    assert_eq!(
        (replacement.header.as_str(), replaced.as_ref()),
        ("X-Url", b"https://h/x".as_slice())
    );
}

#[test]
fn an_endpoint_needs_only_its_host() {
    let endpoint = endpoint("").unwrap();
    assert_eq!(endpoint.name, "h");
    assert_eq!(endpoint.source_address, SOURCE_ADDRESS);
    assert_eq!(endpoint.source_port, SOURCE_PORT);
    assert_eq!(endpoint.source_type, SourceType::Http);
    assert_eq!(endpoint.target.to_string(), "https://h:443");
    assert!(endpoint.rewrite_location && endpoint.health.is_none());
}

#[test]
fn the_port_of_an_origin_follows_its_type() {
    for (kind, port) in [("http", 80), ("https", 443), ("h2c", 80)] {
        assert_eq!(endpoint(&format!("target_type = \"{kind}\"")).unwrap().target.port, port);
    }
}

// The two samples that google/test-server ships and the one of its Python SDK, with the values
// changed: a trailing space, a key that it ignores, and header replacements.
const TEST_SERVER: &str = "\
endpoints:
  - target_host: generative.example.com\u{20}
    target_port: 443
    source_port: 1443
    source_type: http
    target_type: https
    health: /healthz
    redact_request_headers:
      - X-Goog-Api-Key
      - Authorization
    response_header_replacements:
      - header: X-Goog-Upload-Url
        regex: \"^https://generative.example.com/\"
        replace: \"http://localhost:1443/\"
    shutdown_timeout_seconds: 5
  - target_host: platform.example.com
    target_port: 443
    source_port: 1444
    source_type: http
    target_type: https
    health:
    redact_request_headers:
";

#[test]
fn the_yaml_of_test_server_is_taken_as_it_is() {
    let config = used("test-server.yml", TEST_SERVER);
    let [first, second] = config.endpoints.as_slice() else { panic!("{config:?}") };
    assert_eq!(first.name, "generative.example.com");
    assert_eq!(first.target.to_string(), "https://generative.example.com:443");
    assert_eq!(first.source_port, 1443);
    assert_eq!(first.health.as_deref(), Some("/healthz"));
    assert_eq!(first.redact_request_headers, ["X-Goog-Api-Key", "Authorization"]);
    let [replacement] = first.response_header_replacements.as_slice() else { panic!() };
    assert_eq!(replacement.header, "X-Goog-Upload-Url");
    assert_eq!(replacement.replacement, "http://localhost:1443/");
    assert_eq!((second.source_port, &second.health), (1444, &None));
    assert_eq!(
        config.warnings,
        ["`endpoints[0].shutdown_timeout_seconds` in `test-server.yml`, line 15: \
          it is accepted for test-server's files, and has no effect; use `drain_timeout` in [limits]"]
    );
}

#[test]
fn an_unquoted_yaml_scalar_stands_for_its_text_where_a_string_is_meant() {
    let text = "\
endpoints:
  - {target_host: h, name: 1.10, response_header_replacements: [{header: x, regex: 0x50, replace: no}]}
";
    let endpoint = &used("a.yaml", text).endpoints[0];
    assert_eq!(endpoint.name, "1.10");
    let replacement = &endpoint.response_header_replacements[0];
    assert_eq!((replacement.regex.as_str(), replacement.replacement.as_str()), ("0x50", "no"));
}

#[test]
fn yaml_aliases_and_merge_keys_are_followed() {
    let text = "\
endpoints:
  - &base {target_host: h, target_type: http, source_port: 1}
  - {<<: *base, name: other, source_port: 2}
";
    let config = used("a.yaml", text);
    assert_eq!(config.endpoints[1].target.to_string(), "http://h:80");
    assert_eq!((config.endpoints[1].name.as_str(), config.endpoints[1].source_port), ("other", 2));
}

#[test]
fn every_fault_of_a_file_is_told_in_one_run() {
    let text = r#"recording_dir = 3
max_connections = 4
[limits]
max_conections = 5
idle_timeout = 10
buffer_size = "64KB"
max_headers = 0
header_timeout = "2d"
origin_idle_max = "many"
[sockets]
recv_buffer = 0
[[endpoints]]
name = "a"
source_prt = 1
source_port = 70000
source_type = "htps"
target_host = "http://a.b/c"
target_type = "http"
health = "healthz"
[[endpoints]]
name = "a"
target_port = 0
rewrite_location = "yes"
redact_request_headers = ["X-A:", 4]
response_header_replacements = [{ header = "Content-Length", regex = "(a" }, { replace = "\n" }]
"#;
    insta::assert_snapshot!(refused("ouli.toml", text), @r#"
    error: invalid `recording_dir` in `ouli.toml`
      caused by: line 1, column 17: expected a string, found 3
    hint: put the value in quotes
    error: invalid `max_connections` in `ouli.toml`
      caused by: line 2, column 1: unknown key
    hint: `max_connections` belongs in [limits]
    error: invalid `limits.max_conections` in `ouli.toml`
      caused by: line 4, column 1: unknown key
    hint: did you mean `max_connections`?
    error: invalid `limits.idle_timeout` in `ouli.toml`
      caused by: line 5, column 16: expected a duration with its unit, found 10
    hint: write whole numbers with h, m, s or ms, such as "10s" or "1m30s"
    error: invalid `limits.buffer_size` in `ouli.toml`
      caused by: line 6, column 15: expected a size in binary units, found "64KB"
    hint: `KB` means 1000 to some and 1024 to others: write "64KiB"
    error: invalid `limits.max_headers` in `ouli.toml`
      caused by: line 7, column 15: expected at least 1, found 0
    hint: with less, every request would be refused: HTTP/1.1 requires a Host header
    error: invalid `limits.header_timeout` in `ouli.toml`
      caused by: line 8, column 18: expected a duration, found "2d"
    hint: write whole numbers with h, m, s or ms, such as "10s" or "1m30s"
    error: invalid `limits.origin_idle_max` in `ouli.toml`
      caused by: line 9, column 19: expected a number between 0 and 65535, found "many"
    hint: write a whole number, without quotes or unit
    error: invalid `sockets.recv_buffer` in `ouli.toml`
      caused by: line 11, column 15: expected a size between 4KiB and 1GiB, found 0B
    hint: write "kernel" to leave the size to the kernel
    error: invalid `endpoints[0].source_prt` in `ouli.toml`
      caused by: line 14, column 1: unknown key
    hint: did you mean `source_port`?
    error: invalid `endpoints[0].source_port` in `ouli.toml`
      caused by: line 15, column 15: expected a port between 0 and 65535, found 70000
    hint: 0 lets the system choose
    error: invalid `endpoints[0].source_type` in `ouli.toml`
      caused by: line 16, column 15: expected `http` or `https`, found "htps"
    hint: did you mean `https`?
    error: invalid `endpoints[0].target_host` in `ouli.toml`
      caused by: line 17, column 15: expected a host alone, found "http://a.b/c"
    hint: write `a.b`, and the scheme `http` as `target_type`
    error: invalid `endpoints[0].health` in `ouli.toml`
      caused by: line 19, column 10: expected a path that begins with `/`, found "healthz"
    hint: write `/healthz`
    error: invalid `endpoints[1].target_host` in `ouli.toml`
      caused by: line 20, column 1: this key is missing
    hint: name the server that Ouli stands for
    error: invalid `endpoints[1].name` in `ouli.toml`
      caused by: line 21, column 8: endpoints[0] is called "a" already
    hint: give each its own name
    error: invalid `endpoints[1].target_port` in `ouli.toml`
      caused by: line 22, column 15: expected a port between 1 and 65535, found 0
    hint: leave it out for the usual port of `target_type`
    error: invalid `endpoints[1].rewrite_location` in `ouli.toml`
      caused by: line 23, column 20: expected true or false, found "yes"
    hint: without quotes
    error: invalid `endpoints[1].redact_request_headers[0]` in `ouli.toml`
      caused by: line 24, column 27: expected the name of a header, found "X-A:"
    hint: write `X-A` alone
    error: invalid `endpoints[1].redact_request_headers[1]` in `ouli.toml`
      caused by: line 24, column 35: expected a string, found 4
    hint: put the value in quotes
    error: invalid `endpoints[1].response_header_replacements[0].header` in `ouli.toml`
      caused by: line 25, column 44: `Content-Length` is made anew for every answer
    hint: name a header that belongs to the answer itself
    error: invalid `endpoints[1].response_header_replacements[0].regex` in `ouli.toml`
      caused by: line 25, column 70: unclosed group at character 1 in "(a"
    hint: a `\` before a special character takes its meaning away
    error: invalid `endpoints[1].response_header_replacements[1].header` in `ouli.toml`
      caused by: line 25, column 78: this key is missing
    hint: a replacement has `header`, `regex` and `replace`
    error: invalid `endpoints[1].response_header_replacements[1].regex` in `ouli.toml`
      caused by: line 25, column 78: this key is missing
    hint: a replacement has `header`, `regex` and `replace`
    error: invalid `endpoints[1].response_header_replacements[1].replace` in `ouli.toml`
      caused by: line 25, column 90: a header's value has no control characters
    hint: take them out
    "#);
}

#[test]
fn yaml_faults_have_the_same_words_and_their_own_places() {
    let text = "\
limits:
  idle_timeout: 10
  max_headers: [1]
endpoints:
- target_host: [a]
  source_port: '80'
- target_host: h
  targetport: 80
  source_type: tcp
- just a word
";
    insta::assert_snapshot!(refused("ouli.yaml", text), @r#"
    error: invalid `limits.idle_timeout` in `ouli.yaml`
      caused by: line 2, column 17: expected a duration with its unit, found 10
    hint: write whole numbers with h, m, s or ms, such as "10s" or "1m30s"
    error: invalid `limits.max_headers` in `ouli.yaml`
      caused by: line 3, column 16: expected a number between 1 and 10000, found a list
    hint: write a whole number, without quotes or unit
    error: invalid `endpoints[0].target_host` in `ouli.yaml`
      caused by: line 5, column 16: expected a string, found a list
    hint: put the value in quotes
    error: invalid `endpoints[0].source_port` in `ouli.yaml`
      caused by: line 6, column 16: expected a port between 0 and 65535, found "80"
    hint: leave out the quotes
    error: invalid `endpoints[1].targetport` in `ouli.yaml`
      caused by: line 8, column 3: unknown key
    hint: did you mean `target_port`?
    error: invalid `endpoints[1].source_type` in `ouli.yaml`
      caused by: line 9, column 16: expected `http` or `https`, found "tcp"
    hint: in lower case, as here
    error: invalid `endpoints[2]` in `ouli.yaml`
      caused by: line 10, column 3: expected a table of keys and values, found "just a word"
    hint: it holds name, source_address, source_port, source_type, target_type, target_host, target_port, health, redact_request_headers, response_header_replacements, rewrite_location, shutdown_timeout_seconds
    "#);
}

#[test]
fn a_file_that_is_not_of_its_format_has_that_one_fault() {
    let cases = [
        ("a.toml", "a = 1\n[limits\n"),
        ("a.toml", "[limits]\nmax_headers = 1\nmax_headers = 2\n"),
        ("a.yaml", "limits: a: b"),
        ("a.yaml", "limits:\n  max_headers: 1\n  max_headers: 2\n"),
        ("a.yaml", "limits: {}\n---\nlimits: {}\n"),
        ("a.yaml", "? [a]\n: 1\n"),
        ("a.yaml", "limits: *nowhere\n"),
        ("a.yaml", "- a\n"),
        ("a.json", "{}"),
        ("ouli", ""),
    ];
    let told: String = cases.iter().map(|(name, text)| refused(name, text)).collect();
    insta::assert_snapshot!(told, @r#"
    error: invalid configuration `a.toml`
      caused by: line 2, column 8: unclosed table, expected `]`
    hint: text stands in quotes, a list in [ ]; each key stands once in its table
    error: invalid configuration `a.toml`
      caused by: line 3, column 1: duplicate key
    hint: text stands in quotes, a list in [ ]; each key stands once in its table
    error: invalid configuration `a.yaml`
      caused by: line 1, column 10: mapping values are not allowed in this context
    hint: entries of one level stand below each other; text with `: ` or ` #` in quotes
    error: invalid configuration `a.yaml`
      caused by: line 3, column 3: the key `max_headers` stands here twice
    hint: entries of one level stand below each other; text with `: ` or ` #` in quotes
    error: invalid configuration `a.yaml`
      caused by: line 3, column 1: a second document begins here, and one is expected
    hint: entries of one level stand below each other; text with `: ` or ` #` in quotes
    error: invalid configuration `a.yaml`
      caused by: line 1, column 3: a key is a plain word
    hint: entries of one level stand below each other; text with `: ` or ` #` in quotes
    error: invalid configuration `a.yaml`
      caused by: line 1, column 9: reference to unknown value
    hint: entries of one level stand below each other; text with `: ` or ` #` in quotes
    error: invalid configuration `a.yaml`
      caused by: line 1, column 1: expected a table of keys and values, found a list
    hint: it holds recording_dir, workers, limits, sockets, endpoints
    error: invalid configuration `a.json`
      caused by: the ending of its name doesn't tell its format
    hint: call it .toml, .yaml or .yml
    error: invalid configuration `ouli`
      caused by: the ending of its name doesn't tell its format
    hint: call it .toml, .yaml or .yml
    "#);
    let told = parse_bytes(b"a = \"\xff\"", Path::new("a.toml"), Need::Nothing).unwrap_err();
    assert_eq!(told.iter().next().unwrap().reason(), "not UTF-8 from byte 5 on");
}

#[test]
fn a_file_without_endpoints_is_a_fault_only_where_they_are_needed() {
    for text in ["", "endpoints = []", "[limits]\nmax_headers = 1"] {
        assert!(parse("a.toml", text).is_ok());
        let faults =
            parse_bytes(text.as_bytes(), Path::new("a.toml"), Need::Endpoints).unwrap_err();
        assert_eq!(faults.len(), 1);
    }
    let both = parse_bytes(b"endpoints: []\nlimit: 1\n", Path::new("a.yaml"), Need::Endpoints);
    insta::assert_snapshot!(both.unwrap_err(), @r#"
    error: invalid `endpoints` in `a.yaml`
      caused by: line 1, column 12: there is no endpoint
    hint: list some, or name an origin: ouli record http://localhost:3000
    error: invalid `limit` in `a.yaml`
      caused by: line 2, column 1: unknown key
    hint: did you mean `limits`?
    "#);
}

#[test]
fn equal_names_are_refused_and_a_default_one_says_what_to_set() {
    let text = "\
endpoints:
  - {target_host: h, source_port: 1}
  - {target_host: H, source_port: 2}
  - {target_host: other, source_port: 3, name: h}
";
    insta::assert_snapshot!(refused("a.yaml", text), @r#"
    error: invalid `endpoints[1].name` in `a.yaml`
      caused by: line 3, column 5: without it, this endpoint is called "h" after its `target_host`, and so is endpoints[0]
    hint: set `name`
    error: invalid `endpoints[2].name` in `a.yaml`
      caused by: line 4, column 48: endpoints[0] is called "h" already
    hint: give each its own name
    "#);
}

/// Two endpoints that listen on these.
fn two_listeners(one: &str, other: &str) -> Result<Config, Faults> {
    let endpoint = |name, (address, port): (&str, &str)| {
        format!("- {{target_host: {name}, source_address: '{address}', source_port: {port}}}\n")
    };
    let split = |text: &'static str| text.split_once(' ').unwrap();
    let (one, other) = (split(one.to_owned().leak()), split(other.to_owned().leak()));
    parse("a.yaml", &format!("endpoints:\n{}{}", endpoint("a", one), endpoint("b", other)))
}

#[test]
fn two_endpoints_cannot_share_what_they_listen_on() {
    let clashing = [
        ("127.0.0.1 80", "127.0.0.1 80"),
        ("127.0.0.1 80", "localhost 80"),
        ("0.0.0.0 80", "127.0.0.1 80"),
        ("10.0.0.1 80", "0.0.0.0 80"),
        (":: 80", "127.0.0.1 80"),
        (":: 80", "0.0.0.0 80"),
        ("::1 80", ":: 80"),
        ("::ffff:127.0.0.1 80", "127.0.0.1 80"),
    ];
    for (one, other) in clashing {
        assert!(two_listeners(one, other).is_err(), "{one} and {other}");
    }
    let apart = [
        ("127.0.0.1 80", "127.0.0.1 81"),
        ("127.0.0.1 0", "127.0.0.1 0"),
        ("0.0.0.0 0", "127.0.0.1 0"),
        ("127.0.0.1 80", "127.0.0.2 80"),
        ("0.0.0.0 80", "::1 80"),
    ];
    for (one, other) in apart {
        assert!(two_listeners(one, other).is_ok(), "{one} and {other}");
    }
    insta::assert_snapshot!(two_listeners("0.0.0.0 80", "127.0.0.1 80").unwrap_err(), @r#"
    error: invalid `endpoints[1].source_port` in `a.yaml`
      caused by: line 3, column 62: endpoints[0] listens on port 80 already
    hint: give each its own port, or 0 to let the system choose
    "#);
}

#[test]
fn two_endpoints_without_a_port_are_told_to_set_one() {
    let faults = refused("a.yaml", "endpoints:\n- {target_host: a}\n- {target_host: b}\n");
    insta::assert_snapshot!(faults, @r#"
    error: invalid `endpoints[1].source_port` in `a.yaml`
      caused by: line 3, column 3: without it, this endpoint listens on port 8080, and so does endpoints[0]
    hint: set `source_port`; 0 lets the system choose
    "#);
}

#[test]
fn what_could_not_be_read_is_not_compared() {
    let text = "endpoints:\n- {target_host: a, source_port: x}\n- {target_host: b}\n";
    assert_eq!(parse("a.yaml", text).unwrap_err().len(), 1);
    let text =
        "endpoints:\n- {target_host: a/, source_port: 1}\n- {target_host: b/, source_port: 2}\n";
    assert_eq!(parse("a.yaml", text).unwrap_err().len(), 2);
}

#[test]
fn limits_out_of_range_are_refused_with_a_reason() {
    let mut told = String::new();
    for line in [
        "max_connections = 0",
        "max_connections = 500001",
        "max_connections = -1",
        "max_connections = 1.5",
        "idle_timeout = \"0s\"",
        "idle_timeout = \"25h\"",
        "buffer_size = 1023",
        "max_kept_body = 0",
        "max_kept_body = \"2TiB\"",
        "max_match_body = 99999999999999999999",
    ] {
        told.push_str(&limit(line).expect_err(line));
    }
    insta::assert_snapshot!(told, @r#"
    error: invalid `limits.max_connections` in `limits.toml`
      caused by: line 2, column 19: expected at least 1, found 0
    hint: with less, every connection would be refused
    error: invalid `limits.max_connections` in `limits.toml`
      caused by: line 2, column 19: expected at most 500000, found 500001
    hint: more would not fit into the memory of a machine
    error: invalid `limits.max_connections` in `limits.toml`
      caused by: line 2, column 19: expected a number between 1 and 500000, found -1
    hint: a limit is never negative
    error: invalid `limits.max_connections` in `limits.toml`
      caused by: line 2, column 19: expected a number between 1 and 500000, found a number with a fraction
    hint: write a whole number, without quotes or unit
    error: invalid `limits.idle_timeout` in `limits.toml`
      caused by: line 2, column 16: expected at least 1ms, found 0s
    hint: with less, no connection could be kept between two requests
    error: invalid `limits.idle_timeout` in `limits.toml`
      caused by: line 2, column 16: expected at most 24h, found 25h
    hint: nothing that a test waits for takes longer than a day
    error: invalid `limits.buffer_size` in `limits.toml`
      caused by: line 2, column 15: expected at least 1KiB, found 1023B
    hint: with less, most time would go into tiny reads
    error: invalid `limits.max_kept_body` in `limits.toml`
      caused by: line 2, column 17: expected at least 1B, found 0B
    hint: with less, no body would be recorded, so nothing with one could be replayed
    error: invalid `limits.max_kept_body` in `limits.toml`
      caused by: line 2, column 17: expected at most 1TiB, found 2TiB
    hint: more would not fit onto a disk
    error: invalid `limits.max_match_body` in `limits.toml`
      caused by: line 2, column 18: expected a size, found a number too large for any key
    hint: write a whole number with B, KiB, MiB, GiB or TiB, such as "64KiB"
    "#);
}

#[test]
fn hosts_are_checked_and_kept_in_one_form() {
    let good = [
        ("api.example.com", "api.example.com"),
        ("API.Example.COM", "api.example.com"),
        ("localhost", "localhost"),
        ("my_service", "my_service"),
        ("example.com.", "example.com."),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("3com", "3com"),
    ];
    for (text, host) in good {
        assert_eq!(parse_host(text).as_deref(), Ok(host), "{text}");
    }
    let long = format!("{}.com", "a".repeat(64));
    for text in [
        "",
        ".",
        "a..b",
        "a b",
        "http://a",
        "a:80",
        "a/b",
        "user@a",
        "1.2.3",
        "256.1.1.1",
        "[::1",
        "[a]",
        "fe80::1%eth0",
        "bücher.example",
        "a\n",
        long.as_str(),
    ] {
        assert!(parse_host(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_health_path_is_a_path() {
    let health = |path: &str| endpoint(&format!("health = \"{path}\"")).map(|e| e.health);
    for path in ["/", "/healthz", "/a/b%20c"] {
        assert_eq!(health(path).unwrap().as_deref(), Some(path));
    }
    assert_eq!(health("").unwrap(), None);
    for path in ["healthz", "/a?b", "/a#b", "/a b", "/ä", "http://h/x"] {
        assert!(health(path).is_err(), "{path}");
    }
}

#[test]
fn a_bad_regex_says_where() {
    let told = |regex: &str| {
        let line =
            format!("response_header_replacements = [{{ header = \"x\", regex = '{regex}' }}]");
        endpoint(&line)
            .map(|_| ())
            .map_err(|faults| faults.iter().next().unwrap().reason().to_owned())
    };
    assert_eq!(told("^https?://[^/]+"), Ok(()));
    assert_eq!(told("ab(c"), Err("unclosed group at character 3 in \"ab(c\"".into()));
    assert_eq!(told("a{2,1}"), Err("invalid repetition count range, the start must be <= the end at character 2 in \"a{2,1}\"".into()));
    let huge = told("(?:a{1000}){1000}").unwrap_err();
    assert!(huge.starts_with("Compiled regex exceeds size limit"), "{huge}");
}

#[test]
fn a_replacement_that_names_no_group_of_its_regex_is_warned_of() {
    let config = used(
        "a.yaml",
        "endpoints: [{target_host: h, response_header_replacements: [{header: x, regex: '^(a)', replace: $1b}]}]",
    );
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("the regex has no group `1b`"), "{:?}", config.warnings);
}

#[test]
fn what_this_version_cannot_do_is_told_by_mode() {
    let text = "\
endpoints:
  - {target_host: plain, target_type: http, source_port: 1}
  - {target_host: tls, target_type: https, source_port: 2}
  - {target_host: h2, target_type: h2c, source_port: 3}
  - {target_host: front, target_type: http, source_port: 4, source_type: https}
";
    let config = used("a.yaml", text);
    assert_eq!(unsupported(&config, Mode::Replay).len(), 1);
    assert_eq!(unsupported(&config, Mode::Auto), unsupported(&config, Mode::Record));
    insta::assert_snapshot!(Faults::from(unsupported(&config, Mode::Record)), @r#"
    error: can't use `endpoints[1].target_type` in `a.yaml`
      caused by: line 3, column 37: TLS is not available in this version, and https://tls:443 needs it
    hint: name an http:// origin, or replay, which calls none
    error: can't use `endpoints[2].target_type` in `a.yaml`
      caused by: line 4, column 36: HTTP/2 is not available in this version, and h2c://h2:80 needs it
    hint: name an http:// origin, or replay, which calls none
    error: can't use `endpoints[3].source_type` in `a.yaml`
      caused by: line 5, column 74: TLS is not available in this version
    hint: use `source_type = "http"` and let the program under test call http://
    "#);
}

#[test]
fn a_small_file_cannot_grow_into_a_large_one() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let again = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{again}]\n"));
    }
    let deep = |open: &str| format!("a: {}", open.repeat(300_000));
    for text in [bomb, deep("["), deep("{a: "), deep("- ")] {
        assert_eq!(parse("a.yaml", &text).unwrap_err().len(), 1);
    }
    let keys = vec!["a"; 300_000].join(".");
    for text in [format!("{keys} = 1"), format!("[{keys}]"), format!("a = {}", "[".repeat(300_000))]
    {
        assert_eq!(parse("a.toml", &text).unwrap_err().len(), 1);
    }
    let long = " ".repeat((1 << 20) + 1);
    assert_eq!(parse("a.toml", &long).unwrap_err().len(), 1);
}

#[test]
fn a_near_key_is_the_hint_and_a_far_one_is_not() {
    let near = |word| keys::nearest(word, keys::ENDPOINT.keys);
    assert_eq!(near("source_prt"), Some("source_port"));
    assert_eq!(near("targetHost"), Some("target_host"));
    assert_eq!(near("tagret-host"), Some("target_host"));
    assert_eq!(near("helath"), Some("health"));
    assert_eq!(near("verbose"), None);
    assert_eq!(near(&"x".repeat(1 << 20)), None);
}

#[test]
fn units_are_read_as_people_write_them() {
    let sizes = [("0", 0), ("65536", 65536), ("64KiB", 64 << 10), ("64 kib", 64 << 10), ("1B", 1)];
    for (text, bytes) in sizes {
        assert_eq!(units::parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "KiB", "-1", "1.5MiB", "64KB", "64k", "1XiB", "99999999TiB", "1 2"] {
        assert!(units::parse_size(text).is_err(), "{text}");
    }
    let times = [("0s", 0), ("300ms", 300), ("10s", 10_000), ("1m30s", 90_000), ("1h", 3_600_000)];
    for (text, millis) in times {
        assert_eq!(units::parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "10", "s", "1.5s", "-1s", "1d", "1s1m", "1s1s", "1 s", "99999999999999999h"] {
        assert!(units::parse_duration(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_size_reads_back_as_it_was_written(bytes: u64) {
        prop_assert_eq!(units::parse_size(&units::format_size(bytes)), Ok(bytes));
    }

    #[test]
    fn a_duration_reads_back_as_it_was_written(millis in 0..u64::MAX / 2) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(units::parse_duration(&units::format_duration(duration)), Ok(duration));
    }

    #[test]
    fn any_file_is_used_or_refused(text in any_file()) {
        property::any_file_is_used_or_refused(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_used_or_refused(bytes: Vec<u8>) {
        property::any_file_is_used_or_refused(&bytes);
    }

    #[test]
    fn any_host_is_kept_as_it_is_or_refused(text in "\\PC{0,40}|[a-z0-9.:\\[\\]-]{0,20}") {
        if let Ok(host) = parse_host(&text) {
            prop_assert_eq!(parse_host(&host), Ok(host));
        }
    }
}

/// Files that look like configurations: lines of known keys with odd values behind them.
fn any_file() -> impl Strategy<Value = String> {
    let keys: Vec<&str> = keys::ALL.iter().flat_map(|known| known.keys.iter().copied()).collect();
    let key = prop_oneof![proptest::sample::select(keys), Just("<<"), Just("\"\"")];
    let value = prop_oneof![
        "[0-9]{1,6}(ms|s|KiB|)",
        "\"[a-z:/.$0-9(]{0,8}\"",
        "[\\[\\]{}&*!|>'%@,#?-]{1,4}",
        Just("&a [*a]".to_owned()),
        Just("\n  - target_host: h\n    source_port: 1".to_owned()),
        Just("[{target_host: h}, {target_host: h}]".to_owned()),
        Just("[{ target_host = \"h\" }, { target_host = 1 }]".to_owned()),
        "\\PC{0,6}",
    ];
    let line = (key, prop_oneof![Just(": "), Just(" = "), Just(".")], value);
    let line = line.prop_map(|(key, is, value)| format!("{key}{is}{value}\n"));
    let head =
        prop_oneof![Just(""), Just("[limits]\n"), Just("[[endpoints]]\n"), Just("limits:\n")];
    (head, proptest::collection::vec(line, 0..8))
        .prop_map(|(head, lines)| head.to_owned() + &lines.concat())
}
