//! Whatever the disk does at whatever operation, what a client has seen is on the tape, and
//! nothing is on it that didn't happen.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::exchange::*;
use crate::grpc;
use crate::tape::faulty::{Fault, FaultyDisk};
use crate::tape::{Side, TapeRun, names};

const KEEP: Keep = Keep { max_kept_body: 4000, file_threshold: 500 };

/// One exchange of the scenario: its answer comes in reads of `step` bytes, each flushed.
#[derive(Clone, Copy, Debug)]
struct Plan {
    request: usize,
    answer: usize,
    step: usize,
    announced: bool,
    abandoned: bool,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Body,
    /// A gRPC call of one message each way, whose request goes on after its answer.
    Call,
    /// A conversation: the client says one message, and the origin one for each read.
    Conversation,
}

const ORDINARY: Plan = Plan {
    request: 20,
    answer: 60,
    step: 60,
    announced: true,
    abandoned: false,
    shape: Shape::Body,
};

/// One of each way that bodies go.
const PLANS: [Plan; 12] = [
    ORDINARY,
    Plan { step: 7, announced: false, ..ORDINARY },
    Plan { answer: 1500, step: 100, announced: false, ..ORDINARY },
    Plan { answer: 1500, step: 400, ..ORDINARY },
    Plan { request: 1200, ..ORDINARY },
    Plan { answer: 6000, step: 900, announced: false, ..ORDINARY },
    Plan { abandoned: true, ..ORDINARY },
    Plan { shape: Shape::Call, step: 7, ..ORDINARY },
    Plan {
        shape: Shape::Call,
        request: 1500,
        answer: 1500,
        step: 400,
        announced: false,
        ..ORDINARY
    },
    Plan { shape: Shape::Conversation, step: 7, ..ORDINARY },
    Plan { shape: Shape::Conversation, request: 6000, answer: 6000, step: 900, ..ORDINARY },
    ORDINARY,
];

/// What the client of an exchange has been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    head: bool,
    body: usize,
    end: bool,
    failed: bool,
}

fn body(number: usize, len: usize) -> Vec<u8> {
    let prefix = match PLANS.get(number) {
        Some(Plan { shape: Shape::Call, .. }) => {
            &grpc::prefix(false, (len - grpc::PREFIX_BYTES) as u32)
        }
        _ => &[][..],
    };
    let rest = (0..len - prefix.len()).map(|at| (at * 31 + number * 7 + at / 255) as u8);
    prefix.iter().copied().chain(rest).collect()
}

fn fields(number: usize) -> Fields {
    match PLANS.get(number) {
        Some(Plan { shape: Shape::Call, .. }) => {
            Fields::from_iter([("content-type", "application/grpc")])
        }
        _ => Fields::new(),
    }
}

fn head(number: usize) -> RequestHead {
    let target = format!("/{number}");
    RequestHead { method: "PUT".into(), target, fields: fields(number), ..Default::default() }
}

fn play(recorder: &Recorder, number: usize, plan: Plan, seen: &mut Seen) -> Result<(), Error> {
    let seq = recorder.run().next_seq();
    let mut one = recorder.begin(seq, "default", "api", 1, &head(number), Vec::new());
    if plan.shape == Shape::Conversation {
        return converse(one, number, plan, seen);
    }
    let request = body(number, plan.request);
    let is_call = plan.shape == Shape::Call;
    let early = if is_call { request.len() / 2 } else { request.len() };
    for bytes in request[..early].chunks(50) {
        one.request_data(Duration::ZERO, bytes)?;
    }
    if !is_call {
        one.request_end(&Fields::new())?;
    }
    if plan.abandoned {
        one.flush()?;
        one.abandon();
        return Ok(());
    }
    if plan.announced {
        one.expect_response_bytes(plan.answer as u64);
    }
    let fields = fields(number);
    one.response_head(Duration::ZERO, &ResponseHead { fields, ..ResponseHead::default() });
    for bytes in body(number, plan.answer).chunks(plan.step) {
        one.response_data(Duration::ZERO, bytes)?;
        one.flush()?;
        *seen = Seen { head: true, body: seen.body + bytes.len(), ..*seen };
    }
    one.end(End::Whole, &Fields::new())?;
    one.flush()?;
    seen.end = true;
    if is_call {
        for bytes in request[early..].chunks(50) {
            one.request_data(Duration::ZERO, bytes)?;
        }
        one.request_end(&Fields::new())?;
        one.flush()?;
    }
    Ok(())
}

