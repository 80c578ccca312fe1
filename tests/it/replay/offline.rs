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
    let setup = Ouli::command("replay").config(named).recordings(&recorder.recordings());
    let replay = setup.under(&["strace", "-f", "-e", "trace=network", "-o", &trace_path]).spawn();
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
    // The tracer passes the signal on to the program.
    replay.signal(Signal::TERM);
}
