//! Each kind of call, its metadata, and what it looks like when it fails.

use super::{endpoints, record, replay};
use crate::support::grpc::{GrpcClient, GrpcOrigin, Note, Outcome};
use crate::support::*;

fn client(ouli: &Ouli) -> GrpcClient {
    GrpcClient::through(ouli, Protocol::H2c)
}

/// One call of each kind, and one that fails in each kind.
fn all_calls(client: &GrpcClient) -> Vec<Outcome> {
    let notes = |texts: &[&str]| -> Vec<Note> {
        texts.iter().zip(1..).map(|(text, number)| Note::new(text).number(number)).collect()
    };
    vec![
        client.call("Say", &notes(&["hello"])),
        client.call("Say", &[Note::new("raw").payload((0..=255).collect())]),
        client.call("Say", &[Note::default()]),
        client.call("Count", &[Note::new("n").number(5)]),
        client.call("Count", &[Note::new("none").number(0)]),
        client.call("Gather", &notes(&["a", "b", "c"])),
        client.call("Gather", &[]),
        client.call("Chat", &notes(&["one", "two", "bye"])),
        client.call("Chat", &[]),
        client.call("Say", &notes(&["fail at once"])),
        client.call("Count", &[Note::new("fail later").number(2)]),
        client.call("Gather", &notes(&["a", "fail"])),
        client.call("Chat", &notes(&["one", "fail"])),
        client.call("Nonsense", &notes(&["hello"])),
    ]
}

#[test]
fn all_four_kinds_replay_with_the_server_gone() {
    for protocol in [Protocol::H2c, Protocol::H2Tls] {
        let origin = GrpcOrigin::of(protocol);
        let setup = |command| {
            let [plain, tls] = endpoints(&origin);
            Ouli::command(command).endpoint(&plain).endpoint(&tls)
        };
        let recorder = setup("record").start();
        let talk = |ouli: &Ouli, client| {
            let session = format!("over-{client:?}");
            all_calls(&GrpcClient::through(ouli, client).session(&session))
        };
        let clients = [Protocol::H2c, Protocol::H2Tls];
        let recorded = clients.map(|client| talk(&recorder, client));
        for outcomes in &recorded {
            assert_eq!(outcomes[0].texts(), ["re: hello"], "{outcomes:?}");
            assert_eq!(outcomes[3].messages.len(), 5, "{outcomes:?}");
            assert_eq!(outcomes[7].texts(), ["re: one", "re: two"], "{outcomes:?}");
            let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.code).collect();
            assert_eq!(codes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 12], "{outcomes:?}");
        }
        recorder.terminate().expect_code(0);
        origin.stop();
        let replay = setup("replay --strict").recordings(&recorder.recordings()).start();
        for (client, recorded) in clients.into_iter().zip(recorded) {
            let replayed = talk(&replay, client);
            for (replayed, recorded) in replayed.iter().zip(&recorded) {
                assert_eq!(replayed, recorded, "{client} client, {protocol} origin");
            }
        }
        replay.terminate().expect_code(0);
    }
}

#[test]
fn what_passes_is_what_the_server_sent() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let without_date = |mut outcomes: Vec<Outcome>| {
        outcomes.iter_mut().for_each(|outcome| outcome.metadata.retain(|(name, _)| name != "date"));
        outcomes
    };
    let direct = without_date(all_calls(&GrpcClient::to(origin.address())));
    let through = without_date(all_calls(&client(&recorder)));
    for (through, direct) in through.iter().zip(&direct) {
        assert_eq!(through, direct);
    }
}

