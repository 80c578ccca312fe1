//! The two roads a request can take, and the same talk on both.

use super::client::Client;
use super::origin::Origin;
use super::ouli::Ouli;
use super::recordings::Recordings;

/// Runs the same talk through a recorder and then through a replay of what it kept. The replay
/// must not call the origin.
#[track_caller]
pub fn on_both_roads(origin: &Origin, talk: impl Fn(&mut Client)) -> Recordings {
    let recorder = Ouli::record(origin).start();
    talk(&mut recorder.client());
    recorder.terminate().expect_code(0);
    let called = origin.connections();

    let replay = Ouli::replay(recorder.recordings()).start();
    talk(&mut replay.client());
    replay.terminate().expect_code(0);
    assert_eq!(origin.connections(), called, "replay called the origin");
    recorder.recordings()
}

/// Records one talk with the default options and returns what was kept.
#[track_caller]
pub fn record(origin: &Origin, talk: impl Fn(&mut Client)) -> Recordings {
    let recorder = Ouli::record(origin).start();
    talk(&mut recorder.client());
    recorder.terminate().expect_code(0);
    recorder.recordings()
}

/// A configuration with one endpoint named `api` for this origin; `more` are lines of its table.
pub fn one_endpoint(origin: &Origin, more: &str) -> String {
    let port = origin.address().port();
    format!(
        "[[endpoints]]\nname = \"api\"\nsource_port = 0\ntarget_type = \"http\"\n\
         target_host = \"127.0.0.1\"\ntarget_port = {port}\n{more}\n"
    )
}
