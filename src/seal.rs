//! Turning tapes into cassettes.
use crate::record::Run;
use std::path::Path;
use std::time::Duration;
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("sealing took longer than {timeout:?}")]
    TooSlow { timeout: Duration },
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Replace,
    Append,
}
#[derive(Debug, Default)]
pub struct Report {
    pub sessions: Vec<String>,
    pub notes: Vec<String>,
}
pub fn seal(_run: &Run, _existing: Existing) -> Result<Report, Error> {
    Ok(Report::default())
}
pub fn recover(_dir: &Path) -> Result<Vec<String>, Error> {
    Ok(Vec::new())
}
