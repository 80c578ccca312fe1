//! What is said about a bad file, word for word.

use super::*;

fn limit(line: &str) -> Result<Limits, String> {
    let config = parse("limits.toml", &format!("[limits]\n{line}\n"));
    config.map(|config| config.limits).map_err(|faults| faults.to_string())
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
  target_type: wss
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
    hint: one value stands here
    error: invalid `endpoints[0].source_port` in `ouli.yaml`
      caused by: line 6, column 16: expected a port between 0 and 65535, found "80"
    hint: leave out the quotes
    error: invalid `endpoints[1].targetport` in `ouli.yaml`
      caused by: line 8, column 3: unknown key
    hint: did you mean `target_port`?
    error: invalid `endpoints[1].source_type` in `ouli.yaml`
      caused by: line 9, column 16: expected `http` or `https`, found "tcp"
    hint: in lower case, as here
    error: invalid `endpoints[1].target_type` in `ouli.yaml`
      caused by: line 10, column 16: expected `http`, `https` or `h2c`, found "wss"
    hint: write `https`; WebSocket conversations begin over HTTP
    error: invalid `endpoints[2]` in `ouli.yaml`
      caused by: line 11, column 3: expected a table of keys and values, found "just a word"
    hint: it holds name, source_address, source_port, source_type, target_type, target_host, target_port, health, redact_request_headers, response_header_replacements, grpc_descriptors, rewrite_location, source_cert, source_key, target_ca, target_client_cert, target_client_key, target_server_name, danger_accept_invalid_target_cert, shutdown_timeout_seconds
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
fn a_descriptor_set_is_read_beside_the_file_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ouli.toml");
    std::fs::write(&path, "[[endpoints]]\ntarget_host = 'h'\ngrpc_descriptors = 'api.binpb'\n")
        .unwrap();
    let told = || load(&path, Need::Endpoints).unwrap_err().to_string();
    let missing = told();
    assert!(missing.contains("line 3, column 20: `"), "{missing}");
    assert!(missing.contains("api.binpb` can't be read: "), "{missing}");
    std::fs::write(dir.path().join("api.binpb"), "syntax = 'proto3';").unwrap();
    let unusable = told();
    assert!(unusable.contains("can't be used: it is no descriptor set\nhint: "), "{unusable}");
    let set = crate::grpc::testing::descriptors();
    std::fs::write(dir.path().join("api.binpb"), set.bytes()).unwrap();
    let config = load(&path, Need::Endpoints).unwrap();
    assert_eq!(config.descriptors(), crate::grpc::Catalog::from([("h".to_owned(), set)]));
}
