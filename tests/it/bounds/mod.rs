//! Memory, disk and places: what doesn't grow with a body, a stream, or how slow anyone is.

mod backpressure;
mod bodies;
mod disk;
mod places;
mod streams;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::*;

/// A body that is no text, much larger than what its way through the program may hold.
const LARGE: usize = 48 << 20;

/// What one exchange may hold on either road over HTTP/1.1, and over HTTP/2 with its windows.
const HTTP1_KIB: u64 = 4 << 10;
const HTTP2_KIB: u64 = 8 << 10;

fn bound_kib(protocol: Protocol) -> u64 {
    if protocol.is_h2() { HTTP2_KIB } else { HTTP1_KIB }
}

fn large() -> Vec<u8> {
    (0..LARGE).map(|n| (n / 251 + n) as u8 | 0x80).collect()
}

/// The most by which the program's own memory grows while `run` lasts, in KiB.
#[track_caller]
fn growth_kib<T>(ouli: &Ouli, run: impl FnOnce() -> T) -> (T, u64) {
    let before = ouli.memory_kib("RssAnon");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let mut most = before;
            while !is_over.load(Ordering::SeqCst) {
                most = most.max(ouli.memory_kib("RssAnon"));
                thread::sleep(Duration::from_millis(2));
            }
            most - before
        });
        // Also where `run` panics: the watcher would be waited for.
        let over = Over(&is_over);
        let ran = run();
        drop(over);
        (ran, watched.join().unwrap())
    })
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
