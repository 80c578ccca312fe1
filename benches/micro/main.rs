//! What the steps of an exchange's road cost, each alone: nanoseconds, allocations, instructions.
//!
//! `cargo bench --bench micro` times them and counts what they allocate;
//! `cargo bench --bench micro -- --instructions` counts instructions under valgrind, which is the figure
//! to compare two versions by: it is the same on a busy machine. A word after either picks the cases
//! whose names have it. `cargo test` runs each case once.
//!
//! A case is a name and a body that can be run again and again; `cases` are all of them.

mod case;
mod cassette;
mod http1;
mod instructions;
mod key;
mod redact;
mod tape;
mod ws;

use case::Case;

/// What the program runs on, counted.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler<tikv_jemallocator::Jemalloc> =
    divan::AllocProfiler::new(tikv_jemallocator::Jemalloc);

fn cases() -> impl Iterator<Item = &'static Case> {
    [key::CASES, cassette::CASES, tape::CASES, redact::CASES, http1::CASES, ws::CASES]
        .into_iter()
        .flatten()
}

fn main() {
    if instructions::asked_for(cases) {
        return;
    }
    // Cargo says so, unless it runs tests.
    match std::env::args().any(|arg| arg == "--bench") {
        true => divan::main(),
        false => test(),
    }
}

/// Runs each case once, or those whose names have a word that is given, whatever else a test
/// runner says.
fn test() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        return;
    }
    let words: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let is_meant =
        |case: &&Case| words.is_empty() || words.iter().any(|word| case.name.contains(*word));
    let mut count = 0;
    for case in cases().filter(is_meant) {
        (case.prepare)()();
        count += 1;
    }
    println!("{count} benchmarks ran once each");
}

#[divan::bench(args = cases())]
fn micro(bencher: divan::Bencher<'_, '_>, case: &Case) {
    let mut run = (case.prepare)();
    bencher.counter(divan::counter::ItemsCount::new(case.items)).bench_local(&mut *run);
}
