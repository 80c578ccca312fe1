//! What a client has seen survives `kill -9`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::*;

/// A number below `end`, another one at each call.
fn random_below(end: usize) -> usize {
    (RandomState::new().build_hasher().finish() % end as u64) as usize
}

/// Small answers, event streams, large bodies, and echoes of small and large requests.
fn varied_origin() -> Origin {
    Origin::http1()
        .on("/small/*", |request| Reply::json(&format!(r#"{{"path": "{}"}}"#, request.target)))
        .on("/events/*", |request| Reply::events((0..5).map(|n| format!("{} {n}", request.target))))
        .on("/large/*", |request| request.target.repeat(10_000))
        .on("/echo/*", |request| request.body.clone())
}

fn ask_for(number: usize, client: usize) -> Ask {
    let path = format!("/{client}/{number}");
    match number % 8 {
        3 => Ask::get(format!("/events{path}")),
        5 => Ask::get(format!("/large{path}")),
        6 => Ask::post(format!("/echo{path}"), path.repeat(5)),
        7 => Ask::post(format!("/echo{path}"), path.repeat(10_000)),
        _ => Ask::get(format!("/small{path}")),
    }
}

#[test]
fn a_recorder_killed_under_load_keeps_every_exchange_a_client_saw_whole() {
    const ROUNDS: usize = 15;
    const CLIENTS: usize = 4;
    let origin = varied_origin();
    for round in 0..ROUNDS {
        let ouli = Ouli::record(&origin).option("-q").start();
        let seen = Mutex::new(Vec::new());
        let count = AtomicUsize::new(0);
        let kill_after = 1 + random_below(if round % 3 == 0 { 10 } else { 200 });
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (ouli, seen, count) = (&ouli, &seen, &count);
                scope.spawn(move || {
                    let mut connection = ouli.client();
                    for number in 0.. {
                        let ask = ask_for(number, client);
                        match connection.try_ask(&ask) {
                            Ok(answer) if answer.is_whole() => {
                                seen.lock().unwrap().push((ask, answer));
                                count.fetch_add(1, Ordering::SeqCst);
                            }
                            _ => return,
                        }
                    }
                });
            }
            while count.load(Ordering::SeqCst) < kill_after {
                thread::yield_now();
            }
            ouli.signal(Signal::KILL);
        });
        ouli.kill();

        let replay = Ouli::replay(ouli.recordings()).option("-q").start();
        let mut client = replay.client();
        let seen = seen.into_inner().unwrap();
        eprintln!("round {round}: killed after {kill_after}, {} seen", seen.len());
        for (ask, answer) in seen {
            assert_eq!(client.ask(&ask), answer, "round {round}: {ask:?}");
        }
    }
}

#[test]
fn every_event_a_client_saw_of_an_unfinished_stream_is_kept() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        );
        for n in 0..3 {
            talk.send(format!("10\r\ndata: event-{n:03}\n\r\n"));
        }
        held.pass();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("event-002") {
        seen.extend(connection.read_some().unwrap());
    }
    ouli.kill();
    gate.open();
    // Opening the directory recovers what the killed run left.
    let recordings = ouli.recordings();
    Ouli::replay(recordings.clone()).start().terminate();
    let kept = recordings.files_with("event-002");
    assert_eq!(kept, ["default.recovered.json"], "{:?}", recordings.files());
}

#[test]
fn what_is_recovered_never_replaces_a_cassette_and_replay_warns() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let recordings = record(&origin, |client| drop(client.get("/")));
    let before = recordings.cassette_text("default");

    let killed = Ouli::record(&origin).recordings(&recordings).start();
    killed.client().get_many("/", 3);
    killed.kill();
    assert_eq!(recordings.cassette_text("default"), before);

    let replay = Ouli::replay(recordings.clone()).start();
    assert_eq!(replay.client().get("/").text(), "1", "the cassette answers, not the recovered one");
    replay.terminate().expect_code(0).expect_said(&["default.recovered.json"]);
    assert_eq!(recordings.cassette_text("default"), before);
    assert_eq!(recordings.unsealed(), Vec::<String>::new());

    let recovered = Ouli::replay(recordings).session("default.recovered").start();
    let answers = recovered.client().get_many("/", 3);
    assert_eq!(answers.iter().map(Response::text).collect::<Vec<_>>(), ["2", "3", "4"]);
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    let seen = ouli.client().get_many("/", 10);
    ouli.kill();
    let recordings = ouli.recordings();
    let tapes: Vec<_> =
        recordings.unsealed().into_iter().filter(|f| f.ends_with(".tape")).collect();
    let mut torn = 0;
    for tape in tapes {
        let path = recordings.path.join(tape);
        let bytes = std::fs::read(&path).unwrap();
        if bytes.len() > 500 {
            std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
            torn += 1;
        }
    }
    assert_eq!(torn, 1, "one connection, so one tape with exchanges");
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().get_many("/", 9), seen[..9]);
    replay.terminate().expect_code(0).expect_said(&["torn"]);
}

#[test]
fn a_read_only_directory_is_replayed_from_its_tapes_in_place() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    let seen = ouli.client().get_many("/", 5);
    ouli.kill();
    let Some(read_only) = ReadOnly::mount(&ouli.recordings()) else { return };
    let before = read_only.recordings.files();
    let replay = Ouli::replay(read_only.recordings.clone()).start();
    assert_eq!(replay.client().get_many("/", 5), seen);
    replay.terminate().expect_code(0);
    assert_eq!(read_only.recordings.files(), before);
}

/// The recordings, mounted read-only over themselves: permissions don't stop root.
struct ReadOnly {
    recordings: Recordings,
}

impl ReadOnly {
    fn mount(recordings: &Recordings) -> Option<Self> {
        let path = recordings.path.display().to_string();
        let script = format!("mount --bind {path} {path} && mount -o remount,ro,bind {path}");
        let mounted = std::process::Command::new("sh").args(["-c", &script]).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(ReadOnly { recordings: recordings.clone() });
        }
        eprintln!("SKIPPED: this test needs `mount` and the right to use it");
        None
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.recordings.path).status();
    }
}
