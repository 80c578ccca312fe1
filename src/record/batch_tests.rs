//! Exchanges that hand over together: whatever the disk does, what a client has seen is on the tape,
//! and a failure costs those alone whose frames it kept away.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::{LocalSet, yield_now};

use super::*;
use crate::exchange::*;
use crate::tape::faulty::{Fault, FaultyDisk};
use crate::tape::{Part, Side, TapeRun, names};

const COUNT: usize = 12;

/// Pieces of each answer: handed over one by one, each passed on once the tape has it.
const PIECES: usize = 5;

/// Of exchanges of different sizes, some of whose pieces are too large to be copied.
fn piece(number: usize, at: usize) -> Vec<u8> {
    let len = if number % 5 == 4 && at == 2 { 30_000 } else { 10 + 90 * (number % 7) };
    (0..len).map(|n| (n * 31 + number * 7 + at * 3 + n / 255) as u8).collect()
}

fn answer(number: usize) -> Vec<u8> {
    (0..PIECES).flat_map(|at| piece(number, at)).collect()
}

/// What the client of an exchange has been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    body: usize,
    end: bool,
    failed: bool,
}

struct Bench {
    disk: FaultyDisk,
    dir: tempfile::TempDir,
    run: Arc<Run>,
    recorder: Recorder,
    faults_told: Arc<AtomicUsize>,
}

fn bench(at: usize, fault: Fault) -> Option<Bench> {
    let disk = FaultyDisk::new(at, fault);
    let dir = tempfile::tempdir().unwrap();
    let faults_told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&faults_told);
    let note = move |_: &Error| {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let run = Run::open_on(Arc::new(disk.clone()), &dir.path().join("r"), Vec::new(), note);
    let run = run.ok()?;
    let recorder = Recorder::open(Arc::clone(&run), 0, Keep::default()).ok()?;
    Some(Bench { disk, dir, run, recorder, faults_told })
}

/// A disk that goes wrong once `strike_in` says when.
fn patient(fault: Fault) -> Bench {
    let disk = FaultyDisk::patient(fault);
    let dir = tempfile::tempdir().unwrap();
    let run = Run::open_on(Arc::new(disk.clone()), &dir.path().join("r"), Vec::new(), |_| {});
    let run = run.unwrap();
    let recorder = Recorder::open(Arc::clone(&run), 0, Keep::default()).unwrap();
    Bench { disk, dir, run, recorder, faults_told: Arc::default() }
}

impl Bench {
    fn begin(&self, number: usize) -> Recording {
        let head = RequestHead { target: format!("/{number}"), ..RequestHead::default() };
        self.recorder.begin(self.run.next_seq(), "default", "api", 1, &head, Vec::new())
    }

    /// One with an answer whose only piece is `body`.
    fn answered(&self, number: usize, body: &[u8]) -> Recording {
        let mut one = self.begin(number);
        one.response_head(Duration::ZERO, &ResponseHead::default());
        one.response_data(Duration::ZERO, body).unwrap();
        one.end(End::Whole, &Fields::new()).unwrap();
        one
    }

    fn tape(&self) -> PathBuf {
        self.run.tapes().remove(0)
    }

    fn tape_len(&self) -> u64 {
        std::fs::metadata(self.tape()).unwrap().len()
    }

    /// What a reader finds: each exchange's number, its body and its end.
    fn kept(&self) -> Vec<(usize, Vec<u8>, End)> {
        let folder = names::folder(&self.dir.path().join("r"));
        let tapes = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let tapes: Vec<_> =
            tapes.filter(|path| path.extension().is_some_and(|ending| ending == "tape")).collect();
        let run = TapeRun::open(&tapes).unwrap();
        let exchanges = run.exchanges("default").map(Result::unwrap);
        exchanges
            .map(|one| {
                let number = one.request.head.target[1..].parse().unwrap();
                (number, bytes_of(&one.response.body), one.response.end)
            })
            .collect()
    }

    fn writes(&self) -> usize {
        self.disk
            .log()
            .lines()
            .filter(|line| line.contains(" write ") && line.ends_with(".tape"))
            .count()
    }
}

