use super::LIMITS;
use crate::exchange::{Fields, RequestHead, ResponseHead, Version};
use crate::http1::Refusal::{self, *};
use crate::http1::head::{HeadLimits, HeadScanner, Role, parse_request, parse_response};

/// Scans and parses, as a connection would.
fn request(input: &[u8]) -> Result<RequestHead, Refusal> {
    let end = HeadScanner::new(Role::Server).scan(input, &LIMITS)?.ok_or(Unfinished)?;
    let mut head = RequestHead::default();
    parse_request(&input[..end], &LIMITS, &mut head).map(|()| head)
}

fn response(input: &[u8]) -> Result<ResponseHead, Refusal> {
    let end = HeadScanner::new(Role::Client).scan(input, &LIMITS)?.ok_or(Unfinished)?;
    let mut head = ResponseHead::default();
    parse_response(&input[..end], &LIMITS, &mut head).map(|()| head)
}

#[test]
fn a_request_keeps_order_case_and_repetition_of_its_fields() {
    let head = request(
        b"POST /a%20b?x=1&x=2 HTTP/1.1\r\nHOST: a.example:80\r\nX-b:1\r\nx-A: \t2 3\t \r\nX-b:\r\nx-c: caf\xe9\r\n\r\nbody",
    )
    .unwrap();
    assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/a%20b?x=1&x=2"));
    assert_eq!(head.version, Version::Http11);
    let expected: Fields = [
        (&b"HOST"[..], &b"a.example:80"[..]),
        (b"X-b", b"1"),
        (b"x-A", b"2 3"),
        (b"X-b", b""),
        (b"x-c", b"caf\xe9"),
    ]
    .into_iter()
    .collect();
    assert_eq!(head.fields, expected);
}

#[test]
fn a_response_keeps_its_reason_byte_by_byte() {
    let cases: [(&[u8], u16, &[u8]); 6] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, b"OK"),
        (b"HTTP/1.1 404 Not  Found\t!\r\n\r\n", 404, b"Not  Found\t!"),
        (b"HTTP/1.0 999 \r\n\r\n", 999, b""),
        (b"HTTP/1.1 204\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 caf\xe9\r\n\r\n", 200, b"caf\xe9"),
        (b"HTTP/1.1 200  two spaces\r\n\r\n", 200, b" two spaces"),
    ];
    for (input, status, reason) in cases {
        let head = response(input).unwrap();
        assert_eq!((head.status, head.reason.as_slice()), (status, reason));
    }
}

