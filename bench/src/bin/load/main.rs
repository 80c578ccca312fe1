//! A load generator on one thread that checks every byte of every answer, and ends with exit 1 at the
//! first that is wrong. wrk is faster to trust and drives the plain cases; this one does what wrk
//! can't: check, pace, open a connection per request, hold idle connections, read slowly.
//!
//! - `run`: requests over keep-alive or new connections, as fast as answers come or at a rate
//! - `idle`: connections that each made a request, held until stdin closes, then used once more
//! - `stream`: one long answer, read at a given rate
//!
//! The result is one line of JSON on stdout.

mod idle;
mod run;
mod stream;

use ouli_bench::args::{Args, fail};

fn main() {
    let args = Args::from_env();
    match args.command.as_str() {
        "run" => run::main(&args),
        "idle" => idle::main(&args),
        "stream" => stream::main(&args),
        other => fail(format!("unknown command {other}")),
    }
}

/// A request as a test's client would send it: wrk's own fields, so that both loads cost the same.
fn request(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}
