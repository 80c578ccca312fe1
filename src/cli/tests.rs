//! What a command line means, and what is said about a bad one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;

/// Runs `line`, without the program's name, in `dir`.
fn run_in(dir: &Path, line: &str) -> Result<Command, Stop> {
    parse(std::iter::once("ouli").chain(line.split_whitespace()), dir)
}

fn serve_in(dir: &Path, line: &str) -> Invocation {
    match run_in(dir, line) {
        Ok(Command::Serve(invocation)) => *invocation,
        other => panic!("{line}: {other:?}"),
    }
}

/// What a refused `line` prints to stderr, the folder's name left out.
fn refused_in(dir: &Path, line: &str) -> String {
    match run_in(dir, line) {
        Err(Stop::Usage(faults)) => {
            assert!(faults.iter().all(|fault| fault.hint().is_some()), "{faults}");
            faults.to_string().replace(&format!("{}/", dir.display()), "")
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn empty_folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = empty_folder();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn serve(line: &str) -> Invocation {
    serve_in(empty_folder().path(), line)
}

fn refused(line: &str) -> String {
    refused_in(empty_folder().path(), line)
}

/// `$ ouli LINE` and what it prints, for each line.
fn transcript(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("$ ouli {line}\n{}\n", refused(line))).collect()
}

#[test]
fn an_origin_is_all_that_a_newcomer_types() {
    let invocation = serve("record http://LocalHost:3000");
    assert_eq!(invocation.mode, Mode::Record);
    assert_eq!(invocation.session, "default");
    assert_eq!((invocation.strict, invocation.pace), (false, Pace::Instant));
    assert_eq!(invocation.log, Log { format: LogFormat::Human, level: Level::Normal });
    let config = &invocation.config;
    assert_eq!(config.recording_dir, Path::new("recordings"));
    let [endpoint] = config.endpoints.as_slice() else { panic!("{config:?}") };
    assert_eq!(endpoint.target.to_string(), "http://localhost:3000");
    assert_eq!(endpoint.name, "localhost");
    assert_eq!(
        (endpoint.source_address.to_string().as_str(), endpoint.source_port),
        ("127.0.0.1", 8080)
    );
}

#[test]
fn every_option_reaches_the_invocation() {
    let line = "replay http://[::1]/ --recording-dir here --session a/b --listen [::1]:0 \
                --drain-timeout 300ms --log-format json -vv --strict --pace 2x";
    let invocation = serve(line);
    assert_eq!(invocation.mode, Mode::Replay);
    assert_eq!(invocation.config.recording_dir, Path::new("here"));
    assert_eq!(invocation.session, "a/b");
    assert_eq!(invocation.config.limits.drain_timeout, Duration::from_millis(300));
    assert_eq!(invocation.log, Log { format: LogFormat::Json, level: Level::Everything });
    assert!(invocation.strict);
    assert_eq!(invocation.pace, Pace::Recorded { speed: 2.0 });
    let endpoint = &invocation.config.endpoints[0];
    assert_eq!(endpoint.target.to_string(), "http://[::1]:80");
    assert_eq!((endpoint.source_address.to_string().as_str(), endpoint.source_port), ("::1", 0));
    assert_eq!(serve("auto http://a -q").log.level, Level::Quiet);
    assert_eq!(serve("auto http://a -v").log.level, Level::Verbose);
}

#[test]
fn a_pace_is_instant_recorded_or_a_multiple() {
    let good = [("instant", None), ("recorded", Some(1.0)), ("1x", Some(1.0)), ("0.5x", Some(0.5))];
    for (text, speed) in good {
        let pace = serve(&format!("replay --pace {text}")).pace;
        let expected = speed.map_or(Pace::Instant, |speed| Pace::Recorded { speed });
        assert_eq!(pace, expected, "{text}");
    }
    for text in ["2", "x", "0x", "-1x", "1001x", "infx", "nanx", "1e2x", "fast", "1.2.3x"] {
        assert!(refused(&format!("replay --pace={text}")).contains("can't use `--pace`"), "{text}");
    }
}

#[test]
fn a_replay_without_origin_and_file_takes_its_endpoints_from_the_recordings() {
    assert!(serve("replay").config.endpoints.is_empty());
}

#[test]
fn an_origin_of_every_scheme_can_be_stood_for_in_every_mode() {
    for origin in ["http://localhost", "https://api.example.com", "h2c://localhost:50051"] {
        for mode in ["record", "auto", "replay"] {
            assert_eq!(serve(&format!("{mode} {origin}")).config.endpoints.len(), 1);
        }
    }
}

const FILE: &str = "recording_dir = \"theirs\"\n[limits]\ndrain_timeout = \"1s\"\nmax_headers = 7\n\
                    [[endpoints]]\ntarget_host = \"filed\"\ntarget_type = \"http\"\n";

#[test]
fn the_file_in_the_folder_is_taken_and_an_origin_replaces_only_its_endpoints() {
    let dir = folder(&[("ouli.toml", FILE)]);
    let invocation = serve_in(dir.path(), "record");
    assert_eq!(invocation.config.endpoints[0].name, "filed");
    assert_eq!(invocation.config.recording_dir, Path::new("theirs"));
    let invocation = serve_in(dir.path(), "record http://typed:1 --listen localhost:9");
    let [endpoint] = invocation.config.endpoints.as_slice() else { panic!() };
    assert_eq!((endpoint.name.as_str(), endpoint.source_port), ("typed", 9));
    assert_eq!(invocation.config.limits.max_headers, 7);
    assert_eq!(invocation.config.limits.drain_timeout, Duration::from_secs(1));
    let invocation = serve_in(dir.path(), "record --recording-dir mine --drain-timeout 2s");
    assert_eq!(invocation.config.recording_dir, Path::new("mine"));
    assert_eq!(invocation.config.limits.drain_timeout, Duration::from_secs(2));
}

#[test]
fn a_named_file_goes_before_the_one_in_the_folder() {
    let yaml = "endpoints: [{target_host: named, target_type: http}]";
    let dir = folder(&[("ouli.toml", FILE), ("other.yml", yaml)]);
    let invocation = serve_in(dir.path(), "record --config other.yml");
    assert_eq!(invocation.config.endpoints[0].name, "named");
}

#[test]
fn of_two_files_in_the_folder_none_is_taken() {
    let dir = folder(&[("ouli.toml", FILE), ("ouli.yml", "")]);
    insta::assert_snapshot!(refused_in(dir.path(), "record"), @r#"
    error: can't tell which configuration to take
      caused by: both ./ouli.toml and ./ouli.yml are here
    hint: name one with --config, or remove one
    "#);
}

#[test]
fn faults_of_options_origin_and_file_are_told_together() {
    let dir = folder(&[("ouli.toml", "[limits]\nmax_header = 3\nidle_timeout = 5\n")]);
    let line = "record localhost:3000/v1?key=secret --sesion= --drain-timeout 10 --listen 80";
    insta::assert_snapshot!(refused_in(dir.path(), line), @r#"
    error: can't use the command line
      caused by: unexpected argument `--sesion`
    hint: did you mean `--session`?
    error: can't use `--session`
      caused by: a session name must not be empty
    hint: leave it out for `default`
    error: can't use `--drain-timeout`
      caused by: expected a duration with its unit, found "10"
    hint: write whole numbers with h, m, s or ms, such as "10s" or "1m30s"
    error: can't use `--listen`
      caused by: expected ADDR:PORT, found "80"
    hint: write 127.0.0.1:80
    error: can't use ORIGIN `localhost:3000/v1?REDACTED`
      caused by: it has no scheme
    hint: write http://localhost:3000
    error: can't use ORIGIN `localhost:3000/v1?REDACTED`
      caused by: it holds a path, and an origin is a host and port
    hint: write http://localhost:3000; the path and query of each request are kept
    error: invalid `limits.max_header` in `ouli.toml`
      caused by: line 2, column 1: unknown key
    hint: did you mean `max_headers`?
    error: invalid `limits.idle_timeout` in `ouli.toml`
      caused by: line 3, column 16: expected a duration with its unit, found 5
    hint: write whole numbers with h, m, s or ms, such as "10s" or "1m30s"
    "#);
}

#[test]
fn a_file_without_endpoints_needs_an_origin_to_record() {
    let dir = folder(&[("ouli.yaml", "limits: {max_headers: 3, max_heders: 4}\n")]);
    insta::assert_snapshot!(refused_in(dir.path(), "record"), @r#"
    error: invalid `endpoints` in `ouli.yaml`
      caused by: there is no endpoint
    hint: list some, or name an origin: ouli record http://localhost:3000
    error: invalid `limits.max_heders` in `ouli.yaml`
      caused by: line 1, column 26: unknown key
    hint: did you mean `max_headers`?
    "#);
    let dir = folder(&[("ouli.yaml", "limits: {max_headers: 3}\n")]);
    assert_eq!(serve_in(dir.path(), "record http://a").config.limits.max_headers, 3);
    assert!(serve_in(dir.path(), "replay").config.endpoints.is_empty());
}

#[test]
fn a_bad_origin_says_what_to_write() {
    let lines = [
        "record localhost:3000",
        "record api.example.com",
        "record //localhost:80",
        "record http://localhost:3000/v1",
        "record http://localhost?a=b",
        "record http://user:password@localhost:0/x",
        "record ftp://files.example.com",
        "record ws://localhost:3000",
        "record wss://api.example.com/v1/live?model=small",
        "record http://",
        "record http://localhost:99999",
        "record http://localhost:",
        "record http://[::1",
        "record http://1.2.3",
    ];
    insta::assert_snapshot!(transcript(&lines), @r#"
    $ ouli record localhost:3000
    error: can't use ORIGIN `localhost:3000`
      caused by: it has no scheme
    hint: write http://localhost:3000

    $ ouli record api.example.com
    error: can't use ORIGIN `api.example.com`
      caused by: it has no scheme
    hint: write https://api.example.com

    $ ouli record //localhost:80
    error: can't use ORIGIN `localhost:80`
      caused by: it has no scheme
    hint: write http://localhost:80

    $ ouli record http://localhost:3000/v1
    error: can't use ORIGIN `http://localhost:3000/v1`
      caused by: it holds a path, and an origin is a host and port
    hint: write http://localhost:3000; the path and query of each request are kept

    $ ouli record http://localhost?a=b
    error: can't use ORIGIN `http://localhost?REDACTED`
      caused by: it holds a query, and an origin is a host and port
    hint: write http://localhost; the path and query of each request are kept

    $ ouli record http://user:password@localhost:0/x
    error: can't use ORIGIN `http://REDACTED@localhost:0/x`
      caused by: it holds a user name or password
    hint: let the program under test send its credentials
    error: can't use ORIGIN `http://REDACTED@localhost:0/x`
      caused by: it holds a path, and an origin is a host and port
    hint: write http://localhost; the path and query of each request are kept
    error: can't use ORIGIN `http://REDACTED@localhost:0/x`
      caused by: expected a port between 1 and 65535, found "0"
    hint: without `:0` it is 80, the usual one of http

    $ ouli record ftp://files.example.com
    error: can't use ORIGIN `ftp://files.example.com`
      caused by: unknown scheme "ftp"
    hint: write http:// or https://, or h2c:// for HTTP/2 without TLS

    $ ouli record ws://localhost:3000
    error: can't use ORIGIN `ws://localhost:3000`
      caused by: unknown scheme "ws"
    hint: write http://localhost:3000; WebSocket conversations begin over HTTP

    $ ouli record wss://api.example.com/v1/live?model=small
    error: can't use ORIGIN `wss://api.example.com/v1/live?REDACTED`
      caused by: unknown scheme "wss"
    hint: write https://api.example.com; WebSocket conversations begin over HTTP
    error: can't use ORIGIN `wss://api.example.com/v1/live?REDACTED`
      caused by: it holds a path, and an origin is a host and port
    hint: write https://api.example.com; the path and query of each request are kept

    $ ouli record http://
    error: can't use ORIGIN `http://`
      caused by: expected a host, found ""
    hint: write a name such as `api.example.com`

    $ ouli record http://localhost:99999
    error: can't use ORIGIN `http://localhost:99999`
      caused by: expected a port between 1 and 65535, found "99999"
    hint: without `:99999` it is 80, the usual one of http

    $ ouli record http://localhost:
    error: can't use ORIGIN `http://localhost:`
      caused by: expected a port between 1 and 65535, found ""
    hint: without `:` it is 80, the usual one of http

    $ ouli record http://[::1
    error: can't use ORIGIN `http://[::1`
      caused by: expected an IPv6 address, found "[::1"
    hint: write it like `::1`, without a zone

    $ ouli record http://1.2.3
    error: can't use ORIGIN `http://1.2.3`
      caused by: expected an IPv4 address, found "1.2.3"
    hint: write four numbers up to 255
    "#);
}

#[test]
fn no_message_shows_a_password_or_query() {
    for origin in
        ["http://u:hush@h/", "http://h/?key=hush", "u:hush@h", "h?hush", "ftp://hush@h#hush"]
    {
        let told = refused(&format!("record {origin}"));
        assert!(!told.contains("hush"), "{told}");
    }
}

#[test]
fn a_bad_listener_says_what_to_write() {
    let lines = [
        "record http://a --listen 8080",
        "record http://a --listen :8080",
        "record http://a --listen 127.0.0.1",
        "record http://a --listen ::1",
        "record http://a --listen example.com:80",
        "record http://a --listen 127.0.0.1:70000",
        "replay --listen 127.0.0.1:0",
    ];
    insta::assert_snapshot!(transcript(&lines), @r#"
    $ ouli record http://a --listen 8080
    error: can't use `--listen`
      caused by: expected ADDR:PORT, found "8080"
    hint: write 127.0.0.1:8080

    $ ouli record http://a --listen :8080
    error: can't use `--listen`
      caused by: expected ADDR:PORT, found ":8080"
    hint: write 127.0.0.1:8080, or 0.0.0.0:8080 for every network

    $ ouli record http://a --listen 127.0.0.1
    error: can't use `--listen`
      caused by: expected ADDR:PORT, found "127.0.0.1"
    hint: write 127.0.0.1:8080, or port 0 to let the system choose

    $ ouli record http://a --listen ::1
    error: can't use `--listen`
      caused by: expected ADDR:PORT, found "::1"
    hint: write [::1]:8080, or port 0 to let the system choose

    $ ouli record http://a --listen example.com:80
    error: can't use `--listen`
      caused by: expected an IP address or localhost, found "example.com"
    hint: 127.0.0.1 for this machine only, 0.0.0.0 for every network

    $ ouli record http://a --listen 127.0.0.1:70000
    error: can't use `--listen`
      caused by: expected a port between 0 and 65535, found "70000"
    hint: 0 lets the system choose

    $ ouli replay --listen 127.0.0.1:0
    error: can't use `--listen`
      caused by: it goes with ORIGIN, and there is none
    hint: endpoints of a file listen where `source_port` says
    "#);
}

#[test]
fn a_bad_command_line_says_what_to_type() {
    let lines = [
        "",
        "recrod",
        "record",
        "auto",
        "record http://a --bogus --sesion b --pace 2x",
        "record http://a --strict",
        "record http://a http://b",
        "record --config",
        "--config a record http://a",
        "record http://a -v -q",
        "record http://a --config nowhere.toml",
        "replay --log-format xml --session= --drain-timeout 25h --pace 3",
        "check",
    ];
    insta::assert_snapshot!(transcript(&lines), @r#"
    $ ouli 
    error: no command
      caused by: expected record, replay, auto, check, ca or demo
    hint: `ouli --help` explains them, and `ouli demo` shows them at work

    $ ouli recrod
    error: can't use the command line
      caused by: unrecognized subcommand `recrod`
    hint: did you mean `record`?

    $ ouli record
    error: no origin
      caused by: there is neither an ORIGIN nor a configuration with endpoints
    hint: name the server to stand for: ouli record http://localhost:3000

    $ ouli auto
    error: no origin
      caused by: there is neither an ORIGIN nor a configuration with endpoints
    hint: name the server to stand for: ouli auto http://localhost:3000

    $ ouli record http://a --bogus --sesion b --pace 2x
    error: can't use the command line
      caused by: unexpected argument `--bogus`
    hint: `ouli --help` and `ouli COMMAND --help` list all
    error: can't use the command line
      caused by: unexpected argument `--sesion`
    hint: did you mean `--session`?
    error: can't use the command line
      caused by: unexpected argument `--pace`
    hint: `--pace` goes with `ouli replay` alone

    $ ouli record http://a --strict
    error: can't use the command line
      caused by: unexpected argument `--strict`
    hint: `--strict` goes with `ouli replay` alone

    $ ouli record http://a http://b
    error: can't use the command line
      caused by: unexpected argument `http://b`
    hint: `ouli --help` and `ouli COMMAND --help` list all

    $ ouli record --config
    error: can't use the command line
      caused by: a value is required for `--config <FILE>` but none was supplied
    hint: `ouli --help` and `ouli COMMAND --help` list all

    $ ouli --config a record http://a
    error: can't use the command line
      caused by: unexpected argument `--config`
    hint: options stand behind the command: ouli record --session login

    $ ouli record http://a -v -q
    error: can't use the command line
      caused by: the argument `--verbose...` cannot be used with `--quiet`
    hint: `ouli --help` and `ouli COMMAND --help` list all

    $ ouli record http://a --config nowhere.toml
    error: could not read the configuration `nowhere.toml`
      caused by: No such file or directory (os error 2)
    hint: `--config` names the file

    $ ouli replay --log-format xml --session= --drain-timeout 25h --pace 3
    error: can't use `--pace`
      caused by: expected instant, recorded or a multiple, found "3"
    hint: 2x is twice as fast as recorded, 0.5x half as fast
    error: can't use `--log-format`
      caused by: expected human or json, found "xml"
    hint: json writes an object per line, for programs
    error: can't use `--session`
      caused by: a session name must not be empty
    hint: leave it out for `default`
    error: can't use `--drain-timeout`
      caused by: expected at most 24h, found "25h"
    hint: nothing that a test waits for takes longer than a day

    $ ouli check
    error: nothing to check
      caused by: there is no ./ouli.toml, ./ouli.yaml or ./ouli.yml, and no folder `recordings`
    hint: name a cassette, or a configuration with --config
    "#);
}

#[test]
fn check_takes_what_is_named_or_else_what_is_in_the_folder() {
    let check = |dir: &Path, line: &str| match run_in(dir, line) {
        Ok(Command::Check(check)) => check,
        other => panic!("{line}: {other:?}"),
    };
    let folder = folder(&[("ouli.toml", FILE)]);
    let dir = folder.path();
    let recorded = || Cassettes::Recorded { dir: dir.to_owned() };
    let found = Some(dir.join("ouli.toml"));
    assert_eq!(check(dir, "check"), Check { config: found, cassettes: recorded() });
    let named = |names: &[&str]| Cassettes::Named(names.iter().map(|n| dir.join(n)).collect());
    let expected = Check { config: None, cassettes: named(&["a.json", "b"]) };
    assert_eq!(check(dir, "check a.json b"), expected);
    let expected = Check { config: Some(dir.join("c.yml")), cassettes: named(&["a.json"]) };
    assert_eq!(check(dir, "check --config c.yml a.json"), expected);
    let expected = Check { config: Some(dir.join("c.yml")), cassettes: named(&[]) };
    assert_eq!(check(dir, "check --config c.yml"), expected);

    fs::remove_file(dir.join("ouli.toml")).unwrap();
    fs::create_dir(dir.join("recordings")).unwrap();
    assert_eq!(check(dir, "check"), Check { config: None, cassettes: recorded() });
}

#[test]
fn help_explains_and_shows_an_example() {
    let help = |line: &str| match run_in(Path::new(""), line) {
        Err(Stop::Help(text)) => text,
        other => panic!("{line}: {other:?}"),
    };
    for (line, example) in [
        ("--help", "ouli record https://api.example.com"),
        ("-h", "ouli demo"),
        ("record --help", "ouli record http://localhost:3000"),
        ("replay --help", "--strict"),
        ("auto --help", "ouli auto https://api.example.com"),
        ("check --help", "ouli check recordings/login.json"),
        ("ca --help", "curl --cacert"),
        ("demo --help", "Usage: ouli demo"),
    ] {
        assert!(help(line).contains(example), "{line}: {}", help(line));
    }
    assert_eq!(help("--version"), format!("ouli {}\n", env!("CARGO_PKG_VERSION")));
    assert!(matches!(run_in(Path::new(""), "demo"), Ok(Command::Demo)));
    assert!(matches!(run_in(Path::new(""), "ca"), Ok(Command::Ca)));
}
