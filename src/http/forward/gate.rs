//! The gate between a client that waits for 100 and its upload.

use std::cell::Cell;

use tokio::sync::Notify;

/// Holds an upload back until the client was told to go on.
pub(super) struct Gate {
    is_open: Cell<bool>,
    opened: Notify,
}

impl Gate {
    pub(super) fn new(is_open: bool) -> Self {
        Gate { is_open: Cell::new(is_open), opened: Notify::new() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    pub(super) fn open(&self) {
        self.is_open.set(true);
        self.opened.notify_one();
    }

    pub(super) async fn passed(&self) {
        while !self.is_open() {
            self.opened.notified().await;
        }
    }
}
