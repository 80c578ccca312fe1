//! A timer that is cheap to move.
//!
//! A connection has several timeouts, one after the other, and nearly none of them ever fires.
//! So moving the deadline only writes a field: the timer behind it is armed again when it fires
//! too early, or when it would fire too late.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug, Default)]
pub struct Deadline {
    at: Option<Instant>,
    /// Fires at or before `at`, once it was polled. Boxed: a connection that never waits has none.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// A deadline that isn't set.
    pub fn new() -> Self {
        Self::default()
    }

    pub fn set(&mut self, at: Instant) {
        self.at = Some(at);
    }

    pub fn set_after(&mut self, duration: Duration) {
        self.set(Instant::now() + duration);
    }

    /// It never expires until it is set again.
    pub fn clear(&mut self) {
        self.at = None;
    }

    pub fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Ready once the deadline has passed, and again on each later poll until it is moved. After
    /// `set` to a sooner time it must be polled for the task to be woken then.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let is_armed = self.timer.as_ref().is_some_and(|timer| timer.deadline() <= at);
        // A timer counts in whole milliseconds and rounds up: what is due already needs none.
        if !is_armed && at <= Instant::now() {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }

    /// Completes when the deadline has passed. Cancel safety: nothing is lost.
    pub async fn expired(&mut self) {
        poll_fn(|cx| self.poll_expired(cx)).await
    }
}

/// Ran out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Completes `future` unless that takes longer than `limit`. A timer is made only when it doesn't
/// complete at once, which is the common case for a socket that has bytes or room.
///
/// Pinned by the caller: an `async fn` would hold a future that it is given, and then pins, twice.
pub async fn within<F: Future>(
    limit: Duration,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    let mut timer = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    async fn is_expired(deadline: &mut Deadline) -> bool {
        poll_fn(|cx| Poll::Ready(deadline.poll_expired(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_already_waits_for_no_timer() {
        let mut deadline = Deadline::new();
        deadline.set_after(SECOND);
        assert!(!is_expired(&mut deadline).await);
        advance(Duration::from_micros(500)).await;
        let mut fresh = Deadline::new();
        for deadline in [&mut deadline, &mut fresh] {
            deadline.set(Instant::now());
            assert!(is_expired(deadline).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unset_deadline_never_expires() {
        let mut deadline = Deadline::new();
        assert!(timeout(3600 * SECOND, deadline.expired()).await.is_err());
        deadline.set_after(SECOND);
        deadline.clear();
        assert!(timeout(3600 * SECOND, deadline.expired()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn it_expires_when_due_and_stays_expired() {
        let mut deadline = Deadline::new();
        let start = Instant::now();
        deadline.set(start + SECOND);
        deadline.expired().await;
        assert_eq!(start.elapsed(), SECOND);
        assert!(is_expired(&mut deadline).await);
    }

    #[tokio::test(start_paused = true)]
    async fn moving_it_later_does_not_touch_the_timer_until_it_fires() {
        let mut deadline = Deadline::new();
        let start = Instant::now();
        deadline.set(start + SECOND);
        assert!(!is_expired(&mut deadline).await);
        deadline.set(start + 3 * SECOND);
        assert!(!is_expired(&mut deadline).await);
        let armed = deadline.timer.as_ref().unwrap().deadline();
        assert_eq!(armed, start + SECOND, "the timer must not have been armed again");
        deadline.expired().await;
        assert_eq!(start.elapsed(), 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn moving_it_sooner_expires_sooner() {
        let mut deadline = Deadline::new();
        let start = Instant::now();
        deadline.set(start + 60 * SECOND);
        assert!(!is_expired(&mut deadline).await);
        deadline.set(start + SECOND);
        deadline.expired().await;
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_set_again_after_it_expired_or_was_cleared() {
        let mut deadline = Deadline::new();
        for round in 0..3 {
            deadline.set_after(SECOND);
            assert!(!is_expired(&mut deadline).await, "round {round}");
            advance(SECOND).await;
            assert!(is_expired(&mut deadline).await, "round {round}");
            deadline.clear();
            assert!(!is_expired(&mut deadline).await, "round {round}");
        }
    }
}
