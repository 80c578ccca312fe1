//! Node's `ws`, where it is installed, on both sides.

use std::process::Command;

use super::peers::{Server, same_talk};
use crate::support::*;

/// Echoes, speaks first, pings, and closes when it is told to. Compresses whatever it can.
const SERVER: &str = r#"
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({
  host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 }, maxPayload: 0,
  handleProtocols: (offered) => (offered.has('v2') ? 'v2' : false),
}, () => console.log(server.address().port));
server.on('connection', (ws) => {
  ws.send('welcome');
  ws.on('message', (data, isBinary) => {
    if (!isBinary && data.toString() === 'close') return ws.close(4002, 'as you wish');
    if (!isBinary && data.toString() === 'parts') {
      for (const [part, fin] of [['in ', false], ['three ', false], ['parts', true]]) {
        ws.send(part, { fin });
      }
      return;
    }
    ws.send(data, { binary: isBinary });
  });
});
"#;

/// Prints all that a program can see, each message once the one before has come back.
const CLIENT: &str = r#"
const { createHash } = require('crypto');
const { readFileSync } = require('fs');
const WebSocket = require('ws');
const [url, ca] = process.argv.slice(1);
const tls = ca ? { ca: readFileSync(ca) } : {};
const shown = (data, isBinary) => {
  const kind = isBinary ? 'binary' : 'text';
  if (data.length < 100) return `${kind} ${JSON.stringify(data.toString('latin1'))}`;
  return `${kind} ${data.length} ${createHash('sha256').update(data).digest('hex')}`;
};
const messages = (large) => [
  'hello', 'hello', '', '{"a": 1}', Buffer.from([0, 255]), Buffer.alloc(0),
  'again '.repeat(9000), Buffer.alloc(large, 'sixteen'), 'parts', ['sent ', 'in ', 'parts'],
];
const converse = (name, perMessageDeflate, large) => new Promise((resolve) => {
  const said = messages(large);
  const ws = new WebSocket(url + name, ['v1', 'v2'], { perMessageDeflate, maxPayload: 0, ...tls });
  let next = 0;
  ws.on('open', () => console.log(name, ws.protocol, ws.extensions));
  ws.on('message', (data, isBinary) => {
    console.log(shown(data, isBinary));
    const message = said[next++];
    if (next === said.length + 1) return ws.ping('are you there?');
    if (Array.isArray(message)) {
      return message.forEach((part, n) => ws.send(part, { fin: n + 1 === message.length }));
    }
    ws.send(message);
  });
  ws.on('pong', (data) => {
    console.log('pong', data.toString());
    ws.send('close');
  });
  ws.on('close', (code, reason) => {
    console.log('closed', code, reason.toString());
    resolve();
  });
  ws.on('error', (error) => {
    console.log('error', error.message);
    process.exitCode = 1;
  });
});
const parting = () => new Promise((resolve) => {
  const ws = new WebSocket(url + 'bye', tls);
  ws.on('message', () => ws.close(1000, 'bye'));
  ws.on('close', (code, reason) => resolve(console.log('closed', code, reason.toString())));
});
(async () => {
  await converse('plain', false, 16 << 20);
  await converse('default', { threshold: 0 }, 16 << 20);
  const afresh = { serverNoContextTakeover: true, clientNoContextTakeover: true };
  await converse('afresh', { threshold: 0, ...afresh }, 1 << 20);
  const small = { serverMaxWindowBits: 9, clientMaxWindowBits: 9 };
  await converse('small', { threshold: 0, ...small }, 1 << 20);
  await parting();
})();
"#;

#[test]
fn a_node_program_and_a_node_server_converse() {
    if !has_tool("node") || !has_node_package("ws") {
        return;
    }
    let server = Server::start(Command::new("node").args(["-e", SERVER]));
    let client = || {
        let mut command = Command::new("node");
        command.args(["-e", CLIENT]);
        command
    };
    same_talk(server, &client, "as you wish");
}
