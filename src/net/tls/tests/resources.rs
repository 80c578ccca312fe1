//! What handshakes and certificates may cost.

use std::net::IpAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;
use tokio::task::{spawn_local, yield_now};
use tokio::time::Instant;

use super::support::{Front, PATIENCE, Told, client_config, local};
use crate::net::testing::{run, until};
use crate::net::tls::leaves::{COUNT_MAX, Subject};
use crate::net::tls::{Authority, Handshakes, Leaves};
use crate::x509;

const SHORT: Duration = Duration::from_millis(50);

/// The first bytes of a ClientHello that never ends.
const BEGUN: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[test]
fn handshakes_beyond_the_cap_wait_for_their_turn() {
    run(async {
        let (certificates, roots, _dir) = local();
        let handshakes = Handshakes::new(1);
        let front = Arc::new(Front::with(certificates, handshakes.clone(), PATIENCE).await);
        let (first, mut staller) = front.connect().await;
        staller.write_all(&BEGUN).await.unwrap();
        let stalled = spawn_local({
            let front = front.clone();
            async move { front.acceptor.accept(first).await.is_some() }
        });
        until("the first has its turn", || handshakes.available() == 0).await;
        let waiting = spawn_local({
            let front = front.clone();
            async move {
                let (conn, client) = front.meet("api.test", client_config(roots)).await;
                conn.is_some() && client.is_ok()
            }
        });
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!waiting.is_finished());
        drop(staller);
        assert!(waiting.await.unwrap());
        assert!(!stalled.await.unwrap());
        assert_eq!(handshakes.available(), 1);
    });
}

#[test]
fn silent_connections_take_no_turn_from_others() {
    run(async {
        let (certificates, roots, _dir) = local();
        let handshakes = Handshakes::new(1);
        let front = Arc::new(Front::with(certificates, handshakes.clone(), PATIENCE).await);
        let mut silent = Vec::new();
        for _ in 0..3 {
            let (conn, client) = front.connect().await;
            let front = front.clone();
            silent.push((spawn_local(async move { front.acceptor.accept(conn).await }), client));
        }
        yield_now().await;
        let (conn, client) = front.meet("api.test", client_config(roots)).await;
        assert!(conn.is_some() && client.is_ok());
    });
}

#[test]
fn one_that_takes_too_long_is_closed_and_told_of_and_a_silent_one_only_closed() {
    run(async {
        let (certificates, _roots, _dir) = local();
        let front = Front::with(certificates, Handshakes::new(1), SHORT).await;
        let (log, _guard) = Told::listen();
        let (conn, _silent) = front.connect().await;
        assert!(front.acceptor.accept(conn).await.is_none());
        assert_eq!(log.text(), "");
        let (conn, mut staller) = front.connect().await;
        staller.write_all(&BEGUN).await.unwrap();
        let accepting = spawn_local(async move {
            let refused = front.acceptor.accept(conn).await.is_none();
            (refused, front.permits.in_use())
        });
        until("it is told of", || !log.text().is_empty()).await;
        assert!(log.text().contains("the handshake was not complete after 50ms"), "{}", log.text());
        drop(staller);
        assert_eq!(accepting.await.unwrap(), (true, 0));
    });
}

#[test]
fn a_drain_ends_silent_connections_at_once_and_begun_handshakes_soon() {
    run(async {
        let (certificates, roots, _dir) = local();
        let front = Arc::new(Front::new(certificates).await);
        let (silent, _client) = front.connect().await;
        let (begun, mut staller) = front.connect().await;
        staller.write_all(&BEGUN).await.unwrap();
        let accept = |conn| {
            let front = front.clone();
            spawn_local(async move { front.acceptor.accept(conn).await.is_none() })
        };
        let (silent, begun) = (accept(silent), accept(begun));
        yield_now().await;
        let start = Instant::now();
        front.drain.start(start + PATIENCE);
        assert!(silent.await.unwrap());
        assert!(start.elapsed() < Duration::from_millis(500));
        // One that goes on does so to its end.
        let (conn, client) = front.meet("api.test", client_config(roots)).await;
        assert!(conn.is_some() || client.is_err());
        assert!(begun.await.unwrap());
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

fn leaves() -> (Leaves, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Leaves::new(Authority::open_in(dir.path()).unwrap()).unwrap(), dir)
}

fn named(name: &str) -> Subject {
    Subject::Name(name.to_owned())
}

#[test]
fn threads_that_ask_for_one_name_together_get_one_certificate() {
    const THREADS: usize = 8;
    let (leaves, _dir) = leaves();
    let together = Barrier::new(THREADS);
    let issued: Vec<_> = thread::scope(|scope| {
        let ask = || {
            together.wait();
            leaves.leaf(named("api.test")).unwrap()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(issued.iter().all(|leaf| Arc::ptr_eq(leaf, &issued[0])));
}

#[test]
fn a_flood_of_names_pushes_out_those_used_longest_ago() {
    let (leaves, _dir) = leaves();
    let first = leaves.leaf(named("first.test")).unwrap();
    let unused = leaves.leaf(named("unused.test")).unwrap();
    for number in 0..COUNT_MAX + 10 {
        leaves.leaf(named(&format!("made-up-{number}.test"))).unwrap();
        assert!(Arc::ptr_eq(&first, &leaves.leaf(named("first.test")).unwrap()));
    }
    assert_eq!(leaves.count(), COUNT_MAX);
    assert!(!Arc::ptr_eq(&unused, &leaves.leaf(named("unused.test")).unwrap()));
}

#[test]
fn a_certificate_is_renewed_before_it_is_over_and_no_number_comes_twice() {
    let (leaves, _dir) = leaves();
    let now = OffsetDateTime::now_utc();
    let at = |days: i64| {
        let leaf = leaves.leaf_at(named("api.test"), now + time::Duration::days(days)).unwrap();
        leaf.cert[0].clone()
    };
    let first = at(0);
    let validity = x509::validity(&first).unwrap();
    let days = (validity.not_after - validity.not_before) / 86_400;
    assert!((30..=397).contains(&days), "{days}");
    assert!(validity.not_before < now.unix_timestamp());
    assert_eq!(at(59), first);
    let second = at(61);
    assert_ne!(second, first);
    assert_eq!(at(61 + 59), second);
}

#[test]
fn a_name_that_no_certificate_can_be_for_gets_none_and_leaves_nothing() {
    let (leaves, _dir) = leaves();
    assert!(leaves.leaf(named("bücher.test")).is_none());
    assert_eq!(leaves.count(), 0);
    let address: IpAddr = "2001:db8::7".parse().unwrap();
    let leaf = leaves.leaf(Subject::Address(address)).unwrap();
    assert_eq!(x509::names(&leaf.cert[0]), ["2001:db8::7"]);
}
