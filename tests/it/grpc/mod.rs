//! gRPC: calls of all four kinds, recorded and replayed with the server gone.

mod calls;
mod cassettes;
mod duplex;
mod endings;
mod faults;
mod large;
mod python;

use crate::support::grpc::GrpcOrigin;
use crate::support::{Endpoint, Ouli, Recordings};

/// A listener for both plain and TLS clients, one endpoint each, that stands for this origin.
fn endpoints(origin: &GrpcOrigin) -> [Endpoint; 2] {
    let endpoint = || Endpoint::at(origin.protocol(), origin.address());
    [endpoint().named("plain"), endpoint().named("tls").https()]
}

/// Records over h2c.
fn record(origin: &GrpcOrigin) -> Ouli {
    let [plain, _] = endpoints(origin);
    Ouli::command("record").endpoint(&plain).start()
}

/// Replays with the server gone; `strict` counts what is left unused.
fn replay(origin: &GrpcOrigin, recorder: &Ouli) -> Ouli {
    recorder.terminate().expect_code(0);
    origin.stop();
    replay_of(origin, &recorder.recordings())
}

fn replay_of(origin: &GrpcOrigin, recordings: &Recordings) -> Ouli {
    let [plain, _] = endpoints(origin);
    Ouli::command("replay --strict").endpoint(&plain).recordings(recordings).start()
}
