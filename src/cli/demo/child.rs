//! Ouli as the demo runs it: the real program, in a process of its own.
//!
//! Invariant: no such process outlives the demo, however that ends. Whoever drops it, kills it;
//! and where the demo is killed itself, the child sees its standard input end, and goes.

use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{self, Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use super::folder::Folder;

/// Set for children: their standard input is a pipe that ends with the demo.
const MARK: &str = "OULI_DEMO_CHILD";

/// To get ready, or to drain and seal. Only a failing demo takes it.
const PATIENCE: Duration = Duration::from_secs(20);

/// For a program that is falling over to get to the ground.
const GRACE: Duration = Duration::from_millis(200);

/// In a child of the demo, ends the process as soon as the demo is gone. Elsewhere nothing.
pub(in crate::cli) fn end_with_demo() {
    if env::var_os(MARK).is_none() {
        return;
    }
    let watch = || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Nobody is left who wants its recordings.
        process::exit(1);
    };
    // Without the thread there is one safeguard less, and the others still hold.
    let _ = thread::Builder::new().name("ouli-demo".into()).spawn(watch);
}

/// Where a child accepts.
pub(super) struct Listening {
    pub(super) plain: SocketAddr,
    /// With TLS.
    pub(super) secure: SocketAddr,
}

/// `ouli record` or `ouli replay`, running.
pub(super) struct Ouli {
    /// `ouli record`
    name: String,
    child: Child,
    lines: UnboundedReceiver<String>,
    said: Option<JoinHandle<String>>,
}

impl Ouli {
    /// Starts `ouli MODE` with `options` in `folder`, where its configuration lies. Gives it as
    /// soon as it accepts, and where it does.
    pub(super) async fn start(
        folder: &Folder,
        mode: &str,
        options: &[&str],
    ) -> Result<(Ouli, Listening)> {
        let name = format!("ouli {mode}");
        let program = env::current_exe().context("could not find this program's own file")?;
        let mut child = Command::new(program)
            .arg(mode)
            .args(options)
            .current_dir(folder.path())
            .env("OULI_CA_DIR", folder.local_authority())
            .env(MARK, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start `{name}`"))?;
        let (sender, lines) = mpsc::unbounded_channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || forward_lines(stdout, &sender));
        }
        let said = child.stderr.take().map(|stderr| thread::spawn(move || gather(stderr)));
        let mut ouli = Ouli { name, child, lines, said };
        match timeout(PATIENCE, ouli.ready()).await {
            Ok(Some(listening)) => Ok((ouli, listening)),
            Ok(None) => Err(ouli.failed(anyhow!("it never got ready")).await),
            Err(_) => Err(ouli.failed(anyhow!("it was not ready after {PATIENCE:?}")).await),
        }
    }

    /// Where it listens, as it says; none if it ends before it is ready.
    async fn ready(&mut self) -> Option<Listening> {
        let (mut plain, mut secure) = (None, None);
        loop {
            let line = self.lines.recv().await?;
            if line == "ready" {
                return Some(Listening { plain: plain?, secure: secure? });
            }
            plain = plain.or(listening(&line, "http"));
            secure = secure.or(listening(&line, "https"));
        }
    }

    /// Ends it as a person would, with SIGTERM: it drains and, if it recorded, seals.
    ///
    /// # Errors
    /// It doesn't end, or ends with anything but exit code 0; with all that it said.
    pub(super) async fn stop(mut self) -> Result<()> {
        // Not reaped yet, so the number still means this child.
        let sent = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if let Err(error) = sent.context("could not signal it") {
            return Err(self.failed(error).await);
        }
        match self.ended_within(PATIENCE).await {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(self.failed(anyhow!("it didn't end well")).await),
            None => Err(self.failed(anyhow!("it still ran {PATIENCE:?} after SIGTERM")).await),
        }
    }

    /// How it ended, if it does so by itself in time.
    async fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        // Its standard output ends when it does.
        let silence = async { while self.lines.recv().await.is_some() {} };
        timeout(patience, silence).await.ok()?;
        self.child.wait().ok()
    }

    /// `error`, with how the program ended and what it has said. Ends the program.
    pub(super) async fn failed(mut self, error: Error) -> Error {
        let mut text = format!("`{}` failed: {error:#}", self.name);
        // A program that fell over explains more than the connection that went with it.
        if let Some(status) = self.ended_within(GRACE).await {
            let _ = write!(text, "; {status}");
        }
        self.end();
        let said = self.said.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if !said.is_empty() {
            text.push_str("; it said:");
            said.lines().for_each(|line| text.extend(["\n    ", line]));
        }
        anyhow!(text)
    }

    /// Kills it if it still runs. Blocks until it is gone, so that nothing writes any more to
    /// the folder that goes next.
    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Ouli {
    fn drop(&mut self) {
        self.end();
    }
}

/// The address in a line such as `listening http://127.0.0.1:8080 -> ...`, if it is of `scheme`.
fn listening(line: &str, scheme: &str) -> Option<SocketAddr> {
    let rest = line.strip_prefix("listening ")?.strip_prefix(scheme)?.strip_prefix("://")?;
    rest.split(' ').next()?.parse().ok()
}

fn forward_lines(stdout: impl Read, sender: &UnboundedSender<String>) {
    // Reads on when nobody listens any more: a full pipe would hold the program up.
    for line in BufReader::new(stdout).lines().map_while(io::Result::ok) {
        let _ = sender.send(line);
    }
}

fn gather(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    // What came before a fault is still worth telling.
    let _ = stderr.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}
