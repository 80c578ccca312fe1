//! Python's `websockets`, where it is installed, on both sides.

use std::process::Command;

use super::peers::{Server, same_talk};
use crate::support::*;

/// Echoes, speaks first, and closes when it is told to.
const SERVER: &str = r#"
from websockets.sync.server import serve
def converse(ws):
    ws.send('welcome')
    for message in ws:
        if message == 'close':
            ws.close(4002, 'as you wish')
        elif message == 'fragments':
            ws.send(['in ', 'three ', 'parts'])
        else:
            ws.send(message)
server = serve(converse, '127.0.0.1', 0, subprotocols=['v2'], max_size=None)
print(server.socket.getsockname()[1], flush=True)
server.serve_forever()
"#;

/// Prints all that a program can see. A conversation for each way to compress; one message of 16 MiB
/// as it is, and one compressed.
const CLIENT: &str = r#"
import hashlib, ssl, sys
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate
from websockets.sync.client import connect
url, ca = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=ca) if ca else None
def shown(message):
    if len(message) < 100:
        return repr(message)
    data = message.encode() if isinstance(message, str) else message
    return '%s %d %s' % (type(message).__name__, len(data), hashlib.sha256(data).hexdigest())
def converse(name, **options):
    print(name)
    with connect(url + name, ssl=context, subprotocols=['v1', 'v2'], max_size=None, **options) as ws:
        print(ws.subprotocol, ws.response.headers.get('sec-websocket-extensions'), ws.recv())
        for message in ('hello', '', 'h\u00e4ppchen', '{"a": 1}', b'\x00\xff', b'', 'again ' * 9000):
            for _ in range(2):
                ws.send(message)
                print(shown(ws.recv()))
        large = bytes(range(256)) * (4096 if 'extensions' in options else 65536)
        ws.send(large)
        print(shown(ws.recv()))
        ws.send(['sent ', 'in ', 'parts'])
        print(shown(ws.recv()))
        ws.send('fragments')
        print(list(ws.recv_streaming()) and 'fragments')
        print(ws.ping().wait(20))
        ws.send('close')
        try:
            ws.recv()
        except ConnectionClosed as e:
            print(e.rcvd, e.sent, e.rcvd_then_sent)
converse('plain', compression=None)
converse('default')
converse('afresh', extensions=[Deflate(server_no_context_takeover=True, client_no_context_takeover=True)])
converse('small', extensions=[Deflate(server_max_window_bits=9, client_max_window_bits=9)])
with connect(url + 'bye', ssl=context, subprotocols=['v2']) as ws:
    print(ws.recv())
    ws.close(1000, 'bye')
print(ws.close_code, ws.close_reason)
"#;

#[test]
fn a_python_program_and_a_python_server_converse() {
    let Some(python) = python_with("websockets.sync.server", "websockets") else { return };
    let server = Server::start(Command::new(&python).args(["-c", SERVER]));
    let client = || {
        let mut command = Command::new(&python);
        command.args(["-c", CLIENT]);
        command
    };
    same_talk(server, &client, "as you wish");
}
