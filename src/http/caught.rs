//! A panic inside an exchange ends that exchange and nothing else.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::Poll;

#[derive(Debug)]
pub struct Panicked;

/// Runs a future; a panic inside it ends it, the panic hook has told of it, and nothing else is
/// harmed: what it borrowed is only closed afterwards.
///
/// Pinned by the caller: an `async fn` would hold a future that it is given, and then pins, twice.
pub async fn catch_panic<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}
