//! `ouli demo`: the whole story in one command.
//!
//! An origin starts, a program calls it through `ouli record`, the origin stops, the program calls
//! `ouli replay`, and every answer must be the same. Origin (`origin`) and program (`client`, which
//! asks what `script` says) live in this process; Ouli itself is run as anyone would run it
//! (`child`).
//!
//! Invariant: however it ends, short of SIGKILL, no process and no file is left: the folder, the
//! children and the origin all go when what owns them is dropped.

mod answer;
pub(super) mod child;
mod client;
mod compare;
mod conversation;
mod folder;
mod http1;
mod http2;
mod messages;
mod origin;
mod script;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::signal::unix::{SignalKind, signal};

use super::report;
use crate::telemetry;
use answer::Played;
use child::{Listening, Ouli};
use client::Server;
use compare::{Compared, Table, compare};
use folder::{CASSETTE, Folder};
use origin::Origin;
use script::ROWS;

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
    // Declared first, so dropped last: nothing writes to it any more.
    let folder = Folder::new()?;
    let count = ROWS.len();

    let origin = Origin::start(&folder.origin_authority()).await?;
    let (plain, secure) = (origin.plain(), origin.secure());
    tell(&format!(
        "1. An origin is up: http://{plain} speaks HTTP/1.1 with event streams and WebSocket,\n   \
         https://{secure} HTTP/2 and gRPC as well."
    ));

    folder.configure(plain, secure)?;
    let recorded = record(&folder).await?;
    let size = folder.inspect_cassette()?;
    tell(&format!(
        "2. `ouli record` forwarded {count} requests to it and kept every exchange in\n   \
         {CASSETTE} ({size} bytes, without the API key that was sent)."
    ));

    origin.stop().await;
    tell("3. The origin is stopped.");

    let replayed = replay(&folder).await?;
    tell(&format!("4. `ouli replay` answered the same {count} requests from the recording.\n"));

    let compared = compare(&ROWS, &recorded, &replayed.answers);
    show(&compared);
    conclude(&compared, &recorded, &replayed.answers)?;
    replayed.ended?;
    folder.remove()
}

async fn record(folder: &Folder) -> Result<Vec<Played>> {
    let (ouli, listening) = Ouli::start(folder, "record", &[]).await?;
    let answers = match play(folder, listening).await {
        Ok(answers) => answers,
        Err(error) => return Err(ouli.failed(error).await),
    };
    ouli.stop().await?;
    for (row, Played { answer, .. }) in ROWS.iter().zip(&answers) {
        if !answer.is_fine() {
            let (title, told) = (row.talk.title(), answer.explanation());
            bail!("`{title}` was answered {}: {told}", answer.status);
        }
    }
    Ok(answers)
}

struct Replayed {
    answers: Vec<Played>,
    /// A replay that missed something says so at its end too; what differs is told before.
    ended: Result<()>,
}

async fn replay(folder: &Folder) -> Result<Replayed> {
    // Strict: a miss, or a recording that nobody asked for, fails it.
    let (ouli, listening) = Ouli::start(folder, "replay", &["--strict"]).await?;
    match play(folder, listening).await {
        Ok(answers) => Ok(Replayed { answers, ended: ouli.stop().await }),
        Err(error) => Err(ouli.failed(error).await),
    }
}

/// Has the program call Ouli, whose local authority it trusts.
async fn play(folder: &Folder, listening: Listening) -> Result<Vec<Played>> {
    let Listening { plain, secure } = listening;
    let root = folder::root(&folder.local_authority())?;
    client::play(&Server { plain, secure, root }, &ROWS).await
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
        let folder = Folder::new().unwrap();
        let authority = folder.origin_authority();
        let origin = Origin::start(&authority).await.unwrap();
        let root = folder::root(&authority).unwrap();
        let server = Server { plain: origin.plain(), secure: origin.secure(), root };
        let first = client::play(&server, &ROWS).await.unwrap();
        let second = client::play(&server, &ROWS).await.unwrap();
        let compared = compare(&ROWS, &first, &second);
        assert!(compared.iter().all(|row| row.explained().is_some()), "{}", Table(&compared));
        assert!(first.iter().all(|played| played.answer.is_fine()), "{}", Table(&compared));
        let failure = conclude(&compared, &first, &second).unwrap_err().to_string();
        assert!(failure.starts_with("16 replayed answers are not as recorded:"), "{failure}");
        assert!(failure.contains("GET /v1/visits: recorded `X-Request-Id: req-7`"), "{failure}");
        assert!(failure.contains("demo.Chat/Talk: recorded `x-request-id: req-14`"), "{failure}");
        assert!(failure.contains("GET /v1/chat: recorded `x-request-id: req-16`"), "{failure}");
        origin.stop().await;
        assert!(client::play(&server, &ROWS).await.is_err(), "stopped means gone");
    }

    #[test]
    fn who_is_not_of_the_expected_authority_is_not_called() {
        runtime().unwrap().block_on(async {
            let (folder, other) = (Folder::new().unwrap(), Folder::new().unwrap());
            let origin = Origin::start(&folder.origin_authority()).await.unwrap();
            let _other = Origin::start(&other.origin_authority()).await.unwrap();
            let root = folder::root(&other.origin_authority()).unwrap();
            let server = Server { plain: origin.plain(), secure: origin.secure(), root };
            let error = client::play(&server, &ROWS).await.err().unwrap();
            assert!(format!("{error:#}").contains("no TLS with 127.0.0.1"), "{error:#}");
        });
    }
}
