//! Every bound in the program, with its default, what may be set, and why.
//!
//! `Limits` is what the program reads; `BOUNDS` is what a configuration may write. Sizes are in
//! bytes. Each default stands once, in `Limits::default`, and docs/configuration.md is held
//! against it by a test.

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
    /// Zero refuses at once what finds no room.
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
    /// Below Node's 5 s, so that Ouli drops a kept connection before its origin does. Zero keeps
    /// none.
    pub origin_idle_timeout: Duration,
    /// Kept origin connections, all origins together: by default one for each client that there may
    /// be, so that none is dialled anew where all of them ask. Zero keeps none.
    pub origin_idle_max: usize,
    pub max_header_bytes: usize,
    pub max_headers: usize,
    /// Per direction; larger bodies pass, and are kept as length and digest.
    pub max_kept_body: u64,
    /// Larger request bodies match by their digest.
    pub max_match_body: usize,
    /// A larger cassette is replayed from an index, a smaller one from memory.
    pub index_over: u64,
    /// Of a larger WebSocket message only length and digest are kept; a replay refuses it.
    pub max_ws_message: u64,
    /// Silence of a side of a conversation, after which it is pinged; as much again ends it.
    pub ws_idle_timeout: Duration,
    /// Frames of one WebSocket message that a replay takes.
    pub ws_max_fragments: usize,
    /// WebSocket frames that carry nothing (pings, pongs, empty fragments) that a replay takes
    /// between two messages.
    pub ws_max_idle_frames: usize,
    /// How long a replay waits for what the recording says must come first.
    pub replay_wait: Duration,
    /// Zero cuts what is in flight at once.
    pub drain_timeout: Duration,
    pub seal_timeout: Duration,
    /// TLS handshakes under way at once, all listeners together; more wait in turn.
    pub max_handshakes: usize,
    pub h2: H2Limits,
}

/// What bounds an HTTP/2 connection, to clients and to origins alike. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H2Limits {
    /// Streams that a client may have open on one connection.
    pub max_streams: usize,
    /// What a peer may send on a stream before Ouli has passed it on.
    pub stream_window: usize,
    /// The same for all streams of a connection together. A connection to an origin is shared by no
    /// more streams than have their whole window in it, so that slow readers hold up nobody else.
    pub connection_window: usize,
    /// Bytes of a stream that wait for a peer's window.
    pub send_buffer: usize,
    /// Streams that a peer reset before anybody took them; one more ends the connection.
    pub max_pending_resets: usize,
    /// Frames that carry nothing (pings, settings, resets, empty data), less those that something
    /// was done for: more end the connection.
    pub max_idle_frames: usize,
    /// Silence of a peer that has streams open, after which it is asked whether it lives.
    pub ping_interval: Duration,
    /// A ping unanswered for so long ends the connection.
    pub ping_timeout: Duration,
}

impl Default for H2Limits {
    fn default() -> Self {
        H2Limits {
            max_streams: 256,
            stream_window: 64 << 10,
            connection_window: 4 << 20,
            send_buffer: 64 << 10,
            max_pending_resets: 20,
            max_idle_frames: 1000,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
        }
    }
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
            origin_idle_max: 4096,
            max_header_bytes: 64 << 10,
            max_headers: 100,
            max_kept_body: 256 << 20,
            max_match_body: 1 << 20,
            // Read whole it takes half a second, and twice its size in memory.
            index_over: 64 << 20,
            max_ws_message: 64 << 20,
            ws_idle_timeout: Duration::from_secs(60),
            ws_max_fragments: 65_536,
            ws_max_idle_frames: 1000,
            replay_wait: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            seal_timeout: Duration::from_secs(60),
            max_handshakes: 256,
            h2: H2Limits::default(),
        }
    }
}

/// One key of `[limits]`: where its value goes and between which values it makes sense.
pub(super) struct Bound {
    pub(super) key: &'static str,
    pub(super) slot: Slot,
    pub(super) min: u64,
    /// Inclusive.
    pub(super) max: u64,
    /// Why less than `min` is refused; empty where `min` is 0.
    pub(super) too_small: &'static str,
}

impl Bound {
    /// What to do about a value past `max`.
    pub(super) fn too_large(&self) -> &'static str {
        match self.slot {
            Slot::Time(_) => "nothing that a test waits for takes longer than a day",
            Slot::Count(_) | Slot::Size(_) => "more would not fit into the memory of a machine",
            Slot::LongSize(_) => "more would not fit onto a disk",
        }
    }
}

/// Where a value goes, and with that how it is written: durations count in milliseconds here.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Count(fn(&mut Limits) -> &mut usize),
    Size(fn(&mut Limits) -> &mut usize),
    /// A size that may be past what fits in memory, because it is never held there whole.
    LongSize(fn(&mut Limits) -> &mut u64),
    Time(fn(&mut Limits) -> &mut Duration),
}

/// Two descriptors each stay below Linux's default `fs.nr_open` of 1,048,576.
const CONNECTIONS_MAX: u64 = 500_000;
/// A day, in milliseconds.
pub(crate) const TIME_MAX: u64 = 24 * 60 * 60 * 1000;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

const fn count(
    key: &'static str,
    slot: fn(&mut Limits) -> &mut usize,
    (min, max): (u64, u64),
    too_small: &'static str,
) -> Bound {
    Bound { key, slot: Slot::Count(slot), min, max, too_small }
}