#[test]
fn requests_are_refused_for_their_reason() {
    const HOST: &str = "Host: a\r\n";
    let cases: Vec<(String, Refusal)> = vec![
        // Lines.
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".into(), BareLineFeed { at: 14 }),
        (format!("GET / HTTP/1.1\r\n{HOST}\n"), BareLineFeed { at: 25 }),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n".into(), BareLineFeed { at: 23 }),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n".into(), BareCarriageReturn { at: 14 }),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n".into(), BareCarriageReturn { at: 23 }),
        (format!("GET / HTTP/1.1\r\n{HOST}\r\r\n"), BareCarriageReturn { at: 25 }),
        ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n".into(), Nul { at: 23 }),
        ("\0".into(), Nul { at: 0 }),
        ("\n".into(), BareLineFeed { at: 0 }),
        ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n".into(), EmptyLines { max: 4 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n"), ObsFold { at: 31 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X: a\r\n\tb\r\n\r\n"), ObsFold { at: 31 }),
        (format!("GET / HTTP/1.1\r\n {HOST}\r\n"), ObsFold { at: 16 }),
        (format!("GET / HTTP/1.1\r\n{HOST} \r\n\r\n"), ObsFold { at: 25 }),
        // Other protocols.
        ("\x16\x03\x01".into(), TlsHandshake),
        ("PRI * HTTP/2.0\r\n".into(), Http2Preface),
        ("GET /\r\n".into(), Http09),
        ("GET /a b\r\n".into(), BadRequestLine),
        // The request line.
        ("GET\r\n".into(), BadRequestLine),
        (" GET / HTTP/1.1\r\n".into(), BadMethod { at: 0 }),
        ("\r\n GET / HTTP/1.1\r\n".into(), BadMethod { at: 2 }),
        ("{\"a\":1}".into(), BadMethod { at: 0 }),
        (format!("G(T / HTTP/1.1\r\n{HOST}\r\n"), BadMethod { at: 1 }),
        (format!("GET\t/ HTTP/1.1\r\n{HOST}\r\n"), BadMethod { at: 3 }),
        (format!("GET  / HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 4 }),
        (format!("GET /  HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 5 }),
        (format!("GET /a b HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 6 }),
        (format!("GET /\u{e9} HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 5 }),
        (format!("GET /a#b HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 6 }),
        (format!("GET /\x7f HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 5 }),
        (format!("GET /\x01 HTTP/1.1\r\n{HOST}\r\n"), BadTargetByte { at: 5 }),
        (format!("GET / HTTP/1.1 \r\n{HOST}\r\n"), BadRequestLine),
        (format!("GET  HTTP/1.1\r\n{HOST}\r\n"), BadTargetForm),
        (format!("GET * HTTP/1.1\r\n{HOST}\r\n"), BadTargetForm),
        (format!("GET a HTTP/1.1\r\n{HOST}\r\n"), BadTargetForm),
        (format!("GET http://u@a/ HTTP/1.1\r\n{HOST}\r\n"), BadTargetForm),
        (format!("CONNECT / HTTP/1.1\r\n{HOST}\r\n"), BadTargetForm),
        (format!("GET / HTTP/1.2\r\n{HOST}\r\n"), BadVersion),
        (format!("GET / HTTP/2.0\r\n{HOST}\r\n"), BadVersion),
        (format!("GET / HTTP/1.10\r\n{HOST}\r\n"), BadVersion),
        (format!("GET / HTTP/1\r\n{HOST}\r\n"), BadVersion),
        (format!("GET / http/1.1\r\n{HOST}\r\n"), BadRequestLine),
        (format!("GET / HTTPS/1.1\r\n{HOST}\r\n"), BadRequestLine),
        // Field lines.
        (format!("GET / HTTP/1.1\r\n{HOST}X\r\n\r\n"), MissingColon { at: 25 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X : a\r\n\r\n"), SpaceBeforeColon { at: 26 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X\t: a\r\n\r\n"), SpaceBeforeColon { at: 26 }),
        (format!("GET / HTTP/1.1\r\n{HOST}: a\r\n\r\n"), BadFieldName { at: 25 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X y: a\r\n\r\n"), BadFieldName { at: 26 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X(: a\r\n\r\n"), BadFieldName { at: 26 }),
        (format!("GET / HTTP/1.1\r\n{HOST}\u{e9}: a\r\n\r\n"), BadFieldName { at: 25 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X: \x01\r\n\r\n"), BadFieldValue { at: 28 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X: a\x7f\r\n\r\n"), BadFieldValue { at: 29 }),
        (format!("GET / HTTP/1.1\r\n{HOST}X:\x0b\r\n\r\n"), BadFieldValue { at: 27 }),
        // Host.
        ("GET / HTTP/1.1\r\n\r\n".into(), MissingHost),
        ("GET http://a/ HTTP/1.1\r\n\r\n".into(), MissingHost),
        (format!("GET / HTTP/1.1\r\n{HOST}{HOST}\r\n"), SecondHost),
        (format!("GET / HTTP/1.1\r\n{HOST}hOST: a\r\n\r\n"), SecondHost),
        (format!("GET / HTTP/1.0\r\n{HOST}{HOST}\r\n"), SecondHost),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), BadHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), BadHost),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), BadHost),
        ("GET / HTTP/1.0\r\nHost: a, b\r\n\r\n".into(), BadHost),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n".into(), BadHost),
    ];
    for (input, expected) in cases {
        assert_eq!(request(input.as_bytes()), Err(expected), "{input:?}");
    }
}

#[test]
fn responses_are_refused_for_their_reason() {
    let cases: Vec<(&[u8], Refusal)> = vec![
        (b"\r\n", BadStatusLine),
        (b" HTTP/1.1 200 OK\r\n\r\n", BadStatusLine),
        (b"SSH-2.0-OpenSSH_9.9", BadStatusLine),
        (b"\x15\x03\x01", BadStatusLine),
        (b"http/1.1 200 OK\r\n\r\n", BadStatusLine),
        (b"HTTP/2 200\r\n", BadStatusLine),
        (b"HTTP/1.1\r\n\r\n", BadStatusLine),
        (b"HTTP/1.1  200 OK\r\n\r\n", BadStatus),
        (b"HTTP/1.2 200 OK\r\n\r\n", BadVersion),
        (b"HTTP/1.1 20 OK\r\n\r\n", BadStatus),
        (b"HTTP/1.1 099 OK\r\n\r\n", BadStatus),
        (b"HTTP/1.1 000 OK\r\n\r\n", BadStatus),
        (b"HTTP/1.1 2000 OK\r\n\r\n", BadStatus),
        (b"HTTP/1.1 +20 OK\r\n\r\n", BadStatus),
        (b"HTTP/1.1 200\tOK\r\n\r\n", BadStatus),
        (b"HTTP/1.1 200 O\x01K\r\n\r\n", BadReason { at: 14 }),
        (b"HTTP/1.1 200 OK\n\r\n", BareLineFeed { at: 15 }),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", ObsFold { at: 23 }),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", SpaceBeforeColon { at: 18 }),
        (b"HTTP/1.1 200 OK\r\nA\r\n\r\n", MissingColon { at: 17 }),
    ];
    for (input, expected) in cases {
        assert_eq!(response(input), Err(expected), "{:?}", input.escape_ascii().to_string());
    }
}

#[test]
fn what_is_unusual_but_clear_is_taken() {
    for input in [
        "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "get / HTTP/1.1\r\nhost:a\r\n\r\n",
        "!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a|b{\"c\"}<d>?[e]=^`\\ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET //a//b?c?d HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX:  : \r\n\r\n",
    ] {
        assert!(request(input.as_bytes()).is_ok(), "{input:?}");
    }
}

#[test]
fn a_refusal_comes_with_the_first_byte_that_settles_it() {
    let cases: [(&str, Refusal); 8] = [
        ("GET / HTTP/1.1\r\nA: b\n", BareLineFeed { at: 20 }),
        ("GET / HTTP/1.1\r\nA: b\rc", BareCarriageReturn { at: 20 }),
        ("GET / HTTP/1.1\r\nA: b\r\n ", ObsFold { at: 22 }),
        ("GET / HTTP/1.1\r\nA: b\0", Nul { at: 20 }),
        ("GET /\r\n", Http09),
        ("GET / HTTP/3\r\n", BadVersion),
        ("\x16", TlsHandshake),
        ("\r\n\r\n(", BadMethod { at: 4 }),
    ];
    for (input, expected) in cases {
        let mut scanner = HeadScanner::new(Role::Server);
        for len in 0..input.len() {
            let verdict = scanner.scan(&input.as_bytes()[..len], &LIMITS);
            assert_eq!(verdict, Ok(None), "{len} bytes of {input:?}");
        }
        assert_eq!(scanner.scan(input.as_bytes(), &LIMITS), Err(expected), "{input:?}");
    }
}

#[test]
fn a_limit_is_met_exactly_and_passed_by_one_byte() {
    let limits = HeadLimits { bytes_max: 100, fields_max: 3, target_max: 10 };
    let verdict = |input: &[u8]| {
        let mut scanner = HeadScanner::new(Role::Server);
        let whole = HeadScanner::new(Role::Server).scan(input, &limits);
        let bytewise = (0..=input.len())
            .map(|len| scanner.scan(&input[..len], &limits))
            .find(|verdict| *verdict != Ok(None))
            .unwrap_or(Ok(None));
        assert_eq!(whole, bytewise);
        whole
    };
    let head = |filler: usize| format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(filler));
    assert_eq!(verdict(head(74).as_bytes()), Ok(Some(100)));
    assert_eq!(verdict(head(75).as_bytes()), Err(HeadTooLarge { max: 100 }));
    assert_eq!(verdict(&[b'G'; 65]), Ok(None));
    // A method may take 64 bytes, then come a space, the target and the version.
    assert_eq!(verdict(&[b'G'; 86]), Err(MethodTooLong { max: 64 }));
    let target = |len: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(len - 1));
    assert_eq!(verdict(target(10).as_bytes()), Ok(None));
    assert_eq!(verdict(target(11).as_bytes()), Err(TargetTooLong { max: 10 }));
    let unending = format!("GET /{}", "a".repeat(95));
    assert_eq!(verdict(unending.as_bytes()), Err(TargetTooLong { max: 10 }));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A:\r\n".repeat(count));
    assert_eq!(verdict(fields(3).as_bytes()), Ok(Some(30)));
    assert_eq!(verdict(fields(4).as_bytes()), Err(TooManyFields { max: 3 }));
    let method = format!("{} / HTTP/1.1\r\n", "G".repeat(64));
    assert_eq!(verdict(method.as_bytes()), Ok(None));
    let method = format!("{} / HTTP/1.1\r\n", "G".repeat(65));
    assert_eq!(verdict(method.as_bytes()), Err(MethodTooLong { max: 64 }));
}

#[test]
fn a_status_line_without_end_is_bounded_by_the_head() {
    let limits = HeadLimits { bytes_max: 100, ..LIMITS };
    let line = format!("HTTP/1.1 200 {}", "a".repeat(200));
    let verdict = HeadScanner::new(Role::Client).scan(line.as_bytes(), &limits);
    assert_eq!(verdict, Err(HeadTooLarge { max: 100 }));
}

#[test]
fn bytes_already_scanned_are_not_looked_at_again() {
    let start = b"GET / HTTP/1.1\r\n";
    let mut buffer = start.to_vec();
    let mut scanner = HeadScanner::new(Role::Server);
    assert_eq!(scanner.scan(&buffer, &LIMITS), Ok(None));
    for &byte in b"Host: a\r\nX: y\r\n\r" {
        buffer.fill(0);
        buffer.push(byte);
        assert_eq!(scanner.scan(&buffer, &LIMITS), Ok(None));
    }
    buffer.fill(0);
    buffer.push(b'\n');
    assert_eq!(scanner.scan(&buffer, &LIMITS), Ok(Some(buffer.len())));
}

#[test]
fn a_head_ends_where_the_body_begins() {
    let mut scanner = HeadScanner::new(Role::Server);
    let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let pipelined = [head.as_slice(), b"GET /2"].concat();
    assert_eq!(scanner.scan(&pipelined, &LIMITS), Ok(Some(head.len())));
    scanner.reset();
    assert_eq!(scanner.scan(&pipelined[head.len()..], &LIMITS), Ok(None));
}

#[test]
fn empty_lines_alone_begin_no_message() {
    let mut scanner = HeadScanner::new(Role::Server);
    assert!(!scanner.has_begun());
    let input = b"\r\nGET / HTTP/1.1\r\n";
    for (len, expected) in [(2, false), (3, true), (input.len(), true)] {
        assert_eq!(scanner.scan(&input[..len], &LIMITS), Ok(None));
        assert_eq!(scanner.has_begun(), expected, "after {len} bytes");
    }
}

#[test]
fn the_buffers_of_a_head_are_used_again() {
    let long = format!("PROPFIND /{0} HTTP/1.1\r\nHost: a\r\nX: {0}\r\n\r\n", "a".repeat(500));
    let mut head = RequestHead::default();
    parse_request(long.as_bytes(), &LIMITS, &mut head).unwrap();
    let before = (head.target.as_ptr(), head.fields.capacity_bytes());
    parse_request(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", &LIMITS, &mut head).unwrap();
    assert_eq!((head.method.as_str(), head.target.as_str()), ("GET", "/"));
    assert_eq!(head.fields, [("Host", "b")].into_iter().collect());
    assert_eq!((head.target.as_ptr(), head.fields.capacity_bytes()), before);
}

#[test]
fn more_fields_than_the_stack_holds_are_taken_where_the_limit_allows() {
    let fields: String = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let input = format!("GET / HTTP/1.0\r\n{fields}\r\n");
    let parse = |fields_max: usize| {
        let mut head = RequestHead::default();
        parse_request(input.as_bytes(), &HeadLimits { fields_max, ..LIMITS }, &mut head)
            .map(|()| head.fields.len())
    };
    assert_eq!(parse(usize::MAX), Ok(300));
    assert_eq!(parse(300), Ok(300));
    assert_eq!(parse(299), Err(TooManyFields { max: 299 }));
    assert_eq!(parse(100), Err(TooManyFields { max: 100 }));
    assert_eq!(parse(0), Err(TooManyFields { max: 0 }));
}

#[test]
fn a_parser_given_more_or_less_than_a_head_says_so() {
    let mut head = RequestHead::default();
    for (input, expected) in [
        ("", Unfinished),
        ("GET / HTTP/1.1\r\nHost: a\r\n", Unfinished),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nx", PastTheEnd),
    ] {
        let verdict = parse_request(input.as_bytes(), &LIMITS, &mut head);
        assert_eq!(verdict, Err(expected), "{input:?}");
    }
}

/// The parsers don't rely on the scanner for what it refuses first.
#[test]
fn a_parser_given_what_no_scanner_found_refuses_it_too() {
    let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
    for (input, expected) in [
        ("HTTP/1.1 200 a\n\nb\r\n\r\n", BareLineFeed { at: 14 }),
        ("HTTP/1.1 200 a\n\r\n\r\n", BareLineFeed { at: 14 }),
        ("HTTP/1.1 200 OK\r\nA: b\n\r\n", BareLineFeed { at: 21 }),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", BadStatusLine),
    ] {
        let verdict = parse_response(input.as_bytes(), &LIMITS, &mut response);
        assert_eq!(verdict, Err(expected), "{input:?}");
    }
    for (input, expected) in [
        ("GET / HTTP/1.0\n\nb\r\n\r\n", BareLineFeed { at: 14 }),
        ("GET / HTTP/1.0\r\nA: b\n\r\n", BareLineFeed { at: 20 }),
        ("GET / HTTP/1.0\r\nA: b\r\n\n", BareLineFeed { at: 22 }),
        ("\nGET / HTTP/1.0\r\n\r\n", BareLineFeed { at: 0 }),
    ] {
        let verdict = parse_request(input.as_bytes(), &LIMITS, &mut request);
        assert_eq!(verdict, Err(expected), "{input:?}");
    }
}

#[test]
fn a_refusal_reads_as_a_sentence_with_its_place_in_the_rfc() {
    assert_eq!(
        BareLineFeed { at: 17 }.to_string(),
        "byte 17 is a line feed without a carriage return before it; lines end with CR LF \
         (RFC 9112 section 2.2)"
    );
    assert_eq!(
        LengthWithTransferEncoding.to_string(),
        "the message has both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)"
    );
    assert!(HeadTooLarge { max: 1 }.is_too_large() && TooManyFields { max: 1 }.is_too_large());
    assert!(TargetTooLong { max: 1 }.is_target_too_long() && !BadHost.is_too_large());
}
