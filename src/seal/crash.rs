//! Points between the steps of a seal at which a test can have the program killed.
//!
//! `OULI_CRASH_AT` names a point, or counts them from 0. Only in builds with debug assertions.

#[cfg(debug_assertions)]
pub(super) fn point(name: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let number = PASSED.fetch_add(1, Ordering::Relaxed);
    let Ok(wanted) = std::env::var("OULI_CRASH_AT") else { return };
    if wanted == name || wanted.parse() == Ok(number) {
        // As from outside: no destructor runs, no buffer is flushed.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn point(_: &str) {}
