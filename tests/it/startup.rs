//! Starting, and failing to: usage, configuration, ports; and what fails while serving.

use std::net::TcpListener;

use crate::support::*;

#[test]
fn a_port_in_use_by_another_program_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let origin = Origin::http1();
    let ended = Ouli::record(&origin).options(["--listen", &address]).run();
    ended.expect_code(1).expect_said(&[&address]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_port_in_use_by_another_ouli_is_named() {
    let origin = Origin::http1().route("/", |_| "x");
    let first = Ouli::record(&origin).start();
    let address = first.address().to_string();
    let ended = Ouli::record(&origin).options(["--listen", &address]).run();
    ended.expect_code(1).expect_said(&[&address]);
    assert_eq!(first.client().get("/").text(), "x", "the first goes on");
}

#[test]
fn a_port_is_free_again_right_after_the_program_ends() {
    let origin = Origin::http1().route("/", |_| "x");
    let first = Ouli::record(&origin).start();
    first.client().get("/");
    let address = first.address().to_string();
    first.terminate().expect_code(0);
    let second = Ouli::record(&origin).options(["--listen", &address]).start();
    assert_eq!(second.address().to_string(), address);
}

fn two_endpoints(origin: &Origin, second_port: u16) -> String {
    let port = origin.address().port();
    format!(
        "{}\n[[endpoints]]\nname = \"second\"\nsource_port = {second_port}\n\
         target_type = \"http\"\ntarget_host = \"127.0.0.1\"\ntarget_port = {port}\n",
        one_endpoint(origin, "")
    )
}

#[test]
fn every_endpoint_has_a_listener_of_its_own() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let ouli = Ouli::command("record").config(&two_endpoints(&origin, 0)).start();
    let addresses: Vec<_> = ouli.listening().into_iter().map(|(address, ..)| address).collect();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        assert_eq!(Client::new(address).get("/a").text(), "/a");
    }
    ouli.terminate().expect_code(0).expect_said(&["default: 2 exchanges"]);
}

#[test]
fn no_endpoint_serves_before_all_are_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let origin = Origin::http1();
    let ended = Ouli::command("record").config(&two_endpoints(&origin, address.port())).run();
    ended.expect_code(1).expect_said(&[&address.to_string()]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn all_faults_of_a_file_are_reported_together() {
    let ended = Ouli::command("record")
        .config(
            "recording_dri = \"x\"\n\
             [limits]\n\
             max_conections = 5\n\
             idle_timeout = 7\n\
             buffer_size = \"64 parsecs\"\n\
             [[endpoints]]\n\
             target_type = \"http\"\n\
             target_host = \"a.example\"\n\
             target_port = 70000\n\
             source_port = 8099\n\
             [[endpoints]]\n\
             target_type = \"gopher\"\n\
             target_host = \"a.example\"\n\
             target_port = 80\n\
             source_port = 8099\n",
        )
        .run();
    ended.expect_code(2).expect_said(&[
        "ouli.toml",
        "recording_dri",
        "recording_dir",
        "max_conections",
        "max_connections",
        "idle_timeout",
        "buffer_size",
        "target_port",
        "gopher",
        "8099",
        "hint",
    ]);
    for line in [1, 3, 4, 5, 9, 12] {
        let place = [format!("line {line}"), format!("ouli.toml:{line}")];
        assert!(place.iter().any(|p| ended.stderr.contains(p)), "line {line}: {ended:?}");
    }
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_place() {
    let ended = Ouli::command("record").config("[limits\nmax_headers = 5\n").run();
    ended.expect_code(2).expect_said(&["ouli.toml", "1"]);
}

#[test]
fn no_endpoints_are_bad_usage_with_a_hint() {
    Ouli::command("record").run().expect_code(2).expect_said(&["hint", "ouli record http"]);
    Ouli::command("record").config("[limits]\n").run().expect_code(2).expect_said(&["endpoint"]);
}

#[test]
fn a_missing_configuration_file_is_named() {
    let origin = Origin::http1();
    let ended = Ouli::record(&origin).options(["--config", "nowhere.toml"]).run();
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    ended.expect_said(&["nowhere.toml"]);
}

#[test]
fn an_origin_with_a_path_or_without_scheme_is_bad_usage_with_a_hint() {
    for origin in ["http://a.example/v1", "a.example:80", "a.example", "ftp://a.example", "http://"]
    {
        let ended = Ouli::command("record").origin(origin).run();
        ended.expect_code(2).expect_said(&["hint", origin]);
    }
}

#[test]
fn faults_of_the_command_line_and_the_file_are_reported_together() {
    let ended = Ouli::command("record")
        .origin("http://a.example/v1")
        .options(["--drain-timeout", "soon"])
        .limits("max_conections = 5")
        .run();
    ended.expect_code(2).expect_said(&["/v1", "soon", "max_conections"]);
}

#[test]
fn unknown_commands_and_options_are_bad_usage() {
    for words in ["recrod", "record --nonsense", "replay --pace sometimes", ""] {
        let ended = Ouli::command(words).run();
        ended.expect_code(2);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{ended:?}");
    }
}

#[test]
fn help_and_version_are_data() {
    let help = Ouli::command("--help").run();
    help.expect_code(0);
    assert!(["record", "replay", "auto", "check", "demo"].iter().all(|c| help.stdout.contains(c)));
    let version = Ouli::command("--version").run();
    version.expect_code(0);
    assert!(version.stdout.starts_with("ouli "), "{version:?}");
}

#[test]
fn a_test_servers_yaml_works_unchanged() {
    let origin = Origin::http1().route("/v1/models", |_| {
        Reply::json("{}").header("X-Goog-Upload-URL", "https://real.example/up")
    });
    let yaml = format!(
        "endpoints:\n  - target_host: 127.0.0.1\n    target_type: http\n    target_port: {}\n    \
         source_type: http\n    source_port: 0\n    health: /healthz\n    \
         redact_request_headers:\n      - X-Goog-Api-Key\n      - X-Mine\n    \
         response_header_replacements:\n      - header: \"X-Goog-Upload-URL\"\n        \
         regex: \"https://real\\\\.example\"\n        replace: \"http://localhost:1\"\n",
        origin.address().port()
    );
    let ouli = Ouli::command("record").file("ouli.yaml", &yaml).start();
    assert_eq!(ouli.client().get("/healthz").status, 200);
    let ask = Ask::get("/v1/models").header("test-name", "TestModels").header("x-mine", "s3cr3t-1");
    let answer = ouli.client().ask(&ask);
    assert_eq!(answer.header("x-goog-upload-url"), Some("http://localhost:1/up"));
    ouli.terminate().expect_code(0);
    assert_eq!(ouli.recordings().files_with("s3cr3t-1"), Vec::<String>::new());
    assert!(ouli.recordings().cassette_text("TestModels").contains("/v1/models"));
}

#[test]
fn a_listener_that_fails_while_serving_drains_and_is_named() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        held.pass();
        talk.reply("late");
    });
    // One runtime, so one listener: it breaks after its second connection.
    let config = format!("workers = 1\n{}", one_endpoint(&origin, ""));
    let ouli = Ouli::command("record").config(&config).env("OULI_FAIL_LISTENER", "api:2").start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    wait_until("the request is in flight", || gate.reached() == 1);
    let address = ouli.address();
    drop(ouli.client().connect());
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    gate.open();
    assert_eq!(connection.receive().text(), "late", "what is in flight finishes");
    ouli.wait().expect_code(1).expect_said(&["api"]);
    assert!(ouli.recordings().files().contains(&"default.json".to_owned()), "sealed all the same");
}

