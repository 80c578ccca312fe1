//! The inputs: written ones for each rule, and made-up ones, the same on every run.

use ouli::http1::head::Role;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) role: Role,
    /// Of the request that a response answers.
    pub(crate) method: &'static str,
    pub(crate) input: Vec<u8>,
}

/// Made-up inputs for each role.
const GENERATED: usize = 1500;

pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = requests().into_iter().map(server).collect();
    cases.extend(responses().into_iter().map(|input| client("GET", input)));
    cases.extend(HEAD_RESPONSES.iter().map(|&input| client("HEAD", input.into())));
    let mut runner = TestRunner::deterministic();
    let mut generate = |strategy: BoxedStrategy<Vec<u8>>, case: fn(Vec<u8>) -> Case| {
        for _ in 0..GENERATED {
            let tree = strategy.new_tree(&mut runner).expect("the strategy has no filter");
            cases.push(case(tree.current()));
        }
    };
    generate(connection(request_head()), server);
    generate(connection(response_head()), |input| client("GET", input));
    cases
}

fn server(input: Vec<u8>) -> Case {
    Case { role: Role::Server, method: "", input }
}

fn client(method: &'static str, input: Vec<u8>) -> Case {
    Case { role: Role::Client, method, input }
}

/// Heads, or parts of one, to stand between `GET / HTTP/1.1` and the end.
const FIELD_LINES: &[&str] = &[
    "",
    "A: b\r\n",
    "A:b\r\n",
    "A: b \t\r\n",
    "A:\r\n",
    "A:   \r\n",
    "a: 1\r\nB: 2\r\nA: 3\r\n",
    "A: \u{e9}\r\n",
    "A: b\tc  d\r\n",
    "A : b\r\n",
    "A\t: b\r\n",
    "A: b\r\n c\r\n",
    "A: b\r\n\tc\r\n",
    " A: b\r\n",
    "A\r\n",
    ": b\r\n",
    "A: b\n",
    "A: b\r",
    "A: b\rc\r\n",
    "A: b\nC: d\r\n",
    "A: \0\r\n",
    "A: \x01\r\n",
    "A: \x7f\r\n",
    "A(: b\r\n",
    "A b: c\r\n",
    "\u{e9}: b\r\n",
    "!#$%&'*+-.^_`|~09: b\r\n",
    "\"A\": b\r\n",
    "A: \"\r\n\"\r\n",
    // Framing, each with bytes after the head that one reading takes for a body.
    "Content-Length: 3\r\n",
    "content-LENGTH:3\r\n",
    "Content-Length: 03\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +3\r\n",
    "Content-Length: -3\r\n",
    "Content-Length: 3 3\r\n",
    "Content-Length: 3,3\r\n",
    "Content-Length: 3, 4\r\n",
    "Content-Length: 0x3\r\n",
    "Content-Length: 3.0\r\n",
    "Content-Length:\r\n",
    "Content-Length: 3\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nContent-Length: 4\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Content-Length: 18446744073709551619\r\n",
    "Content-Length: 9223372036854775808\r\n",
    "Content-Length : 3\r\n",
    "Content_Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:CHUNKED\r\n",
    "Transfer-Encoding: chunked \r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: chunked;a=b\r\n",
    "Transfer-Encoding: chunked,\r\n",
    "Transfer-Encoding: ,chunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\r\n: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
    "X: y\r\nTransfer-Encoding: chunked\r\nX: z\r\n",
    // The connection.
    "Connection: close\r\n",
    "Connection: CLOSE\r\n",
    "Connection: keep-alive, close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: x\r\nConnection: close\r\n",
    "Connection: close\r\nConnection: keep-alive\r\n",
    "Connection: closed\r\n",
    "Connection: close, Content-Length\r\nContent-Length: 3\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\nContent-Length: 3\r\n",
    "Expect: x\r\nContent-Length: 3\r\n",
    "Proxy-Connection: close\r\n",
];

const TAILS: &[&str] = &[
    "",
    "abcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
];

