//! Large recordings, which are replayed from an index.

use std::fs;

use crate::support::*;

/// Indexes every cassette.
const INDEXED: &str = "index_over = 0";

const TARGETS: [&str; 6] = ["/small", "/large", "/chunked", "/gzip", "/moved", "/many?b=2&a=1"];

/// Answers of all kinds, each under its target.
fn origin() -> Origin {
    let text = "some text ".repeat(20_000);
    let pieces = ["one", "two", "three"].map(|piece| piece.as_bytes().to_vec());
    let gzip = coded("gzip", text.as_bytes());
    Origin::http1()
        .route("/small", |_| Reply::ok("{\"a\": 1}").header("content-type", "application/json"))
        .route("/large", move |_| Reply::ok(text.clone()))
        .route("/chunked", move |_| Reply::new(200).chunked(pieces.clone()))
        .route("/gzip", move |_| Reply::ok(gzip.clone()).header("content-encoding", "gzip"))
        .route("/moved", |_| Reply::new(302).header("location", "/small"))
        .route("/many", |n| Reply::ok(format!("answer {n}")))
}

fn recorded() -> Recordings {
    record(&origin(), |client| {
        TARGETS.iter().for_each(|target| drop(client.get(target)));
        client.get("/many?a=1&b=2");
    })
}

fn asked(ouli: &Ouli, protocol: Protocol) -> Vec<Response> {
    let mut client = ouli.client_over(protocol);
    let mut answers: Vec<_> = TARGETS.iter().map(|target| client.get(target)).collect();
    answers.extend(client.get_many("/many?b=2&a=1", 2));
    answers
}

fn index(recordings: &Recordings) -> std::path::PathBuf {
    recordings.path.join(".ouli/index/default.index")
}

#[test]
fn an_index_answers_as_memory_does() {
    let recordings = recorded();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let memory = Ouli::replay(recordings.clone()).start();
        assert!(!index(&recordings).exists(), "the cassette is small");
        let expected = asked(&memory, protocol);
        memory.terminate().expect_code(0);
        let indexed = Ouli::replay(recordings.clone()).limits(INDEXED).start();
        assert_eq!(asked(&indexed, protocol), expected, "{protocol:?}");
        indexed.terminate().expect_code(0);
        fs::remove_dir_all(recordings.path.join(".ouli/index")).unwrap();
    }
}

/// What is framed in the index is for those who ask as usual.
#[test]
fn an_index_answers_who_asks_otherwise_as_memory_does() {
    let rule = "response_header_replacements = [{ header = \"x-upload\", regex = \"real\", \
                replace = \"other\" }]";
    for (header, rule) in [("x-upload", rule), ("x-upload", ""), ("link", rule), ("link", "")] {
        let reply = move |_| Reply::ok("hello").header(header, "</real/17>");
        let origin = &Origin::http1().route("/", reply);
        let recorder = Ouli::command("record").config(&one_endpoint(origin, rule)).start();
        recorder.client().get("/");
        recorder.client().ask(&Ask::new("HEAD", "/"));
        recorder.terminate().expect_code(0);
        let recordings = recorder.recordings();
        let answers = |limits: &str| {
            let config = one_endpoint(origin, rule) + limits;
            let ouli = Ouli::command("replay").config(&config).recordings(&recordings).start();
            assert_eq!(index(&recordings).exists(), !limits.is_empty());
            let mut client = ouli.client();
            let closing = Ask::get("/").header("connection", "close");
            let elsewhere = Ask::get("/").authority("elsewhere.test");
            let asks = [Ask::get("/"), Ask::new("HEAD", "/"), closing, elsewhere, Ask::get("/")];
            let answers = asks.map(|ask| client.ask(&ask));
            let mut old = client.connect();
            old.send("GET / HTTP/1.0\r\n\r\n");
            let old = old.read_to_end();
            ouli.terminate().expect_code(0);
            (answers, old)
        };
        let expected = answers("");
        assert_eq!(answers(&format!("\n[limits]\n{INDEXED}\n")), expected, "{header}, {rule}");
        let is_replaced = expected.0[0].header(header) == Some("</other/17>");
        assert_eq!(is_replaced, header == "x-upload" && !rule.is_empty());
    }
}

/// Answers whose framing is out of the ordinary.
#[test]
fn an_index_answers_with_every_framing_as_memory_does() {
    let origin = Origin::http1()
        .route("/204", |_| Reply::new(204).header("x-a", "1"))
        .route("/304", |_| Reply::new(304).header("etag", "\"a\""))
        .route("/empty", |_| Reply::ok(""))
        .route("/trailers", |_| {
            Reply::new(200).header("trailer", "x-sum").chunked(["hello"]).trailer("x-sum", "9")
        })
        .route("/interim", |_| Reply::ok("hello").after_interim(103, "link", "</a.css>"))
        .route("/elsewhere", |_| Reply::ok("hello").header("alt-svc", "h3=\":443\""))
        .route("/moved", |_| Reply::new(307).header("location", "http://origin.test/a"))
        .route("/cut", |_| Reply::ok("hello").cut(0))
        .route("/old", |_| Reply::ok("").until_close("hello"));
    let targets =
        ["/204", "/304", "/empty", "/trailers", "/interim", "/elsewhere", "/moved", "/cut", "/old"];
    for rule in ["", "rewrite_location = false"] {
        let recorder = Ouli::command("record").config(&one_endpoint(&origin, rule)).start();
        for method in ["GET", "HEAD"] {
            for target in targets {
                let _ = recorder.client().try_ask(&Ask::new(method, target));
            }
        }
        recorder.terminate().expect_code(0);
        let recordings = recorder.recordings();
        let answers = |limits: &str, protocol| {
            let config = one_endpoint(&origin, rule) + limits;
            let ouli = Ouli::command("replay").config(&config).recordings(&recordings).start();
            assert_eq!(index(&recordings).exists(), !limits.is_empty());
            // Twice: what is made ready for the first is given to the second.
            let asks = targets.iter().chain(&targets).flat_map(|target| {
                let get = Ask::get(*target);
                [get.clone(), get.header("ouli-pace", "100x"), Ask::new("HEAD", *target)]
            });
            let answers: Vec<_> =
                asks.map(|ask| format!("{:?}", ouli.client_over(protocol).try_ask(&ask))).collect();
            ouli.terminate().expect_code(0);
            answers
        };
        for protocol in [Protocol::Http1, Protocol::H2c] {
            let expected = answers("", protocol);
            let got = answers(&format!("\n[limits]\n{INDEXED}\n"), protocol);
            assert_eq!(got, expected, "{rule}, {protocol:?}");
            fs::remove_dir_all(recordings.path.join(".ouli/index")).unwrap();
        }
    }
}

