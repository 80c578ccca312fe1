//! `--name value` arguments. The only caller is `bench/run`, so a fault simply ends the program.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

pub struct Args {
    pub command: String,
    values: HashMap<String, String>,
}

impl Args {
    /// The process's arguments: a command, then pairs.
    pub fn from_env() -> Self {
        let mut rest = std::env::args().skip(1);
        let command = rest.next().unwrap_or_else(|| fail("no command given"));
        let mut values = HashMap::new();
        while let Some(name) = rest.next() {
            let Some(name) = name.strip_prefix("--") else {
                fail(format!("expected --NAME, found {name}"))
            };
            let value = rest.next().unwrap_or_else(|| fail(format!("--{name} has no value")));
            values.insert(name.to_owned(), value);
        }
        Self { command, values }
    }

    pub fn get<T: FromStr>(&self, name: &str) -> Option<T> {
        let text = self.values.get(name)?;
        Some(text.parse().unwrap_or_else(|_| fail(format!("--{name}: can't read {text}"))))
    }

    pub fn need<T: FromStr>(&self, name: &str) -> T {
        self.get(name).unwrap_or_else(|| fail(format!("--{name} is missing")))
    }

    /// The bytes of the file that `--NAME` names.
    pub fn need_file(&self, name: &str) -> Vec<u8> {
        let path: String = self.need(name);
        std::fs::read(&path).unwrap_or_else(|error| fail(format!("{path}: {error}")))
    }
}

/// Says what went wrong and ends the program: a bench that goes on after a fault reports nonsense.
pub fn fail(message: impl Display) -> ! {
    eprintln!("error: {message}");
    std::process::exit(1)
}
