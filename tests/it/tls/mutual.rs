//! Origins that ask for a certificate.

use crate::support::*;

fn endpoint(origin: &Origin) -> Endpoint {
    Endpoint::to(origin)
        .line("target_client_cert = \"client.pem\"")
        .line("target_client_key = \"client.key\"")
}

#[test]
fn a_configured_certificate_is_shown_to_an_origin_that_asks() {
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let origin = Origin::for_clients_of(protocol, authority()).route("/", |_| "come in");
        let identity = authority().client("ouli");
        let setup = Ouli::command("record").endpoint(&endpoint(&origin));
        let ouli = setup.identity("client", &identity).start();
        assert_eq!(ouli.client().get("/").text(), "come in", "{protocol}");
        assert_eq!(ouli.client_over(Protocol::H2c).get("/").text(), "come in", "{protocol}");
    }
}

#[test]
fn without_a_certificate_the_502_says_that_one_is_wanted() {
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let origin = Origin::for_clients_of(protocol, authority()).route("/", |_| "come in");
        let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin)).start();
        let answer = ouli.client().get("/");
        let problem = answer.problem(502, answer.fault().unwrap_or_default());
        assert!(problem.contains("target_client_cert"), "{protocol}: {problem}");
        assert!(origin.requests().is_empty());
    }
}

#[test]
fn a_certificate_that_the_origin_does_not_know_is_a_502() {
    let origin = Origin::for_clients_of(Protocol::Http1Tls, authority()).route("/", |_| "come in");
    let stranger = Authority::new("strangers").client("ouli");
    let setup = Ouli::command("record").endpoint(&endpoint(&origin));
    let ouli = setup.identity("client", &stranger).start();
    let answer = ouli.client().get("/");
    assert_eq!(answer.status, 502, "{answer:?}");
}

#[test]
fn a_certificate_without_its_key_is_refused_at_start() {
    let origin = Origin::of(Protocol::Http1Tls);
    let half = Endpoint::to(&origin).line("target_client_cert = \"client.pem\"");
    let setup = Ouli::command("record").endpoint(&half);
    let setup = setup.identity("client", &authority().client("ouli"));
    setup.run().expect_code(2).expect_said(&["target_client_key"]);
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_at_start() {
    let origin = Origin::of(Protocol::Http1Tls);
    let mixed = Identity {
        cert_pem: authority().client("one").cert_pem,
        key_pem: authority().client("two").key_pem,
    };
    let setup = Ouli::command("record").endpoint(&endpoint(&origin)).identity("client", &mixed);
    setup.run().expect_code(2).expect_said(&["target_client_key"]);
}

#[test]
fn files_that_are_missing_or_no_pem_are_refused_at_start_by_name() {
    let origin = Origin::of(Protocol::Http1Tls);
    let setup = Ouli::command("record").endpoint(&endpoint(&origin));
    setup.run().expect_code(2).expect_said(&["client.pem", "ouli.toml"]);
    let setup = Ouli::command("record").endpoint(&endpoint(&origin));
    let setup = setup.file("client.pem", "no certificate").file("client.key", "no key");
    setup.run().expect_code(2).expect_said(&["client.pem"]);
}
