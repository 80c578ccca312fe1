//! Bytes through a secured stream: every way in and out, ends and cuts.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;

use rustls::{ServerConfig, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{spawn_local, yield_now};
use tokio_rustls::client;

use super::support::{Ca, Front, client_config, dial, local, server_config, trusting};
use crate::net::conn::Conn;
use crate::net::stream::Stream;
use crate::net::testing::run;
use crate::net::tls::{Protocol, provider};

/// A served connection and its client, handshake done.
async fn pair() -> (Conn, client::TlsStream<TcpStream>) {
    let (certificates, roots, _dir) = local();
    let front = Front::new(certificates).await;
    let (conn, client) = front.meet("api.test", client_config(roots)).await;
    (conn.unwrap(), client.unwrap())
}

async fn read(stream: &mut Stream, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buffer)).await
}

#[test]
fn bytes_pass_both_ways_through_the_halves_at_once() {
    run(async {
        let (mut conn, client) = pair().await;
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let (mut reading, mut writing) = tokio::io::split(client);
        let (mut reader, mut writer) = conn.stream.split();
        let mut out = vec![0; sent.len()];
        let mut back = vec![0; sent.len()];
        let down = async {
            writer.write_all(&sent).await.unwrap();
            writer.flush().await.unwrap();
            assert!(!writer.has_unsent());
        };
        let up = async {
            writing.write_all(&sent).await.unwrap();
            writing.flush().await.unwrap();
        };
        let (_, _, read, read_back) =
            tokio::join!(down, up, reader.read_exact(&mut out), reading.read_exact(&mut back));
        read.unwrap();
        read_back.unwrap();
        assert!(out == sent && back == sent);
    });
}

#[test]
fn plaintext_that_is_there_already_makes_a_stream_readable() {
    run(async {
        let (mut conn, mut client) = pair().await;
        client.write_all(b"hello world").await.unwrap();
        client.flush().await.unwrap();
        let mut some = Vec::with_capacity(5);
        assert_eq!(read(&mut conn.stream, &mut some).await.unwrap(), 5);
        // The socket is empty by now: what is left stands in the session.
        poll_fn(|cx| conn.stream.poll_readable(cx)).await.unwrap();
        let mut rest = Vec::with_capacity(64);
        assert_eq!(conn.stream.try_read(&mut rest).unwrap(), 6);
        assert_eq!((&some[..], &rest[..]), (&b"hello"[..], &b" world"[..]));
        let empty = conn.stream.try_read(&mut rest).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn an_orderly_end_and_a_cut_are_told_apart() {
    run(async {
        let (mut conn, mut client) = pair().await;
        client.write_all(b"bye").await.unwrap();
        client.shutdown().await.unwrap();
        let mut seen = Vec::new();
        while read(&mut conn.stream, &mut seen).await.unwrap() > 0 {}
        assert_eq!(seen, b"bye");

        let (mut conn, mut client) = pair().await;
        client.write_all(b"by").await.unwrap();
        client.flush().await.unwrap();
        client.get_mut().0.shutdown().await.unwrap();
        let mut seen = Vec::new();
        assert_eq!(read(&mut conn.stream, &mut seen).await.unwrap(), 2);
        let error = read(&mut conn.stream, &mut seen).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_lingering_close_says_the_end_under_tls_too() {
    run(async {
        let (mut conn, mut client) = pair().await;
        let reading = spawn_local(async move {
            client.write_all(&[b'x'; 1 << 20]).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.map(|_| answer)
        });
        conn.stream.split().1.write_all(b"413 too large").await.unwrap();
        conn.close_lingering(usize::MAX, super::support::PATIENCE).await;
        assert_eq!(reading.await.unwrap().unwrap(), b"413 too large");
    });
}

#[test]
fn closing_an_idle_connection_says_the_end() {
    run(async {
        let (conn, mut client) = pair().await;
        conn.stream.close();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn a_reader_that_takes_nothing_holds_its_writer_up() {
    run(async {
        let (mut conn, mut client) = pair().await;
        let sent = vec![b'x'; 32 << 20];
        let expected = sent.len();
        let writing = spawn_local(async move {
            let (_, mut writer) = conn.stream.split();
            writer.write_all(&sent).await.unwrap();
            writer.flush().await.unwrap();
            conn
        });
        for _ in 0..1000 {
            yield_now().await;
        }
        assert!(!writing.is_finished(), "more than sockets hold was taken");
        let mut left = expected;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            left -= client.read(&mut buffer).await.unwrap();
        }
        writing.await.unwrap();
    });
}

#[test]
fn what_alpn_agreed_on_is_known_on_both_sides() {
    run(async {
        for (offered, expected) in [
            (vec![], Protocol::Http1),
            (vec![b"http/1.1".to_vec()], Protocol::Http1),
            (vec![b"http/1.1".to_vec(), b"h2".to_vec()], Protocol::Http2),
        ] {
            let (certificates, roots, _dir) = local();
            let front = Front::new(certificates).await;
            let mut config = client_config(roots);
            config.alpn_protocols = offered.clone();
            let (conn, client) = front.meet("api.test", config).await;
            client.unwrap();
            assert_eq!(conn.unwrap().stream.protocol(), Some(expected), "{offered:?}");

            let ca = Ca::new();
            let mut config = server_config(ca.issue("localhost", |_| {}));
            // A server of rustls chooses by its own order, as Ouli does.
            config.alpn_protocols = offered.iter().rev().cloned().collect();
            let (dialled, _origin) = dial("localhost", trusting(&ca.der), config).await;
            assert_eq!(dialled.unwrap().stream.protocol(), Some(expected), "{offered:?}");
        }
    });
}

#[test]
fn tls_1_2_is_spoken_too() {
    run(async {
        let ca = Ca::new();
        let config = ServerConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(&[&version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                ca.issue("localhost", |_| {}),
            )));
        let (dialled, served) = dial("localhost", trusting(&ca.der), config).await;
        let (mut dialled, mut served) = (dialled.unwrap(), served.unwrap());
        dialled.stream.split().1.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        served.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"hello");
    });
}
