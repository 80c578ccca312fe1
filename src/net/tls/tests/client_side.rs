//! What Ouli shows its clients, and what it says of those that don't like it.

use std::net::IpAddr;

use rcgen::date_time_ymd;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Ca, Front, Told, client_config, identity, local};
use crate::net::testing::run;
use crate::net::tls::{Certificates, provider};
use crate::x509;

/// The line in the log about a handshake with a client of this kind, without the peer's port.
async fn told(front: &Front, name: &str, config: ClientConfig) -> String {
    let (log, _guard) = Told::listen();
    let (conn, _client) = front.meet(name, config).await;
    assert!(conn.is_none());
    shown(&log)
}

fn shown(log: &Told) -> String {
    let text = log.text();
    let (line, _) = text.split_once(" endpoint=").unwrap_or((text.trim_end(), ""));
    format!("{}\n", line.trim_start())
}

#[test]
fn clients_get_a_certificate_for_the_name_or_the_address_that_they_ask_for() {
    run(async {
        let (certificates, roots, _dir) = local();
        let front = Front::new(certificates).await;
        let mut seen = Vec::new();
        for name in ["api.test", "localhost", "127.0.0.1", "API.test"] {
            let (conn, client) = front.meet(name, client_config(roots.clone())).await;
            assert!(conn.is_some(), "{name}");
            let client = client.unwrap();
            let chain = client.get_ref().1.peer_certificates().unwrap();
            seen.push((chain[0].clone(), x509::names(&chain[0])));
        }
        let names: Vec<_> = seen.iter().map(|(_, names)| names.join(" ")).collect();
        let machine = "localhost 127.0.0.1 ::1";
        assert_eq!(names, ["api.test", machine, machine, "api.test"]);
        assert_eq!(seen[0].0, seen[3].0, "issued once per name");
    });
}

#[test]
fn a_configured_certificate_is_shown_to_everybody() {
    run(async {
        let ca = Ca::new();
        let certified = ca.issue("front.test", |_| {});
        let front = Front::new(Certificates::Configured(identity(certified))).await;
        let (conn, client) = front.meet("front.test", client_config(ca.roots())).await;
        assert!(conn.is_some() && client.is_ok());
    });
}

