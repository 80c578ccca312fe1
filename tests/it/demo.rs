//! `ouli demo`: the whole story in one command.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::*;

/// A demo whose files go to `tmp`, by which its processes are known as well.
fn demo(tmp: &TempDir) -> Ouli {
    Ouli::command("demo").env("TMPDIR", &tmp.path().display().to_string()).spawn()
}

fn fresh() -> TempDir {
    TempDir::new().unwrap()
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// The command lines of all processes that were started with this `TMPDIR`.
fn processes(tmp: &TempDir) -> Vec<String> {
    let mark = format!("TMPDIR={}\0", tmp.path().display());
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        memchr::memmem::find(&environment, mark.as_bytes()).is_some()
    })
    .map(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    })
    .collect()
}

/// A demo while its recorder runs, which is for half a second.
fn recording_demo() -> (TempDir, Ouli) {
    for _ in 0..10 {
        let tmp = fresh();
        let ouli = demo(&tmp);
        wait_until("`ouli record` runs, or the demo is over", || {
            let running = processes(&tmp);
            let records = running.iter().any(|line| line.ends_with(" record "));
            if records || ouli.has_exited() { Ok(()) } else { Err(format!("{running:?}")) }
        });
        if !ouli.has_exited() {
            return (tmp, ouli);
        }
    }
    panic!("every demo was over before its recorder was seen");
}

#[test]
fn the_demo_compares_every_answer_and_leaves_nothing_behind() {
    let tmp = fresh();
    let ouli = demo(&tmp);
    let ended = ouli.wait();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(20), "{ended:?}");
    let mut lines = ended.stdout.lines();
    let titles = lines.next().unwrap_or_default();
    for title in ["request", "bytes", "recorded", "replayed", "same"] {
        assert!(titles.contains(title), "the table has no `{title}`: {ended:?}");
    }
    let rows: Vec<&str> = lines.collect();
    assert!(rows.len() >= 16 && rows.iter().all(|row| row.ends_with("yes")), "{ended:?}");
    assert!(ended.stdout.lines().all(|line| line.len() <= 100), "{ended:?}");
    for kind in ["JSON", "gzip", "SSE", "POST", "3rd answer"] {
        assert!(rows.iter().any(|row| row.contains(kind)), "no row shows {kind}: {ended:?}");
    }
    for (request, what) in [
        ("GET /v1/models ", " JSON, TLS "),
        ("GET /v1/models ", " JSON, HTTP/2 over TLS "),
        ("demo.Chat/Ask ", " gRPC, unary "),
        ("demo.Chat/Tell ", " gRPC, server stream "),
        ("demo.Chat/Talk ", " gRPC, both ways "),
        ("GET /v1/chat ", " WebSocket, compressed "),
        ("GET /v1/chat ", " WebSocket over HTTP/2 "),
    ] {
        let shows = |row: &&str| row.starts_with(request) && row.contains(what);
        assert!(rows.iter().any(shows), "no row shows{what}of {request}: {ended:?}");
    }
    ended.expect_said(&["https://", "`ouli record`", "`ouli replay`", "stopped", "byte for byte"]);
    assert_eq!(entries(ouli.folder()), [""; 0], "where it was started");
    assert_eq!(entries(tmp.path()), [""; 0], "where temporary files go");
    assert_eq!(processes(&tmp), [""; 0]);
}

#[test]
fn the_demo_leaves_the_data_of_its_user_alone() {
    let (home, data) = (fresh(), fresh());
    let variable = |dir: &TempDir| dir.path().display().to_string();
    // What stands for the user's authority is empty: no authority was ever needed there.
    let ouli = Ouli::command("demo")
        .env("HOME", &variable(&home))
        .env("XDG_DATA_HOME", &variable(&data))
        .spawn();
    ouli.wait().expect_code(0);
    assert_eq!(entries(home.path()), [""; 0], "HOME");
    assert_eq!(entries(data.path()), [""; 0], "XDG_DATA_HOME");
    assert_eq!(entries(ouli.folder()), [""; 0], "where OULI_CA_DIR is, and it was started");
}

#[test]
fn an_authority_that_cannot_be_used_does_not_matter_to_the_demo() {
    Ouli::command("demo").file("authority", "no folder").run().expect_code(0);
}

#[test]
fn two_demos_at_once_do_not_meet() {
    let demos: Vec<_> = (0..2).map(|_| Ouli::command("demo").spawn()).collect();
    for demo in demos {
        demo.wait().expect_code(0);
    }
}

#[test]
fn a_configuration_where_the_demo_is_started_does_not_matter() {
    Ouli::command("demo").config("this is no configuration").run().expect_code(0);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind_either() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (tmp, ouli) = recording_demo();
        ouli.signal(signal);
        ouli.wait().expect_code(1).expect_said(&["the demo failed", "interrupted"]);
        assert_eq!(processes(&tmp), [""; 0], "{signal:?}");
        assert_eq!(entries(tmp.path()), [""; 0], "{signal:?}");
    }
}

#[test]
fn a_killed_demo_takes_its_children_with_it() {
    let (tmp, ouli) = recording_demo();
    ouli.kill();
    wait_until("no process is left", || match processes(&tmp).as_slice() {
        [] => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

#[test]
fn a_demo_that_cannot_run_says_why() {
    let ended = Ouli::command("demo").env("TMPDIR", "/no/such/folder").run();
    ended.expect_code(1).expect_said(&["error: the demo failed", "/no/such/folder"]);
    // Enough for the demo itself; the recorder finds it too few and says so.
    let ended = Ouli::command("demo").after("ulimit -n 40").run();
    ended.expect_code(1).expect_said(&["`ouli record` failed", "exit status: 1", "descriptors"]);
    assert_eq!(ended.stdout, "");
}
