//! TCP options, as the system sees them set.

use crate::support::*;

#[test]
fn every_socket_gets_its_options() {
    if !has_tool("strace") {
        return;
    }
    let origin = Origin::http1().route("/", |_| "x");
    let trace = tempfile::NamedTempFile::new().unwrap();
    let trace_path = trace.path().display().to_string();
    let calls = "trace=setsockopt,listen,accept4,connect";
    // With -D the tracer is the program's child, so that signals reach the program.
    let setup = Ouli::record(&origin).config("workers = 1\n");
    let ouli = setup.under(&["strace", "-D", "-f", "-e", calls, "-o", &trace_path]).spawn();
    wait_until("it is ready, or strace isn't allowed to trace", || {
        ouli.stdout().contains("ready") || ouli.has_exited()
    });
    if ouli.has_exited() {
        eprintln!("SKIPPED: strace may not trace here: {}", ouli.stderr());
        return;
    }
    assert_eq!(ouli.client().get("/").text(), "x");
    let traced = std::fs::read_to_string(trace.path()).unwrap();
    let count = |part: &str| traced.lines().filter(|line| line.contains(part)).count();
    assert!(traced.contains(", 4096)"), "a backlog of 4096: {traced}");
    assert!(count("SO_REUSEADDR, [1]") >= 1, "{traced}");
    assert!(count("TCP_NODELAY, [1]") >= 2, "accepted and dialled: {traced}");
    assert!(count("SO_SNDBUF, [262144]") >= 2, "accepted (or its listener) and dialled: {traced}");
    assert!(count("SO_RCVBUF, [262144]") >= 2, "{traced}");
    ouli.terminate().expect_code(0);
}

#[test]
fn buffer_sizes_may_be_configured() {
    let origin = Origin::http1().route("/", |_| vec![b'x'; 1 << 20]);
    let config = "[sockets]\nrecv_buffer = \"32KiB\"\nsend_buffer = \"32KiB\"\nbacklog = 16\n";
    let ouli = Ouli::record(&origin).config(config).start();
    assert_eq!(ouli.client().get("/").body.len(), 1 << 20);
}
