//! h2's settings, all of them from the limits.

use h2::{client, server};

use crate::config::Limits;

/// A head of `max_header_bytes` in `max_headers` fields, by HTTP/2's own count: 32 bytes a field
/// besides its text (RFC 9113 section 6.5.2).
fn header_list_bytes(limits: &Limits) -> u32 {
    const FIELD_OVERHEAD: usize = 32;
    let bytes = limits.max_header_bytes + limits.max_headers * FIELD_OVERHEAD;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What h2 announces and takes before it answers a head itself, without a word of why: twice what
/// Ouli serves, so that a client that misses the limit a little is told so by Ouli.
fn header_list_bytes_taken(limits: &Limits) -> u32 {
    header_list_bytes(limits).saturating_mul(2)
}

fn window(bytes: usize) -> u32 {
    // The largest that there is (RFC 9113 section 6.9.1).
    const MAX: u32 = (1 << 31) - 1;
    u32::try_from(bytes).unwrap_or(MAX).min(MAX)
}

fn streams(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Framing of small data frames may take as much as their window lets payload in.
fn data_frame_budget(limits: &Limits) -> usize {
    limits.h2.connection_window
}

pub(super) fn server(limits: &Limits) -> server::Builder {
    let h2 = &limits.h2;
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(window(h2.stream_window))
        .initial_connection_window_size(window(h2.connection_window))
        .max_header_list_size(header_list_bytes_taken(limits))
        .max_concurrent_streams(streams(h2.max_streams))
        .max_send_buffer_size(h2.send_buffer)
        .max_pending_accept_reset_streams(h2.max_pending_resets)
        .max_concurrent_reset_streams(h2.max_streams)
        .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .data_frame_budget(data_frame_budget(limits))
        .enable_connect_protocol();
    builder
}

/// As h2's default: so many streams of a connection may be reset for their own faults.
const LOCAL_RESETS_MAX: usize = 1024;

/// Says that no SETTINGS have come: no peer announces this many streams.
pub(super) const STREAMS_UNTOLD: usize = (1 << 31) - 7;

pub(super) fn client(limits: &Limits) -> client::Builder {
    let h2 = &limits.h2;
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(STREAMS_UNTOLD)
        .initial_window_size(window(h2.stream_window))
        .initial_connection_window_size(window(h2.connection_window))
        .max_header_list_size(header_list_bytes_taken(limits))
        .max_send_buffer_size(h2.send_buffer)
        .max_concurrent_reset_streams(h2.max_streams)
        .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .data_frame_budget(data_frame_budget(limits));
    builder
}