#[test]
fn metadata_arrives_repeated_and_binary_both_ways() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let call = |ouli: &Ouli| {
        let client = client(ouli).metadata("x-tag", "one").metadata("x-tag", "two, three");
        let client = client.binary("x-raw-bin", &[0, 1, 255]).binary("x-raw-bin", b"again");
        client.call("Say", &[Note::new("hello")])
    };
    let recorded = call(&recorder);
    assert_eq!(recorded.metadata_of("x-tag"), ["one", "two, three"], "{recorded:?}");
    assert_eq!(recorded.metadata_of("x-raw-bin"), ["AAH/", "YWdhaW4"], "{recorded:?}");
    assert_eq!(recorded.trailers_of("x-served"), ["Say"], "{recorded:?}");
    let (_, metadata) = origin.calls().remove(0);
    let seen: Vec<_> = metadata.get_all_bin("x-raw-bin").iter().collect();
    assert_eq!(seen.len(), 2, "{metadata:?}");
    assert_eq!(metadata.get("te").unwrap(), "trailers");
    let replay = replay(&origin, &recorder);
    assert_eq!(call(&replay), recorded);
    replay.terminate().expect_code(0);
}

#[test]
fn a_failure_keeps_its_details_and_is_trailers_only_where_it_was() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let call = |ouli: &Ouli| client(ouli).call("Say", &[Note::new("fail")]);
    let recorded = call(&recorder);
    call(&recorder);
    assert_eq!(recorded.code, 9, "{recorded:?}");
    assert_eq!(recorded.message, "not today: fail / 100% ünlikely");
    assert!(recorded.details.ends_with(b"details"), "{recorded:?}");
    assert_eq!(recorded.trailers_of("x-reason"), ["because", "and so on"]);
    let replay = replay(&origin, &recorder);
    assert_eq!(call(&replay), recorded);

    // The same on the wire: one head, and no body.
    let request = crate::support::grpc::prefixed(&Note::new("fail"));
    let ask = Ask::new("POST", "/ouli.test.Notes/Say").chunked([request]);
    let ask = ask.header("content-type", "application/grpc").header("te", "trailers");
    let answer = replay.client_over(Protocol::H2c).ask(&ask);
    assert_eq!(answer.header("grpc-status"), Some("9"), "{answer:?}");
    assert!(answer.body.is_empty() && answer.trailers.names().is_empty(), "{answer:?}");
    replay.terminate().expect_code(0);
}

#[test]
fn the_nth_equal_call_gets_the_nth_answer() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let notes = [Note::new("wait")];
    let answers: Vec<_> = (0..3)
        .map(|n| {
            origin.release();
            client(&recorder).metadata("x-nth", &n.to_string()).call("Say", &notes)
        })
        .collect();
    let replay = replay(&origin, &recorder);
    for (n, recorded) in answers.iter().enumerate() {
        let replayed = client(&replay).call("Say", &notes);
        assert_eq!(replayed.metadata_of("x-nth"), [n.to_string()], "{replayed:?}");
        assert_eq!(&replayed, recorded);
    }
    replay.terminate().expect_code(0);
}

#[test]
fn sessions_are_kept_apart() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    for session in ["first", "deep/second"] {
        let client = client(&recorder).session(session);
        client.call("Say", &[Note::new(session)]);
    }
    assert!(origin.calls().iter().all(|(_, metadata)| metadata.get("ouli-session").is_none()));
    let replay = replay(&origin, &recorder);
    let ask = |session: &str, text: &str| {
        client(&replay).session(session).call("Say", &[Note::new(text)]).code
    };
    assert_eq!(ask("first", "first"), 0);
    assert_eq!(ask("deep/second", "deep/second"), 0);
    assert_eq!(ask("first", "deep/second"), 12);
}

#[test]
fn auto_replays_what_it_has_and_records_the_rest() {
    let origin = GrpcOrigin::h2c();
    let [plain, _] = endpoints(&origin);
    let auto = Ouli::command("auto").endpoint(&plain).start();
    client(&auto).call("Say", &[Note::new("one")]);
    auto.terminate().expect_code(0);
    let again = Ouli::command("auto").endpoint(&plain).recordings(&auto.recordings()).start();
    assert_eq!(client(&again).call("Say", &[Note::new("one")]).texts(), ["re: one"]);
    assert_eq!(origin.came(), ["one"], "the recorded one was asked again");
    assert_eq!(client(&again).call("Say", &[Note::new("two")]).texts(), ["re: two"]);
    assert_eq!(origin.came(), ["one", "two"]);
    again.terminate().expect_code(0);
}
