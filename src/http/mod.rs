//! One request's road, whatever version of HTTP it came in.
//!
//! `road` decides (record, replay or auto), `forward` goes to the origin, `serve` answers from a
//! recording, `auto` does the one or the other, `own` is what Ouli answers itself. `answer` and
//! `hop` say what of a head passes on, `target` where a URL leads, `fault` what failed and how that
//! is answered, `line` what the log says. `context` is what they all stand on, `client` the side
//! that asks, `caught` what a panic costs. Only `road`, `forward`, `serve`, `auto`, `own` and
//! `client` do I/O.

pub mod answer;
mod auto;
pub mod caught;
pub mod client;
pub mod context;
pub mod conversation;
pub mod fault;
mod forward;
pub mod hop;
mod line;
pub mod own;
pub mod road;
mod serve;
pub mod target;

pub use serve::wire_for_any_endpoint;
