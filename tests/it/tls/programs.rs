//! curl over every protocol: it runs once while Ouli records, and again with the origin gone.

use std::process::Command;

use crate::support::*;

/// Whether curl is there, and can speak HTTP/2.
fn curl_speaks_http2() -> bool {
    if !has_tool("curl") {
        return false;
    }
    let version = Command::new("curl").arg("--version").output().unwrap();
    let speaks = String::from_utf8_lossy(&version.stdout).contains("HTTP2");
    if !speaks {
        eprintln!("SKIPPED: this test needs a `curl` with HTTP/2, and this one has none");
    }
    speaks
}

/// What curl prints: the version, the status, the body.
#[track_caller]
fn curl(arguments: &[&str], url: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]);
    command.args(["--write-out", " %{http_version} %{http_code}\n"]);
    let output = command.args(arguments).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs curl against a recorder and a replay, plain and over TLS.
#[track_caller]
fn on_both_roads(run: impl Fn(&Ouli) -> Vec<String>) {
    for protocol in [Protocol::Http1, Protocol::H2Tls] {
        let origin = Origin::of(protocol)
            .on("/echo", |request| Reply::ok(request.body.clone()))
            .route("/n", |n| format!("answer {n}"));
        let setup = |command| {
            Ouli::command(command)
                .endpoint(&Endpoint::to(&origin).named("plain"))
                .endpoint(&Endpoint::to(&origin).named("tls").https())
        };
        let recorder = setup("record").start();
        let recorded = run(&recorder);
        recorder.terminate().expect_code(0);
        origin.stop();
        let replay = setup("replay").recordings(&recorder.recordings()).option("--strict").start();
        assert_eq!(run(&replay), recorded);
        replay.terminate().expect_code(0);
    }
}

#[test]
fn curl_over_tls_trusts_the_authority_that_it_is_shown() {
    if !curl_speaks_http2() {
        return;
    }
    on_both_roads(|ouli| {
        let authority = ouli.authority_path().display().to_string();
        let url = format!("https://localhost:{}", ouli.address_for("https").port());
        let with = |version: &'static str| ["--cacert", &authority, version].map(str::to_owned);
        let ask = |version, more: &[&str], path: &str| {
            let arguments = with(version);
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            arguments.extend(more);
            curl(&arguments, &format!("{url}{path}"))
        };
        let seen = vec![
            ask("--http1.1", &[], "/n"),
            ask("--http2", &[], "/n"),
            ask("--http2", &["--data", "some text"], "/echo"),
        ];
        assert!(seen[0].ends_with(" 1.1 200\n"), "{seen:?}");
        assert!(seen[1].ends_with(" 2 200\n"), "{seen:?}");
        assert_eq!(seen[2], "some text 2 200\n");
        seen
    });
}

#[test]
fn curl_with_prior_knowledge_needs_no_tls() {
    if !curl_speaks_http2() {
        return;
    }
    on_both_roads(|ouli| {
        let url = format!("http://{}", ouli.address_for("http"));
        let seen = vec![
            curl(&["--http2-prior-knowledge"], &format!("{url}/n")),
            curl(&["--http2-prior-knowledge", "--data", "text"], &format!("{url}/echo")),
            curl(&["--http1.1"], &format!("{url}/n")),
        ];
        assert!(seen[0].ends_with(" 2 200\n"), "{seen:?}");
        // An offer to change to HTTP/2 need not be taken.
        curl(&["--http2"], &format!("{url}/n"));
        seen
    });
}

#[test]
fn curl_without_the_authority_refuses() {
    if !curl_speaks_http2() {
        return;
    }
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin).https()).start();
    let url = format!("https://localhost:{}/", ouli.address().port());
    let output =
        Command::new("curl").args(["--silent", "--max-time", "20", &url]).output().unwrap();
    const PEER_FAILED_VERIFICATION: i32 = 60;
    assert_eq!(output.status.code(), Some(PEER_FAILED_VERIFICATION));
    assert!(origin.requests().is_empty());
}
