//! Laws that hold for every file whatsoever; the fuzzer and proptest look for one that breaks them.

use std::collections::HashSet;
use std::path::Path;

use super::{Config, Need, parse_bytes};

/// Any bytes, in either format, give a usable configuration or at least one fault, whose message
/// has the one form and whose place is in the file.
///
/// # Panics
/// If a law doesn't hold.
pub fn reading(bytes: &[u8]) {
    for name in ["fuzz.toml", "fuzz.yaml"] {
        match parse_bytes(bytes, Path::new(name), Need::Nothing) {
            Ok(config) => usable(&config),
            Err(faults) => {
                assert!(!faults.is_empty(), "refused without a fault");
                let lines_max =
                    bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
                for fault in faults.iter() {
                    let line = fault.place().map_or(1, |place| place.line);
                    assert!((1..=lines_max).contains(&line), "{fault}: beyond line {lines_max}");
                    assert!(fault.hint().is_some_and(|hint| !hint.is_empty()), "{fault}: no hint");
                    let text = fault.to_string();
                    assert!(
                        text.starts_with("error: ") && text.contains("\n  caused by: "),
                        "{text}"
                    );
                }
            }
        }
    }
}

fn usable(config: &Config) {
    let names: HashSet<&str> = config.endpoints.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names.len(), config.endpoints.len(), "equal names in {config:?}");
    let bound = config.endpoints.iter().filter(|e| e.source_port != 0);
    let sources: Vec<_> = bound.map(|e| (e.source_address, e.source_port)).collect();
    let distinct: HashSet<_> = sources.iter().collect();
    assert_eq!(distinct.len(), sources.len(), "equal listeners in {config:?}");
    assert!(config.endpoints.iter().all(|e| !e.target.host.is_empty() && e.target.port > 0));
    assert!(config.limits.max_connections > 0 && config.limits.buffer_size > 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_file_is_used_or_refused(text in any_file()) {
            super::reading(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_used_or_refused(bytes: Vec<u8>) {
            super::reading(&bytes);
        }
    }

    /// Files that look like configurations: lines of known keys with odd values behind them.
    fn any_file() -> impl Strategy<Value = String> {
        let keys: Vec<&str> =
            crate::config::keys::ALL.iter().flat_map(|known| known.keys.iter().copied()).collect();
        let key = prop_oneof![proptest::sample::select(keys), Just("<<"), Just("\"\"")];
        let value = prop_oneof![
            "[0-9]{1,6}(ms|s|KiB|)",
            "\"[a-z:/.$0-9(]{0,8}\"",
            "[\\[\\]{}&*!|>'%@,#?-]{1,4}",
            Just("&a [*a]".to_owned()),
            Just("\n  - target_host: h\n    source_port: 1".to_owned()),
            Just("[{target_host: h}, {target_host: h}]".to_owned()),
            Just("[{ target_host = \"h\" }, { target_host = 1 }]".to_owned()),
            "\\PC{0,6}",
        ];
        let line = (key, prop_oneof![Just(": "), Just(" = "), Just(".")], value);
        let line = line.prop_map(|(key, is, value)| format!("{key}{is}{value}\n"));
        let head =
            prop_oneof![Just(""), Just("[limits]\n"), Just("[[endpoints]]\n"), Just("limits:\n")];
        (head, proptest::collection::vec(line, 0..8))
            .prop_map(|(head, lines)| head.to_owned() + &lines.concat())
    }
}
