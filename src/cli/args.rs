//! What may be typed: the raw command line, its help, and which command it means.
//!
//! Values stay strings here, because the argument parser stops at its first fault while
//! `invocation` tells every fault of the command line and the file together.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};

use super::{Invocation, invocation};
use crate::config::{Fault, Faults, Mode, RECORDING_DIR};

/// A checked command.
#[derive(Debug)]
pub enum Command {
    /// `record`, `replay` or `auto`.
    Serve(Box<Invocation>),
    Check(Check),
    Ca,
    Demo,
}

/// `ouli check`: what to look through. There is something of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Given, or found in the working directory.
    pub config: Option<PathBuf>,
    pub cassettes: Cassettes,
}

/// The cassettes to look through.
#[derive(Debug, PartialEq, Eq)]
pub enum Cassettes {
    /// These files, and all in these folders. None where only a configuration was named.
    Named(Vec<PathBuf>),
    /// All in the folder that the configuration says recordings are in, else in `recordings`, as
    /// far as it is there; relative to `dir`.
    Recorded { dir: PathBuf },
}

/// Why there is no command to run.
#[derive(Debug)]
pub enum Stop {
    /// Help or version was asked for: to stdout, exit 0.
    Help(String),
    /// To stderr, exit 2.
    Usage(Faults),
}

const ABOUT: &str = "Record/replay proxy: keep real traffic once, answer from it ever after";

const OVERVIEW: &str = "\
Ouli stands between a program under test and the servers it calls. `ouli record` forwards \
requests and keeps every exchange; `ouli replay` answers the same requests from what was kept: \
offline, the same every time.";

const EXAMPLES: &str = "\
Examples:
  ouli demo                              see the whole story, without any set-up
  ouli record https://api.example.com    then call http://127.0.0.1:8080 instead
  ouli replay                            answer from what was recorded

Exit codes: 0 fine, 1 failed, 2 bad usage or configuration, 3 the answer is no (--strict)";

const RECORD_EXAMPLES: &str = "\
Examples:
  ouli record http://localhost:3000
  ouli record https://api.example.com --session login --listen 127.0.0.1:9000
  ouli record h2c://localhost:50051      gRPC, or HTTP/2, without TLS
  ouli record https://chat.example.com   WebSocket: then open ws://127.0.0.1:8080
  ouli record --config ouli.toml

Stop it with Ctrl-C or SIGTERM: the recordings are then in `recordings/`, a file per session.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  ouli replay                                   serve every endpoint that the recordings name
  ouli replay http://localhost:3000 --strict    exit 3 on a miss or an unused recording
  ouli replay --pace recorded                   send as slowly as the origin did";

const AUTO_EXAMPLES: &str = "\
Examples:
  ouli auto https://api.example.com    forwards only what isn't recorded yet";

const CHECK_EXAMPLES: &str = "\
Examples:
  ouli check                          the configuration in this folder, and its recordings
  ouli check recordings/login.json
  ouli check --config ci.toml tests/recordings

Exit codes: 0 all fine, 1 a faulty cassette, 2 a faulty configuration or bad usage";

const CA_EXAMPLES: &str = "\
Examples:
  ouli ca                                                    the path of its certificate, and what to do
  curl --cacert \"$(ouli ca 2>/dev/null)\" https://localhost:8443/

It is kept in $XDG_DATA_HOME/ouli or ~/.local/share/ouli (macOS: ~/Library/Application Support/ouli), \
or where OULI_CA_DIR says.";

