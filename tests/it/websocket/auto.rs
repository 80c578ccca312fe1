//! `ouli auto`: what is recorded is replayed, and what isn't is relayed and recorded.

use super::{clients, exchange, say_all, script};
use crate::support::*;

#[test]
fn a_recorded_conversation_is_replayed_and_a_new_one_recorded() {
    let origin = Origin::http1().ws_echo("/*");
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/known");
        say_all(&mut talker, &["one", "two"]);
        talker.part(1000, "");
    });
    let before = origin.conversations();
    let auto = Ouli::auto(&origin).recordings(&recordings).start();
    let mut talker = auto.client().converse("/known");
    say_all(&mut talker, &["one", "two"]);
    talker.part(1000, "");
    assert_eq!(origin.conversations(), before, "the origin wasn't called");
    for client in clients(&auto) {
        let mut talker = client.converse("/new");
        say_all(&mut talker, &["three"]);
        talker.part(1000, "");
    }
    assert!(origin.conversations() > before, "the origin was called");
    auto.terminate().expect_code(0);
    let exchange = exchange(&recordings, 1);
    assert_eq!(script(&exchange), ["client: three", "origin: three"], "{exchange:#}");

    origin.stop();
    let replay = Ouli::replay(recordings).start();
    for (target, texts) in [("/known", &["one", "two"][..]), ("/new", &["three"])] {
        let mut talker = replay.client().converse(target);
        say_all(&mut talker, texts);
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);
}
