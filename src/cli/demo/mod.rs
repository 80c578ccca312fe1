//! `ouli demo`: the whole story in one command.
//!
//! An origin starts, a program calls it through `ouli record`, the origin stops, the program calls
//! `ouli replay`, and every answer must be the same. Origin and program live in this process; Ouli
//! itself is run as anyone would run it.
//!
//! Invariant: however it ends, short of SIGKILL, no process and no file is left: the folder, the
//! children and the origin all go when what owns them is dropped.

pub(super) mod child;
mod compare;
mod origin;
mod script;
mod wire;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::signal::unix::{SignalKind, signal};

use super::report;
use crate::telemetry;
use child::Ouli;
use compare::{Compared, Table, compare};
use origin::Origin;
use script::{API_KEY, Played, ROWS};

/// Where `ouli record` keeps the session that nobody named.
const CASSETTE: &str = "recordings/default.json";

pub fn run() -> ExitCode {
    let told = runtime().context("the system refused a runtime").and_then(|runtime| {
        runtime.block_on(async {
            let interrupted = interruption()?;
            tokio::select! {
                told = story() => told,
                () = interrupted => bail!("interrupted; nothing was left behind"),
            }
        })
    });
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(error.context("the demo failed"), None);
            ExitCode::FAILURE
        }
    }
}

/// Of one thread: the origin's connections are tasks that stay on it.
fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

/// Waits for whatever would end this process without letting it clean up.
fn interruption() -> Result<impl Future<Output = ()>> {
    let on = |kind| signal(kind).context("the system refused to report signals");
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut hangup = on(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

async fn story() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("ouli-demo-").tempdir();
    // Declared first, so dropped last: nothing writes to it any more.
    let folder = folder.context("could not make a folder for the recordings")?;
    let count = ROWS.len();

    let origin = Origin::start().await?;
    let url = origin.url();
    tell(&format!("1. An origin is up at {url}: a small API that also streams events."));

    let recorded = record(folder.path(), &url).await?;
    let size = inspect(&folder.path().join(CASSETTE))?;
    tell(&format!(
        "2. `ouli record {url}` forwarded {count} requests to it and kept every\n   exchange in \
         {CASSETTE} ({size} bytes, without the API key that was sent)."
    ));

    origin.stop().await;
    tell("3. The origin is stopped.");

    let replayed = replay(folder.path(), &url).await?;
    tell(&format!("4. `ouli replay` answered the same {count} requests from the recording.\n"));

    let compared = compare(&ROWS, &recorded, &replayed.answers);
    show(&compared);
    conclude(&compared, &recorded, &replayed.answers)?;
    replayed.ended?;
    folder.close().context("could not remove the demo's folder")
}

async fn record(folder: &Path, url: &str) -> Result<Vec<Played>> {
    let (ouli, address) = Ouli::start(folder, "record", url, &[]).await?;
    let answers = match script::play(address, &ROWS).await {
        Ok(answers) => answers,
        Err(error) => return Err(ouli.failed(error).await),
    };
    ouli.stop().await?;
    for (row, Played { answer, .. }) in ROWS.iter().zip(&answers) {
        if answer.is_fault() || answer.status != 200 {
            let body = String::from_utf8_lossy(&answer.body);
            bail!("`{}` was answered {}: {}", row.talk.title(), answer.status, body.trim_end());
        }
    }
    Ok(answers)
}

struct Replayed {
    answers: Vec<Played>,
    /// A replay that missed something says so at its end too; what differs is told before.
    ended: Result<()>,
}

async fn replay(folder: &Path, url: &str) -> Result<Replayed> {
    // Strict: a miss, or a recording that nobody asked for, fails it.
    let (ouli, address) = Ouli::start(folder, "replay", url, &["--strict"]).await?;
    match script::play(address, &ROWS).await {
        Ok(answers) => Ok(Replayed { answers, ended: ouli.stop().await }),
        Err(error) => Err(ouli.failed(error).await),
    }
}

/// The size of the cassette in bytes.
///
/// # Errors
/// It isn't there, or the key that was sent is in it.
fn inspect(cassette: &Path) -> Result<usize> {
    let text = fs::read_to_string(cassette).context("`ouli record` left no cassette")?;
    if text.contains(API_KEY) {
        bail!("the API key that was sent stands in the cassette");
    }
    Ok(text.len())
}

fn conclude(compared: &[Compared], recorded: &[Played], replayed: &[Played]) -> Result<()> {
    let differences: Vec<_> = compared.iter().filter_map(Compared::explained).collect();
    if !differences.is_empty() {
        let count = differences.len();
        bail!("{count} replayed answers are not as recorded:\n  {}", differences.join("\n  "));
    }
    let millis = |played: &[Played]| {
        let total: Duration = played.iter().map(|played| played.took).sum();
        format!("{:.0} ms", total.as_secs_f64() * 1000.0)
    };
    tell(&format!(
        "\nAll {} answers are the same, byte for byte: {} with the origin, {} without.\n\n\
         Next, with a service of your own:\n  \
         ouli record http://localhost:3000   then let your program call http://127.0.0.1:8080;\n  \
         {:35} stop it with Ctrl-C\n  \
         ouli replay                         then run your program again, the service stopped",
        compared.len(),
        millis(recorded),
        millis(replayed),
        "",
    ));
    Ok(())
}

/// The story is for people; the table alone is data.
fn tell(text: &str) {
    telemetry::tell(text);
}

fn show(compared: &[Compared]) {
    let mut out = io::stdout().lock();
    // Nobody may be reading; the exit code says all the same whether it went well.
    let _ = write!(out, "{}", Table(compared)).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_origin_never_gives_the_same_answer_twice() {
        runtime().unwrap().block_on(never_the_same_answer_twice());
    }

    async fn never_the_same_answer_twice() {
        let origin = Origin::start().await.unwrap();
        let first = script::play(origin.address(), &ROWS).await.unwrap();
        let second = script::play(origin.address(), &ROWS).await.unwrap();
        let compared = compare(&ROWS, &first, &second);
        assert!(compared.iter().all(|row| row.explained().is_some()), "{}", Table(&compared));
        assert!(first.iter().all(|played| played.answer.status == 200), "{}", Table(&compared));
        let failure = conclude(&compared, &first, &second).unwrap_err().to_string();
        assert!(failure.starts_with("9 replayed answers are not as recorded:"), "{failure}");
        assert!(failure.contains("GET /v1/visits: recorded `X-Request-Id: req-7`"), "{failure}");
        let address = origin.address();
        origin.stop().await;
        assert!(script::play(address, &ROWS).await.is_err(), "stopped means gone");
    }
}