#[test]
fn an_index_is_made_before_ready_and_once_and_may_be_deleted() {
    let recordings = recorded();
    let start = || {
        let ouli = Ouli::replay(recordings.clone()).limits(INDEXED).start();
        assert!(index(&recordings).exists(), "it is made before `ready`");
        assert_eq!(ouli.client().get("/small").body, b"{\"a\": 1}");
        ouli.terminate().expect_code(0).stderr.clone()
    };
    let made = "is large: it gets an index, once";
    assert!(start().contains(made));
    assert!(!start().contains(made), "it is there");
    fs::remove_file(index(&recordings)).unwrap();
    assert!(start().contains(made), "it was deleted");
    recordings.edit("default", |text| text.replace("answer", "edited"));
    assert!(start().contains(made), "the cassette has changed");
    let ouli = Ouli::replay(recordings.clone()).limits(INDEXED).start();
    assert!(ouli.client().get("/many?a=1&b=2").body.starts_with(b"edited"));
}

#[test]
fn a_damaged_answer_is_never_sent() {
    let recordings = recorded();
    Ouli::replay(recordings.clone()).limits(INDEXED).start().terminate().expect_code(0);
    let mut bytes = fs::read(index(&recordings)).unwrap();
    let at = memchr::memmem::find(&bytes, b"onetwothree").unwrap();
    bytes[at] ^= 1;
    fs::write(index(&recordings), bytes).unwrap();
    let ouli = Ouli::replay(recordings.clone()).limits(INDEXED).start();
    let mut client = ouli.client();
    let answer = client.get("/chunked");
    assert_eq!((answer.status, answer.header("ouli-fault")), (500, Some("bad-cassette")));
    assert_eq!(client.get("/small").body, b"{\"a\": 1}");
    let told = ["it is damaged; it has been removed: start again"];
    ouli.terminate().expect_code(1).expect_said(&told);
    let again = Ouli::replay(recordings).limits(INDEXED).start();
    assert_eq!(again.client().get("/chunked").body, b"onetwothree");
    again.terminate().expect_code(0);
}

#[test]
fn a_miss_and_what_is_left_are_told_from_an_index_too() {
    let ouli = Ouli::replay(recorded()).limits(INDEXED).option("--strict").start();
    let miss = ouli.client().get("/many?a=1&b=3").text().to_owned();
    assert!(miss.contains("GET /many?b=2&a=1") && miss.contains("query parameter `b`"), "{miss}");
    let said = ["default: unused: GET /small", "default: unused: GET /many?a=1&b=2"];
    ouli.terminate().expect_code(3).expect_said(&said);
}

#[test]
fn auto_answers_from_an_index_and_records_what_is_not_in_it() {
    let origin = origin().route("/new", |_| Reply::ok("new"));
    let recordings = record(&origin, |client| drop(client.get("/small")));
    let hits = origin.requests().len();
    let ouli = Ouli::auto(&origin).recordings(&recordings).limits(INDEXED).start();
    let mut client = ouli.client();
    assert_eq!(client.get("/small").body, b"{\"a\": 1}");
    assert_eq!(client.get("/new").body, b"new");
    ouli.terminate().expect_code(0);
    assert_eq!(origin.requests().len(), hits + 1);
    let replay = Ouli::replay(recordings).limits(INDEXED).start();
    assert_eq!(replay.client().get("/new").body, b"new");
}

/// By default a cassette of 64 MiB is where it begins.
#[test]
fn a_large_cassette_takes_little_memory() {
    const COUNT: usize = 2200;
    let origin = Origin::http1().route("/n/0", |_| Reply::ok("x".repeat(32 << 10)));
    let recordings = record(&origin, |client| drop(client.get("/n/0")));
    recordings.edit("default", |text| {
        let begin = text.find("\"exchanges\": [").unwrap() + "\"exchanges\": [".len();
        let end = text.rfind(']').unwrap();
        let exchange = text[begin..end].trim_end();
        let all: Vec<_> =
            (0..COUNT).map(|n| exchange.replace("/n/0", &format!("/n/{n}"))).collect();
        format!("{}{}\n  {}", &text[..begin], all.join(","), &text[end..])
    });
    let ouli = Ouli::replay(recordings.clone()).start();
    let mut client = ouli.client();
    for n in (0..COUNT).step_by(100) {
        assert_eq!(client.get(&format!("/n/{n}")).body.len(), 32 << 10);
    }
    assert!(index(&recordings).exists(), "{}", ouli.stderr());
    let anonymous = ouli.memory_kib("RssAnon");
    assert!(anonymous < 24 << 10, "{anonymous} KiB for a cassette of 70 MiB");
}
