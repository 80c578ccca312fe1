//! Every way in which a client and an origin can be paired, on both roads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::client::Client;
use super::endpoint::Endpoint;
use super::origin::Origin;
use super::ouli::Ouli;
use super::protocol::Protocol;

/// What a client speaks to Ouli, and Ouli to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub client: Protocol,
    pub origin: Protocol,
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} client to {} origin", self.client, self.origin)
    }
}

/// Runs the same talk for all sixteen pairs: recorded, and then replayed with the origin gone.
/// The talk returns what the client got, which must be equal on both roads. Says at the end which
/// pairs failed; what each saw stands above.
#[track_caller]
pub fn for_every_pairing<Seen: PartialEq + fmt::Debug>(
    origin: impl Fn(Origin) -> Origin,
    talk: impl Fn(&mut Client, Pair) -> Seen,
) {
    let mut failed = Vec::new();
    for protocol in Protocol::ALL {
        let origin = origin(Origin::of(protocol));
        let whole = catch_unwind(AssertUnwindSafe(|| {
            failed.extend(one_origin(&origin, &talk));
        }));
        if whole.is_err() {
            failed.push(format!("every client to {protocol} origin"));
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

/// Returns which pairs failed.
fn one_origin<Seen: PartialEq + fmt::Debug>(
    origin: &Origin,
    talk: &impl Fn(&mut Client, Pair) -> Seen,
) -> Vec<String> {
    let mut failed = Vec::new();
    let setup = |command: &str| {
        Ouli::command(command)
            .endpoint(&Endpoint::to(origin).named("plain"))
            .endpoint(&Endpoint::to(origin).named("tls").https())
    };
    let mut round = |ouli: &Ouli, road: &str| {
        Protocol::ALL.map(|client| {
            let pair = Pair { client, origin: origin.protocol() };
            let mut client = ouli.client_over(client).in_session(&session(pair.client));
            let seen = catch_unwind(AssertUnwindSafe(|| talk(&mut client, pair)));
            if seen.is_err() {
                failed.push(format!("{pair}, {road}"));
            }
            seen.ok()
        })
    };
    let recorder = setup("record").start();
    let recorded = round(&recorder, "recorded");
    recorder.terminate().expect_code(0);
    origin.stop();

    let replay = setup("replay").recordings(&recorder.recordings()).start();
    let replayed = round(&replay, "replayed");
    for (client, (recorded, replayed)) in
        Protocol::ALL.into_iter().zip(recorded.into_iter().zip(replayed))
    {
        if let (Some(recorded), Some(replayed)) = (recorded, replayed)
            && recorded != replayed
        {
            let pair = Pair { client, origin: origin.protocol() };
            eprintln!("{pair}\n--- recorded\n{recorded:?}\n--- replayed\n{replayed:?}");
            failed.push(format!("{pair}, the replay differs"));
        }
    }
    if !failed.is_empty() {
        eprintln!("{:?}", recorder.terminate());
        eprintln!("{:?}", replay.terminate());
    }
    failed
}

fn session(client: Protocol) -> String {
    client.to_string().replace('+', "-")
}
