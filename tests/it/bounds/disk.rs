//! Large bodies are written once: a seal gives them their name, and equal ones are one file.

use std::os::unix::fs::MetadataExt;

use super::*;

/// Files with these ends, by inode.
fn inodes(recordings: &Recordings, is_one: impl Fn(&str) -> bool) -> Vec<(u64, u64)> {
    let files = recordings.files().into_iter().filter(|file| is_one(file));
    let metadata = files.map(|file| std::fs::metadata(recordings.path.join(file)).unwrap());
    let mut found: Vec<_> = metadata.map(|file| (file.ino(), file.len())).collect();
    found.sort_unstable();
    found
}

/// Bytes that the system wrote to files for the program so far.
fn written_bytes(ouli: &Ouli) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", ouli.pid())).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn a_seal_names_a_large_body_and_never_copies_it() {
    let body = large();
    let (down, up) = (body.clone(), body[1..].to_vec());
    let origin = Origin::http1()
        .route("/down", move |_| down.clone())
        .on("/up", |request| request.body.len().to_string());
    let ouli = Ouli::record(&origin).option("-q").start();
    let recordings = ouli.recordings();
    ouli.client().get("/down");
    ouli.client().post("/up", up);
    let before = inodes(&recordings, |file| file.ends_with(".body"));
    assert_eq!(before.len(), 2, "{:?}", recordings.files());
    ouli.terminate().expect_code(0);
    let after = inodes(&recordings, |file| file.starts_with("bodies/"));
    assert_eq!(after, before, "the same files, under other names");
}

#[test]
fn equal_bodies_are_one_file_however_often_they_came() {
    let body = large();
    let sent = body.clone();
    let origin = Origin::http1()
        .route("/one", move |_| sent.clone())
        .on("/two", |request| request.body.clone());
    let ouli = Ouli::record(&origin).option("-q").start();
    let before = written_bytes(&ouli);
    assert!(ouli.client().get("/one").body == body);
    assert!(ouli.client().post("/two", body.clone()).body == body);
    let recordings = ouli.recordings();
    let waiting = inodes(&recordings, |file| file.ends_with(".body"));
    assert_eq!(waiting.len(), 3, "each is written once as it comes");
    // To the socket and to the file, of each; and what says so.
    let written = written_bytes(&ouli) - before;
    assert!(written < 7 * LARGE as u64, "{written} bytes written");
    ouli.terminate().expect_code(0);
    let named = inodes(&recordings, |file| file.starts_with("bodies/"));
    assert_eq!(named.len(), 1, "{:?}", recordings.files());
    assert!(waiting.contains(&named[0]), "one of those that came, and no copy");
}
