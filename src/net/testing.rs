//! For tests of this folder: a worker's runtime, connected pairs, and waiting without sleeping.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{Instant, sleep, timeout};

use super::stream::Stream;

pub(super) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// No test should take this long; one that does has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test as a worker runs: one thread, tasks that stay on it.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.unwrap().block_on(async { timeout(PATIENCE, test).await.expect("a test hung") })
}

/// Waits until something holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(5), "not within 5 s: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Both ends of a connection.
pub(super) async fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server.into(), client)
}
