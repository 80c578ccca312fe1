//! A page in Chromium, where it is installed, that listens by EventSource.

use std::time::Duration;

use super::chunk;
use crate::support::*;

/// Notes each event as it comes, closes at `[DONE]`, and posts at the end what it saw.
const PAGE: &str = r#"<!doctype html><title>listen</title><script>
const seen = [];
const source = new EventSource('http://OULI/events');
source.onopen = () => seen.push('open');
source.onmessage = ({ data, lastEventId }) => {
  seen.push(`message ${JSON.stringify(data)} ${lastEventId}`);
  if (data !== '[DONE]') return;
  source.close();
  fetch('/outcome', { method: 'POST', body: seen.join('\n') });
};
source.addEventListener('tick', ({ data }) => seen.push(`tick ${JSON.stringify(data)}`));
source.onerror = () => seen.push(`error ${source.readyState}`);
</script>"#;

const EXPECTED: &str = "open\nmessage \"one\" 1\nmessage \"two\\nlines\" 2\ntick \"h\u{e4}ppchen\"\n\
    error 0\nopen\nmessage \"after 2\" 3\nmessage \"[DONE]\" 3";

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
     access-control-allow-origin: *\r\ntransfer-encoding: chunked\r\n\r\n";

/// The first stream breaks off, and the browser asks again and says what it saw last. From the
/// second it leaves.
fn origin(left: &Gate) -> Origin {
    let left = left.clone();
    Origin::http1().script("/events", move |talk| {
        let last = talk.request().headers.get("last-event-id").unwrap_or_default().to_owned();
        let mut events = vec![
            "retry: 20\nid: 1\ndata: one\n\n".to_owned(),
            "id: 2\ndata: two\ndata: lines\n\n".to_owned(),
            "event: tick\ndata: h\u{e4}ppchen\n\n".to_owned(),
        ];
        if talk.nth() > 1 {
            events = vec![format!("id: 3\ndata: after {last}\n\n"), "data: [DONE]\n\n".to_owned()];
        }
        talk.send(HEAD);
        for event in events {
            talk.send(chunk(event));
        }
        if talk.nth() > 1 && talk.client_leaves_within(Duration::from_secs(20)) {
            left.open_for_all();
            left.pass();
        }
        talk.close();
    })
}

#[track_caller]
fn seen_by_a_page(ouli: &Ouli) -> String {
    posted_by_page(PAGE.replace("OULI", &ouli.address().to_string()))
}

#[test]
fn a_page_in_a_browser_listens_and_asks_again_where_a_stream_broke_off() {
    if !has_tool("chromium") {
        return;
    }
    let left = Gate::new();
    let origin = origin(&left);
    let recorder = Ouli::record(&origin).start();
    assert_eq!(seen_by_a_page(&recorder), EXPECTED);
    wait_until("the origin has seen it leave", || left.reached() == 1);
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    assert_eq!(seen_by_a_page(&replay), EXPECTED);
    replay.terminate().expect_code(0);
}
