//! What a request and its answer meet on their way through, on the wire of both sides.

mod cancelled;
mod cut;
mod expect;
mod fields;
mod framing;
mod reuse;
mod rewriting;
mod streaming;
mod targets;
