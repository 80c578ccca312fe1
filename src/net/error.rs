//! What can go wrong with the network as a whole (RFC-004, Error Handling).
//!
//! An exchange that fails has its own fault type further up; here is what stops a listener, a
//! start, or a request before it was one. Values compare, so that tests read.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The port is taken, privileged, or the address isn't this machine's.
    #[error("could not listen on {address} for endpoint `{endpoint}`: {cause}")]
    Bind { endpoint: String, address: SocketAddr, cause: Cause },

    /// A listener that served is no longer one. The program drains and ends.
    #[error("the listener of endpoint `{endpoint}` on {address} failed: {cause}")]
    ListenerFailed { endpoint: String, address: SocketAddr, cause: Cause },

    #[error("connection limit reached: {0}")]
    ConnectionLimitReached(usize),

    /// No slot came free: `max_in_flight` requests were being served all the while.
    #[error("waited {:.1} s for one of {limit} requests in flight to end", waited.as_secs_f64())]
    Overloaded { limit: usize, waited: Duration },

    #[error(
        "{connections} connections need {needed} file descriptors, the hard limit is {hard} \
         (enough for {possible} connections)"
    )]
    TooFewDescriptors { connections: usize, needed: u64, hard: u64, possible: usize },

    #[error("the system did not raise the limit of file descriptors to {wanted}: {cause}")]
    DescriptorLimitRefused { wanted: u64, cause: Cause },
}

/// Why the system refused: an `io::Error` that compares and clones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub kind: io::ErrorKind,
    /// The system's error number, where it was the system that refused.
    pub code: Option<i32>,
    text: String,
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Cause { kind: error.kind(), code: error.raw_os_error(), text: plain_text(&error) }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The system's words in lower case, without the number that std puts behind them.
fn plain_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => format!("{:?}", error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_reads_like_a_sentence_and_keeps_its_number() {
        let cause = Cause::from(io::Error::from_raw_os_error(libc_eaddrinuse()));
        assert_eq!(cause.to_string(), "address already in use");
        assert_eq!(cause.kind, io::ErrorKind::AddrInUse);
        assert_eq!(cause.code, Some(libc_eaddrinuse()));
    }

    #[test]
    fn a_bind_error_names_endpoint_and_address() {
        let error = NetworkError::Bind {
            endpoint: "api".into(),
            address: ([127, 0, 0, 1], 80).into(),
            cause: io::Error::from(io::ErrorKind::PermissionDenied).into(),
        };
        assert_eq!(
            error.to_string(),
            "could not listen on 127.0.0.1:80 for endpoint `api`: permission denied"
        );
    }

    fn libc_eaddrinuse() -> i32 {
        rustix::io::Errno::ADDRINUSE.raw_os_error()
    }
}
