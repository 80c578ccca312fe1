//! The program: arguments in, exit code out.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use ouli::cli::{self, Command, Stop};
use ouli::telemetry;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os(), Path::new("")) {
        Ok(Command::Serve(invocation)) => cli::serve::run(*invocation),
        Ok(Command::Check(check)) => cli::check::run(&check),
        Ok(Command::Ca) => cli::ca::run(),
        Ok(Command::Demo) => cli::demo::run(),
        Err(Stop::Help(text)) => {
            // `ouli --help | head` is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Stop::Usage(faults)) => {
            telemetry::tell(faults);
            ExitCode::from(2)
        }
    }
}
