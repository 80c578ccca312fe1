//! The errors of accept(2) in three kinds, by whose trouble they are.

use std::io;

use rustix::io::Errno;

/// Whose trouble an error of accept(2) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    OfConnection,
    OfSystem,
    OfListener,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        let Some(errno) = Errno::from_io_error(error) else { return Trouble::OfSystem };
        match errno {
            Errno::CONNABORTED | Errno::CONNRESET | Errno::PROTO | Errno::INTR | Errno::AGAIN => {
                Trouble::OfConnection
            }
            // "Linux accept() passes already-pending network errors on the new socket" (accept(2)).
            Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::TIMEDOUT => Trouble::OfConnection,
            #[cfg(target_os = "linux")]
            Errno::NONET => Trouble::OfConnection,
            // Firewall rules forbid this one connection.
            Errno::PERM => Trouble::OfConnection,
            Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Trouble::OfListener,
            // EMFILE, ENFILE, ENOBUFS, ENOMEM; what is unknown had better not spin either.
            _ => Trouble::OfSystem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_whose_trouble_they_are() {
        let table = [
            (Errno::CONNABORTED, Trouble::OfConnection),
            (Errno::CONNRESET, Trouble::OfConnection),
            (Errno::INTR, Trouble::OfConnection),
            (Errno::PROTO, Trouble::OfConnection),
            (Errno::NETDOWN, Trouble::OfConnection),
            (Errno::PERM, Trouble::OfConnection),
            (Errno::MFILE, Trouble::OfSystem),
            (Errno::NFILE, Trouble::OfSystem),
            (Errno::NOBUFS, Trouble::OfSystem),
            (Errno::NOMEM, Trouble::OfSystem),
            (Errno::NOSPC, Trouble::OfSystem),
            (Errno::BADF, Trouble::OfListener),
            (Errno::INVAL, Trouble::OfListener),
            (Errno::NOTSOCK, Trouble::OfListener),
        ];
        for (errno, expected) in table {
            assert_eq!(Trouble::of(&errno.into()), expected, "{errno:?}");
        }
        assert_eq!(Trouble::of(&io::Error::other("runtime gone")), Trouble::OfSystem);
    }
}
