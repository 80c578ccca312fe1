//! Every bound in the program, with its default and the reason for it.

use std::time::Duration;

/// The checked `[limits]` table. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_connections: usize,
    /// Whether `max_connections` was written down by the user: a limit nobody asked for may be
    /// lowered to what the system allows, one that was asked for may not.
    pub max_connections_configured: bool,
    /// Requests being served at once; more wait, first come first served, for `queue_timeout`.
    pub max_in_flight: usize,
    pub queue_timeout: Duration,
    /// Read ahead of a slow peer, per direction.
    pub buffer_size: usize,
    /// From accept to the first byte; bounds a TLS handshake too.
    pub first_byte_timeout: Duration,
    /// A request head, from its first byte to its last.
    pub header_timeout: Duration,
    /// A kept connection with no request open.
    pub idle_timeout: Duration,
    /// A client that neither sends the body it owes nor takes bytes that wait for it.
    pub stall_timeout: Duration,
    pub origin_connect_timeout: Duration,
    /// From the request's last byte to the answer's head. Silence inside an answer is no timeout.
    pub origin_header_timeout: Duration,
    /// Below Node's 5 s, so that Ouli drops a kept connection before its origin does.
    pub origin_idle_timeout: Duration,
    /// Kept origin connections, all origins together.
    pub origin_idle_max: usize,
    pub max_header_bytes: usize,
    pub max_headers: usize,
    /// Per direction; larger bodies pass, and are kept as length and digest.
    pub max_kept_body: u64,
    /// Larger request bodies match by their digest.
    pub max_match_body: usize,
    pub max_ws_message: u64,
    /// How long a replay waits for what the recording says must come first.
    pub replay_wait: Duration,
    pub drain_timeout: Duration,
    pub seal_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 4096,
            max_connections_configured: false,
            max_in_flight: 4096,
            queue_timeout: Duration::from_secs(5),
            buffer_size: 64 << 10,
            first_byte_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            origin_connect_timeout: Duration::from_secs(10),
            origin_header_timeout: Duration::from_secs(300),
            origin_idle_timeout: Duration::from_secs(4),
            origin_idle_max: 512,
            max_header_bytes: 64 << 10,
            max_headers: 100,
            max_kept_body: 256 << 20,
            max_match_body: 1 << 20,
            max_ws_message: 64 << 20,
            replay_wait: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            seal_timeout: Duration::from_secs(60),
        }
    }
}