#[derive(Debug, Parser)]
#[command(name = "ouli", version, about = ABOUT, long_about = OVERVIEW, after_help = EXAMPLES)]
#[command(max_term_width = 100)]
struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// Forward to the origin and keep every exchange
    #[command(after_help = RECORD_EXAMPLES)]
    Record(Shared),
    /// Answer from recordings: no connection and no DNS query leaves
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        #[command(flatten)]
        shared: Shared,
        #[command(flatten)]
        replay: Replay,
    },
    /// Replay what is recorded, forward and record what is not
    #[command(after_help = AUTO_EXAMPLES)]
    Auto(Shared),
    /// Report every fault in a configuration and in cassettes
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// A configuration; given alone, recordings are left out
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Cassettes, or folders of them; given alone, the configuration is left out
        #[arg(value_name = "CASSETTE")]
        cassettes: Vec<PathBuf>,
    },
    /// Make or show the local certificate authority, and how to trust it
    #[command(after_help = CA_EXAMPLES)]
    Ca,
    /// Show the whole story: record, stop the origin, replay, compare
    Demo,
}

/// What record, replay and auto share.
#[derive(Debug, Default, Args)]
pub(super) struct Shared {
    /// The server to stand for: http://, https://, or h2c:// for HTTP/2 without TLS, and its host;
    /// replaces the file's endpoints
    #[arg(value_name = "ORIGIN")]
    pub(super) origin: Option<String>,
    /// The configuration [default: ./ouli.toml, ./ouli.yaml or ./ouli.yml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where recordings are kept [default: recordings]
    #[arg(long, value_name = "DIR")]
    pub(super) recording_dir: Option<PathBuf>,
    /// The session of requests that name none in an `ouli-session` header
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) session: String,
    /// Where to listen for ORIGIN; port 0 lets the system choose [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<String>,
    /// How long answers in flight may take to finish at the end [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub(super) drain_timeout: Option<String>,
    /// How to write the log: human or json
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) log_format: String,
    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,
    /// Log only warnings and errors
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// What only replay takes.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct Replay {
    /// Exit 3 if a request missed or a recording of an opened session was left unused
    #[arg(long)]
    pub(super) strict: bool,
    /// How fast to answer: instant, recorded, or a multiple such as 2x
    #[arg(long, value_name = "PACE", default_value = "instant")]
    pub(super) pace: String,
}

/// The command that `args` mean (the program's name first), with the configuration it runs under.
/// Configuration files are looked up in `dir`; an empty path is the working directory.
///
/// # Errors
/// A text to print instead: help, or every fault of the command line and the file together.
pub fn parse<I, T>(args: I, dir: &Path) -> Result<Command, Stop>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let mut faults = Faults::default();
    let typed = read(args.into_iter().map(Into::into).collect(), &mut faults)?;
    let command = match typed {
        Some(typed) => understand(typed, dir).map_err(|found| faults.append(found)).ok(),
        None => None,
    };
    match command {
        Some(command) if faults.is_empty() => Ok(command),
        _ => Err(Stop::Usage(faults)),
    }
}

fn understand(typed: Typed, dir: &Path) -> Result<Command, Faults> {
    let serve = |mode, shared: &Shared, replay: &Replay| {
        let invocation = invocation::resolve(mode, shared, replay, dir)?;
        Ok(Command::Serve(Box::new(invocation)))
    };
    match typed.command {
        TypedCommand::Record(shared) => serve(Mode::Record, &shared, &Replay::instant()),
        TypedCommand::Auto(shared) => serve(Mode::Auto, &shared, &Replay::instant()),
        TypedCommand::Replay { shared, replay } => serve(Mode::Replay, &shared, &replay),
        TypedCommand::Check { config, cassettes } => Ok(check(config, cassettes, dir)?),
        TypedCommand::Ca => Ok(Command::Ca),
        TypedCommand::Demo => Ok(Command::Demo),
    }
}

