//! Lets a test of the whole program see a listener fail: `OULI_FAIL_LISTENER=NAME` breaks the
//! endpoint's listeners after the first connection, `NAME:N` after N. Not in release builds.

use std::io;

use rustix::io::Errno;

#[derive(Debug)]
pub(super) struct Sabotage {
    accepts_left: Option<usize>,
}

impl Sabotage {
    pub(super) fn of(endpoint: &str) -> Self {
        let wish = std::env::var("OULI_FAIL_LISTENER").unwrap_or_default();
        let (name, count) = wish.rsplit_once(':').unwrap_or((&wish, "1"));
        let hit = !name.is_empty() && name == endpoint;
        Sabotage { accepts_left: count.parse().ok().filter(|_| hit) }
    }

    /// The error that a listener gives which was shut down.
    pub(super) fn strike(&mut self) -> Option<io::Error> {
        let left = self.accepts_left.as_mut()?;
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => return Some(Errno::INVAL.into()),
        }
        None
    }
}
