//! When the disk fails, nothing reaches a client whole and unkept.

use crate::support::*;

/// No file may grow past 256 KiB (`ulimit -f` counts 512 bytes), which to a writer is a full disk.
/// The signal that comes with it must not be what ends the program.
const FULL: &str = "trap '' XFSZ; ulimit -f 512";

fn origin() -> Origin {
    Origin::http1().on("/*", |request| {
        let seed = request.target.len() as u8;
        (0..20_000_u32).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed)).collect::<Vec<u8>>()
    })
}

#[test]
fn a_full_disk_cuts_the_answer_in_flight_and_ends_the_program() {
    let origin = origin();
    let ouli = Ouli::record(&origin).after(FULL).start();
    let mut seen = Vec::new();
    let mut client = ouli.client();
    let failed = (0..200).find_map(|n| {
        let ask = Ask::get(format!("/{n}"));
        match client.try_ask(&ask) {
            Ok(answer) if answer.is_whole() && answer.status == 200 => {
                seen.push((ask, answer));
                None
            }
            other => Some(other),
        }
    });
    let failed = failed.expect("more was kept than fits");
    if let Ok(answer) = &failed
        && answer.is_whole()
    {
        answer.problem(503, "tape-unavailable");
    }
    let ended = ouli.wait();
    ended.expect_code(1);
    assert!(seen.len() > 3, "it worked until then");

    let replay = Ouli::replay(ouli.recordings()).start();
    for (ask, answer) in seen {
        assert!(replay.client().ask(&ask) == answer, "{} isn't as it was seen", ask.target);
    }
}

/// What waits for the rest of a frame when the disk fails is not on the tape.
#[test]
fn no_piece_that_a_full_disk_kept_out_reaches_a_client_over_http2() {
    let origin = Origin::http1().script("/s", |talk| {
        talk.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for piece in 0..8 {
            // Long enough that each is passed on before the next one comes.
            std::thread::sleep(std::time::Duration::from_millis(3));
            let byte = b'a' + ((talk.nth() + piece) % 26) as u8;
            talk.send([b"7d0\r\n", &[byte; 2000][..], b"\r\n"].concat());
        }
        talk.send("0\r\n\r\n");
    });
    let ouli = Ouli::record(&origin).after(FULL).start();
    let mut client = ouli.client_over(Protocol::H2c);
    let (mut seen, mut cut) = (Vec::new(), None);
    while cut.is_none() && seen.len() < 200 {
        match client.try_ask(&Ask::get("/s")) {
            Ok(answer) if answer.status == 200 && answer.is_whole() => seen.push(answer.body),
            Ok(answer) if answer.status == 200 => cut = Some(answer.body),
            _ => cut = Some(Vec::new()),
        }
    }
    let cut = cut.expect("more was kept than fits");
    ouli.wait().expect_code(1);
    assert!(seen.len() > 3, "it worked until then");

    let replay = Ouli::replay(ouli.recordings()).start();
    let mut client = replay.client_over(Protocol::H2c);
    for (n, seen) in seen.iter().enumerate() {
        assert!(client.get("/s").body == *seen, "answer {n} isn't as it was seen");
    }
    if !cut.is_empty() {
        let kept = client.try_ask(&Ask::get("/s")).map(|answer| answer.body).unwrap_or_default();
        assert!(kept.starts_with(&cut), "{} bytes were seen, {} kept", cut.len(), kept.len());
    }
}

#[test]
fn a_large_body_that_does_not_fit_is_cut() {
    let origin = Origin::http1().route("/", |_| vec![0xfe; 2 << 20]).route("/small", |_| "x");
    let ouli = Ouli::record(&origin).after(FULL).start();
    assert_eq!(ouli.client().get("/small").text(), "x");
    let whole = ouli
        .client()
        .try_ask(&Ask::get("/"))
        .is_ok_and(|answer| answer.is_whole() && answer.status == 200);
    assert!(!whole, "whole and unkept");
    ouli.wait().expect_code(1);
    let replay = Ouli::replay(ouli.recordings()).start();
    assert_eq!(replay.client().get("/small").text(), "x");
}

#[test]
fn a_request_after_the_disk_failed_is_told_why() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().route("/", |_| vec![0xfe; 2 << 20]).script("/held", move |talk| {
        held.pass();
        talk.reply("late");
    });
    let ouli = Ouli::record(&origin).after(FULL).start();
    let mut waiting = ouli.client().connect();
    waiting.ask(&Ask::get("/held"));
    let mut late = ouli.client().connect();
    late.send("GET /late HTTP/1.1\r\n");
    wait_until("the first is held", || gate.reached() == 1);
    assert!(!ouli.client().try_ask(&Ask::get("/")).is_ok_and(|answer| answer.is_whole()));
    late.send("host: x\r\n\r\n");
    late.receive().problem(503, "tape-unavailable");
    gate.open();
    ouli.wait().expect_code(1);
}

#[test]
fn a_disk_without_room_is_said_so() {
    let Some(disk) = SmallDisk::mount() else { return };
    let origin = origin();
    let dir = disk.path.path().join("recordings").display().to_string();
    let ouli = Ouli::record(&origin).options(["--recording-dir", &dir]).start();
    let mut client = ouli.client();
    let full = (0..200).any(|n| {
        let asked = client.try_ask(&Ask::get(format!("/{n}")));
        !asked.is_ok_and(|answer| answer.is_whole() && answer.status == 200)
    });
    assert!(full, "more was kept than fits");
    ouli.wait().expect_code(1).expect_said(&["no space left"]);
}

/// A file system of 512 KiB.
struct SmallDisk {
    path: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let path = tempfile::TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"])
            .arg(path.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk { path });
        }
        eprintln!("SKIPPED: this test needs `mount` and the right to use it");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path.path()).status();
    }
}
