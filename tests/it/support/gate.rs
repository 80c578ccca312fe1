//! A gate between a test and an origin's script: the script waits where the test wants it to.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Cloned into a script. Each `open` lets one `pass` through, whichever comes first.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<(Mutex<Passes>, Condvar)>,
}

#[derive(Default)]
struct Passes {
    left: usize,
    open_for_all: bool,
    /// How many wait or have waited: lets a test see that a script has come this far.
    reached: usize,
}

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn open(&self) {
        let (passes, changed) = &*self.state;
        passes.lock().unwrap().left += 1;
        changed.notify_all();
    }

    pub fn open_for_all(&self) {
        let (passes, changed) = &*self.state;
        passes.lock().unwrap().open_for_all = true;
        changed.notify_all();
    }

    /// How many scripts have come to this gate so far.
    pub fn reached(&self) -> usize {
        self.state.0.lock().unwrap().reached
    }

    /// Waits for an `open`. After 30 s goes on all the same: the test has failed by then.
    pub fn pass(&self) {
        let (passes, changed) = &*self.state;
        let mut passes = passes.lock().unwrap();
        passes.reached += 1;
        let (mut passes, _) = changed
            .wait_timeout_while(passes, Duration::from_secs(30), |passes| {
                passes.left == 0 && !passes.open_for_all
            })
            .unwrap();
        passes.left = passes.left.saturating_sub(1);
    }
}
