//! Programs that other people wrote, on both sides: what they print while Ouli records, and again
//! with the server gone, must be what they print to each other.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::*;

/// A server that prints its port.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, port: line.trim().parse().unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client that gets a URL, and the path of an authority for `wss`; returns what it prints.
#[track_caller]
fn run(client: &dyn Fn() -> Command, url: &str, authority: &str) -> String {
    let mut command = client();
    let output = command.args([url, authority]).stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A program can't tell that Ouli is there.
#[track_caller]
fn expect_same(printed: &str, direct: &str) {
    for (number, (line, expected)) in printed.lines().zip(direct.lines()).enumerate() {
        assert_eq!(line, expected, "line {number}");
    }
    assert_eq!(printed.lines().count(), direct.lines().count(), "{printed}");
}

/// The client must print this line, and the same directly, recorded and replayed, over TLS and
/// without.
#[track_caller]
pub fn same_talk(server: Server, client: &dyn Fn() -> Command, line: &str) {
    let endpoint = || Endpoint::at(Protocol::Http1, server.address());
    let setup = |command| {
        Ouli::command(command)
            .endpoint(&endpoint().named("plain"))
            .endpoint(&endpoint().named("tls").https())
    };
    let run_both = |ouli: &Ouli| {
        let authority = ouli.authority_path().display().to_string();
        let port = ouli.address_for("https").port();
        [
            run(client, &format!("ws://{}/", ouli.address_for("http")), ""),
            run(client, &format!("wss://localhost:{port}/"), &authority),
        ]
    };
    let direct = run(client, &format!("ws://{}/", server.address()), "");
    assert!(direct.contains(line), "no `{line}` in {direct}");
    let recorder = setup("record").start();
    let recorded = run_both(&recorder);
    recorder.terminate().expect_code(0);
    recorded.iter().for_each(|printed| expect_same(printed, &direct));
    let replay = setup("replay --strict").recordings(&recorder.recordings()).start();
    drop(server);
    run_both(&replay).iter().for_each(|printed| expect_same(printed, &direct));
    replay.terminate().expect_code(0);
}
