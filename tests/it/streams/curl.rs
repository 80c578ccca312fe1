//! curl's uploads, ranges and compressed answers: the same while Ouli records and, with the origin
//! gone, while it replays.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::*;

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// What curl prints on stdout: what came, then status, version, and how much went up and came down.
#[track_caller]
fn curl(arguments: &[&str], url: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out"]);
    command.arg("\n%{http_code} %{http_version} %{size_upload}\n");
    let output = command.args(arguments).arg(url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What curl prints in every case, over HTTP/1.1 and over HTTP/2.
#[track_caller]
fn in_both_versions(ouli: &Ouli, cases: &[(&[&str], &str)]) -> Vec<String> {
    let run = |version: &'static str| {
        cases.iter().map(move |(arguments, path)| {
            let arguments = [&[version], *arguments].concat();
            curl(&arguments, &format!("http://{}{path}", ouli.address()))
        })
    };
    ["--http1.1", "--http2-prior-knowledge"].into_iter().flat_map(run).collect()
}

/// Runs curl against a recorder, and against a replay in which everything must be used once.
#[track_caller]
fn same_again(origin: &Origin, cases: &[(&[&str], &str)]) -> Vec<String> {
    let recorder = Ouli::record(origin).start();
    let recorded = in_both_versions(&recorder, cases);
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    assert_eq!(in_both_versions(&replay, cases), recorded);
    replay.terminate().expect_code(0);
    recorded
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file of two and a half MiB: over a MiB curl asks to be told to go on.
fn write_large(folder: &Path) -> (String, String) {
    let bytes: Vec<u8> = (0..5 << 19).map(|n: u32| (n.wrapping_mul(40_503) >> 11) as u8).collect();
    let path = folder.join("large.bin");
    std::fs::write(&path, &bytes).unwrap();
    (path.display().to_string(), sha256_hex(&bytes))
}

#[test]
fn curl_uploads_files_forms_and_data() {
    if !has_tool("curl") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (file, digest) = write_large(folder.path());
    let origin = Origin::http1()
        .on("/form", |request| {
            // curl makes up another boundary each time.
            let kind = request.headers.get("content-type").unwrap_or_default();
            assert!(kind.starts_with("multipart/form-data; boundary="), "{kind}");
            request.body.len().to_string()
        })
        .on("/*", |request| format!("{} {}", request.method, sha256_hex(&request.body)));
    let (data, part) = (format!("@{file}"), format!("file=@{file}"));
    let expect = ["-H", "expect: 100-continue"];
    let cases: [(&[&str], &str); 6] = [
        (&["-T", &file], "/file"),
        (&["-T", &file, "-H", "transfer-encoding: chunked"], "/chunks"),
        (&["--data-binary", &data], "/data"),
        (&["--data-binary", "small", expect[0], expect[1]], "/expecting"),
        (&["-F", "title=holiday", "-F", &part], "/form"),
        (&["-F", "title=holiday", "-F", &part, expect[0], expect[1]], "/form"),
    ];
    let seen = same_again(&origin, &cases);
    for (seen, start) in seen.chunks(cases.len()).zip([" 1.1", " 2"]) {
        assert!(seen[0].starts_with(&format!("PUT {digest}\n200{start}")), "{seen:?}");
        assert!(seen[1].starts_with(&format!("PUT {digest}\n200{start}")), "{seen:?}");
        assert!(seen[2].starts_with(&format!("POST {digest}\n200{start}")), "{seen:?}");
        assert!(seen[3].starts_with(&format!("POST {}\n200", sha256_hex(b"small"))), "{seen:?}");
        assert!(seen[4..].iter().all(|seen| seen.contains("\n200")), "{seen:?}");
    }
}

#[test]
fn curl_gets_its_401_without_sending_its_file() {
    if !has_tool("curl") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (file, _) = write_large(folder.path());
    let origin = Origin::http1().script("/file", |talk| {
        talk.reply(Reply::new(401).header("connection", "close").body("who are you?"));
    });
    // Over HTTP/2 it doesn't wait.
    let arguments = ["-T", &file, "-H", "expect: 100-continue", "--http1.1"];
    let seen = same_again(&origin, &[(&arguments, "/file")]);
    assert!(seen.iter().all(|seen| seen == "who are you?\n401 1.1 0\n"), "{seen:?}");
}

/// Answers what a Range asks for, of a text of a thousand bytes.
fn ranges() -> Origin {
    let text: String = (0..100).map(|n| format!("line {n:4}\n")).collect();
    Origin::http1().on("/text", move |request| {
        let Some(range) = request.headers.get("range") else { return Reply::ok(text.clone()) };
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let len = text.len();
        let (start, end) = match (start.parse::<usize>(), end.parse::<usize>()) {
            (Ok(start), Ok(end)) => (start, end + 1),
            (Ok(start), Err(_)) => (start, len),
            (Err(_), end) => (len - end.unwrap(), len),
        };
        let reply = Reply::new(206).body(&text.as_bytes()[start..end]);
        reply.header("content-range", &format!("bytes {start}-{}/{len}", end - 1))
    })
}

#[test]
fn curl_gets_the_ranges_it_asks_for() {
    if !has_tool("curl") {
        return;
    }
    let cases: [(&[&str], &str); 4] = [
        (&["-r", "0-9"], "/text"),
        (&["-r", "990-"], "/text"),
        (&["-r", "-20"], "/text"),
        (&[], "/text"),
    ];
    let seen = same_again(&ranges(), &cases);
    assert!(seen[0].starts_with("line    0\n\n206"), "{seen:?}");
    assert!(seen[1].starts_with("line   99\n\n206"), "{seen:?}");
    assert!(seen[2].starts_with("line   98\nline   99\n\n206"), "{seen:?}");
    assert!(seen[3].ends_with("line   99\n\n200 1.1 0\n"), "{seen:?}");
}

#[test]
fn curl_decodes_compressed_answers() {
    if !has_tool("curl") {
        return;
    }
    let version = Command::new("curl").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let knows = |coding: &&str| match *coding {
        "br" => version.contains(" brotli"),
        "zstd" => version.contains(" zstd"),
        _ => version.contains(" libz"),
    };
    let (known, unknown): (Vec<_>, Vec<_>) = CODINGS.into_iter().partition(knows);
    unknown.iter().for_each(|coding| eprintln!("SKIPPED: this `curl` can't decode {coding}"));
    let text = "words that are worth their compression; ".repeat(500);
    let stream = ["one\n", "two\n", "three\n"];
    let plain = text.clone();
    let origin = Origin::http1()
        .on("/whole/*", move |request| {
            let coding = request.path().rsplit('/').next().unwrap();
            Reply::ok(coded(coding, plain.as_bytes())).header("content-encoding", coding)
        })
        .on("/stream/*", move |request| {
            let coding = request.path().rsplit('/').next().unwrap();
            let reply = Reply::new(200).header("content-type", "text/event-stream");
            reply.header("content-encoding", coding).chunked(coded_parts(coding, &stream))
        });
    let paths: Vec<_> = ["whole", "stream"]
        .iter()
        .flat_map(|kind| known.iter().map(move |c| format!("/{kind}/{c}")))
        .collect();
    let cases: Vec<(&[&str], &str)> =
        paths.iter().map(|path| (&["--compressed"][..], path.as_str())).collect();
    let seen = same_again(&origin, &cases);
    for seen in seen.chunks(cases.len()) {
        let (whole, streams) = seen.split_at(known.len());
        assert!(whole.iter().all(|seen| seen.starts_with(&format!("{text}\n200"))), "{whole:?}");
        assert!(streams.iter().all(|s| s.starts_with("one\ntwo\nthree\n\n200")), "{streams:?}");
    }
}
