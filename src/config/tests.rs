//! What a file means. What is said about a bad one is in `faults`.

use std::path::Path;
use std::time::Duration;

use super::*;

mod faults;
mod tls;

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
index_over = "1GiB"
max_ws_message = "1MiB"
ws_idle_timeout = "8s"
ws_max_fragments = 16
ws_max_idle_frames = 32
replay_wait = "5s"
drain_timeout = "6s"
seal_timeout = "7s"
max_handshakes = 8
h2_max_streams = 100
h2_stream_window = "32KiB"
h2_connection_window = "512KiB"
h2_send_buffer = "16KiB"
h2_max_pending_resets = 10
h2_max_idle_frames = 500
h2_ping_interval = "15s"
h2_ping_timeout = "5s"

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
pace = "2x"

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
        index_over: 1 << 30,
        max_ws_message: 1 << 20,
        ws_idle_timeout: secs(8),
        ws_max_fragments: 16,
        ws_max_idle_frames: 32,
        replay_wait: secs(5),
        drain_timeout: secs(6),
        seal_timeout: secs(7),
        max_handshakes: 8,
        h2: limits::H2Limits {
            max_streams: 100,
            stream_window: 32 << 10,
            connection_window: 512 << 10,
            send_buffer: 16 << 10,
            max_pending_resets: 10,
            max_idle_frames: 500,
            ping_interval: secs(15),
            ping_timeout: secs(5),
        },
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
    assert_eq!(endpoint.pace, Some(Pace::Recorded { speed: 2.0 }));
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

/// Two endpoints that listen on these, each `ADDRESS PORT`.
fn two_listeners(one: &str, other: &str) -> Result<Config, Faults> {
    let endpoint = |name: &str, source: &str| {
        let (address, port) = source.split_once(' ').unwrap();
        format!("- {{target_host: {name}, source_address: '{address}', source_port: {port}}}\n")
    };
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
fn what_could_not_be_read_is_not_compared() {
    let text = "endpoints:\n- {target_host: a, source_port: x}\n- {target_host: b}\n";
    assert_eq!(parse("a.yaml", text).unwrap_err().len(), 1);
    let text =
        "endpoints:\n- {target_host: a/, source_port: 1}\n- {target_host: b/, source_port: 2}\n";
    assert_eq!(parse("a.yaml", text).unwrap_err().len(), 2);
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
    let many = format!("endpoints: [{}]", "{},".repeat(1001));
    assert_eq!(parse("a.yaml", &many).unwrap_err().len(), 1);
    let long = " ".repeat((1 << 20) + 1);
    assert_eq!(parse("a.toml", &long).unwrap_err().len(), 1);
}
