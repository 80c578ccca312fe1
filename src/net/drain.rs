//! The orderly end: one signal for all runtimes, and a count of those who have yet to finish.
//!
//! The signal is level-triggered: who asks after it was given learns of it as well as who waited.
//! Guards are counted, so the end is known when it comes and nobody polls for it. After the
//! deadline it is the composition root that cuts what is left, by dropping the runtimes.
//!
//! Thousands of idle connections wait for this signal and for bytes at once. So a waiter
//! registers its task's waker once, in a list that its runtime has for itself, and from then on
//! waiting costs one atomic load.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The side that starts the drain and waits for its end. Clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    started: AtomicBool,
    guards: AtomicUsize,
    /// The start, a new deadline, or the last guard's end.
    changed: Notify,
    control: Mutex<Control>,
}

#[derive(Debug, Default)]
struct Control {
    deadline: Option<Instant>,
    lists: Vec<Arc<WakerList>>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    InTime,
    /// The deadline passed with so many guards left.
    Late {
        left: usize,
    },
}

impl Drain {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the drain, or moves the deadline of one that has started to a sooner time.
    pub fn start(&self, deadline: Instant) {
        let lists = {
            let mut control = lock(&self.0.control);
            control.deadline =
                Some(control.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
            self.0.started.store(true, Ordering::SeqCst);
            control.lists.clone()
        };
        for list in lists {
            list.wake_all();
        }
        self.0.changed.notify_waiters();
    }

    /// Ends the wait at once, whoever is left: a second signal.
    pub fn stop_now(&self) {
        self.start(Instant::now());
    }

    pub fn is_draining(&self) -> bool {
        self.0.started.load(Ordering::SeqCst)
    }

    pub fn guards(&self) -> usize {
        self.0.guards.load(Ordering::SeqCst)
    }

    pub fn deadline(&self) -> Option<Instant> {
        lock(&self.0.control).deadline
    }

    /// A view for one runtime; clone it for its tasks.
    pub fn watch(&self) -> Watch {
        let list = Arc::new(WakerList::default());
        lock(&self.0.control).lists.push(list.clone());
        Watch { shared: self.0.clone(), list }
    }

    /// Completes once the drain has started and all guards are gone, or its deadline has passed.
    pub async fn finished(&self) -> Finished {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // From here on no change goes unseen, so what is read below can't be stale for long.
            changed.as_mut().enable();
            let left = self.guards();
            if !self.is_draining() {
                changed.await;
                continue;
            }
            if left == 0 {
                return Finished::InTime;
            }
            let deadline = self.deadline().unwrap_or_else(Instant::now);
            if deadline <= Instant::now() {
                return Finished::Late { left };
            }
            // Which of the two it was, the next turn finds out.
            let _ = timeout_at(deadline, changed).await;
        }
    }
}

/// A runtime's view of the drain.
#[derive(Clone, Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    list: Arc<WakerList>,
}

impl Watch {
    pub fn is_draining(&self) -> bool {
        self.shared.started.load(Ordering::SeqCst)
    }

    /// When what is in flight will be cut; `None` before the drain started.
    pub fn deadline(&self) -> Option<Instant> {
        lock(&self.shared.control).deadline
    }

    /// Holds the drain's end back until it is dropped.
    pub fn guard(&self) -> Guard {
        self.shared.guards.fetch_add(1, Ordering::SeqCst);
        Guard { waiter: self.waiter() }
    }

    /// Waits without holding the end back.
    pub fn waiter(&self) -> Waiter {
        Waiter { watch: self.clone(), registered: None }
    }

    /// Completes once the drain has started. Cancel safety: nothing is lost.
    pub async fn started(&self) {
        let mut waiter = self.waiter();
        poll_fn(|cx| waiter.poll_started(cx)).await
    }
}

/// One task's wait for the start.
#[derive(Debug)]
pub struct Waiter {
    watch: Watch,
    registered: Option<(usize, Waker)>,
}

impl Waiter {
    pub fn is_draining(&self) -> bool {
        self.watch.is_draining()
    }

    /// Ready once the drain has started, and ever after.
    pub fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_draining() {
            return Poll::Ready(());
        }
        if self.registered.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let place = self.registered.take().map(|(place, _)| place);
        let place = self.watch.list.register(place, cx.waker().clone());
        self.registered = Some((place, cx.waker().clone()));
        // The start may have come between the first look and the registration.
        if self.is_draining() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some((place, _)) = self.registered.take() {
            self.watch.list.remove(place);
        }
    }
}

