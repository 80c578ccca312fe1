//! One request's road, whatever version of HTTP it came in.
//!
//! `road` decides (record, replay or auto), `forward` goes to the origin, `serve` answers from a
//! recording, `miss` says why there is none, `answer` and `hop` what of a head passes on, `target`
//! where a URL leads, `fault` what Ouli itself answers. Only `road`, `forward` and `serve` do I/O.

pub mod answer;
pub mod fault;
pub mod forward;
pub mod hop;
mod miss;
pub mod road;
pub mod serve;
pub mod target;
