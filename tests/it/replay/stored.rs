//! Answers that lie in a file of their own, given right from it.

use std::time::Duration;

use crate::support::*;

const LARGE: usize = 5 << 20;

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8 | 0x80).collect()
}

/// The answer to `/` of this reply, recorded.
fn recorded(reply: Reply) -> Recordings {
    let origin = Origin::http1().route("/", move |_| reply.clone());
    record(&origin, |client| drop(client.get("/")))
}

fn body_file(recordings: &Recordings) -> std::path::PathBuf {
    let files = recordings.files();
    recordings.path.join(files.iter().find(|file| file.starts_with("bodies/")).unwrap())
}

/// What the kernel was asked to send, from which descriptor's file; `None` where strace can't.
fn traced(recordings: Recordings, asked: impl FnOnce(&Ouli)) -> Option<String> {
    if !has_tool("strace") {
        return None;
    }
    let trace = tempfile::NamedTempFile::new().unwrap();
    let path = trace.path().display().to_string();
    let setup = Ouli::replay(recordings).config("workers = 1\n");
    let ouli = setup.under(&["strace", "-D", "-f", "-e", "trace=sendfile", "-o", &path]).spawn();
    wait_until("it is ready, or strace isn't allowed to trace", || {
        ouli.stdout().contains("ready") || ouli.has_exited()
    });
    if ouli.has_exited() {
        eprintln!("SKIPPED: strace may not trace here: {}", ouli.stderr());
        return None;
    }
    asked(&ouli);
    ouli.terminate().expect_code(0);
    Some(std::fs::read_to_string(trace.path()).unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_goes_to_the_socket_without_passing_through_the_program() {
    let sent = body(LARGE);
    let expected = sent.clone();
    let Some(trace) = traced(recorded(Reply::ok(sent)), |ouli| {
        let mut client = ouli.client();
        assert!(client.get("/").body == expected, "the bytes");
        assert!(client.get("/").body == expected, "the bytes, on the same connection");
    }) else {
        return;
    };
    let sizes = trace.lines().filter_map(|line| line.rsplit_once("= ")?.1.parse::<usize>().ok());
    let total: usize = sizes.sum();
    // All but what left with the head, twice.
    assert!(total > 2 * (LARGE - (128 << 10)) && total < 2 * LARGE, "{total} in {trace}");
}

#[test]
#[cfg(target_os = "linux")]
fn chunks_and_codings_are_put_on_by_the_program() {
    let plain = body(LARGE);
    let coded = Reply::ok(coded("gzip", &plain)).header("content-encoding", "gzip");
    let chunked = Reply::new(200).chunked(plain.chunks(1 << 20).map(<[u8]>::to_vec));
    for (reply, coding) in [(coded, Some("gzip")), (chunked, None)] {
        let Some(trace) = traced(recorded(reply), |ouli| {
            let answer = ouli.client().get("/").body;
            let answer = coding.map_or(answer.clone(), |coding| decoded(coding, &answer));
            assert!(answer == plain, "{coding:?}");
        }) else {
            return;
        };
        assert!(!trace.contains("sendfile("), "{trace}");
    }
}

#[test]
fn a_client_that_takes_nothing_of_a_file_is_left_after_stall_timeout() {
    let recordings = recorded(Reply::ok(body(4 * LARGE)));
    let replay = Ouli::replay(recordings).limits("stall_timeout = \"300ms\"").start();
    let mut connection = replay.client().connect();
    connection.ask(&Ask::get("/"));
    connection.receive_head();
    std::thread::sleep(Duration::from_secs(1)); // Nothing is read in this time.
    let (rest, ending) = connection.read_to_end();
    assert!(rest.len() < 4 * LARGE, "{} bytes came, and then {ending:?}", rest.len());
}

/// A replay whose answer of `4 * LARGE` bytes has begun when its file gets that length.
fn resized_under_way(len: usize) -> (Ouli, Connection) {
    let recordings = recorded(Reply::ok(body(4 * LARGE)));
    let replay = Ouli::replay(recordings.clone()).start();
    let mut connection = replay.client().connect();
    connection.ask(&Ask::get("/"));
    connection.receive_head();
    let file = std::fs::OpenOptions::new().write(true).open(body_file(&recordings)).unwrap();
    file.set_len(len as u64).unwrap();
    (replay, connection)
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_cuts_its_answer_and_says_why() {
    let (replay, mut connection) = resized_under_way(3 * LARGE);
    let (rest, _) = connection.read_to_end();
    assert_eq!(rest.len(), 3 * LARGE, "what there was, and no byte behind it");
    wait_until("it is told", || replay.stderr().contains("its last 5242880 bytes are gone"));
}

#[test]
fn a_file_that_grows_while_it_is_sent_gives_no_byte_more_than_was_promised() {
    let (_replay, mut connection) = resized_under_way(5 * LARGE);
    assert!(connection.read_exactly(4 * LARGE) == body(4 * LARGE));
    // The connection goes on where the body ended.
    connection.ask(&Ask::get("/unknown"));
    assert_eq!(connection.receive().status, 501);
}
