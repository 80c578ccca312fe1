//! Instructions per run, counted by callgrind.
//!
//! This program runs itself under valgrind, twice for each case and with different numbers of runs.
//! The difference is that of the runs alone: start-up, preparation and what only the first run does
//! cancel out. Valgrind's processor knows neither SHA nor AVX-512 instructions, so SHA-256 counts
//! several times what it takes.

use std::process::{Command, ExitStatus, Stdio};

use crate::case::Case;

/// Runs before those that count, so that buffers have grown.
const WARM: u64 = 50;
const COUNTED: u64 = 200;

/// The same of what takes few instructions: preparation isn't the same to the instruction each time,
/// and that must not show in the quotient.
const COUNTED_CHEAP: u64 = 20_000;
const CHEAP: u64 = 10_000;

/// Does what the arguments ask for, if that is counting or being counted.
pub(crate) fn asked_for<I: Iterator<Item = &'static Case>>(cases: fn() -> I) -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", name, runs] => {
            let runs = runs.parse().expect("the number of runs is a number");
            let case = cases().find(|case| case.name == name).expect("the case exists");
            let mut run = (case.prepare)();
            (0..runs).for_each(|_: u64| run());
        }
        ["--instructions", ref filter @ ..] => {
            let picked = |case: &&Case| {
                // Cargo adds `--bench`.
                filter.iter().all(|word| word.starts_with('-') || case.name.contains(word))
            };
            count_all(cases().filter(picked));
        }
        _ => return false,
    }
    true
}

fn count_all(cases: impl Iterator<Item = &'static Case>) {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("instructions: SKIPPED, valgrind is not installed");
        return;
    }
    println!("{:>14}  case", "instructions");
    for case in cases {
        let few = count(case.name, WARM);
        let each_of = |runs| count(case.name, WARM + runs).saturating_sub(few) / runs / case.items;
        let each = match each_of(COUNTED) {
            0..CHEAP => each_of(COUNTED_CHEAP),
            each => each,
        };
        println!("{each:>14}  {}", case.name);
    }
}

/// Instructions of a whole process that runs the case so many times.
fn count(name: &str, runs: u64) -> u64 {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", name, &runs.to_string()])
        .output()
        .expect("valgrind was there a moment ago");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(ExitStatus::success(&output.status), "{name}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let collected = collected.and_then(|(_, number)| number.trim().parse().ok());
    collected.expect("callgrind says how many instructions it collected")
}
