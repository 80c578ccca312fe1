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
    if !instructions::asked_for(cases) {
        divan::main();
    }
}

#[divan::bench(args = cases())]
fn micro(bencher: divan::Bencher<'_, '_>, case: &Case) {
    let mut run = (case.prepare)();
    bencher.counter(divan::counter::ItemsCount::new(case.items)).bench_local(&mut *run);
}