const fn size(
    key: &'static str,
    slot: fn(&mut Limits) -> &mut usize,
    (min, max): (u64, u64),
    too_small: &'static str,
) -> Bound {
    Bound { key, slot: Slot::Size(slot), min, max, too_small }
}

/// A time that may not be zero.
const fn time(
    key: &'static str,
    slot: fn(&mut Limits) -> &mut Duration,
    too_small: &'static str,
) -> Bound {
    Bound { key, slot: Slot::Time(slot), min: 1, max: TIME_MAX, too_small }
}

/// A time for which zero has a meaning.
const fn time_or_zero(key: &'static str, slot: fn(&mut Limits) -> &mut Duration) -> Bound {
    Bound { key, slot: Slot::Time(slot), min: 0, max: TIME_MAX, too_small: "" }
}

/// Every key of `[limits]`, in the order of the documentation.
pub(super) const BOUNDS: [Bound; 33] = [
    count(
        "max_connections",
        |l| &mut l.max_connections,
        (1, CONNECTIONS_MAX),
        "every connection would be refused",
    ),
    count(
        "max_in_flight",
        |l| &mut l.max_in_flight,
        (1, 1_000_000),
        "no request would ever be served",
    ),
    time_or_zero("queue_timeout", |l| &mut l.queue_timeout),
    size(
        "buffer_size",
        |l| &mut l.buffer_size,
        (1024, 64 * MIB),
        "most time would go into tiny reads",
    ),
    time(
        "first_byte_timeout",
        |l| &mut l.first_byte_timeout,
        "every connection would be closed before its first byte",
    ),
    time("header_timeout", |l| &mut l.header_timeout, "no request head could arrive in time"),
    time(
        "idle_timeout",
        |l| &mut l.idle_timeout,
        "no connection could be kept between two requests",
    ),
    time("stall_timeout", |l| &mut l.stall_timeout, "every pause of a client would cut it off"),
    time(
        "origin_connect_timeout",
        |l| &mut l.origin_connect_timeout,
        "no origin could be reached in time",
    ),
    time(
        "origin_header_timeout",
        |l| &mut l.origin_header_timeout,
        "no origin could answer in time",
    ),
    time_or_zero("origin_idle_timeout", |l| &mut l.origin_idle_timeout),
    count("origin_idle_max", |l| &mut l.origin_idle_max, (0, 65_535), ""),
    size(
        "max_header_bytes",
        |l| &mut l.max_header_bytes,
        (256, 16 * MIB),
        "hardly a request head would fit",
    ),
    count(
        "max_headers",
        |l| &mut l.max_headers,
        (1, 10_000),
        "every request would be refused: HTTP/1.1 requires a Host header",
    ),
    Bound {
        key: "max_kept_body",
        slot: Slot::LongSize(|l| &mut l.max_kept_body),
        min: 1,
        max: TIB,
        too_small: "no body would be recorded, so nothing with one could be replayed",
    },
    size("max_match_body", |l| &mut l.max_match_body, (0, 1024 * MIB), ""),
    Bound {
        key: "index_over",
        slot: Slot::LongSize(|l| &mut l.index_over),
        min: 0,
        max: TIB,
        too_small: "",
    },
    Bound {
        key: "max_ws_message",
        slot: Slot::LongSize(|l| &mut l.max_ws_message),
        min: 1,
        max: TIB,
        too_small: "no WebSocket message would be recorded",
    },
    time("ws_idle_timeout", |l| &mut l.ws_idle_timeout, "pings would be all that is sent"),
    count(
        "ws_max_fragments",
        |l| &mut l.ws_max_fragments,
        (1, 1_000_000_000),
        "no WebSocket message would have a frame",
    ),
    count(
        "ws_max_idle_frames",
        |l| &mut l.ws_max_idle_frames,
        (16, 1_000_000),
        "ordinary clients would be cut off",
    ),
    time(
        "replay_wait",
        |l| &mut l.replay_wait,
        "a replay would never wait for a client message, so conversations would always miss",
    ),
    time_or_zero("drain_timeout", |l| &mut l.drain_timeout),
    time("seal_timeout", |l| &mut l.seal_timeout, "no recording could be turned into cassettes"),
    count(
        "max_handshakes",
        |l| &mut l.max_handshakes,
        (1, CONNECTIONS_MAX),
        "no TLS connection could be made",
    ),
    count(
        "h2_max_streams",
        |l| &mut l.h2.max_streams,
        (1, 65_535),
        "no HTTP/2 client could ask for anything",
    ),
    size(
        "h2_stream_window",
        |l| &mut l.h2.stream_window,
        (16 << 10, 64 * MIB),
        "most time would go into window updates",
    ),
    size(
        "h2_connection_window",
        |l| &mut l.h2.connection_window,
        (64 << 10, 1024 * MIB),
        "HTTP/2 itself begins with this much (RFC 9113 section 6.9.2)",
    ),
    size(
        "h2_send_buffer",
        |l| &mut l.h2.send_buffer,
        (16 << 10, 64 * MIB),
        "not even a frame would fit",
    ),
    count("h2_max_pending_resets", |l| &mut l.h2.max_pending_resets, (0, 65_535), ""),
    count(
        "h2_max_idle_frames",
        |l| &mut l.h2.max_idle_frames,
        (16, 1_000_000),
        "ordinary clients would be cut off",
    ),
    time("h2_ping_interval", |l| &mut l.h2.ping_interval, "pings would be all that is sent"),
    time("h2_ping_timeout", |l| &mut l.h2.ping_timeout, "no peer could answer in time"),
];
