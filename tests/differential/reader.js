// Reads a JSON array of { server, method, input } from stdin, lets Node's HTTP parser read each
// input, and prints what it made of it: an array of { messages, error }. Text holds one byte per
// character. Only messages that came whole are listed.
'use strict';

const http = require('node:http');
const { Duplex } = require('node:stream');
const { text } = require('node:stream/consumers');

const bytes = (latin1) => Buffer.from(latin1, 'latin1');

// A connection whose other side has said all it says, and takes everything.
class Pipe extends Duplex {
  constructor() {
    super({ allowHalfOpen: true });
  }
  _read() {}
  _write(chunk, encoding, done) {
    done();
  }
  setTimeout() { return this; }
  setNoDelay() { return this; }
  setKeepAlive() { return this; }
  ref() { return this; }
  unref() { return this; }
}

function collect(message, start, reading) {
  const chunks = [];
  message.on('data', (chunk) => chunks.push(chunk));
  message.on('error', () => {});
  message.on('end', () => {
    if (!message.complete) return;
    reading.messages.push({
      start,
      fields: message.rawHeaders,
      body: Buffer.concat(chunks).toString('latin1'),
      trailers: message.rawTrailers,
    });
  });
}

// Everything happens in memory, so a few turns of the event loop are enough.
async function settle() {
  for (let turn = 0; turn < 12; turn += 1) await new Promise(setImmediate);
}

async function readRequests(input) {
  const reading = { messages: [], error: null };
  const server = http.createServer();
  const take = (request, response) => {
    collect(request, `${request.method} ${request.url}`, reading);
    request.on('end', () => response.end());
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, take);
  // The socket stays, so that the messages before the fault still come out.
  server.on('clientError', (error) => {
    reading.error = error.code;
  });
  const pipe = new Pipe();
  server.emit('connection', pipe);
  pipe.push(bytes(input));
  await settle();
  pipe.destroy();
  return reading;
}

async function readResponse(input, method) {
  const reading = { messages: [], error: null };
  const pipe = new Pipe();
  const request = http.request({ method, createConnection: () => pipe });
  const take = (response) => {
    collect(response, `${response.statusCode} ${response.statusMessage}`, reading);
  };
  request.on('response', take);
  request.on('upgrade', (response, socket) => {
    take(response);
    socket.destroy();
  });
  request.on('error', (error) => {
    reading.error = error.code;
  });
  request.end();
  await settle();
  pipe.push(bytes(input));
  pipe.push(null);
  await settle();
  pipe.destroy();
  return reading;
}

async function main() {
  const readings = [];
  for (const { server, method, input } of JSON.parse(await text(process.stdin))) {
    readings.push(await (server ? readRequests(input) : readResponse(input, method)));
  }
  process.stdout.write(JSON.stringify(readings));
}

main();
