//! Recording exchanges, and reading back what was kept of them.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::cassette::EndpointNote;
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::tape::{Side, TapeRun};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn endpoint() -> EndpointNote {
    EndpointNote {
        name: "api".to_owned(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Https, host: "api.example.com".to_owned(), port: 443 },
    }
}

fn request(target: &str) -> RequestHead {
    RequestHead {
        method: "POST".to_owned(),
        target: target.to_owned(),
        version: Version::Http11,
        fields: Fields::from_iter([("Host", "api.example.com"), ("accept", "*/*")]),
    }
}

fn response(media: &str) -> ResponseHead {
    ResponseHead {
        fields: Fields::from_iter([("Content-Type", media)]),
        reason: b"OK".to_vec(),
        ..ResponseHead::default()
    }
}

struct Bench {
    run: Arc<Run>,
    recorder: Recorder,
    dir: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_keeping(Keep::default())
}

fn bench_keeping(keep: Keep) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::open(&dir.path().join("recordings"), vec![endpoint()], |_| {}).unwrap();
    let recorder = Recorder::open(Arc::clone(&run), 0, keep).unwrap();
    Bench { run, recorder, dir }
}

impl Bench {
    fn begin(&self, target: &str) -> Recording {
        let seq = self.run.next_seq();
        self.recorder.begin(seq, "default", "api", 7, &request(target), Vec::new())
    }

    fn tapes(&self) -> TapeRun {
        TapeRun::open(&self.run.tapes()).unwrap()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        self.tapes().exchanges("default").collect::<Result<_, _>>().unwrap()
    }

    /// Files in `.ouli` whose name ends so.
    fn files(&self, ending: &str) -> Vec<String> {
        names(self.run.folder()).into_iter().filter(|name| name.ends_with(ending)).collect()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_ordinary_exchange_is_read_back_as_it_was() {
    let bench = bench();
    let mut one = bench.begin("/pay?x=1");
    one.request_data(b"{\"a\":").unwrap();
    one.request_data(b"1}").unwrap();
    one.request_end(&Fields::new()).unwrap();
    one.interim(ms(3), &ResponseHead { status: 103, ..response("") });
    one.response_head(ms(12), &response("application/json"));
    one.response_data(ms(12), b"{\"ok\":").unwrap();
    one.response_data(ms(13), b"true}").unwrap();
    one.end(End::Whole, &Fields::from_iter([("x-sum", "1")])).unwrap();
    one.flush().unwrap();
    let expected = Exchange {
        endpoint: "api".to_owned(),
        recorded_at_ms: 7,
        request: Request {
            head: request("/pay?x=1"),
            body: Body::Whole("{\"a\":1}".into()),
            coding: None,
            trailers: Fields::new(),
        },
        response: Response {
            at: ms(12),
            interim: vec![ResponseHead { status: 103, ..response("") }],
            head: response("application/json"),
            body: Body::Whole("{\"ok\":true}".into()),
            coding: None,
            trailers: Fields::from_iter([("x-sum", "1")]),
            end: End::Whole,
        },
    };
    assert_eq!(bench.exchanges(), [expected]);
    assert_eq!(bench.tapes().endpoints(), [endpoint()]);
    assert_eq!(bench.tapes().torn(), []);
}
