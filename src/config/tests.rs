//! What a file means, and what is said about a bad one.

use std::path::Path;

use super::*;

fn parse(name: &str, text: &str) -> Result<Config, String> {
    parse_bytes(text.as_bytes(), Path::new(name), Need::Nothing)
        .map_err(|faults| faults.to_string())
}

#[test]
fn an_empty_file_is_all_defaults() {
    for name in ["a.toml", "a.yaml"] {
        let config = parse(name, "").unwrap();
        assert_eq!(config.limits, Limits::default());
        assert!(config.endpoints.is_empty());
    }
}
