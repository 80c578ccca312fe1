//! Secrets never reach the disk, the log or a miss; the live traffic is not altered.

use crate::support::*;

const SECRET: &str = "s3cr3t-d0nt-k33p";

fn request_fields() -> Vec<(&'static str, String)> {
    vec![
        ("Authorization", format!("Bearer {SECRET}")),
        ("Proxy-Authorization", format!("Basic {SECRET}")),
        ("cookie", format!("sid={SECRET}; theme=dark{SECRET}")),
        ("X-Api-Key", SECRET.to_owned()),
        ("api-key", SECRET.to_owned()),
        ("x-goog-api-key", SECRET.to_owned()),
    ]
}

const QUERY_KEYS: [&str; 9] = [
    "key",
    "api_key",
    "access_token",
    "token",
    "sig",
    "signature",
    "x-amz-signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
];

/// A request with a secret wherever one may stand.
fn ask_with(secret: &str) -> Ask {
    let query: Vec<_> = QUERY_KEYS.iter().map(|key| format!("{key}={secret}")).collect();
    let ask = Ask::get(format!("/a?plain=1&{}", query.join("&")));
    let fields = request_fields().into_iter();
    fields.fold(ask, |ask, (name, value)| ask.header(name, &value.replace(SECRET, secret)))
}

fn origin() -> Origin {
    Origin::http1().route("/a", |_| {
        Reply::ok("fine").header("Set-Cookie", &format!("sid={SECRET}; Path=/; HttpOnly"))
    })
}

#[test]
fn secrets_stand_nowhere_at_any_time_and_the_live_traffic_is_whole() {
    let origin = origin();
    let ouli = Ouli::record(&origin).option("-v").start();
    let answer = ouli.client().ask(&ask_with(SECRET));
    assert_eq!(answer.header("set-cookie"), Some(&*format!("sid={SECRET}; Path=/; HttpOnly")));
    let request = origin.request("/a");
    for (name, value) in request_fields() {
        if name != "Proxy-Authorization" {
            assert_eq!(request.headers.get(name), Some(&*value));
        }
    }
    assert_eq!(request.target.matches(SECRET).count(), QUERY_KEYS.len());

    let recordings = ouli.recordings();
    assert!(!recordings.unsealed().is_empty(), "a tape is there");
    assert_eq!(recordings.files_with(SECRET), Vec::<String>::new(), "in the tape");
    let ended = ouli.terminate();
    assert_eq!(recordings.files_with(SECRET), Vec::<String>::new(), "in the cassette");
    ended.expect_unsaid(&[SECRET]);
}

#[test]
fn what_is_no_secret_is_kept() {
    let origin = origin();
    let recordings = record(&origin, |client| drop(client.ask(&ask_with(SECRET))));
    let kept = recordings.cassette_text("default");
    for part in ["Bearer REDACTED", "sid=REDACTED", "theme=REDACTED", "Path=/; HttpOnly", "plain=1"]
    {
        assert!(kept.contains(part), "`{part}` isn't kept: {kept}");
    }
}

#[test]
fn a_killed_recorder_leaves_no_secret_either() {
    let origin = origin();
    let ouli = Ouli::record(&origin).start();
    ouli.client().ask(&ask_with(SECRET));
    ouli.kill();
    assert_eq!(ouli.recordings().files_with(SECRET), Vec::<String>::new());
    let replay = Ouli::replay(ouli.recordings()).start();
    assert_eq!(replay.client().ask(&ask_with(SECRET)).text(), "fine");
    assert_eq!(ouli.recordings().files_with(SECRET), Vec::<String>::new());
}

#[test]
fn another_secret_matches_the_same_recording() {
    let origin = origin();
    let recordings = record(&origin, |client| drop(client.ask(&ask_with(SECRET))));
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().ask(&ask_with("another-one")).text(), "fine");
}

#[test]
fn a_miss_shows_no_secret() {
    let origin = origin();
    let recordings = record(&origin, |client| drop(client.ask(&ask_with(SECRET))));
    let replay = Ouli::replay(recordings).option("-v").start();
    let mut ask = ask_with(SECRET);
    ask.target = ask.target.replace("plain=1", "plain=2");
    let answer = replay.client().ask(&ask);
    let problem = answer.problem(501, "miss");
    assert!(!problem.contains(SECRET), "{problem}");
    assert!(problem.contains("plain"), "and still says what differs: {problem}");
    replay.terminate().expect_unsaid(&[SECRET]);
}

#[test]
fn configured_headers_are_redacted_too() {
    let origin = Origin::http1().route("/", |_| "x");
    let config = one_endpoint(&origin, "redact_request_headers = [\"X-Mine\"]");
    let ouli = Ouli::command("record").config(&config).start();
    ouli.client().ask(&Ask::get("/").header("x-mine", SECRET).header("x-other", "kept"));
    assert_eq!(origin.request("/").headers.get("x-mine"), Some(SECRET));
    ouli.terminate().expect_code(0);
    assert_eq!(ouli.recordings().files_with(SECRET), Vec::<String>::new());
    assert_eq!(ouli.recordings().files_with("kept").len(), 1);
}

#[test]
fn query_keys_are_known_however_they_are_written() {
    let origin = Origin::http1().route("/*", |_| "x");
    let ouli = Ouli::record(&origin).start();
    let targets = ["/?API_KEY=S", "/?api%5Fkey=S", "/?a=b&%6Bey=S", "/?Key=S&key=S", "/?a;token=S"];
    for target in &targets[..4] {
        ouli.client().get(&target.replace('S', SECRET));
    }
    ouli.terminate().expect_code(0);
    assert_eq!(ouli.recordings().files_with(SECRET), Vec::<String>::new());
}

#[test]
fn an_absolute_target_keeps_no_secret() {
    let origin = Origin::http1().route("/*", |_| "x");
    let ouli = Ouli::record(&origin).option("-v").start();
    ouli.client().get(&format!("{}/a?key={SECRET}", origin.url()));
    ouli.terminate().expect_code(0).expect_unsaid(&[SECRET]);
    assert_eq!(ouli.recordings().files_with(SECRET), Vec::<String>::new());
}

#[test]
fn trailers_keep_no_secret() {
    let origin = Origin::http1().route("/", |_| {
        Reply::new(200).chunked(["x"]).trailer("Set-Cookie", &format!("a={SECRET}"))
    });
    let ouli = Ouli::record(&origin).start();
    let ask = Ask::new("POST", "/").header("te", "trailers").chunked(["x"]);
    ouli.client().ask(&ask.trailer("Authorization", &format!("Bearer {SECRET}")));
    ouli.terminate().expect_code(0);
    assert_eq!(ouli.recordings().files_with(SECRET), Vec::<String>::new());
}

#[test]
fn only_the_owner_may_read_what_is_recorded() {
    let origin = Origin::http1().route("/small", |_| "x").route("/large", |_| vec![0xff; 200_000]);
    let ouli = Ouli::record(&origin).after("umask 000").start();
    let talk = |session: &str| {
        for path in ["/small", "/large"] {
            ouli.client().ask(&Ask::get(path).session(session));
        }
    };
    talk("default");
    talk("folder/deep");
    let check = || {
        let recordings = ouli.recordings();
        for (path, is_folder, mode) in recordings.modes() {
            let expected = if is_folder { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{}: {mode:o}", path.display());
        }
    };
    check();
    ouli.terminate().expect_code(0);
    check();
}
