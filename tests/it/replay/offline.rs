//! No connection and no DNS query leaves a replay.

use crate::support::*;

#[test]
fn the_origin_is_never_called() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let before = origin.connections();
    let replay = Ouli::replay(recordings).start();
    replay.client().get_many("/", 5);
    replay.client().get("/nowhere").problem(501, "miss");
    replay.client().post("/", "body").problem(501, "miss");
    replay.terminate();
    assert_eq!(origin.connections(), before);
}

/// A host that no name server knows (RFC 6761 section 6.4), at the port where the origin listens.
fn unresolvable(origin: &Origin) -> String {
    one_endpoint(origin, "").replace("127.0.0.1", "origin.invalid")
}

#[test]
fn an_origin_whose_name_nobody_knows_is_no_hindrance_to_replay() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let recorder = Ouli::command("record").config(&one_endpoint(&origin, "")).start();
    let seen = recorder.client().get_many("/", 3);
    recorder.terminate().expect_code(0);
    let before = origin.connections();

    let config = unresolvable(&origin);
    for strict in ["replay", "replay --strict"] {
        let setup = Ouli::command(strict).config(&config).recordings(&recorder.recordings());
        let replay = setup.start();
        assert_eq!(replay.client().get_many("/", 3), seen);
        replay.client().get("/nowhere").problem(501, "miss");
        replay.client().post("/", "body").problem(501, "miss");
        replay.terminate().expect_unsaid(&["origin.invalid", "origin-unreachable"]);
    }
    assert_eq!(origin.connections(), before);

    // Whoever does ask for that name finds out, at once or by waiting for a name server in vain.
    let impatient = format!("{config}[limits]\norigin_connect_timeout = \"2s\"\n");
    let recorder = Ouli::command("record").config(&impatient).start();
    let status = recorder.client().get("/").status;
    assert!([502, 504].contains(&status), "{status}");
}

#[test]
fn no_system_call_of_a_replay_connects_or_asks_for_a_name() {
    if !has_tool("strace") {
        return;
    }
    let origin = Origin::http1().route("/", |_| "x");
    let recorder = Ouli::command("record").config(&one_endpoint(&origin, "")).start();
    recorder.client().get("/");
    recorder.terminate().expect_code(0);
    let named = "[[endpoints]]\nname = \"api\"\nsource_port = 0\ntarget_type = \"http\"\n\
                 target_host = \"api.example.com\"\ntarget_port = 80\n";
    let trace = tempfile::NamedTempFile::new().unwrap();
    let trace_path = trace.path().display().to_string();
    // With -D the tracer is the program's child, so that signals reach the program.
    let setup = Ouli::command("replay").config(named).recordings(&recorder.recordings());
    let replay =
        setup.under(&["strace", "-D", "-f", "-e", "trace=network", "-o", &trace_path]).spawn();
    wait_until("it is ready, or strace isn't allowed to trace", || {
        replay.stdout().contains("ready") || replay.has_exited()
    });
    if replay.has_exited() {
        let said = replay.stderr();
        assert!(said.contains("ptrace") || said.contains("PTRACE"), "{said}");
        eprintln!("SKIPPED: strace may not trace here: {said}");
        return;
    }
    assert_eq!(replay.client().get("/").text(), "x");
    replay.client().get("/nowhere").problem(501, "miss");
    let traced = std::fs::read_to_string(trace.path()).unwrap();
    assert!(traced.contains("listen("), "the trace sees its sockets: {traced}");
    let calls = traced.lines().filter(|line| {
        line.contains("connect(") || line.contains("SOCK_DGRAM") || line.contains("sendto(-")
    });
    assert_eq!(calls.collect::<Vec<_>>(), Vec::<&str>::new());
    replay.terminate().expect_code(0);
}
