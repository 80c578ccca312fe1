//! Which recorded conversation answers: told by what the client says, as late as can be.

use std::thread;

use super::say_all;
use crate::support::ws::{Said, Talker, hold};
use crate::support::*;

/// Numbers its conversations in its last answer, so that it shows whose recording answers.
fn counting() -> Origin {
    Origin::http1().ws("/", |talk| {
        let nth = talk.nth();
        let mut talker = talk.accept();
        while let Ok(said) = talker.next() {
            match said {
                Said::Text(text) if text == "which" => talker.say(&format!("the {nth}.")),
                Said::Text(text) => talker.say(&format!("re: {text}")),
                _ => talker.close(1000, ""),
            };
        }
    })
}

#[track_caller]
fn talk_through(talker: &mut Talker<'_>, texts: &[&str]) {
    texts.iter().for_each(|text| talker.ask(text, &format!("re: {text}")));
}

const TALKS: [[&str; 2]; 3] = [["hello", "left"], ["hello", "right"], ["good day", "left"]];

#[track_caller]
fn recorded() -> Recordings {
    record(&counting(), |client| {
        for (n, talk) in TALKS.iter().enumerate() {
            let mut talker = client.converse("/");
            talk_through(&mut talker, talk);
            talker.ask("which", &format!("the {}.", n + 1));
            talker.part(1000, "");
        }
    })
}

#[test]
fn conversations_with_one_beginning_are_told_apart_by_what_follows_in_any_order() {
    let recordings = recorded();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let replay = Ouli::replay(recordings.clone()).option("--strict").start();
        for n in order {
            let mut talker = replay.client().converse("/");
            talk_through(&mut talker, &TALKS[n]);
            talker.ask("which", &format!("the {}.", n + 1));
            talker.part(1000, "");
        }
        replay.terminate().expect_code(0);
    }
}

#[test]
fn conversations_with_one_beginning_may_be_open_at_once() {
    let replay = Ouli::replay(recorded()).option("--strict").start();
    let mut open: Vec<_> = (0..3).map(|_| replay.client().converse("/")).collect();
    for (n, talker) in open.iter_mut().enumerate().rev() {
        talk_through(talker, &TALKS[n][..1]);
    }
    for (n, talker) in open.iter_mut().enumerate() {
        talk_through(talker, &TALKS[n][1..]);
        talker.ask("which", &format!("the {}.", n + 1));
    }
    open.iter_mut().for_each(|talker| talker.part(1000, ""));
    replay.terminate().expect_code(0);
}

#[test]
fn equal_conversations_are_given_in_their_order_and_none_twice() {
    const COUNT: usize = 12;
    let recordings = record(&counting(), |client| {
        for n in 1..=COUNT {
            let mut talker = client.converse("/");
            talker.ask("which", &format!("the {n}."));
            talker.part(1000, "");
        }
    });
    let replay = Ouli::replay(recordings.clone()).option("--strict").start();
    for n in 1..=COUNT {
        let mut talker = replay.client().converse("/");
        talker.ask("which", &format!("the {n}."));
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);

    let replay = Ouli::replay(recordings).option("--strict").start();
    let mut given: Vec<String> = thread::scope(|scope| {
        let asking: Vec<_> = (0..COUNT)
            .map(|_| {
                scope.spawn(|| {
                    let mut talker = replay.client().converse("/");
                    talker.say("which");
                    let Ok(Said::Text(answer)) = talker.next() else { panic!("no answer") };
                    talker.part(1000, "");
                    answer
                })
            })
            .collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    replay.terminate().expect_code(0);
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), COUNT, "{given:?}");
}

#[test]
fn an_origin_that_speaks_first_may_say_something_else_each_time() {
    let origin = Origin::http1().ws("/", |talk| {
        let nth = talk.nth();
        let mut talker = talk.accept();
        talker.say(&format!("greeting {nth}"));
        talker.expect_text(&format!("to {nth}"));
        talker.say("right");
        hold(&mut talker);
    });
    let talk = |client: &mut Client| {
        for n in 1..=3 {
            let mut talker = client.converse("/");
            talker.expect_text(&format!("greeting {n}"));
            talker.ask(&format!("to {n}"), "right");
        }
    };
    let recordings = record(&origin, talk);
    origin.stop();
    let replay = Ouli::replay(recordings).start();
    talk(&mut replay.client());
    replay.terminate().expect_code(0);
}

#[test]
fn after_the_last_the_last_is_given_again() {
    let recordings = recorded();
    let replay = Ouli::replay(recordings.clone()).start();
    for _ in 0..3 {
        let mut talker = replay.client().converse("/");
        talk_through(&mut talker, &TALKS[1]);
        talker.ask("which", "the 2.");
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);
    let replay = Ouli::replay(recordings).option("--strict").start();
    let mut talker = replay.client().converse("/");
    talk_through(&mut talker, &TALKS[2]);
    let mut again = replay.client().converse("/");
    again.say(TALKS[2][0]);
    again.expect_close(1008);
    replay.terminate().expect_code(3);
}

#[test]
fn sessions_do_not_answer_for_each_other() {
    let origin = Origin::http1().ws_echo("/");
    let recorder = Ouli::record(&origin).start();
    for name in ["one", "two"] {
        let client = recorder.client().in_session(name);
        let mut talker = client.converse("/");
        say_all(&mut talker, &[name]);
        talker.part(1000, "");
    }
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).start();
    for (name, other) in [("one", "two"), ("two", "one")] {
        let client = replay.client().in_session(name);
        say_all(&mut client.converse("/"), &[name]);
        let mut talker = client.converse("/");
        talker.say(other);
        talker.expect_close(1008);
    }
    let nobody = replay.client().in_session("three");
    nobody.handshake("/").refused().problem(501, "miss");
}
