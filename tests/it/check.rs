//! `ouli check`: what it looks through, where it says what it finds, and its exit codes.

use std::fs;

use crate::support::*;

/// A recorded session with a body in a file of its own, in a folder of sessions.
fn recorded() -> (Origin, Recordings) {
    let origin = Origin::http1().route("/big", |_| vec![0xFE; 100_000]).route("/", |_| "x");
    let recordings = record(&origin, |client| {
        client.ask(&Ask::get("/big").session("deep/big"));
        client.get("/");
    });
    (origin, recordings)
}

#[test]
fn what_ouli_recorded_is_fine_and_only_stderr_says_so() {
    let (_origin, recordings) = recorded();
    let project = recordings.path.parent().unwrap();
    for asked in ["recordings", "recordings/deep", "recordings/deep/big.json"] {
        let path = project.join(asked);
        let ended = Ouli::command(&format!("check {}", path.display())).run();
        ended.expect_code(0).expect_said(&["no faults"]).expect_unsaid(&["error"]);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_missing_body_file_is_found() {
    let (_origin, recordings) = recorded();
    fs::remove_dir_all(recordings.path.join("bodies")).unwrap();
    let ended = Ouli::command(&format!("check {}", recordings.path.display())).run();
    ended.expect_code(1).expect_said(&["deep/big.json", "line ", "bodies/", "is missing"]);
    ended.expect_said(&["2 cassettes: 1 faulty"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_bare_check_looks_through_the_configuration_and_all_its_recordings() {
    let origin = Origin::http1();
    let config = format!("recording_dir = \"kept\"\n{}", one_endpoint(&origin, ""));
    let checked = |broken: &str, config: &str| {
        let script = format!("mkdir kept && printf '{broken}' > kept/a.json");
        Ouli::command("check").config(config).after(&script).run()
    };
    checked("oops", &config).expect_code(1).expect_said(&["kept/a.json", "line 1, column 1"]);
    let ended = checked("oops", &format!("{config}\nno_such_key = 1\n"));
    ended.expect_code(2).expect_said(&["ouli.toml", "no_such_key", "kept/a.json"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_bare_check_takes_the_usual_folder_where_no_configuration_is() {
    let found = Ouli::command("check").after("mkdir recordings").run();
    found.expect_code(0).expect_said(&["no cassettes"]);
    Ouli::command("check").run().expect_code(2).expect_said(&["nothing to check", "hint"]);
}
