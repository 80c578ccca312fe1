//! An origin for what nginx can't be one for, or would need a file for. Small fixed answers come from
//! nginx.
//!
//! - `serve`: bodies of any size
//! - `echo`: WebSocket conversations in which every message comes back

mod bodies;
mod echo;

use std::net::TcpListener;

use ouli_bench::args::{Args, fail};

fn main() {
    let args = Args::from_env();
    let listener = TcpListener::bind(args.need::<String>("listen")).unwrap_or_else(|e| fail(e));
    println!("listening http://{}", listener.local_addr().unwrap_or_else(|e| fail(e)));
    println!("ready");
    match args.command.as_str() {
        "serve" => bodies::main(&listener),
        "echo" => echo::main(listener),
        other => fail(format!("unknown command {other}")),
    }
}