/// Something that must come to its end before the program does: a connection, an accept loop.
#[derive(Debug)]
pub struct Guard {
    waiter: Waiter,
}

impl Guard {
    pub fn is_draining(&self) -> bool {
        self.waiter.is_draining()
    }

    /// As `Waiter::poll_started`.
    pub fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.poll_started(cx)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let shared = &self.waiter.watch.shared;
        let was_last = shared.guards.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && shared.started.load(Ordering::SeqCst) {
            shared.changed.notify_waiters();
        }
    }
}

/// The wakers of one runtime's waiters. Only that runtime's thread and the drain's start lock it.
#[derive(Debug, Default)]
struct WakerList(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl WakerList {
    /// Puts the waker in the place its waiter already has, or in a free one.
    fn register(&self, place: Option<usize>, waker: Waker) -> usize {
        let mut places = lock(&self.0);
        let place = place.or_else(|| places.free.pop()).unwrap_or(places.wakers.len());
        match places.wakers.get_mut(place) {
            Some(slot) => *slot = Some(waker),
            None => places.wakers.push(Some(waker)),
        }
        place
    }

    fn remove(&self, place: usize) {
        let mut places = lock(&self.0);
        if let Some(slot) = places.wakers.get_mut(place) {
            *slot = None;
            places.free.push(place);
        }
    }

    fn wake_all(&self) {
        // Woken outside the lock: a waker may run code that drops waiters.
        let wakers: Vec<Waker> = lock(&self.0).wakers.iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Nothing here panics with a lock held, so a poisoned lock holds a sound value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    const SECOND: Duration = Duration::from_secs(1);

    fn in_ten_seconds() -> Instant {
        Instant::now() + 10 * SECOND
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_without_guards_ends_as_soon_as_it_starts() {
        let drain = Drain::new();
        assert!(timeout(SECOND, drain.finished()).await.is_err());
        drain.start(in_ten_seconds());
        assert_eq!(drain.finished().await, Finished::InTime);
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_the_last_guard() {
        let drain = Drain::new();
        let watch = drain.watch();
        let (first, second) = (watch.guard(), drain.watch().guard());
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.finished().await }
        });
        drop(first);
        drain.start(in_ten_seconds());
        yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        assert_eq!(waiting.await.unwrap(), Finished::InTime);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_deadline_it_says_how_many_are_left() {
        let drain = Drain::new();
        let watch = drain.watch();
        let _guards = (watch.guard(), watch.guard());
        let start = Instant::now();
        drain.start(start + 3 * SECOND);
        assert_eq!(drain.finished().await, Finished::Late { left: 2 });
        assert_eq!(start.elapsed(), 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_wait_at_once_and_a_later_deadline_does_not_move_it() {
        let drain = Drain::new();
        let _guard = drain.watch().guard();
        drain.start(in_ten_seconds());
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.finished().await }
        });
        yield_now().await;
        let start = Instant::now();
        drain.stop_now();
        drain.start(in_ten_seconds());
        assert_eq!(waiting.await.unwrap(), Finished::Late { left: 1 });
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn who_asks_after_the_start_learns_of_it_too() {
        let drain = Drain::new();
        let watch = drain.watch();
        drain.start(in_ten_seconds());
        assert!(watch.is_draining());
        watch.started().await;
        drain.watch().started().await;
    }

    #[test]
    fn waiters_in_several_runtimes_are_all_woken() {
        let drain = Drain::new();
        let ready = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (watch, ready) = (drain.watch(), &ready);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let tasks: Vec<_> = (0..10)
                            .map(|_| {
                                let mut guard = watch.guard();
                                tokio::spawn(async move {
                                    poll_fn(|cx| guard.poll_started(cx)).await;
                                })
                            })
                            .collect();
                        yield_now().await;
                        ready.wait();
                        for task in tasks {
                            task.await.unwrap();
                        }
                    });
                });
            }
            ready.wait();
            drain.start(in_ten_seconds());
        });
        assert_eq!(drain.guards(), 0);
    }

    #[tokio::test]
    async fn a_waiter_registers_once_and_leaves_its_place_to_the_next() {
        let drain = Drain::new();
        let watch = drain.watch();
        for _ in 0..100 {
            let mut guard = watch.guard();
            for _ in 0..3 {
                poll_fn(|cx| {
                    assert!(guard.poll_started(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
        }
        assert_eq!(lock(&watch.list.0).wakers.len(), 1);
        assert_eq!(drain.guards(), 0);
    }
}
