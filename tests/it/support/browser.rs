//! A browser without a window, in a profile of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::origin::Origin;
use super::reply::Reply;
use super::wait::wait_for;

/// Closed when it is dropped.
struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = TempDir::new().unwrap();
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Browser { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens this page in Chromium, and waits for what its script posts to `/outcome`.
#[track_caller]
pub fn posted_by_page(page: String) -> String {
    let site = Origin::http1()
        .route("/", move |_| Reply::ok(page.clone()).header("content-type", "text/html"))
        .on("/outcome", |_| "thanks");
    let _browser = Browser::open(&format!("http://{}/", site.address()));
    let posted = wait_for(Duration::from_secs(30), "the page has posted what it saw", &mut || {
        let requests = site.requests();
        requests.into_iter().find(|request| request.path() == "/outcome" && request.whole)
    });
    String::from_utf8(posted.body).unwrap()
}
