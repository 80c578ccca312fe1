//! The machine the tests run on.

use std::process::{Command, Stdio};
use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether a program is installed. Says loudly which one a test goes without.
pub fn has_tool(name: &str) -> bool {
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let found = quiet(Command::new("sh").args(["-c", &format!("command -v {name}")]));
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: this test needs `{name}`, which isn't installed");
    }
    found
}

/// Lets this process hold as many sockets as the system allows: tests in parallel hold thousands.
pub fn raise_descriptor_limit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    });
}