/// Says a message in parts of `step` bytes.
fn say(one: &mut Recording, side: Side, bytes: &[u8], step: usize) -> Result<(), Error> {
    let mut begins = Some((Kind::Binary, false));
    let mut parts = bytes.chunks(step).peekable();
    while let Some(bytes) = parts.next() {
        let part = Part { begins: begins.take(), ends: parts.peek().is_none() };
        one.said(Duration::ZERO, side, part, bytes, None)?;
    }
    Ok(())
}

fn converse(mut one: Recording, number: usize, plan: Plan, seen: &mut Seen) -> Result<(), Error> {
    one.request_end(&Fields::new())?;
    one.response_head(Duration::ZERO, &ResponseHead { status: 101, ..ResponseHead::default() });
    one.converse();
    say(&mut one, Side::Request, &body(number, plan.request), 50)?;
    for bytes in body(number, plan.answer).chunks(plan.step) {
        say(&mut one, Side::Response, bytes, 5)?;
        one.flush()?;
        *seen = Seen { head: true, body: seen.body + bytes.len(), ..*seen };
    }
    one.closed(Duration::ZERO, Party::Client, None, "")?;
    one.end(End::Whole, &Fields::new())?;
    one.flush()?;
    seen.end = true;
    Ok(())
}

struct Outcome {
    disk: FaultyDisk,
    dir: tempfile::TempDir,
    seen: Vec<Seen>,
    faults_told: usize,
}

/// Plays the scenario on a disk that fails so.
fn play_all(at: usize, fault: Fault) -> Outcome {
    let disk = FaultyDisk::new(at, fault);
    let dir = tempfile::tempdir().unwrap();
    let mut seen = vec![Seen::default(); PLANS.len()];
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let run = Run::open_on(Arc::new(disk.clone()), &dir.path().join("r"), Vec::new(), move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    if let Ok(run) = run
        && let Ok(recorder) = Recorder::open(run, 0, KEEP)
    {
        for (number, plan) in PLANS.into_iter().enumerate() {
            let seen = &mut seen[number];
            seen.failed = play(&recorder, number, plan, seen).is_err();
        }
    }
    Outcome { disk, dir, seen, faults_told: told.load(Ordering::Relaxed) }
}

impl Outcome {
    fn tapes(&self) -> Vec<PathBuf> {
        let folder = names::folder(&self.dir.path().join("r"));
        let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "tape")).collect()
    }

    /// Every promise about what is read back.
    fn check(&self, what: &str) {
        let run = TapeRun::open(&self.tapes()).unwrap();
        let found: Vec<Exchange> =
            run.exchanges("default").collect::<Result<_, _>>().unwrap_or_else(|error| {
                panic!("{what}: {error}\n{}", self.disk.log());
            });
        for (number, (plan, seen)) in PLANS.iter().zip(&self.seen).enumerate() {
            let one = found.iter().find(|one| one.request.head == head(number));
            let Some(one) = one else {
                let is_large = plan.answer as u64 > KEEP.max_kept_body;
                let unkept = is_large && plan.shape == Shape::Body && !seen.end;
                assert!(!seen.head || unkept, "{what}: {number} is lost\n{}", self.disk.log());
                continue;
            };
            assert!(!plan.abandoned, "{what}: {number} was abandoned");
            self.check_one(&run, one, number, *plan, *seen, what);
        }
    }

    fn check_one(
        &self,
        run: &TapeRun,
        one: &Exchange,
        number: usize,
        plan: Plan,
        seen: Seen,
        what: &str,
    ) {
        let context = || format!("{what}: {number} {seen:?}\n{one:?}\n{}", self.disk.log());
        match &one.response.body {
            Body::Omitted { len, .. } => {
                assert_eq!(*len, plan.answer as u64, "{}", context());
            }
            kept => {
                let kept = bytes_of(run, kept, plan.shape);
                assert!(body(number, plan.answer).starts_with(&kept), "{}", context());
                assert!(kept.len() >= seen.body, "{}", context());
                let whole = one.response.end == End::Whole;
                assert!(!whole || kept.len() == plan.answer, "{}", context());
            }
        }
        let kept = bytes_of(run, &one.request.body, plan.shape);
        let sent = body(number, plan.request);
        assert!(sent.starts_with(&kept), "{}", context());
        assert!(!one.request.is_whole || kept == sent, "{}", context());
        assert!(one.request.is_whole || plan.shape != Shape::Body, "{}", context());
        let early = match plan.shape {
            Shape::Body => sent.len(),
            Shape::Call => sent.len() / 2,
            Shape::Conversation => {
                if seen.head {
                    sent.len()
                } else {
                    0
                }
            }
        };
        assert!(kept.len() >= early, "{}", context());
        assert!(!seen.end || one.response.end == End::Whole, "{}", context());
    }
}

