//! The errors of accept(2) in three kinds, by whose trouble they are.

use std::io;

use rustix::io::Errno;

/// Whose trouble an error of accept(2) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Connection,
    System,
    Listener,
}

impl Trouble {
    pub(super) fn of(error: &io::Error) -> Self {
        let Some(errno) = Errno::from_io_error(error) else { return Trouble::System };
        match errno {
            Errno::CONNABORTED | Errno::CONNRESET | Errno::PROTO | Errno::INTR | Errno::AGAIN => {
                Trouble::Connection
            }
            // "Linux accept() passes already-pending network errors on the new socket" (accept(2)).
            Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::TIMEDOUT => Trouble::Connection,
            #[cfg(target_os = "linux")]
            Errno::NONET => Trouble::Connection,
            // Firewall rules forbid this one connection.
            Errno::PERM => Trouble::Connection,
            Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Trouble::Listener,
            // EMFILE, ENFILE, ENOBUFS, ENOMEM; what is unknown had better not spin either.
            _ => Trouble::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_whose_trouble_they_are() {
        let table = [
            (Errno::CONNABORTED, Trouble::Connection),
            (Errno::CONNRESET, Trouble::Connection),
            (Errno::INTR, Trouble::Connection),
            (Errno::PROTO, Trouble::Connection),
            (Errno::NETDOWN, Trouble::Connection),
            (Errno::PERM, Trouble::Connection),
            (Errno::MFILE, Trouble::System),
            (Errno::NFILE, Trouble::System),
            (Errno::NOBUFS, Trouble::System),
            (Errno::NOMEM, Trouble::System),
            (Errno::NOSPC, Trouble::System),
            (Errno::BADF, Trouble::Listener),
            (Errno::INVAL, Trouble::Listener),
            (Errno::NOTSOCK, Trouble::Listener),
        ];
        for (errno, expected) in table {
            assert_eq!(Trouble::of(&errno.into()), expected, "{errno:?}");
        }
        assert_eq!(Trouble::of(&io::Error::other("runtime gone")), Trouble::System);
    }
}