const REQUEST_LINES: &[&str] = &[
    "GET /a%20b?c=d&c=e HTTP/1.1",
    "GET / HTTP/1.0",
    "get / HTTP/1.1",
    "M-SEARCH / HTTP/1.1",
    "FOO / HTTP/1.1",
    "!#$%&'*+-.^_`|~ / HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "OPTIONS / HTTP/1.1",
    "GET * HTTP/1.1",
    "GET http://a/b?c HTTP/1.1",
    "GET http://a HTTP/1.1",
    "GET HTTP://A?b HTTP/1.1",
    "GET https://[::1]:80/ HTTP/1.1",
    "GET ftp://a/ HTTP/1.1",
    "GET http://u@a/ HTTP/1.1",
    "GET http:///a HTTP/1.1",
    "GET a HTTP/1.1",
    "GET ?a HTTP/1.1",
    "CONNECT a:80 HTTP/1.1",
    "CONNECT a HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "GET //a//b HTTP/1.1",
    "GET /a#b HTTP/1.1",
    "GET /a?b#c HTTP/1.1",
    "GET /a|b HTTP/1.1",
    "GET /a\"b HTTP/1.1",
    "GET /<a> HTTP/1.1",
    "GET /`a` HTTP/1.1",
    "GET /a^b HTTP/1.1",
    "GET /a\\b HTTP/1.1",
    "GET /{a}[b] HTTP/1.1",
    "GET /?a?b HTTP/1.1",
    "GET /?<a> HTTP/1.1",
    "GET /\u{e9} HTTP/1.1",
    "GET /%zz HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    "GET / HTTP/1.1 ",
    "GET\t/ HTTP/1.1",
    " GET / HTTP/1.1",
    "GET / HTTP/1.2",
    "GET / HTTP/2.0",
    "GET / HTTP/1.10",
    "GET / HTTP/01.1",
    "GET / http/1.1",
    "GET / ",
    "GET /",
    "GET",
    "",
    "G(T / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /\x01 HTTP/1.1",
    "GET /\x7f HTTP/1.1",
    "\r\nGET / HTTP/1.1",
    "\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1",
    "\nGET / HTTP/1.1",
    "PRI * HTTP/2.0",
    "SOURCE / ICE/1.0",
    "GET / RTSP/1.0",
];

const HOSTS: &[&str] = &[
    "",
    "Host: a\r\nHost: a\r\n",
    "Host: a\r\nHost: b\r\n",
    "Host: a b\r\n",
    "Host: a/b\r\n",
    "Host: u@a\r\n",
    "Host:\r\n",
    "Host: a:b\r\n",
    "Host: [::1]:80\r\n",
    "Host: a,b\r\n",
    "HOST: A\r\n",
];

const CHUNKED_BODIES: &[&str] = &[
    "0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "003\r\nabc\r\n000\r\n\r\n",
    "A\r\n0123456789\r\n0\r\n\r\n",
    "a\r\n0123456789\r\n0\r\n\r\n",
    "3;a\r\nabc\r\n0\r\n\r\n",
    "3;a=b;c=\"d;e\"\r\nabc\r\n0;x\r\n\r\n",
    "3 ;a\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3;\r\nabc\r\n0\r\n\r\n",
    "3; a = b\r\nabc\r\n0\r\n\r\n",
    "3;\u{e9}\r\nabc\r\n0\r\n\r\n",
    "3;a\nabc\r\n0\r\n\r\n",
    "3;a\rabc\r\n0\r\n\r\n",
    "3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n",
    "3;\x01\r\nabc\r\n0\r\n\r\n",
    "3;\0\r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabc\r0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nab\r\n0\r\n\r\n",
    "\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3x\r\nabc\r\n0\r\n\r\n",
    "3,\r\nabc\r\n0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "fffffffffffffffd\r\nabc\r\n0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "0\r\nA: b\r\na: \tc \r\nB:\r\n\r\n",
    "0\r\nContent-Length: 3\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\nHost: b\r\n\r\n",
    "0\r\nA : b\r\n\r\n",
    "0\r\n A: b\r\n\r\n",
    "0\r\nA: b\r\n c\r\n\r\n",
    "0\r\nA\r\n\r\n",
    "0\r\nA: b\n\r\n",
    "0\r\n\n",
    "0\n\r\n",
    "0\r\r\n",
    "0\r\nA: \0\r\n\r\n",
    "0\r\n\rX",
    "0",
    "0\r\n",
    "3\r\nab",
    "0\r\nA: b\r\n",
    "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

fn requests() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for line in REQUEST_LINES {
        inputs.push(format!("{line}\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for version in ["1.0", "1.1"] {
        for host in HOSTS {
            inputs.push(format!("GET / HTTP/{version}\r\n{host}A: b\r\n\r\n"));
        }
        for (lines, tail) in pairs(FIELD_LINES, TAILS) {
            inputs.push(format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n{tail}"));
        }
    }
    for body in CHUNKED_BODIES {
        inputs.push(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
    }
    for separator in ["\n", "\r", "\r\r\n", "\n\n", "\r\n\r"] {
        inputs.push(format!("GET / HTTP/1.1{separator}Host: a{separator}{separator}"));
    }
    inputs.into_iter().map(latin1_bytes).collect()
}

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 404 Not  Found",
    "HTTP/1.1 200 other",
    "HTTP/1.1 200 caf\u{e9}",
    "HTTP/1.1 999 x",
    "HTTP/1.1 099 x",
    "HTTP/1.1 20 x",
    "HTTP/1.1 2000 x",
    "HTTP/1.1 2x0 x",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.1 200\tOK",
    " HTTP/1.1 200 OK",
    "\r\nHTTP/1.1 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2 200 OK",
    "http/1.1 200 OK",
    "HTTP/1.1 200 O\x01K",
    "HTTP/1.1 200 O\0K",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 103 Early Hints",
    "ICY 200 OK",
    "SSH-2.0-x",
    "",
];

const RESPONSE_TAILS: &[&str] =
    &["", "abc", "abcdef", "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\nmore"];

const HEAD_RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n",
];

fn responses() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for line in STATUS_LINES {
        inputs.push(format!("{line}\r\nA: b\r\n\r\nabc"));
        inputs.push(format!("{line}\r\nContent-Length: 3\r\n\r\nabc"));
        inputs.push(format!(
            "{line}\r\nA: b\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc"
        ));
    }
    for (lines, tail) in pairs(FIELD_LINES, RESPONSE_TAILS) {
        inputs.push(format!("HTTP/1.1 200 OK\r\n{lines}\r\n{tail}"));
        inputs.push(format!("HTTP/1.0 200 OK\r\n{lines}\r\n{tail}"));
    }
    for body in CHUNKED_BODIES {
        inputs.push(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
    }
    inputs.into_iter().map(latin1_bytes).collect()
}

fn pairs<'a>(
    left: &'a [&'a str],
    right: &'a [&'a str],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    left.iter().flat_map(|&one| right.iter().map(move |&other| (one, other)))
}

