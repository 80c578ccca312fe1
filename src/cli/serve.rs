//! `ouli record`, `ouli replay`, `ouli auto`.

use std::process::ExitCode;

use super::{Invocation, demo, report};
use crate::server::{self, Ended};
use crate::telemetry;

pub fn run(invocation: Invocation) -> ExitCode {
    telemetry::init(&invocation.log);
    demo::child::end_with_demo();
    match server::run(invocation) {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::FAILURE,
        Ok(Ended::Unfaithful) => ExitCode::from(3),
        Err(error) => {
            let hint = error.hint();
            report(error.into(), hint.as_deref());
            ExitCode::FAILURE
        }
    }
}
