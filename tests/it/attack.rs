//! What hostile or broken files, origins and clients must not be able to do.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::{Ask, Origin, Ouli, Recordings, Reply, coded, record};

#[test]
fn a_cassette_that_cannot_be_placed_keeps_no_other_from_its_place() {
    let origin = Origin::http1().route("/a", |_| "ok");
    let ouli = Ouli::record(&origin).start();
    fs::write(ouli.recordings().join("README"), "a person's own file").unwrap();
    let mut client = ouli.client();
    for session in ["first", "README/x", "last"] {
        client.ask(&Ask::get("/a").session(session));
    }
    let finished = ouli.terminate();
    finished.expect_code(1).expect_said(&["README"]);
    let recordings = ouli.recordings();
    for session in ["first", "last"] {
        assert_eq!(recordings.cassette(session)["exchanges"].as_array().unwrap().len(), 1);
    }

    // Once the place is free, the next command finishes the rest.
    fs::remove_file(recordings.join("README")).unwrap();
    Ouli::replay(recordings.clone()).start().terminate().expect_code(0);
    assert_eq!(recordings.cassette("README/x")["exchanges"].as_array().unwrap().len(), 1);
    assert_eq!(recordings.unsealed(), [""; 0]);
}

#[test]
fn a_tape_that_is_garbage_is_not_dropped_without_a_word() {
    let origin = Origin::http1().route("/a", |_| "ok");
    let ouli = Ouli::record(&origin).start();
    ouli.client().get("/a");
    ouli.kill();
    let recordings = ouli.recordings();
    for tape in recordings.unsealed() {
        fs::write(recordings.join(tape), [b'?'; 3000]).unwrap();
    }
    let finished = Ouli::replay(recordings).start().terminate();
    finished.expect_code(0).expect_said(&["tape", "3000 bytes"]);
}

#[test]
fn a_small_coded_answer_does_not_fill_the_disk() {
    let bomb = coded("gzip", &vec![0; 100 << 20]);
    let len = bomb.len() as u64;
    assert!((64 << 10..1 << 20).contains(&len), "{len}");
    let reply = Reply::ok(bomb.clone()).header("content-encoding", "gzip");
    let origin = Origin::http1().route("/bomb", move |_| reply.clone());
    let recordings = record(&origin, |client| {
        let answer = client.get("/bomb");
        assert!(answer.body == bomb, "{answer:?}");
    });
    assert!(size(&recordings) < 4 * len, "{:?}", recordings.files());
    let ouli = Ouli::replay(recordings).start();
    assert_eq!(ouli.client().get("/bomb").body, bomb);
}

fn size(recordings: &Recordings) -> u64 {
    recordings.files().iter().map(|file| fs::metadata(recordings.join(file)).unwrap().size()).sum()
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_does_not_stop_the_work() {
    let origin = Origin::http1().route("/a", |_| "ok");
    let ouli = Ouli::record(&origin).option("-vv").after("exec 2>/dev/full").start();
    assert_eq!(ouli.client().get("/a").text(), "ok");
    ouli.terminate().expect_code(0);
    assert_eq!(ouli.recordings().cassette("default")["exchanges"].as_array().unwrap().len(), 1);

    Ouli::command("replay --no-such-option").after("exec 2>/dev/full").run().expect_code(2);
    Ouli::command("--help").after("exec >/dev/full").run().expect_code(0);
}
