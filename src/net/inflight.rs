//! The backpressure controller (RFC-004): how many requests are served at once.
//!
//! Beyond `max_in_flight` a request waits, first come first served across all runtimes, and is
//! refused after `queue_timeout`. A slot is held until its answer's last byte.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::NetworkError;

#[derive(Clone, Debug)]
pub struct InFlight {
    /// Its queue is fair: a slot given back goes to whoever waited longest, so `try_acquire`
    /// can't overtake those who wait.
    slots: Arc<Semaphore>,
    limit: usize,
    queue_timeout: Duration,
}

impl InFlight {
    pub fn new(max_in_flight: usize, queue_timeout: Duration) -> Self {
        let limit = max_in_flight.min(Semaphore::MAX_PERMITS);
        InFlight { slots: Arc::new(Semaphore::new(limit)), limit, queue_timeout }
    }

    /// A slot if one is free now.
    pub fn try_acquire(&self) -> Option<Slot> {
        self.slots.clone().try_acquire_owned().ok().map(Slot)
    }

    /// A slot, at once where one is free, else in turn.
    ///
    /// Errors: `Overloaded` after `queue_timeout`. Cancel safety: leaves the queue, loses nothing.
    pub async fn acquire(&self) -> Result<Slot, NetworkError> {
        match self.try_acquire() {
            Some(slot) => Ok(slot),
            // Boxed, so that waiting in a queue isn't paid for by every connection's size.
            None => Box::pin(self.queue()).await,
        }
    }

    async fn queue(&self) -> Result<Slot, NetworkError> {
        match timeout(self.queue_timeout, self.slots.clone().acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Slot(slot)),
            // The semaphore is never closed, so only the time can have run out.
            Ok(Err(_)) | Err(_) => {
                Err(NetworkError::Overloaded { limit: self.limit, waited: self.queue_timeout })
            }
        }
    }

    pub fn in_use(&self) -> usize {
        self.limit - self.slots.available_permits()
    }
}

/// The right to serve one request; given back on drop.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use tokio::task::{LocalSet, spawn_local, yield_now};
    use tokio::time::Instant;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_request_beyond_the_limit_is_refused_after_the_queue_timeout() {
        let in_flight = InFlight::new(1, TIMEOUT);
        let _held = in_flight.acquire().await.unwrap();
        let start = Instant::now();
        let refused = in_flight.acquire().await.unwrap_err();
        assert_eq!(refused, NetworkError::Overloaded { limit: 1, waited: TIMEOUT });
        assert_eq!(start.elapsed(), TIMEOUT);
        assert_eq!(in_flight.in_use(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_served_in_the_order_in_which_they_came() {
        let in_flight = InFlight::new(1, TIMEOUT);
        let held = in_flight.acquire().await.unwrap();
        let served = Rc::new(RefCell::new(Vec::new()));
        LocalSet::new()
            .run_until(async {
                let mut waiting = Vec::new();
                for number in 0..5 {
                    let (in_flight, served) = (in_flight.clone(), served.clone());
                    waiting.push(spawn_local(async move {
                        let _slot = in_flight.acquire().await.unwrap();
                        served.borrow_mut().push(number);
                        yield_now().await;
                    }));
                    yield_now().await;
                }
                drop(held);
                // One who comes now must not overtake those who wait.
                assert!(in_flight.try_acquire().is_none());
                for task in waiting {
                    task.await.unwrap();
                }
            })
            .await;
        assert_eq!(*served.borrow(), [0, 1, 2, 3, 4]);
        assert_eq!(in_flight.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_leaves_the_queue_takes_no_slot_along() {
        let in_flight = InFlight::new(1, TIMEOUT);
        let held = in_flight.acquire().await.unwrap();
        let left = timeout(Duration::from_secs(1), in_flight.acquire()).await;
        assert!(left.is_err());
        drop(held);
        assert!(in_flight.try_acquire().is_some());
    }
}
