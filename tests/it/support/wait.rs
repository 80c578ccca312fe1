//! Waiting without sleeping: until something holds, or a test fails with what was seen last.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than any step takes on a loaded machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a look at the world can say: it holds, or here is the state instead.
pub trait State {
    type Found;
    fn found(self) -> Result<Self::Found, String>;
}

impl State for bool {
    type Found = ();
    fn found(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "it doesn't hold".to_owned())
    }
}

impl<T> State for Option<T> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing there".to_owned())
    }
}

impl<T> State for Result<T, String> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self
    }
}

/// Looks until the state holds, and returns what was found; after 5 s fails with the last state.
#[track_caller]
pub fn wait_until<S: State>(what: &str, mut look: impl FnMut() -> S) -> S::Found {
    wait_for(PATIENCE, what, &mut look)
}

/// Like `wait_until`, with a patience of its own.
#[track_caller]
pub fn wait_for<S: State>(patience: Duration, what: &str, look: &mut dyn FnMut() -> S) -> S::Found {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match look().found() {
            Ok(found) => return found,
            Err(state) if begun.elapsed() > patience => {
                panic!("waited {patience:?} in vain until {what}; last state: {state}")
            }
            Err(_) => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}