/// `\u{e9}` in the tables stands for the byte E9, not for its UTF-8.
fn latin1_bytes(text: String) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).expect("tables hold bytes only")).collect()
}

fn text(parts: &'static [&'static str]) -> BoxedStrategy<Vec<u8>> {
    select(parts).prop_map(|part| latin1_bytes(part.to_owned())).boxed()
}

fn request_head() -> BoxedStrategy<Vec<u8>> {
    let line =
        "(GET|POST|PUT|DELETE|OPTIONS|HEAD) /[a-z0-9%?&=;,.!*'()\\[\\]:@$_~-]{0,12} HTTP/1\\.[01]";
    (line, field_lines())
        .prop_map(|(line, fields)| [line.as_bytes(), b"\r\nHost: a\r\n", &fields].concat())
        .boxed()
}

fn response_head() -> BoxedStrategy<Vec<u8>> {
    (200..600u16, "[a-zA-Z ]{0,8}", field_lines())
        .prop_map(|(status, reason, fields)| {
            [format!("HTTP/1.1 {status} {reason}\r\n").as_bytes(), &fields].concat()
        })
        .boxed()
}

/// Well-formed lines, and now and then one from the tables.
fn field_lines() -> BoxedStrategy<Vec<u8>> {
    let line = "[a-zA-Z0-9-]{1,8}:[ \t]{0,2}[!-~]{0,6}\r\n".prop_map(String::into_bytes);
    vec(prop_oneof![4 => line, 1 => text(FIELD_LINES)], 0..4)
        .prop_map(|lines| lines.concat())
        .boxed()
}

/// Up to three messages, damaged in up to two places.
fn connection(head: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let content = prop_oneof![
        3 => Just(b"\r\n".to_vec()),
        2 => vec(any::<u8>(), 0..20).prop_map(|body| {
            [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
        }),
        2 => chunked_body(),
        1 => text(CHUNKED_BODIES).prop_map(|body| [b"Transfer-Encoding: chunked\r\n\r\n", body.as_slice()].concat()),
    ];
    let message = (head, content).prop_map(|(head, content)| [head, content].concat());
    let marks: &[&str] = &[
        "\r",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\0",
        ":",
        ";",
        ",",
        "\u{e9}",
        "0",
        "\x0b",
        "chunked",
        "Host: b\r\n",
    ];
    let damage = (any::<Index>(), 0..2usize, select(marks));
    let damages = prop_oneof![2 => Just(Vec::new()), 3 => vec(damage, 1..3)];
    (vec(message, 1..4), damages)
        .prop_map(|(messages, damages)| {
            let mut input = messages.concat();
            for (index, removed, mark) in damages {
                let at = index.index(input.len() + 1);
                let end = (at + removed).min(input.len());
                input.splice(at..end, latin1_bytes(mark.to_owned()));
            }
            input
        })
        .boxed()
}

fn chunked_body() -> BoxedStrategy<Vec<u8>> {
    let chunk = vec(any::<u8>(), 1..20)
        .prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let trailers = vec("[a-z]{1,4}: [a-z]{0,4}\r\n".prop_map(String::into_bytes), 0..3);
    (vec(chunk, 0..4), trailers)
        .prop_map(|(chunks, trailers)| {
            [
                &b"Transfer-Encoding: chunked\r\n\r\n"[..],
                &chunks.concat(),
                b"0\r\n",
                &trailers.concat(),
                b"\r\n",
            ]
            .concat()
        })
        .boxed()
}
