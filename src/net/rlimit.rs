//! Room for file descriptors: the soft limit is raised to what the connection limit needs.
//!
//! Where the hard limit is too low, a connection limit that somebody wrote down is an error; one
//! that nobody asked for is lowered.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::NetworkError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Client connections open at once.
    pub connections: usize,
    /// Descriptors that one of them may take: itself and its origin connection, say.
    pub per_connection: usize,
    /// What is open besides: listeners, kept origin connections, tapes, the runtimes' own.
    pub fixed: usize,
}

impl Need {
    fn descriptors(&self) -> u64 {
        let connections = (self.connections as u64).saturating_mul(self.per_connection as u64);
        connections.saturating_add(self.fixed as u64)
    }

    fn connections_within(&self, descriptors: u64) -> usize {
        let left = descriptors.saturating_sub(self.fixed as u64);
        let possible = left / (self.per_connection as u64).max(1);
        usize::try_from(possible).unwrap_or(usize::MAX)
    }
}

/// Who wants that many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    ByConfiguration,
    ByDefault,
}

/// Raises the soft limit as far as `need` wants it, never lowers it. Returns the connections that
/// the process may now open: fewer than wanted, with a warning, only for `Asked::ByDefault`, and
/// never none.
///
/// Errors: `TooFewDescriptors`, `DescriptorLimitRefused`.
pub fn make_room(need: Need, asked: Asked) -> Result<usize, NetworkError> {
    let limit = getrlimit(Resource::Nofile);
    let room = plan(need, asked, limit)?;
    if let Some(soft) = room.raise_to {
        let raised = Rlimit { current: Some(soft), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_err(|error| {
            NetworkError::DescriptorLimitRefused {
                wanted: soft,
                cause: std::io::Error::from(error).into(),
            }
        })?;
    }
    if room.connections < need.connections {
        let (wanted, possible) = (need.connections, room.connections);
        tracing::warn!(wanted, possible, "too few file descriptors, lowered the connection limit");
    }
    Ok(room.connections)
}

#[derive(Debug, PartialEq, Eq)]
struct Room {
    connections: usize,
    raise_to: Option<u64>,
}

fn plan(need: Need, asked: Asked, limit: Rlimit) -> Result<Room, NetworkError> {
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let needed = need.descriptors();
    if needed <= hard {
        let raise_to = (needed > soft).then_some(needed);
        return Ok(Room { connections: need.connections, raise_to });
    }
    let possible = need.connections_within(hard);
    match asked {
        Asked::ByDefault if possible > 0 => {
            Ok(Room { connections: possible, raise_to: (hard > soft).then_some(hard) })
        }
        _ => Err(NetworkError::TooFewDescriptors {
            connections: need.connections,
            needed,
            hard,
            possible,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need { connections: 4096, per_connection: 2, fixed: 600 };

    fn limit(soft: u64, hard: u64) -> Rlimit {
        Rlimit { current: Some(soft), maximum: Some(hard) }
    }

    #[test]
    fn a_soft_limit_that_suffices_is_left_alone() {
        let room = plan(NEED, Asked::ByConfiguration, limit(20_000, 20_000));
        assert_eq!(room, Ok(Room { connections: 4096, raise_to: None }));
    }

    #[test]
    fn a_soft_limit_that_is_too_low_is_raised_to_the_need() {
        let expected = Ok(Room { connections: 4096, raise_to: Some(8792) });
        assert_eq!(plan(NEED, Asked::ByDefault, limit(1024, 20_000)), expected);
        let unlimited = Rlimit { current: Some(1024), maximum: None };
        assert_eq!(plan(NEED, Asked::ByDefault, unlimited), expected);
    }

    #[test]
    fn a_hard_limit_below_a_configured_limit_is_an_error_with_the_numbers() {
        let refused = plan(NEED, Asked::ByConfiguration, limit(1024, 4096)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "4096 connections need 8792 file descriptors, the hard limit is 4096 \
             (enough for 1748 connections)"
        );
    }

    #[test]
    fn a_hard_limit_below_a_default_lowers_it() {
        let room = plan(NEED, Asked::ByDefault, limit(1024, 4096));
        assert_eq!(room, Ok(Room { connections: 1748, raise_to: Some(4096) }));
    }

    #[test]
    fn a_hard_limit_without_room_for_one_connection_is_always_an_error() {
        assert!(plan(NEED, Asked::ByDefault, limit(256, 601)).is_err());
    }

    #[test]
    fn absurd_wishes_do_not_overflow() {
        let need = Need { connections: usize::MAX, per_connection: 2, fixed: 600 };
        assert!(plan(need, Asked::ByConfiguration, limit(1024, 4096)).is_err());
    }

    #[test]
    fn room_is_made_in_this_process() {
        let soft = || getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let before = soft();
        let need = Need { connections: 10, per_connection: 2, fixed: 10 };
        assert_eq!(make_room(need, Asked::ByConfiguration), Ok(10));
        // Another test may raise it meanwhile.
        assert!(soft() >= before);
    }
}
