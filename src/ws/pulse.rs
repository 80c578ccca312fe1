//! Which side of a conversation shows life.
//!
//! Looked at now and then, not at each message: a side that did nothing since the last look is
//! silent, and one that did nothing since it was asked is dead.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::net::deadline::Deadline;
use crate::tape::Side;

#[derive(Debug)]
pub struct Pulses {
    period: Duration,
    next: Deadline,
    client: Pulse,
    origin: Pulse,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    /// It sent something, or took something, since the last look.
    is_felt: bool,
    is_asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Alive,
    /// To be asked.
    Silent,
    /// It was asked, and showed nothing.
    Dead,
}

impl Pulses {
    pub fn new(period: Duration) -> Pulses {
        let mut next = Deadline::new();
        next.set_after(period);
        Pulses { period, next, client: Pulse::default(), origin: Pulse::default() }
    }

    pub fn felt(&mut self, side: Side) {
        self.of(side).is_felt = true;
    }

    /// It couldn't be asked, and nothing is wrong with its silence.
    pub fn excuse(&mut self, side: Side) {
        self.of(side).is_asked = false;
    }

    fn of(&mut self, side: Side) -> &mut Pulse {
        match side {
            Side::Request => &mut self.client,
            Side::Response => &mut self.origin,
        }
    }

    /// Ready when it was time to look: what was found of the client, and of the origin.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<[Verdict; 2]> {
        ready!(self.next.poll_expired(cx));
        self.next.set_after(self.period);
        Poll::Ready([self.client.look(), self.origin.look()])
    }
}

impl Pulse {
    fn look(&mut self) -> Verdict {
        if std::mem::take(&mut self.is_felt) {
            self.is_asked = false;
            return Verdict::Alive;
        }
        match std::mem::replace(&mut self.is_asked, true) {
            true => Verdict::Dead,
            false => Verdict::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_nothing_is_asked_once_and_then_dead() {
        let mut pulse = Pulse { is_felt: true, ..Pulse::default() };
        let looked = [(); 3].map(|()| pulse.look());
        assert_eq!(looked, [Verdict::Alive, Verdict::Silent, Verdict::Dead]);
        let mut pulse = Pulse::default();
        assert_eq!(pulse.look(), Verdict::Silent);
        pulse.is_felt = true;
        assert_eq!((pulse.look(), pulse.look()), (Verdict::Alive, Verdict::Silent));
    }
}
