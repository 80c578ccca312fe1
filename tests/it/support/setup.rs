//! How a run of the program is put together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::certificates::{Identity, authority};
use super::endpoint::{AUTHORITY_FILE, Endpoint};
use super::finished::Finished;
use super::ouli::Ouli;
use super::recordings::Recordings;
use super::tools::raise_descriptor_limit;

/// A command line in the making, in a folder of its own. `start` runs it until a signal ends it,
/// `run` until it ends by itself.
pub struct Setup {
    command: String,
    origin: Option<String>,
    options: Vec<String>,
    env: Vec<(String, String)>,
    /// Shell text before the program starts, such as `ulimit -n 64`.
    before: Option<String>,
    /// A program that runs the program, such as strace, with its arguments.
    wrapper: Vec<String>,
    folder: Arc<TempDir>,
    recording_dir: PathBuf,
    ca_dir: PathBuf,
    /// Whose folder the recordings stand in, if it isn't this run's.
    recordings: Option<Recordings>,
}

impl Setup {
    pub(super) fn new(command: &str) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let recording_dir = folder.path().join("recordings");
        let ca_dir = folder.path().join("authority");
        Setup {
            command: command.to_owned(),
            origin: None,
            options: Vec::new(),
            env: Vec::new(),
            before: None,
            wrapper: Vec::new(),
            folder,
            recording_dir,
            ca_dir,
            recordings: None,
        }
    }

    /// The origin on the command line; the listener gets a free port.
    pub fn origin(mut self, url: impl Into<String>) -> Self {
        self.origin = Some(url.into());
        self
    }

    pub fn option(self, option: &str) -> Self {
        self.options([option])
    }

    pub fn options<S: AsRef<str>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.options.extend(options.into_iter().map(|option| option.as_ref().to_owned()));
        self
    }

    pub fn session(self, name: &str) -> Self {
        self.options(["--session", name])
    }

    /// Writes `ouli.toml` where the program starts, so that it is found without `--config`.
    pub fn config(self, toml: &str) -> Self {
        self.file("ouli.toml", toml)
    }

    /// Adds an endpoint to `ouli.toml`.
    pub fn endpoint(self, endpoint: &Endpoint) -> Self {
        let path = self.folder.path().join("ouli.toml");
        let before = fs::read_to_string(path).unwrap_or_default();
        let config = before + &endpoint.toml();
        self.file(AUTHORITY_FILE, authority().pem()).config(&config)
    }

    /// Lines of the `[limits]` table, after what `ouli.toml` holds.
    pub fn more_limits(self, lines: &str) -> Self {
        let before = fs::read_to_string(self.folder.path().join("ouli.toml")).unwrap_or_default();
        self.config(&format!("{before}\n[limits]\n{lines}\n"))
    }

    /// Writes this certificate and its key beside the configuration, as `STEM.pem` and `STEM.key`.
    pub fn identity(self, stem: &str, identity: &Identity) -> Self {
        identity.write_to(self.folder.path(), stem);
        self
    }

    /// Where the local authority is kept, if not in a folder of this run's own.
    pub fn ca_dir(mut self, path: &Path) -> Self {
        self.ca_dir = path.to_owned();
        self
    }

    /// Lines of the `[limits]` table.
    pub fn limits(self, lines: &str) -> Self {
        self.config(&format!("[limits]\n{lines}\n"))
    }

    /// Writes a file where the program starts.
    pub fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shell text that runs first in the same process, such as `ulimit -n 64`.
    pub fn after(mut self, shell: &str) -> Self {
        self.before = Some(shell.to_owned());
        self
    }

    /// Runs the program under another one, such as `strace -f -o FILE`.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Records into, or replays from, this folder.
    pub fn recordings(mut self, recordings: &Recordings) -> Self {
        self.recording_dir = recordings.path.clone();
        self.origin = self.origin.or_else(|| recordings.origin.clone());
        self.recordings = Some(recordings.clone());
        self
    }

    /// Starts the program and waits for `ready`.
    #[track_caller]
    pub fn start(self) -> Ouli {
        let ouli = self.spawn();
        ouli.wait_ready();
        ouli
    }

    /// Runs the program to its own end.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Starts the program and waits for nothing.
    #[track_caller]
    pub fn spawn(self) -> Ouli {
        raise_descriptor_limit();
        let (program, args) = self.command_line();
        let shown = format!("{program} {}", args.join(" "));
        let mut command = Command::new(&program);
        command.args(&args).current_dir(self.folder.path()).envs(self.env.iter().cloned());
        command.env("RUST_BACKTRACE", "0").env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.env("OULI_CA_DIR", &self.ca_dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
        let recordings = match self.recordings {
            Some(recordings) => recordings,
            None => Recordings::new(self.recording_dir, self.origin, self.folder.clone()),
        };
        Ouli::new(child, shown, self.folder, recordings, self.ca_dir)
    }

    fn command_line(&self) -> (String, Vec<String>) {
        let mut words: Vec<String> = self.wrapper.clone();
        words.push(env!("CARGO_BIN_EXE_ouli").to_owned());
        words.extend(self.command.split(' ').map(str::to_owned));
        if let Some(origin) = &self.origin {
            words.push(origin.clone());
            if !self.options.iter().any(|option| option == "--listen") {
                words.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
            }
        }
        if self.recordings.is_some() {
            let dir = self.recording_dir.display().to_string();
            words.extend(["--recording-dir".to_owned(), dir]);
        }
        words.extend(self.options.iter().cloned());
        if let Some(before) = &self.before {
            let script = format!("{before} || exit 99; exec \"$0\" \"$@\"");
            words.splice(0..0, ["sh".to_owned(), "-c".to_owned(), script]);
        }
        let program = words.remove(0);
        (program, words)
    }
}
