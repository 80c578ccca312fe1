//! What a valid configuration asks for and this version can't do.
//!
//! Kept apart from `resolve`: such a file is right, and is replayed as far as it goes.

use super::fault::{Fault, Place};
use super::{Config, Endpoint, Mode, Scheme, SourceType, Written};

/// Every endpoint that `mode` can't serve: TLS or HTTP/2 towards its origin where requests are
/// forwarded, TLS towards clients in any mode. To be told before anything starts.
pub fn unsupported(config: &Config, mode: Mode) -> Vec<Fault> {
    config.endpoints.iter().flat_map(|endpoint| faults(endpoint, mode)).collect()
}

fn faults(endpoint: &Endpoint, mode: Mode) -> impl Iterator<Item = Fault> {
    [source_fault(endpoint), target_fault(endpoint, mode)].into_iter().flatten()
}

fn source_fault(endpoint: &Endpoint) -> Option<Fault> {
    (endpoint.source_type == SourceType::Https).then(|| {
        fault(endpoint, Side::Source, "TLS is not available in this version".into())
            .with_hint("use `source_type = \"http\"` and let the program under test call http://")
    })
}

fn target_fault(endpoint: &Endpoint, mode: Mode) -> Option<Fault> {
    let missing = match endpoint.target.scheme {
        Scheme::Http | Scheme::H2c => return None,
        Scheme::Https => "TLS",
    };
    let reason =
        format!("{missing} is not available in this version, and {} needs it", endpoint.target);
    mode.forwards().then(|| {
        fault(endpoint, Side::Target, reason)
            .with_hint("name an http:// origin, or replay, which calls none")
    })
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Target,
}

fn fault(endpoint: &Endpoint, side: Side, reason: String) -> Fault {
    match &endpoint.written {
        Written::File { path, index, source_type, target_type } => {
            let (key, place): (_, &Option<Place>) = match side {
                Side::Source => ("source_type", source_type),
                Side::Target => ("target_type", target_type),
            };
            let file = path.display();
            Fault::new(format!("can't use `endpoints[{index}].{key}` in `{file}`"), reason)
                .with_place(*place)
        }
        Written::CommandLine => {
            Fault::new(format!("can't use ORIGIN `{}`", endpoint.target), reason)
        }
        Written::Elsewhere => Fault::new(format!("can't use endpoint `{}`", endpoint.name), reason),
    }
}
