//! The program: arguments in, exit code out.

use std::path::Path;
use std::process::ExitCode;

use ouli::cli::{self, Command, Stop};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os(), Path::new("")) {
        Ok(Command::Serve(invocation)) => cli::serve::run(*invocation),
        Ok(Command::Check(check)) => cli::check::run(&check),
        Ok(Command::Demo) => cli::demo::run(),
        Err(Stop::Help(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop::Usage(faults)) => {
            eprintln!("{faults}");
            ExitCode::from(2)
        }
    }
}
