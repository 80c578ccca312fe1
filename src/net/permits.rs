//! The connection limit, shared by all runtimes.
//!
//! A permit is taken when a connection is accepted and lives in its I/O object, so that an
//! upgrade keeps it and nothing can leak it. Never more than `limit` permits exist, and none is
//! refused while one is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug)]
pub struct Permits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    in_use: AtomicUsize,
}

impl Permits {
    pub fn new(limit: usize) -> Self {
        Permits(Arc::new(Shared { limit, in_use: AtomicUsize::new(0) }))
    }

    /// One step from "there is room" to "it is taken": a check followed by an increment would let
    /// two runtimes pass the limit together, an increment that is undone would refuse too early.
    pub fn try_acquire(&self) -> Option<Permit> {
        let taken = |in_use: usize| (in_use < self.0.limit).then_some(in_use + 1);
        self.0
            .in_use
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .ok()
            .map(|_| Permit(self.0.clone()))
    }

    pub fn limit(&self) -> usize {
        self.0.limit
    }

    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }
}

/// The right to one open connection; given back on drop.
#[derive(Debug)]
pub struct Permit(Arc<Shared>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_permit_after_the_last_is_refused_until_one_is_given_back() {
        let permits = Permits::new(2);
        let first = permits.try_acquire().unwrap();
        let _second = permits.try_acquire().unwrap();
        assert!(permits.try_acquire().is_none());
        drop(first);
        assert!(permits.try_acquire().is_some());
    }

    #[test]
    fn a_limit_of_zero_refuses_everyone() {
        assert!(Permits::new(0).try_acquire().is_none());
    }

    #[test]
    fn threads_that_race_never_pass_the_limit_nor_are_refused_below_it() {
        const THREADS: usize = 4;
        let permits = Permits::new(THREADS - 1);
        let most = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if let Some(_permit) = permits.try_acquire() {
                            most.fetch_max(permits.in_use(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(most.into_inner() <= permits.limit());
        assert_eq!(permits.in_use(), 0);

        // As many threads as permits: each must always get one.
        let permits = Permits::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..20_000).for_each(|_| drop(permits.try_acquire().unwrap())));
            }
        });
    }
}
