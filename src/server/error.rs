//! Why a run could not start, or how it failed.

use std::path::PathBuf;
use std::time::Duration;

use super::recordings;
use crate::net::NetworkError;
use crate::net::tls::AuthorityError;
use crate::replay::source::{Conflict, LoadError, OpenError};
use crate::{record, seal};

/// Why a run could not start, or how it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Recordings(#[from] OpenError),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    Seal(#[from] seal::Error),
    #[error("no endpoint to serve: the recordings in `{0}` name none")]
    NoEndpoints(String),
    /// Under `--strict`: what is wrong with cassettes, one error for each fault.
    #[error("{}", recordings::list_faults(.0))]
    Broken(Vec<LoadError>),
    #[error("{}", recordings::list_conflicts(.0))]
    Conflicts(Vec<Conflict>),
    #[error("sealing took longer than {0:?}; the tapes are kept, and recovered at the next run")]
    SealTooSlow(Duration),
    #[error("could not make the recording directory `{}`", .0.display())]
    RecordingDir(PathBuf, #[source] std::io::Error),
    #[error("the system refused {0}: {1}")]
    System(&'static str, std::io::Error),
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Authority(error) => error.hint(),
            Error::Recordings(error) => error.hint().map(str::to_owned),
            Error::Broken(_) => Some(
                "mend them; without --strict a cassette is only looked at when it is used".into(),
            ),
            Error::Conflicts(_) => Some(
                "name the one to serve, `ouli replay ORIGIN`, or write the endpoints into a \
                 configuration"
                    .into(),
            ),
            Error::NoEndpoints(_) => {
                Some("name the origin that the recordings stand for: ouli replay ORIGIN".into())
            }
            _ => None,
        }
    }
}
