//! `ouli demo`: the whole story in one command.

use std::time::Duration;

use crate::support::*;

#[test]
fn the_demo_compares_every_answer_and_leaves_nothing_behind() {
    let ouli = Ouli::command("demo").spawn();
    let ended = ouli.wait();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(20), "{ended:?}");
    let shown = format!("{}{}", ended.stdout, ended.stderr).to_lowercase();
    for part in ["json", "sse", "record", "replay"] {
        assert!(shown.contains(part), "the table lacks `{part}`: {ended:?}");
    }
    let left: Vec<_> = std::fs::read_dir(ouli.folder()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn two_demos_at_once_do_not_meet() {
    let demos: Vec<_> = (0..2).map(|_| Ouli::command("demo").spawn()).collect();
    for demo in demos {
        demo.wait().expect_code(0);
    }
}