fn bytes_of(run: &TapeRun, body: &Body, shape: Shape) -> Vec<u8> {
    match body {
        Body::Absent => Vec::new(),
        Body::Whole(bytes) => bytes.to_vec(),
        Body::File { digest, .. } => std::fs::read(run.body_path(digest).unwrap()).unwrap(),
        Body::Messages(all) => all.iter().flat_map(|one| on_wire(one, shape)).collect(),
        other => panic!("{other:?}"),
    }
}

fn on_wire(message: &Message, shape: Shape) -> Vec<u8> {
    match &message.payload {
        Payload::Bytes(bytes) if shape == Shape::Conversation => bytes.to_vec(),
        Payload::Bytes(bytes) => [&grpc::prefix(false, bytes.len() as u32)[..], bytes].concat(),
        Payload::Rest(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Plays the scenario with the fault at every operation in turn, until it comes after the end.
fn at_every_operation(fault: Fault, check: impl Fn(&Outcome, &str)) {
    for at in 0.. {
        let outcome = play_all(at, fault);
        let what = format!("{fault:?} at {at}");
        outcome.check(&what);
        check(&outcome, &what);
        if !outcome.disk.has_struck() {
            assert!(at > 50, "the scenario has many operations");
            assert!(outcome.seen.iter().all(|seen| !seen.failed));
            return;
        }
    }
}

#[test]
fn what_a_client_has_seen_survives_a_kill_at_any_operation() {
    for fault in Fault::ALL.into_iter().filter(|fault| fault.is_crash()) {
        at_every_operation(fault, |_, _| {});
    }
}

#[test]
fn a_failing_operation_costs_its_own_exchange_at_most() {
    for fault in [Fault::Fails, Fault::Short(128)] {
        at_every_operation(fault, |outcome, what| {
            let failed = outcome.seen.iter().filter(|seen| seen.failed).count();
            assert!(failed <= 1, "{what}: {:?}\n{}", outcome.seen, outcome.disk.log());
        });
    }
}

#[test]
fn a_disk_that_stays_full_is_told_once_and_what_was_kept_stays_readable() {
    for fault in [Fault::Full(0), Fault::Full(100), Fault::FullAndStuck(50)] {
        at_every_operation(fault, |outcome, what| {
            assert!(outcome.faults_told <= 1, "{what}");
            let failed = outcome.seen.iter().any(|seen| seen.failed);
            assert!(!failed || outcome.faults_told == 1, "{what}");
        });
    }
}

#[test]
fn an_exchange_whose_body_lost_bytes_stays_cut_whatever_its_caller_does() {
    for at in 0..40 {
        let disk = FaultyDisk::new(at, Fault::Fails);
        let dir = tempfile::tempdir().unwrap();
        let Ok(run) = Run::open_on(Arc::new(disk), dir.path(), Vec::new(), |_| {}) else {
            continue;
        };
        let Ok(recorder) = Recorder::open(Arc::clone(&run), 0, KEEP) else { continue };
        let bytes = body(1, 3000);
        let mut one = recorder.begin(run.next_seq(), "default", "api", 1, &head(1), Vec::new());
        one.response_head(Duration::ZERO, &ResponseHead::default());
        for bytes in bytes.chunks(200) {
            let _ = one.response_data(Duration::ZERO, bytes).and_then(|()| one.flush());
        }
        let _ = one.end(End::Whole, &Fields::new()).and_then(|()| one.flush());
        let tapes = TapeRun::open(&run.tapes()).unwrap();
        for one in tapes.exchanges("default").map(Result::unwrap) {
            let kept = bytes_of(&tapes, &one.response.body, Shape::Body);
            assert!(bytes.starts_with(&kept), "at {at}");
            assert!(one.response.end != End::Whole || kept == bytes, "at {at}");
        }
    }
}
