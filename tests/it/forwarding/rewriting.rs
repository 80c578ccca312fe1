//! The client stays with Ouli: fields that name the origin are rewritten to the listener.

use std::sync::{Arc, OnceLock};

use crate::support::*;

/// An origin whose answer names itself; its own URL stands for `@`.
fn self_naming(fields: &'static [(&'static str, &'static str)]) -> Origin {
    let url = Arc::new(OnceLock::<String>::new());
    let own = url.clone();
    let origin = Origin::http1().route("/", move |_| {
        let url = own.get().unwrap();
        let named = fields.iter().map(|(name, value)| (name, value.replace('@', url)));
        named.fold(Reply::new(201), |reply, (name, value)| reply.header(name, &value))
    });
    url.set(origin.url()).unwrap();
    origin
}

const FIELDS: &[(&str, &str)] = &[
    ("Location", "@/a/b?c=d#e"),
    ("Content-Location", "@/x"),
    ("Link", "<@/?page=2>; rel=\"next\", <https://elsewhere.example/y>; rel=\"up\""),
    ("Link", "</relative>; rel=\"first\""),
    ("Refresh", "5; url=@/again"),
];

#[test]
fn fields_that_name_the_origin_name_the_listener_on_both_roads() {
    let origin = self_naming(FIELDS);
    let recordings = on_both_roads(&origin, |client| {
        let own = format!("http://{}", client.address());
        let answer = client.get("/");
        for name in ["location", "content-location", "link", "refresh"] {
            let sent = FIELDS.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let expected: Vec<_> = sent.map(|(_, value)| value.replace('@', &own)).collect();
            assert_eq!(answer.headers.all(name), expected, "{answer:?}");
        }
    });
    let kept = recordings.cassette_text("default");
    let location = format!("{}/a/b?c=d#e", origin.url());
    assert!(kept.contains(&location), "recorded as received: {kept}");
}

#[test]
fn what_does_not_name_the_origin_is_left_alone() {
    const OTHERS: &[&str] = &[
        "/relative?u=http://127.0.0.1/",
        "https://elsewhere.example/",
        "http://127.0.0.1.example/",
        "//elsewhere.example/",
        "",
    ];
    let origin = Origin::http1().on("/*", |request| {
        let index: usize = request.path().trim_start_matches('/').parse().unwrap();
        Reply::new(302).header("location", OTHERS[index])
    });
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    for (index, expected) in OTHERS.iter().enumerate() {
        let answer = client.get(&format!("/{index}"));
        assert_eq!(answer.header("location"), Some(*expected));
    }
}

#[test]
fn a_longer_port_is_another_origin() {
    let origin = self_naming(&[("Location", "@1/x")]);
    let ouli = Ouli::record(&origin).start();
    let expected = format!("{}1/x", origin.url());
    assert_eq!(ouli.client().get("/").header("location"), Some(&*expected));
}

#[test]
fn rewrite_location_false_leaves_them_alone() {
    let origin = self_naming(FIELDS);
    let config = one_endpoint(&origin, "rewrite_location = false");
    let ouli = Ouli::command("record").config(&config).start();
    let expected = format!("{}/a/b?c=d#e", origin.url());
    assert_eq!(ouli.client().get("/").header("location"), Some(&*expected));
}

#[test]
fn redirects_are_answers_like_any_other() {
    let origin = Origin::http1()
        .route("/from", |_| Reply::new(302).header("location", "/to"))
        .route("/to", |_| "never asked for");
    on_both_roads(&origin, |client| assert_eq!(client.get("/from").status, 302));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn configured_replacements_apply_to_answers_on_both_roads_and_not_to_the_recording() {
    let origin = Origin::http1().route("/", |_| {
        Reply::ok("x")
            .header("X-Upload-URL", "https://real.example/upload/17")
            .header("x-other", "https://real.example/")
    });
    let config = one_endpoint(
        &origin,
        "response_header_replacements = [{ header = \"x-upload-url\", \
         regex = \"https://real.example/(\\\\w+)\", replace = \"http://localhost:1/$1\" }]",
    );
    let recorder = Ouli::command("record").config(&config).start();
    let check = |answer: Response| {
        assert_eq!(answer.header("x-upload-url"), Some("http://localhost:1/upload/17"));
        assert_eq!(answer.header("x-other"), Some("https://real.example/"));
    };
    check(recorder.client().get("/"));
    recorder.terminate().expect_code(0);
    let kept = recorder.recordings().cassette_text("default");
    assert!(kept.contains("https://real.example/upload/17"), "recorded as received: {kept}");
    let replay = Ouli::command("replay").config(&config).recordings(&recorder.recordings()).start();
    check(replay.client().get("/"));
}

#[test]
fn the_health_path_is_answered_by_ouli_itself() {
    let origin = Origin::http1().route("/*", |_| "the origin's");
    let config = one_endpoint(&origin, "health = \"/healthz\"");
    let ouli = Ouli::command("record").config(&config).start();
    assert_eq!(ouli.client().get("/healthz").status, 200);
    assert_eq!(ouli.client().get("/healthz/deeper").text(), "the origin's");
    ouli.terminate().expect_code(0);
    assert_eq!(origin.requests().len(), 1);
    let kept = ouli.recordings().cassette_text("default");
    assert!(!kept.contains("/healthz\""), "{kept}");
    let replay = Ouli::command("replay").config(&config).recordings(&ouli.recordings()).start();
    assert_eq!(replay.client().get("/healthz").status, 200);
}

#[test]
fn the_links_of_early_hints_lead_to_ouli() {
    let origin = Origin::http1().script("/", |talk| {
        let host = talk.request().headers.get("host").unwrap_or_default().to_owned();
        talk.send(format!(
            "HTTP/1.1 103 Early Hints\r\nLink: <http://{host}/a.css>; rel=preload\r\n\r\n"
        ));
        talk.reply("x");
    });
    on_both_roads(&origin, |client| {
        let expected = format!("<http://{}/a.css>; rel=preload", client.address());
        assert_eq!(client.get("/").interim[0].1.get("link"), Some(&*expected));
    });
}
