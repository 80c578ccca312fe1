//! A load generator on one thread that checks every byte of every answer, and ends with exit 1 at the
//! first that is wrong. wrk is faster to trust and drives the plain cases; this one does what wrk
//! can't: check, pace, open a connection per request, hold idle connections, read slowly.
//!
//! - `run`: requests over keep-alive or new connections, as fast as answers come or at a rate; with
//!   bodies, in sessions
//! - `idle`: connections that each made a request, held until stdin closes, then used once more
//! - `stream`: long answers, read at a given rate, one or many at once
//! - `upload`: one long request
//! - `websocket` and `websocket-idle`: what `run` and `idle` are, for conversations
//!
//! `run` and `idle` speak HTTP/1.1 or HTTP/2, with TLS or without (`target.rs`).
//!
//! The result is one line of JSON on stdout.

mod expected;
mod http2;
mod idle;
mod reading;
mod request;
mod run;
mod stream;
mod target;
mod upload;
mod websocket;

use ouli_bench::args::{Args, fail};
use ouli_bench::histogram::Histogram;

use crate::target::{Target, Version};

fn main() {
    let args = Args::from_env();
    let target = Target::new(&args);
    match (args.command.as_str(), target.version) {
        ("run", Version::Http1) => run::main(&args, target),
        ("run", Version::Http2) => http2::run(&args, &target),
        ("idle", Version::Http1) => idle::main(&args, &target),
        ("idle", Version::Http2) => http2::idle(&args, &target),
        ("stream", _) => stream::main(&args),
        ("upload", _) => upload::main(&args),
        ("websocket", _) => websocket::run::main(&args, target.addr),
        ("websocket-idle", _) => websocket::idle::main(&args, target.addr),
        (other, _) => fail(format!("unknown command {other}")),
    }
}

fn report(answered: u64, seconds: f64, latency: &Histogram, resumed: u64, chunks: u64) {
    println!(
        "{{\"requests\":{answered},\"seconds\":{seconds:.6},\"mean_us\":{:.1},\"p50_us\":{:.1},\"p90_us\":{:.1},\"p99_us\":{:.1},\"max_us\":{:.1},\"resumed\":{resumed},\"chunks\":{chunks}}}",
        latency.mean_us(),
        latency.quantile_us(0.5),
        latency.quantile_us(0.9),
        latency.quantile_us(0.99),
        latency.max_us()
    );
}
