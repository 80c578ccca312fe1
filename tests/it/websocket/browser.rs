//! A page in Chromium, where it is installed.

use crate::support::ws::echo;
use crate::support::*;

/// Says one thing after the other, and posts at the end what it saw.
const PAGE: &str = r#"<!doctype html><title>converse</title><script>
const seen = [];
const done = () => fetch('/outcome', { method: 'POST', body: seen.join('\n') });
const large = new Uint8Array(16 << 20).fill(7);
const messages = ['hello', 'hello', '', '{"a": 1}', new Uint8Array([0, 255]), 'h\u00e4ppchen'.repeat(20000), large];
const ws = new WebSocket('ws://OULI/chat', ['v1', 'v2']);
ws.binaryType = 'arraybuffer';
ws.onopen = () => seen.push(`open ${ws.protocol} ${ws.extensions}`);
ws.onerror = () => seen.push('error');
ws.onmessage = ({ data }) => {
  if (typeof data !== 'string') seen.push(`binary ${data.byteLength} ${new Uint8Array(data).at(-1)}`);
  else seen.push(data.length < 100 ? `text ${data}` : `text ${data.length} ${data.slice(-5)}`);
  if (messages.length) ws.send(messages.shift());
  else ws.close(4001, 'bye');
};
ws.onclose = ({ code, reason, wasClean }) => {
  seen.push(`closed ${code} ${reason} ${wasClean}`);
  done();
};
</script>"#;

const EXPECTED: &str = "open v2 permessage-deflate\ntext welcome\ntext hello\ntext hello\ntext \n\
    text {\"a\": 1}\nbinary 2 255\ntext 160000 pchen\nbinary 16777216 7\nclosed 4001 bye true";

/// What the page saw of a conversation with this Ouli.
#[track_caller]
fn seen_by_a_page(ouli: &Ouli) -> String {
    posted_by_page(PAGE.replace("OULI", &ouli.address().to_string()))
}

#[test]
fn a_page_in_a_browser_converses() {
    if !has_tool("chromium") {
        return;
    }
    let origin = Origin::http1().ws("/chat", |talk| {
        let granted =
            [("sec-websocket-protocol", "v2"), ("sec-websocket-extensions", "permessage-deflate")];
        let mut talker = talk.grant(&granted);
        talker.say("welcome");
        echo(&mut talker);
    });
    let recorder = Ouli::record(&origin).start();
    assert_eq!(seen_by_a_page(&recorder), EXPECTED);
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    assert_eq!(seen_by_a_page(&replay), EXPECTED);
    replay.terminate().expect_code(0);
}
