//! The program under test, running.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use super::certificates::authority;
use super::client::Client;
use super::finished::Finished;
use super::origin::Origin;
use super::protocol::Protocol;
use super::recordings::Recordings;
use super::setup::Setup;
use super::wait::wait_for;

/// A debug build on a loaded machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A started process. Dropping it kills it; if the test failed, its whole output is shown.
pub struct Ouli {
    child: Mutex<Child>,
    pid: Pid,
    command: String,
    stdout: Collected,
    stderr: Collected,
    folder: Arc<TempDir>,
    recordings: Recordings,
    ca_dir: PathBuf,
}

impl Ouli {
    pub fn record(origin: &Origin) -> Setup {
        Setup::new("record").origin(origin.url())
    }

    pub fn auto(origin: &Origin) -> Setup {
        Setup::new("auto").origin(origin.url())
    }

    /// Replays for the origin that was recorded, on a free port.
    pub fn replay(recordings: impl Into<Recordings>) -> Setup {
        Setup::new("replay").recordings(&recordings.into())
    }

    /// Any command line; words are parted by a blank.
    pub fn command(words: &str) -> Setup {
        Setup::new(words)
    }

    pub(super) fn new(
        mut child: Child,
        command: String,
        folder: Arc<TempDir>,
        recordings: Recordings,
        ca_dir: PathBuf,
    ) -> Self {
        let stdout = Collected::from(child.stdout.take().unwrap());
        let stderr = Collected::from(child.stderr.take().unwrap());
        let pid = Pid::from_child(&child);
        let child = Mutex::new(child);
        Ouli { child, pid, command, stdout, stderr, folder, recordings, ca_dir }
    }

    #[track_caller]
    pub(super) fn wait_ready(&self) {
        wait_for(PATIENCE, "the program says `ready`", &mut || {
            if self.stdout.text().lines().any(|line| line == "ready") {
                return Ok(());
            }
            let ended = self.child.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "ended instead of getting ready: {:?}", self.report());
            Err("not ready".to_owned())
        });
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The `listening` lines: where, for which origin, in which mode.
    pub fn listening(&self) -> Vec<(SocketAddr, String, String)> {
        let stdout = self.stdout.text();
        stdout.lines().filter(|line| line.starts_with("listening ")).map(parse_listening).collect()
    }

    /// Where the first endpoint listens.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.listening().first().expect("a `listening` line").0
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// Where the first listener of this scheme is.
    #[track_caller]
    pub fn address_for(&self, scheme: &str) -> SocketAddr {
        let (stdout, start) = (self.stdout.text(), format!("listening {scheme}://"));
        let line = stdout.lines().find(|line| line.starts_with(&start));
        parse_listening(line.unwrap_or_else(|| panic!("no {scheme} listener: {stdout}"))).0
    }

    /// A client that speaks this to the first listener for it, and trusts the local authority.
    #[track_caller]
    pub fn client_over(&self, protocol: Protocol) -> Client {
        let client = Client::new(self.address_for(protocol.scheme())).over(protocol);
        match protocol.is_tls() {
            true => client.trusting(authority().pem()).trusting(&self.authority()),
            false => client,
        }
    }

    /// The path that `ouli ca` prints: the local authority's certificate.
    #[track_caller]
    pub fn authority_path(&self) -> PathBuf {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ouli"));
        let output = command.arg("ca").env("OULI_CA_DIR", &self.ca_dir).output().unwrap();
        assert!(output.status.success(), "ouli ca: {}", String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8(output.stdout).unwrap();
        PathBuf::from(stdout.lines().next().expect("a path on stdout"))
    }

    /// The local authority's certificate, as PEM.
    #[track_caller]
    pub fn authority(&self) -> String {
        let path = self.authority_path();
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn recordings(&self) -> Recordings {
        self.recordings.clone()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// SIGTERM; waits for the drain, the seal and the exit.
    #[track_caller]
    pub fn terminate(&self) -> Finished {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// SIGKILL: no drain, no flush.
    #[track_caller]
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    pub fn has_exited(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for the program's own end.
    #[track_caller]
    pub fn wait(&self) -> Finished {
        let begun = Instant::now();
        let status = wait_for(PATIENCE, "the program ends", &mut || {
            self.child.lock().unwrap().try_wait().unwrap().ok_or("still running".to_owned())
        });
        let took = begun.elapsed();
        self.stdout.wait_end();
        self.stderr.wait_end();
        Finished { code: status.code(), signal: status.signal(), took, ..self.report() }
    }

    /// A line of `/proc/PID/status`, in KiB: `VmRSS`, `RssAnon` …
    #[track_caller]
    pub fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).expect("a memory line");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// User and system time used so far.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // Fields 14 and 15, counted after the name in brackets; a hundred ticks a second.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let ticks = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|tick| tick.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How many descriptors the process holds.
    pub fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    fn report(&self) -> Finished {
        Finished {
            command: self.command.clone(),
            code: None,
            signal: None,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            took: Duration::ZERO,
        }
    }
}

impl Drop for Ouli {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        let child = child.unwrap_or_else(std::sync::PoisonError::into_inner);
        let ended = child.try_wait().ok().flatten();
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("\n{:?}\nrecordings: {:?}", self.report(), self.recordings.files());
        }
    }
}

#[track_caller]
fn parse_listening(line: &str) -> (SocketAddr, String, String) {
    let parse = || {
        let rest = line.strip_prefix("listening ")?;
        let rest = rest.strip_prefix("http://").or(rest.strip_prefix("https://"))?;
        let (address, rest) = rest.split_once(" -> ")?;
        let (origin, mode) = rest.strip_suffix(')')?.split_once(" (")?;
        Some((address.parse().ok()?, origin.to_owned(), mode.to_owned()))
    };
    parse().unwrap_or_else(|| panic!("not of the agreed form: `{line}`"))
}

/// An output stream, gathered by a thread of its own.
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Collected {
    fn from(output: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = text.clone();
        let thread = thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                into.lock().unwrap().append(&mut line);
            }
        });
        Collected { text, thread: Mutex::new(Some(thread)) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    /// Only after the process has ended.
    fn wait_end(&self) {
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let _ = thread.join();
        }
    }
}
