//! `seal_timeout`: a seal that can't come to its end loses nothing.

use std::fs::File;
use std::time::Duration;

use crate::support::*;

#[test]
fn a_seal_that_takes_too_long_ends_the_run_and_keeps_its_tapes() {
    let origin = Origin::http1().route("/n", |n| n.to_string());
    let ouli = Ouli::record(&origin).limits("seal_timeout = \"300ms\"").start();
    assert_eq!(ouli.client().get("/n").text(), "1");
    // Whoever seals takes turns through this file: as long as it is held, nobody can.
    let turn = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(ouli.recordings().path.join(".ouli/recovery.lock"))
        .unwrap();
    turn.lock().unwrap();
    let ended = ouli.terminate();
    ended.expect_code(1).expect_said(&["300ms", "tapes"]);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    drop(turn);

    let replay = Ouli::replay(ouli.recordings()).start();
    assert_eq!(replay.client().get("/n").text(), "1", "recovered at the next run");
}
