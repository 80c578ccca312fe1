//! The names that a configuration may use. Pure.

use super::limits::BOUNDS;

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
        "rewrite_location",
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

/// The candidate that a slip of the hand or another habit of spelling could have turned into
/// `word`; none if they have little in common.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = folded(word);
    candidates
        .iter()
        .map(|candidate| (distance(&word, &folded(candidate)), *candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 4))
        .map(|(_, candidate)| candidate)
}

/// `targetHost`, `target-host` and `target_host` are one name.
fn folded(word: &str) -> Vec<char> {
    const CHARS_MAX: usize = 64;
    let letters = word.chars().filter(|c| *c != '_' && *c != '-');
    letters.take(CHARS_MAX).map(|c| c.to_ascii_lowercase()).collect()
}

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_key_is_the_hint_and_a_far_one_is_not() {
        let near = |word| nearest(word, ENDPOINT.keys);
        assert_eq!(near("source_prt"), Some("source_port"));
        assert_eq!(near("targetHost"), Some("target_host"));
        assert_eq!(near("tagret-host"), Some("target_host"));
        assert_eq!(near("helath"), Some("health"));
        assert_eq!(near("verbose"), None);
        assert_eq!(near(&"x".repeat(1 << 20)), None);
    }
}
