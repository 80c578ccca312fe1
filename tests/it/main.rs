//! Black-box tests: the real `ouli` binary, real sockets, real files; port 0 and a folder of its
//! own for each test. `support` holds the program under test, a scripted origin and a strict
//! client. Nothing here knows the library: what a test needs, it reads off the wire or the disk.

// Helpers outside of `#[test]` functions may unwrap too: a panic is how a test fails.
#![allow(clippy::unwrap_used)]
// One binary, many modules: `pub` in `support` means "for the tests".
#![allow(unreachable_pub)]

mod attack;
mod auto;
mod bounds;
mod check;
mod demo;
mod drain;
mod floods;
mod forwarding;
mod grpc;
mod http2;
mod limits;
mod real_programs;
mod record_replay;
mod recording;
mod refusals;
mod replay;
mod replay_sources;
mod scale;
mod sockets;
mod startup;
mod streams;
mod support;
mod tls;
mod websocket;
