//! What Ouli says of an origin whose certificate, or whose TLS, isn't right.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ServerConfig, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{
    Ca, dial, dial_peer, identity, listener, origin, self_signed, server_config, trusting,
};
use crate::config::{Sockets, TargetTls, server_name};
use crate::net::origin::{DialError, Dialer, Speak};
use crate::net::testing::run;
use crate::net::tls::{OriginFailure, provider};

/// What the 502 and the log say, the port left out.
fn told(error: &DialError) -> String {
    let text = error.to_string();
    let text = match text.split_once(": ") {
        Some((_, why)) => why.to_owned(),
        None => text,
    };
    match error.hint() {
        Some(hint) => format!("{text}\nhint: {hint}\n"),
        None => format!("{text}\n"),
    }
}

async fn refused(host: &str, terms: TargetTls, config: ServerConfig) -> String {
    let (dialled, _) = dial(host, terms, config).await;
    told(&dialled.expect_err("this certificate must not be taken"))
}

#[test]
fn every_wrong_certificate_has_its_own_words() {
    run(async {
        let (ca, other) = (Ca::new(), Ca::new());
        let of = |name: &str| server_config(ca.issue(name, |_| {}));
        let old = ca.issue("localhost", |params| params.not_after = date_time_ymd(2020, 2, 29));
        let young = ca.issue("localhost", |params| params.not_before = date_time_ymd(2090, 1, 1));
        let for_clients = ca.issue("localhost", |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
        let own = self_signed("localhost", IsCa::Ca(BasicConstraints::Unconstrained));
        let twin = Ca::called("twin").issue("localhost", |_| {});
        let trusted = || trusting(&ca.der);
        let all = [
            refused("localhost", trusting(&other.der), of("localhost")).await,
            refused("localhost", trusting(&Ca::called("twin").der), server_config(twin)).await,
            refused("localhost", trusted(), of("api.test")).await,
            refused("127.0.0.1", trusted(), of("*.test")).await,
            refused("localhost", trusted(), server_config(old)).await,
            refused("localhost", trusted(), server_config(young)).await,
            refused("localhost", trusted(), server_config(for_clients)).await,
            refused("localhost", trusted(), server_config(own)).await,
        ];
        insta::assert_snapshot!(all.concat(), @r#"
        its certificate is from an authority that is not trusted here
        hint: `target_ca` holds other certificates than the one it needs
        its certificate is not from the authority of that name that is trusted here
        hint: `target_ca` holds other certificates than the one it needs
        its certificate is for api.test, and not for localhost
        hint: `target_server_name = "api.test"` asks for that name
        its certificate is for *.test, and not for 127.0.0.1
        its certificate has expired on 2020-02-29
        hint: look at this machine's clock as well
        its certificate is not valid yet, but from 2090-01-01 on
        hint: look at this machine's clock as well
        its certificate is not fit for a server: certificate does not allow extended key usage for server authentication, allows client authentication
        its certificate is self-signed, and not trusted here
        hint: `target_ca` holds other certificates than the one it needs
        "#);
    });
}

#[test]
fn an_origin_that_speaks_something_else_is_told_what() {
    run(async {
        let ca = Ca::new();
        let plain = dial_peer(trusting(&ca.der), |mut tcp: TcpStream| async move {
            let _ = tcp.read(&mut [0; 1024]).await;
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        let closed = dial_peer(trusting(&ca.der), |mut tcp: TcpStream| async move {
            let _ = tcp.read(&mut [0; 4096]).await;
        });
        let mut other_protocol = server_config(ca.issue("localhost", |_| {}));
        other_protocol.alpn_protocols = vec![b"spdy/3".to_vec()];
        let all = [
            told(&plain.await.unwrap_err()),
            told(&closed.await.unwrap_err()),
            refused("localhost", trusting(&ca.der), other_protocol).await,
            // What a server of TLS 1.0 says to a newer client (RFC 8446, 4.1.3).
            told(&dial_peer(trusting(&ca.der), alert(70)).await.unwrap_err()),
            told(&dial_peer(trusting(&ca.der), alert(40)).await.unwrap_err()),
            told(&dial_peer(trusting(&ca.der), alert(112)).await.unwrap_err()),
        ];
        insta::assert_snapshot!(all.concat(), @r#"
        it speaks no TLS
        hint: an origin without TLS needs `http://`, or `h2c://` if it speaks HTTP/2
        it closed the connection during the handshake
        it speaks neither HTTP/2 nor HTTP/1.1 above TLS
        no TLS version, cipher or key exchange is known to both sides: the origin says protocol_version
        no TLS version, cipher or key exchange is known to both sides: the origin says handshake_failure
        it does not know the name localhost
        hint: `target_server_name` asks for another name
        "#);
    });
}

/// A peer that answers with a fatal alert.
fn alert(code: u8) -> impl FnOnce(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    move |mut tcp| {
        Box::pin(async move {
            let _ = tcp.read(&mut [0; 4096]).await;
            let _ = tcp.write_all(&[21, 3, 3, 0, 2, 2, code]).await;
        })
    }
}

#[test]
fn an_origin_that_keeps_silent_runs_out_of_time() {
    run(async {
        let (listener, address) = listener().await;
        let patience = Duration::from_millis(100);
        let dialer = Dialer::new(Sockets::default(), patience);
        let origin = origin("localhost", address.port(), TargetTls::default());
        let error = dialer.dial(&origin, Speak::Any).await.unwrap_err();
        assert!(matches!(error, DialError::TimedOut { after, .. } if after == patience), "{error}");
        drop(listener);
    });
}

/// Asks for a certificate that `ca` has issued.
fn asking(ca: &Ca, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider().clone())
            .build()
            .unwrap();
    ServerConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
            ca.issue("localhost", |_| {}),
        )))
}

#[test]
fn an_origin_that_wants_a_client_certificate_gets_it_or_is_told_of() {
    run(async {
        let (ca, other) = (Ca::new(), Ca::new());
        let client = |ca: &Ca| identity(ca.issue("ouli", |_| {}));
        for versions in [&[&version::TLS12], &[&version::TLS13]] {
            let with = |identity| TargetTls { identity, ..trusting(&ca.der) };
            let good = with(Some(client(&ca)));
            let (dialled, served) = dial("localhost", good, asking(&ca, versions)).await;
            assert!(dialled.is_ok());
            assert_eq!(served.unwrap().get_ref().1.peer_certificates().unwrap().len(), 1);

            let told = later("localhost", with(None), asking(&ca, versions)).await;
            assert_eq!(told, OriginFailure::WantsCertificate);
            let told = later("localhost", with(Some(client(&other))), asking(&ca, versions)).await;
            assert!(matches!(told, OriginFailure::RefusesCertificate(_)), "{told}");
        }
    });
}

/// Why it failed, in the handshake or, with TLS 1.3, at the first read.
async fn later(host: &str, terms: TargetTls, config: ServerConfig) -> OriginFailure {
    match dial(host, terms, config).await.0 {
        Err(DialError::Tls { why, .. }) => why,
        Err(other) => panic!("{other}"),
        Ok(mut connection) => {
            let error = connection.stream.read_u8().await.unwrap_err();
            OriginFailure::in_error(&error).unwrap_or_else(|| panic!("{error}")).clone()
        }
    }
}

#[test]
fn the_name_that_is_asked_for_can_be_another_than_the_host() {
    run(async {
        let ca = Ca::new();
        let terms = TargetTls { server_name: server_name("api.test"), ..trusting(&ca.der) };
        let config = server_config(ca.issue("api.test", |_| {}));
        let (dialled, served) = dial("127.0.0.1", terms, config).await;
        assert!(dialled.is_ok());
        assert_eq!(served.unwrap().get_ref().1.server_name(), Some("api.test"));
    });
}

#[test]
fn a_certificate_that_target_ca_names_is_taken_for_itself() {
    run(async {
        for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            let own = self_signed("localhost", is_ca);
            let terms = trusting(&own.cert[0]);
            let (dialled, _) = dial("localhost", terms.clone(), server_config(own.clone())).await;
            assert!(dialled.is_ok());
            // But for its own name only, and as long as it is good.
            let (dialled, _) = dial("127.0.0.1", terms, server_config(own)).await;
            let error = dialled.unwrap_err().to_string();
            assert!(error.contains("for localhost, and not for 127.0.0.1"), "{error}");
        }
    });
}

