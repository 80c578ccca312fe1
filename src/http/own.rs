//! Answers that Ouli makes itself: faults, and the health of an endpoint. Never recorded.

use super::answer::{self, Asked};
use super::client::Tx;
use super::context::Here;
use super::fault::Problem;
use crate::config::Endpoint;
use crate::exchange::{Fields, ResponseHead};
use crate::http1::halves::Unsent;

/// Sends the answer that Ouli makes of a fault, and counts it.
pub async fn answer_problem(
    here: &Here,
    tx: &mut Tx<'_, '_>,
    asked: &Asked<'_>,
    problem: &Problem,
) -> Result<(), Unsent> {
    here.notes().faults.count(problem.fault);
    let (head, body) = match asked.is_grpc {
        true => (problem.grpc_answer(), Vec::new()),
        false => problem.answer(),
    };
    send(here, tx, asked, &head, &body).await
}

/// Whether the endpoint's configuration names this request as one for its health.
pub(super) fn is_health(endpoint: &Endpoint, method: &str, path: &str) -> bool {
    endpoint.health.as_deref().is_some_and(|health| {
        matches!(method, "GET" | "HEAD") && path.split('?').next() == Some(health)
    })
}

pub(super) async fn answer_health(
    here: &Here,
    tx: &mut Tx<'_, '_>,
    asked: &Asked<'_>,
) -> Result<(), Unsent> {
    let head = ResponseHead {
        reason: b"OK".to_vec(),
        fields: [("content-type", "text/plain"), ("cache-control", "no-store")]
            .into_iter()
            .collect(),
        ..ResponseHead::default()
    };
    send(here, tx, asked, &head, b"ok\n").await
}

async fn send(
    here: &Here,
    tx: &mut Tx<'_, '_>,
    asked: &Asked<'_>,
    head: &ResponseHead,
    body: &[u8],
) -> Result<(), Unsent> {
    let framing = answer::framing(asked, head.status, Some(body.len() as u64));
    tx.begin(head, &here.endpoint, asked, framing);
    if !tx.stage(body) {
        tx.data(body).await?;
    }
    tx.finish(&Fields::new()).await
}
