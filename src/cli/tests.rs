//! What a command line means, and what is said about a bad one.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::Written;

/// Runs `line`, without the program's name, in an empty folder.
fn run(line: &str) -> Result<Command, Stop> {
    let dir = tempfile::tempdir().unwrap();
    run_in(dir.path(), line)
}

fn run_in(dir: &Path, line: &str) -> Result<Command, Stop> {
    parse(std::iter::once("ouli").chain(line.split_whitespace()), dir)
}

fn serve(line: &str) -> Invocation {
    match run(line) {
        Ok(Command::Serve(invocation)) => *invocation,
        other => panic!("{line}: {other:?}"),
    }
}

/// What a refused `line` prints to stderr, the folder's name left out.
fn refused_in(dir: &Path, line: &str) -> String {
    match run_in(dir, line) {
        Err(Stop::Usage(faults)) => faults.to_string().replace(&format!("{}/", dir.display()), ""),
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    refused_in(tempfile::tempdir().unwrap().path(), line)
}

#[test]
fn scratch() {
    for l in [
        "",
        "record",
        "recrod",
        "record --sesion a --bogus --pace=3 http://h/x",
        "record http://localhost:3000/v1?key=abc --session=  --listen 80 --drain-timeout 10",
        "replay --pace 3 --strict=1",
        "record localhost:3000",
        "record api.example.com",
        "record http://user:pw@h:0/x",
        "record ftp://x",
        "record http://",
        "record http://h:99999999",
        "record http://[::1]:3000 --listen x:1",
        "record https://a.b",
        "auto h2c://a",
        "record http://a http://b",
        "replay --listen 127.0.0.1:0",
        "check",
        "record -v -q http://a",
        "record --config",
        "record http://a --config nope.toml",
        "demo x",
        "record --strict http://a",
    ] {
        println!("$ ouli {l}\n{}", refused(l));
    }
    for l in ["--help", "record --help", "replay --help", "check --help", "--version"] {
        match run(l) {
            Err(Stop::Help(t)) => println!("$ ouli {l}\n{t}"),
            o => panic!("{o:?}"),
        }
    }
    let i = serve("replay");
    println!("{i:?}");
    assert_eq!(i.config.limits.drain_timeout, Duration::from_secs(10));
    assert_ne!(serve("replay http://a").config.endpoints[0].written, Written::Elsewhere);
}