#[test]
fn with_the_guard_lowered_any_certificate_will_do() {
    run(async {
        let own = self_signed("other.test", IsCa::NoCa);
        let terms = TargetTls { danger_accept_invalid: true, ..TargetTls::default() };
        let (dialled, _) = dial("localhost", terms, server_config(own)).await;
        assert!(dialled.is_ok());
    });
}

#[test]
fn sessions_are_resumed_by_the_next_connection_to_the_same_origin() {
    run(async {
        let ca = Ca::new();
        let (listener, address) = listener().await;
        let config = Arc::new(server_config(ca.issue("localhost", |_| {})));
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let origin = origin("localhost", address.port(), trusting(&ca.der));
        let mut kinds = Vec::new();
        // Another runtime has a dialer of its own, and the same origin.
        for _ in 0..3 {
            let dialer = Dialer::new(Sockets::default(), super::support::PATIENCE);
            let serving = async {
                let (tcp, _) = listener.accept().await.unwrap();
                let mut served = acceptor.accept(tcp).await.unwrap();
                served.write_all(b"x").await.unwrap();
                served.flush().await.unwrap();
                served
            };
            let asking = async {
                let mut connection = dialer.dial(&origin, Speak::Any).await.unwrap();
                connection.stream.flush().await.unwrap();
                // Reading takes the tickets that come first.
                connection.stream.read_u8().await.unwrap();
                connection
            };
            let (_connection, served) = tokio::join!(asking, serving);
            kinds.push(served.get_ref().1.handshake_kind().unwrap());
        }
        let resumed = HandshakeKind::Resumed;
        assert_eq!(kinds, [HandshakeKind::Full, resumed, resumed]);
    });
}
