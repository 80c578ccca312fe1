//! What a run of the program came to.

use std::time::Duration;

#[derive(Clone)]
pub struct Finished {
    pub command: String,
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// From the start of waiting to its end.
    pub took: Duration,
}

impl Finished {
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "exit code; {self:?}");
        self
    }

    /// Every one of these stands in stderr, whatever the case.
    #[track_caller]
    pub fn expect_said(&self, words: &[&str]) -> &Self {
        let stderr = self.stderr.to_lowercase();
        for word in words {
            assert!(stderr.contains(&word.to_lowercase()), "stderr lacks `{word}`; {self:?}");
        }
        self
    }

    #[track_caller]
    pub fn expect_unsaid(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(!self.stderr.contains(word), "stderr has `{word}`; {self:?}");
        }
        self
    }
}

impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Finished { command, code, signal, stdout, stderr, took } = self;
        writeln!(f, "\n$ {command}\nended after {took:?} with {code:?}, signal {signal:?}")?;
        write!(f, "--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}
