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

/// The Python that has this module: the machine's, or the one that OULI_TEST_PYTHON names.
pub fn python_with(module: &str, package: &str) -> Option<String> {
    let python = std::env::var("OULI_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut import = Command::new(&python);
    let imports = import.args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    let found = imports.is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: this test needs Python's `{package}`, which isn't installed");
    }
    found.then_some(python)
}

/// Whether Node has this package: beside these tests, or in the folder that NODE_PATH names.
pub fn has_node_package(name: &str) -> bool {
    let mut require = Command::new("node");
    let requires = require.args(["-e", &format!("require('{name}')")]).stderr(Stdio::null());
    let found = requires.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: this test needs Node's `{name}`, which isn't installed");
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
