//! The names that a configuration may use. Pure.

use super::limits::BOUNDS;
use crate::spelling::nearest;

/// A table of the configuration and the keys it may hold.
pub(crate) struct Known {
    /// As a person calls it, such as `[limits]`.
    pub(crate) table: &'static str,
    pub(crate) keys: &'static [&'static str],
}

pub(crate) const TOP: Known = Known {
    table: "the top level",
    keys: &["recording_dir", "workers", "limits", "sockets", "endpoints"],
};

pub(crate) const LIMITS: Known = Known { table: "[limits]", keys: &LIMIT_KEYS };

const LIMIT_KEYS: [&str; BOUNDS.len()] = {
    let mut keys = [""; BOUNDS.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = BOUNDS[at].key;
        at += 1;
    }
    keys
};

pub(crate) const SOCKETS: Known =
    Known { table: "[sockets]", keys: &["recv_buffer", "send_buffer", "backlog"] };

pub(crate) const ENDPOINT: Known = Known {
    table: "[[endpoints]]",
    keys: &[
        "name",
        "source_address",
        "source_port",
        "source_type",
        "target_type",
        "target_host",
        "target_port",
        "health",
        "redact_request_headers",
        "response_header_replacements",
        "grpc_descriptors",
        "rewrite_location",
        "pace",
        "source_cert",
        "source_key",
        "target_ca",
        "target_client_cert",
        "target_client_key",
        "target_server_name",
        "danger_accept_invalid_target_cert",
        "shutdown_timeout_seconds",
    ],
};

pub(crate) const REPLACEMENT: Known =
    Known { table: "response_header_replacements", keys: &["header", "regex", "replace"] };

pub(crate) const ALL: [&Known; 5] = [&TOP, &LIMITS, &SOCKETS, &ENDPOINT, &REPLACEMENT];

/// What the writer of an unknown `key` in `here` may have meant.
pub(crate) fn hint(key: &str, here: &Known) -> String {
    if let Some(near) = nearest(key, here.keys) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = ALL.iter().find(|known| known.keys.contains(&key));
    match elsewhere {
        Some(known) => format!("`{key}` belongs in {}", known.table),
        None => format!("known here: {}", here.keys.join(", ")),
    }
}