#[test]
fn every_client_that_fails_has_its_own_words() {
    run(async {
        let (certificates, roots, _dir) = local();
        let ca = Ca::new();
        let configured = |certified| Certificates::Configured(identity(certified));
        let old = ca.issue("api.test", |params| params.not_after = date_time_ymd(2020, 2, 29));
        let twin = Ca::called("twin").issue("front.test", |_| {});
        let other_twin = Ca::called("twin").roots();
        let named = ca.issue("front.test", |_| {});
        let fresh = || Front::new(certificates.clone());
        let mut no_protocol = client_config(roots);
        no_protocol.alpn_protocols = vec![b"spdy/3".to_vec()];
        let all = [
            told(&fresh().await, "api.test", client_config(Ca::new().roots())).await,
            told(&Front::new(configured(old)).await, "api.test", client_config(ca.roots())).await,
            told(
                &Front::new(configured(named.clone())).await,
                "api.test",
                client_config(ca.roots()),
            )
            .await,
            told(
                &Front::new(configured(named)).await,
                "front.test",
                client_config(Ca::new().roots()),
            )
            .await,
            told(&Front::new(configured(twin)).await, "front.test", client_config(other_twin))
                .await,
            told(&fresh().await, "api.test", no_protocol).await,
        ];
        insta::assert_snapshot!(all.concat(), @r"
        WARN no TLS with a client: the client does not trust the certificate; `ouli ca` says how to have it trusted
        WARN no TLS with a client: the client says that the certificate has expired; is its clock right?
        WARN no TLS with a client: the client asks for api.test and refuses the certificate (bad_certificate): it does not trust it, or it is not for that name; it is that of `source_cert`
        WARN no TLS with a client: the client does not trust the certificate; it is that of `source_cert`
        WARN no TLS with a client: the client trusts another authority of the same name; it is that of `source_cert`
        WARN no TLS with a client: the client speaks neither HTTP/2 nor HTTP/1.1 above TLS
        ");
    });
}

#[test]
fn a_client_that_speaks_no_tls_is_told_of() {
    run(async {
        let (certificates, _roots, _dir) = local();
        let mut all = String::new();
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x00\x01\x02\x03\x04\x05\x06\x07",
            // The first half of a ClientHello, then an end.
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ] {
            let front = Front::new(certificates.clone()).await;
            let (log, _guard) = Told::listen();
            let (conn, mut client) = front.connect().await;
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let mut said = Vec::new();
            let reading = client.read_to_end(&mut said);
            let (conn, _) = tokio::join!(front.acceptor.accept(conn), reading);
            assert!(conn.is_none());
            all += &shown(&log);
        }
        insta::assert_snapshot!(all, @r"
        WARN no TLS with a client: the client speaks plain HTTP to a port with TLS: its URL begins with https://
        WARN no TLS with a client: the client speaks plain HTTP to a port with TLS: its URL begins with https://
        WARN no TLS with a client: the client speaks no TLS
        WARN no TLS with a client: the client left during the handshake; if it does not trust the certificate, `ouli ca` says what to do
        ");
    });
}

#[test]
fn an_old_client_is_told_of() {
    run(async {
        let (certificates, _roots, _dir) = local();
        let front = Front::new(certificates).await;
        let (log, _guard) = Told::listen();
        let (conn, mut client) = front.connect().await;
        client.write_all(&TLS_1_0_HELLO).await.unwrap();
        let mut said = Vec::new();
        let reading = client.read_to_end(&mut said);
        let (conn, _) = tokio::join!(front.acceptor.accept(conn), async {
            let _ = reading.await;
        });
        assert!(conn.is_none());
        assert_eq!(said.first(), Some(&21), "an alert");
        insta::assert_snapshot!(shown(&log), @r"
        WARN no TLS with a client: no TLS version, cipher or key exchange is known to both sides: TLS 1.2 or 1.3 is needed
        ");
    });
}

/// A ClientHello of a client that knows TLS 1.0 and one cipher (RFC 2246 section 7.4.1.2).
const TLS_1_0_HELLO: [u8; 50] = {
    let mut hello = [0; 50];
    let head = [22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    // 32 random bytes, no session, one cipher suite, no compression.
    hello[43] = 0;
    hello[44] = 0;
    hello[45] = 2;
    hello[47] = 0x2f;
    hello[48] = 1;
    hello
};

#[test]
fn sessions_are_resumed() {
    run(async {
        for versions in [&[&version::TLS12], &[&version::TLS13]] {
            let (certificates, roots, _dir) = local();
            let front = Front::new(certificates).await;
            let config = ClientConfig::builder_with_provider(provider().clone())
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let mut kinds = Vec::new();
            for _ in 0..2 {
                let (conn, client) = front.meet("api.test", config.clone()).await;
                let (mut conn, mut client) = (conn.unwrap(), client.unwrap());
                let (_, mut writer) = conn.stream.split();
                writer.write_all(b"x").await.unwrap();
                writer.flush().await.unwrap();
                client.read_u8().await.unwrap();
                kinds.push(client.get_ref().1.handshake_kind().unwrap());
            }
            assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed], "{versions:?}");
        }
    });
}

#[test]
fn a_listener_on_every_address_shows_the_one_that_was_reached() {
    run(async {
        let (certificates, roots, _dir) = local();
        let mut front = Front::new(certificates.clone()).await;
        front.acceptor = crate::net::tls::Acceptor::new(
            "api",
            "0.0.0.0".parse::<IpAddr>().unwrap(),
            certificates,
            crate::net::tls::Handshakes::new(1),
            super::support::PATIENCE,
        )
        .unwrap();
        let (conn, client) = front.meet("127.0.0.1", client_config(roots)).await;
        assert!(conn.is_some() && client.is_ok());
    });
}

#[test]
fn many_failures_are_few_lines() {
    run(async {
        let (certificates, _roots, _dir) = local();
        let front = Front::new(certificates).await;
        let (log, _guard) = Told::listen();
        for _ in 0..5 {
            let (conn, _client) =
                front.meet("api.test", client_config(RootCertStore::empty())).await;
            assert!(conn.is_none());
        }
        // A second line only where the machine took a second for the five.
        assert!(log.text().lines().count() <= 2, "{}", log.text());
    });
}
