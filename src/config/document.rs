//! docs/configuration.md is held against the program: every key, default and range in it.

use std::path::Path;

use super::limits::{BOUNDS, Bound, Slot};
use super::*;

const DOCUMENT: &str = include_str!("../../docs/configuration.md");

/// The rows of the table under a heading: their cells without code quotes.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().unwrap_or(section);
    let row = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    section.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

fn cells(heading: &str, key: &str) -> (String, String) {
    let rows = rows(heading);
    let row = rows.iter().find(|row| row[0] == key).expect(key);
    (row[1].clone(), row[2].clone())
}

#[test]
fn every_key_is_documented_in_its_section_and_no_other() {
    let sections = [
        ("Top level", &keys::TOP),
        ("endpoints", &keys::ENDPOINT),
        ("response_header_replacements", &keys::REPLACEMENT),
        ("limits", &keys::LIMITS),
        ("sockets", &keys::SOCKETS),
    ];
    assert_eq!(sections.len(), keys::ALL.len());
    for (heading, known) in sections {
        let documented: Vec<String> = rows(heading).into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(documented, known.keys, "{heading}");
    }
}

fn read(slot: Slot, text: &str) -> u64 {
    match slot {
        Slot::Count(_) => text.parse().unwrap(),
        Slot::Size(_) | Slot::LongSize(_) => units::parse_size(text).unwrap(),
        Slot::Time(_) => units::millis(units::parse_duration(text).unwrap()),
    }
}

fn default(bound: &Bound) -> u64 {
    let mut limits = Limits::default();
    match bound.slot {
        Slot::Count(slot) | Slot::Size(slot) => *slot(&mut limits) as u64,
        Slot::LongSize(slot) => *slot(&mut limits),
        Slot::Time(slot) => units::millis(*slot(&mut limits)),
    }
}

#[test]
fn the_documented_limits_are_the_real_ones() {
    for bound in &BOUNDS {
        let (documented, range) = cells("limits", bound.key);
        assert_eq!(read(bound.slot, &documented), default(bound), "{}", bound.key);
        let (min, max) = range.split_once(" to ").unwrap();
        let range = (read(bound.slot, min), read(bound.slot, max));
        assert_eq!(range, (bound.min, bound.max), "{}", bound.key);
        assert!((bound.min..=bound.max).contains(&default(bound)), "{}", bound.key);
    }
}

#[test]
fn the_documented_defaults_are_the_real_ones() {
    let config = Config::default();
    let sockets = &config.sockets;
    let size = |bytes: Option<usize>| units::format_size(bytes.unwrap() as u64);
    let target = Target { scheme: Scheme::Https, host: "h".into(), port: 443 };
    let endpoint = Endpoint::new(target);
    let expected = [
        ("Top level", "recording_dir", config.recording_dir.display().to_string()),
        ("sockets", "recv_buffer", size(sockets.recv_buffer)),
        ("sockets", "send_buffer", size(sockets.send_buffer)),
        ("sockets", "backlog", sockets.backlog.to_string()),
        ("endpoints", "source_address", endpoint.source_address.to_string()),
        ("endpoints", "source_port", endpoint.source_port.to_string()),
        ("endpoints", "source_type", endpoint.source_type.as_str().to_owned()),
        ("endpoints", "rewrite_location", endpoint.rewrite_location.to_string()),
        (
            "endpoints",
            "danger_accept_invalid_target_cert",
            endpoint.target_tls.danger_accept_invalid.to_string(),
        ),
    ];
    for (heading, key, value) in expected {
        assert_eq!(cells(heading, key).0, value, "{key}");
    }
    assert!(config.workers.is_none() && endpoint.health.is_none());
}

#[test]
fn every_timeout_says_what_the_peer_sees() {
    let told: Vec<String> = rows("What the peer sees when a time is up")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let times = BOUNDS.iter().filter(|bound| matches!(bound.slot, Slot::Time(_)));
    assert_eq!(told, times.map(|bound| bound.key).collect::<Vec<_>>());
}

#[test]
fn the_examples_are_free_of_faults() {
    let mut examples = 0;
    for (fence, name) in [("```toml\n", "example.toml"), ("```yaml\n", "example.yaml")] {
        for example in DOCUMENT.split(fence).skip(1) {
            let text = example.split("```").next().unwrap();
            let config = parse_bytes(text.as_bytes(), Path::new(name), Need::Endpoints).unwrap();
            assert_eq!(config.endpoints.len(), 2);
            examples += 1;
        }
    }
    assert_eq!(examples, 2);
}