fn bytes_of(body: &Body) -> Vec<u8> {
    match body {
        Body::Absent => Vec::new(),
        Body::Whole(bytes) => bytes.to_vec(),
        Body::Pieces(pieces) => pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn together(tasks: impl IntoIterator<Item: Future<Output = ()> + 'static>) {
    let local = LocalSet::new();
    let tasks: Vec<_> = tasks.into_iter().map(|task| local.spawn_local(task)).collect();
    local
        .run_until(async {
            for task in tasks {
                task.await.unwrap();
            }
        })
        .await;
}

async fn play(mut one: Recording, number: usize, seen: Rc<RefCell<Seen>>) -> Result<(), Error> {
    one.response_head(Duration::ZERO, &ResponseHead::default());
    for at in 0..PIECES {
        // Not all of them come in the same turn.
        if number % 3 == at % 3 {
            yield_now().await;
        }
        let bytes = piece(number, at);
        one.response_data(Duration::ZERO, &bytes)?;
        if at + 1 == PIECES {
            one.end(End::Whole, &Fields::new())?;
        }
        if let Some(handover) = one.hand_over()? {
            handover.await?;
        }
        let mut seen = seen.borrow_mut();
        seen.body += bytes.len();
        seen.end = at + 1 == PIECES;
    }
    Ok(())
}

/// All at once; what their clients have seen.
fn play_all(bench: &Bench) -> Vec<Seen> {
    let seen: Vec<Rc<RefCell<Seen>>> = (0..COUNT).map(|_| Rc::default()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(together((0..COUNT).map(|number| {
        let (one, seen) = (bench.begin(number), seen[number].clone());
        async move {
            let failed = play(one, number, seen.clone()).await.is_err();
            seen.borrow_mut().failed = failed;
        }
    })));
    seen.iter().map(|seen| *seen.borrow()).collect()
}

/// With the fault at every operation in turn, until it comes after the end.
fn at_every_operation(fault: Fault, check: impl Fn(&Bench, &[Seen], &str)) {
    for at in 0.. {
        let Some(bench) = bench(at, fault) else { continue };
        let seen = play_all(&bench);
        let what = format!("{fault:?} at {at}: {seen:?}\n{}", bench.disk.log());
        let kept = bench.kept();
        for (number, seen) in seen.iter().enumerate() {
            let (sent, one) = (answer(number), kept.iter().find(|one| one.0 == number));
            let Some((_, body, end)) = one else {
                assert_eq!(seen.body, 0, "{number} is lost: {what}");
                continue;
            };
            assert!(sent.starts_with(body) && body.len() >= seen.body, "{number}: {what}");
            assert!(!seen.end || *end == End::Whole, "{number}: {what}");
            assert!(*end != End::Whole || *body == sent, "{number}: {what}");
        }
        check(&bench, &seen, &what);
        if !bench.disk.has_struck() {
            assert!(seen.iter().all(|seen| seen.end && !seen.failed), "{what}");
            assert!(bench.writes() < COUNT * PIECES / 2, "they write together: {what}");
            return;
        }
    }
}

#[test]
fn what_the_clients_of_a_batch_have_seen_survives_a_kill_at_any_operation() {
    for fault in Fault::ALL.into_iter().filter(|fault| fault.is_crash()) {
        at_every_operation(fault, |_, _, _| {});
    }
}

#[test]
fn a_batch_that_fails_is_told_to_all_whose_frames_it_held_and_to_no_others() {
    for fault in [Fault::Fails, Fault::Short(0), Fault::Short(128), Fault::Short(250)] {
        at_every_operation(fault, |bench, seen, what| {
            let failed = seen.iter().filter(|seen| seen.failed).count();
            let told = bench.faults_told.load(Ordering::Relaxed);
            assert_eq!(told, usize::from(failed > 0), "{what}");
        });
    }
}

#[test]
fn a_batch_on_a_disk_that_stays_full_lets_nothing_pass_that_is_not_kept() {
    for fault in [Fault::Full(0), Fault::Full(100), Fault::FullAndStuck(50)] {
        at_every_operation(fault, |bench, seen, what| {
            let told = bench.faults_told.load(Ordering::Relaxed);
            assert!(told <= 1 && (told == 1 || seen.iter().all(|seen| !seen.failed)), "{what}");
        });
    }
}

#[test]
fn exchanges_that_are_ready_together_share_one_write() {
    let bench = patient(Fault::Fails);
    let before = bench.writes();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(together((0..COUNT).map(|number| {
        let mut one = bench.answered(number, b"ok");
        async move { one.hand_over().unwrap().unwrap().await.unwrap() }
    })));
    assert_eq!(bench.writes(), before + 1);
    let numbers: Vec<_> = bench.kept().into_iter().map(|one| one.0).collect();
    assert_eq!(numbers, Vec::from_iter(0..COUNT));
}

#[test]
fn nothing_of_a_batch_is_on_the_tape_before_it_is_written() {
    let bench = patient(Fault::Fails);
    let (mut first, mut second) = (bench.answered(1, b"one"), bench.answered(2, b"two"));
    let before = bench.tape_len();
    let waits = (first.hand_over().unwrap().unwrap(), second.hand_over().unwrap().unwrap());
    assert_eq!(bench.tape_len(), before);
    // Whoever can't wait writes for all.
    second.flush().unwrap();
    assert_eq!(bench.kept().len(), 2);
    drop(waits);
}

#[test]
fn who_is_alone_waits_for_nobody() {
    let bench = patient(Fault::Fails);
    let mut one = bench.answered(1, b"one");
    assert!(one.hand_over().unwrap().is_none());
    assert_eq!(bench.kept().len(), 1);
}

#[test]
fn a_large_piece_is_written_at_once_behind_what_waits() {
    let bench = patient(Fault::Fails);
    let (mut small, mut large) = (bench.answered(1, b"one"), bench.answered(2, &[b'x'; 40_000]));
    let waits = small.hand_over().unwrap().unwrap();
    assert!(large.hand_over().unwrap().is_none());
    assert_eq!(bench.kept().len(), 2);
    drop(waits);
}

#[test]
fn what_waits_is_bounded() {
    let bench = patient(Fault::Fails);
    let before = bench.tape_len();
    let mut waits = Vec::new();
    let mut all = Vec::new();
    for number in 0..20 {
        let mut one = bench.answered(number, &[b'x'; 10_000]);
        waits.extend(one.hand_over().unwrap());
        all.push(one);
        let kept = bench.tape_len() - before;
        assert!(number as u64 * 10_000 < kept + 80_000, "{number}: {kept} bytes are written");
    }
}

#[test]
fn of_a_short_batch_those_that_are_whole_on_the_tape_are_kept_and_the_others_are_told() {
    let bench = patient(Fault::Short(128));
    let mut all: Vec<_> = (0..4).map(|number| bench.answered(number, &[b'x'; 1000])).collect();
    let mut waits: Vec<_> = all.iter_mut().map(|one| one.hand_over().unwrap().unwrap()).collect();
    bench.disk.strike_in(0);
    let _ = all[3].flush();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let fates = waits.iter_mut().map(|wait| std::pin::Pin::new(wait).poll(&mut cx));
    let fates: Vec<_> = fates.map(|fate| matches!(fate, std::task::Poll::Ready(Ok(())))).collect();
    assert_eq!(fates, [true, true, false, false]);
    let numbers: Vec<_> = bench.kept().into_iter().map(|one| one.0).collect();
    assert_eq!(numbers, [0, 1], "{}", bench.disk.log());
    // The tape goes on behind them, and nothing of those that failed comes there any more.
    let mut next = bench.answered(9, b"next");
    next.flush().unwrap();
    assert!(all[2].flush().is_err() && all[2].request_data(Duration::ZERO, b"x").is_err());
    let numbers: Vec<_> = bench.kept().into_iter().map(|one| one.0).collect();
    assert_eq!(numbers, [0, 1, 9]);
}

#[test]
fn who_is_dropped_while_it_waits_keeps_nobody_waiting_and_is_kept_by_the_others() {
    let bench = patient(Fault::Fails);
    let (mut left, mut stays) = (bench.answered(1, b"one"), bench.answered(2, b"two"));
    drop(left.hand_over().unwrap().unwrap());
    drop(left);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wait = stays.hand_over().unwrap();
    runtime.block_on(async {
        if let Some(wait) = wait {
            wait.await.unwrap()
        }
    });
    let numbers: Vec<_> = bench.kept().into_iter().map(|one| one.0).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn who_is_dropped_while_it_waits_is_kept_where_nobody_comes_after_it() {
    let bench = patient(Fault::Fails);
    let (mut left, other) = (bench.answered(1, b"one"), bench.answered(2, b"two"));
    drop(left.hand_over().unwrap().unwrap());
    drop((left, other));
    assert_eq!(bench.kept(), []);
    let Bench { disk, dir, run, recorder, faults_told } = bench;
    drop(recorder);
    let again = run.clone();
    let recorder = Recorder::open(again, 1, Keep::default()).unwrap();
    let bench = Bench { disk, dir, run, recorder, faults_told };
    assert_eq!(bench.kept(), [(1, b"one".to_vec(), End::Whole)]);
}

#[test]
fn who_leaves_while_it_waits_and_says_so_is_on_the_tape_with_it() {
    let bench = patient(Fault::Fails);
    let (mut one, _other) = (bench.begin(1), bench.begin(2));
    one.response_head(Duration::ZERO, &ResponseHead::default());
    one.response_data(Duration::ZERO, b"half").unwrap();
    drop(one.hand_over().unwrap().unwrap());
    one.end(End::LeftByClient, &Fields::new()).unwrap();
    one.flush().unwrap();
    assert_eq!(bench.kept(), [(1, b"half".to_vec(), End::LeftByClient)]);
}

#[test]
fn a_conversation_and_exchanges_share_a_batch_in_their_order() {
    let bench = patient(Fault::Fails);
    let (mut talk, mut one) = (bench.begin(1), bench.answered(2, b"two"));
    talk.response_head(Duration::ZERO, &ResponseHead { status: 101, ..ResponseHead::default() });
    talk.converse();
    let part = Part { begins: Some((Kind::Text, false)), ends: true };
    talk.said(Duration::ZERO, Side::Request, part, b"hello", None).unwrap();
    let waits = (talk.hand_over().unwrap(), one.hand_over().unwrap());
    talk.said(Duration::ZERO, Side::Response, part, b"hello yourself", None).unwrap();
    talk.end(End::Whole, &Fields::new()).unwrap();
    talk.flush().unwrap();
    let run = TapeRun::open(&bench.run.tapes()).unwrap();
    let exchanges: Vec<_> = run.exchanges("default").map(Result::unwrap).collect();
    let Body::Messages(said) = &exchanges[0].request.body else { panic!("{exchanges:?}") };
    let Body::Messages(answered) = &exchanges[0].response.body else { panic!("{exchanges:?}") };
    assert_eq!((said.len(), answered.len(), exchanges.len()), (1, 1, 2));
    drop(waits);
}

#[test]
fn behind_what_failed_in_a_batch_nothing_of_its_exchange_comes_to_the_tape() {
    // What follows is large, comes when nobody else is there, or is flushed.
    for (large, alone, flushed) in
        [(true, false, false), (false, true, false), (false, false, true), (false, false, false)]
    {
        let bench = patient(Fault::Fails);
        let (mut talk, other) = (bench.begin(1), bench.begin(2));
        talk.response_head(Duration::ZERO, &ResponseHead { status: 101, ..Default::default() });
        talk.converse();
        let part = Part { begins: Some((Kind::Binary, false)), ends: true };
        talk.said(Duration::ZERO, Side::Request, part, b"hello", None).unwrap();
        drop(talk.hand_over().unwrap().unwrap());
        if alone {
            drop(other);
        }
        bench.disk.strike_in(0);
        let before = bench.tape_len();
        let next = vec![b'x'; if large { 40_000 } else { 40 }];
        let said = talk.said(Duration::ZERO, Side::Response, part, &next, None);
        let kept =
            said.and_then(|()| if flushed { talk.flush() } else { talk.hand_over().map(drop) });
        assert_eq!(kept.is_err(), large || alone || flushed);
        let _ = talk.end(End::Whole, &Fields::new()).and_then(|()| talk.flush());
        assert!(talk.flush().is_err());
        assert_eq!(bench.tape_len(), before, "{}", bench.disk.log());
    }
}