#[test]
fn a_panic_is_caught_at_its_connection_and_answered() {
    let origin = Origin::http1().route("/*", |_| "fine");
    let ouli = Ouli::record(&origin).env("OULI_PANIC_ON", "/panic").start();
    let mut bystander = ouli.client();
    bystander.get("/before");
    for _ in 0..3 {
        ouli.client().get("/panic").problem(500, "internal");
    }
    assert_eq!(bystander.get("/after").text(), "fine");
    let ended = ouli.terminate();
    ended.expect_said(&["internal"]);
    assert!(!ouli.recordings().cassette_text("default").contains("/panic"));
}

#[test]
fn a_panic_while_replaying_is_caught_too() {
    let origin = Origin::http1().route("/*", |_| "fine");
    let recordings = record(&origin, |client| drop(client.get_many("/panic", 2)));
    let replay = Ouli::replay(recordings).env("OULI_PANIC_ON", "/panic").start();
    replay.client().get("/panic").problem(500, "internal");
    replay.client().get("/other").problem(501, "miss");
}

#[test]
fn a_recording_folder_that_cannot_be_made_is_named() {
    let origin = Origin::http1();
    let setup = Ouli::record(&origin).file("taken", "a file").options(["--recording-dir", "taken"]);
    setup.run().expect_code(1).expect_said(&["taken"]);
}

#[test]
fn json_logs_are_json_lines() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::record(&origin).options(["--log-format", "json", "-v"]).start();
    ouli.client().get("/");
    let ended = ouli.terminate();
    assert!(!ended.stderr.is_empty());
    for line in ended.stderr.lines() {
        let parsed = serde_json::from_str::<serde_json::Value>(line);
        assert!(parsed.is_ok_and(|value| value.is_object()), "not JSON: {line}");
    }
}

#[test]
fn quiet_says_nothing_when_nothing_is_wrong() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::record(&origin).option("-q").start();
    ouli.client().get("/");
    let ended = ouli.terminate();
    assert!(
        ended.stderr.lines().all(|line| !line.contains("/")),
        "no line per exchange: {ended:?}"
    );
}