/// Reads `args`, going on past what the parser doesn't know, so that the rest is judged as well.
/// None if it can't go on; then there is a fault.
fn read(mut args: Vec<OsString>, faults: &mut Faults) -> Result<Option<Typed>, Stop> {
    /// A command line with more faults than this is another program's.
    const FAULTS_MAX: usize = 16;
    for _ in 0..FAULTS_MAX {
        let error = match Typed::try_parse_from(&args) {
            Ok(typed) => return Ok(Some(typed)),
            Err(error) => error,
        };
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return if faults.is_empty() { Err(Stop::Help(error.to_string())) } else { Ok(None) };
        }
        faults.push(usage_fault(&args, &error));
        if !mend(&mut args, &error) {
            break;
        }
    }
    Ok(None)
}

/// Takes the argument that `error` names out of `args`, or spells it right. False where that would
/// be a guess: what follows an unknown option may be its value or an argument of its own.
fn mend(args: &mut Vec<OsString>, error: &clap::Error) -> bool {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some(wrong) = context(ContextKind::InvalidArg) else { return false };
    let is_it = |arg: &OsString| {
        let rest = arg.to_str().and_then(|arg| arg.strip_prefix(wrong));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let Some(at) =
        args.iter().position(is_it).filter(|_| error.kind() == ErrorKind::UnknownArgument)
    else {
        return false;
    };
    let text = args[at].to_string_lossy().into_owned();
    let stands_alone = text.contains('=')
        || !text.starts_with('-')
        || args.get(at + 1).is_none_or(|next| next.to_string_lossy().starts_with('-'));
    match context(ContextKind::SuggestedArg) {
        Some(right) if right != wrong => args[at] = text.replacen(wrong, right, 1).into(),
        _ if stands_alone => {
            args.remove(at);
        }
        _ => return false,
    }
    true
}

impl Replay {
    /// For the modes that have no such options.
    fn instant() -> Self {
        Replay { strict: false, pace: "instant".into() }
    }
}

/// What is named is checked, and nothing else; where nothing is, what is in `dir`.
fn check(config: Option<PathBuf>, named: Vec<PathBuf>, dir: &Path) -> Result<Command, Fault> {
    if config.is_some() || !named.is_empty() {
        let in_dir = |path: PathBuf| dir.join(path);
        let cassettes = Cassettes::Named(named.into_iter().map(in_dir).collect());
        return Ok(Command::Check(Check { config: config.map(in_dir), cassettes }));
    }
    let config = invocation::discover(dir)?;
    if config.is_none() && !dir.join(RECORDING_DIR).is_dir() {
        let reason = format!(
            "there is no ./ouli.toml, ./ouli.yaml or ./ouli.yml, and no folder `{RECORDING_DIR}`"
        );
        return Err(Fault::new("nothing to check", reason)
            .with_hint("name a cassette, or a configuration with --config"));
    }
    let cassettes = Cassettes::Recorded { dir: dir.to_owned() };
    Ok(Command::Check(Check { config, cassettes }))
}

/// The argument parser's own message in the form of all others.
fn usage_fault(args: &[OsString], error: &clap::Error) -> Fault {
    let no_command = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.kind() == no_command || error.kind() == ErrorKind::MissingSubcommand {
        return Fault::new("no command", "expected record, replay, auto, check, ca or demo")
            .with_hint("`ouli --help` explains them, and `ouli demo` shows them at work");
    }
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let reason = reason.strip_suffix(" found").unwrap_or(reason);
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand]
        .into_iter()
        .find_map(|kind| error.get(kind))
        .map(|near| format!("did you mean `{near}`?"));
    let leads = args.get(1).is_some_and(|first| first.to_string_lossy().starts_with('-'));
    let of_replay = ["--strict", "--pace"].into_iter().find(|option| reason.contains(option));
    let hint = match (suggested, of_replay) {
        _ if leads => "options stand behind the command: ouli record --session login".into(),
        (Some(suggested), _) => suggested,
        (None, Some(option)) => format!("`{option}` goes with `ouli replay` alone"),
        (None, None) => "`ouli --help` and `ouli COMMAND --help` list all".into(),
    };
    Fault::new("can't use the command line", reason.replace('\'', "`")).with_hint(hint)
}
