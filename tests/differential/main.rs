//! The codec against other people's: the same bytes to Ouli, to hyper and to Node's llhttp.
//!
//! Whatever Ouli accepts the others must read the same way: as many messages, each with the same
//! start line, fields, body and trailers. Anything else is how requests are smuggled. Where one of
//! them is stricter, the difference stands in a list with its reason, in `hyper.rs` and `node.rs`:
//! by refusal where it is Ouli, by rules over messages where it is the other. A difference that
//! isn't listed fails.

#![allow(clippy::unwrap_used, reason = "a test that can't go on stops")]

mod cases;
mod hyper;
mod node;
mod reading;

use std::io::Write;

use cases::Case;
use reading::{Peer, Reading};

/// Compares all readings and shows every difference, not only the first.
fn compare(peer: &Peer, cases: &[Case], readings: &[Reading]) {
    assert_eq!(cases.len(), readings.len());
    let differences: Vec<String> = cases
        .iter()
        .zip(readings)
        .filter_map(|(case, theirs)| peer.difference(case, theirs).err())
        .collect();
    let shown: Vec<&str> = differences.iter().take(20).map(String::as_str).collect();
    assert!(
        differences.is_empty(),
        "{} and ouli read {} of {} inputs differently:\n\n{}",
        peer.name,
        differences.len(),
        cases.len(),
        shown.join("\n\n")
    );
}

#[test]
fn what_ouli_accepts_hyper_reads_the_same_way() {
    let cases = cases::all();
    compare(&hyper::PEER, &cases, &hyper::read_all(&cases));
}

#[test]
fn what_ouli_accepts_node_reads_the_same_way() {
    let cases = cases::all();
    match node::read_all(&cases) {
        Ok(readings) => compare(&node::PEER, &cases, &readings),
        Err(node::NotInstalled) => {
            // Not `println!`, which is kept from the reader of a test that passes.
            let name = "what_ouli_accepts_node_reads_the_same_way";
            let _ = writeln!(std::io::stderr(), "skipped: {name}: node is not installed");
        }
    }
}

/// A comparison whose inputs are all refused would hold whatever the codec did.
#[test]
fn a_good_part_of_the_inputs_is_accepted() {
    let cases = cases::all();
    let accepted = cases.iter().filter(|case| !reading::ouli(case).messages.is_empty()).count();
    let share = accepted as f64 / cases.len() as f64;
    assert!((0.3..0.9).contains(&share), "{accepted} of {} inputs are accepted", cases.len());
}
