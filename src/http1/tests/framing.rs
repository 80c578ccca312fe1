use crate::exchange::{Fields, RequestHead, ResponseHead, Version};
use crate::http1::Refusal::*;
use crate::http1::framing::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn fields(pairs: Pairs<'_>) -> Fields {
    pairs.iter().copied().collect()
}

fn request(version: Version, pairs: Pairs<'_>) -> RequestHead {
    RequestHead { version, fields: fields(pairs), ..RequestHead::default() }
}

fn response(version: Version, status: u16, pairs: Pairs<'_>) -> ResponseHead {
    ResponseHead { version, status, fields: fields(pairs), ..ResponseHead::default() }
}

const CL: &str = "Content-Length";
const TE: &str = "Transfer-Encoding";
const CN: &str = "Connection";

#[test]
fn a_request_body_is_framed_by_one_plain_field() {
    use Version::*;
    let cases: &[(Version, Pairs<'_>, Result<Framing, crate::http1::Refusal>)] = &[
        (Http11, &[], Ok(Framing::None)),
        (Http10, &[], Ok(Framing::None)),
        (Http11, &[(CL, "0")], Ok(Framing::Length(0))),
        (Http10, &[("content-length", "0042")], Ok(Framing::Length(42))),
        (Http11, &[(CL, "9223372036854775807")], Ok(Framing::Length(LENGTH_MAX))),
        (Http11, &[(CL, "9223372036854775808")], Err(LengthTooLarge)),
        (Http11, &[(CL, "18446744073709551616")], Err(LengthTooLarge)),
        (Http11, &[(CL, "99999999999999999999999999")], Err(LengthTooLarge)),
        (Http11, &[(CL, "")], Err(BadLength)),
        (Http11, &[(CL, "+5")], Err(BadLength)),
        (Http11, &[(CL, "-5")], Err(BadLength)),
        (Http11, &[(CL, "5 ")], Err(BadLength)),
        (Http11, &[(CL, "5 5")], Err(BadLength)),
        (Http11, &[(CL, "0x5")], Err(BadLength)),
        (Http11, &[(CL, "5.0")], Err(BadLength)),
        (Http11, &[(CL, "1e3")], Err(BadLength)),
        (Http11, &[(CL, "\u{661}")], Err(BadLength)),
        (Http11, &[(CL, "5, 5")], Err(TwoLengths)),
        (Http11, &[(CL, "5,")], Err(TwoLengths)),
        (Http11, &[(CL, "5"), (CL, "5")], Err(TwoLengths)),
        (Http11, &[(CL, "5"), ("content-LENGTH", "6")], Err(TwoLengths)),
        (Http11, &[(TE, "chunked")], Ok(Framing::Chunked)),
        (Http11, &[("transfer-encoding", "ChunKed")], Ok(Framing::Chunked)),
        (Http11, &[(TE, "chunked"), (CL, "5")], Err(LengthWithTransferEncoding)),
        (Http11, &[(CL, "x"), (TE, "chunked")], Err(LengthWithTransferEncoding)),
        (Http11, &[(CL, "5"), (TE, "identity")], Err(LengthWithTransferEncoding)),
        (Http11, &[(TE, "chunked"), (TE, "chunked")], Err(TwoTransferEncodings)),
        (Http11, &[(TE, "gzip"), (TE, "chunked")], Err(TwoTransferEncodings)),
        (Http11, &[(TE, "gzip, chunked")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "chunked, chunked")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "chunked, identity")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "chunked,")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "chunked;q=1")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "\"chunked\"")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "xchunked")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "identity")], Err(UnknownTransferCoding)),
        (Http11, &[(TE, "")], Err(UnknownTransferCoding)),
        (Http10, &[(TE, "chunked")], Err(TransferEncodingInHttp10)),
        (Http10, &[(TE, "chunked"), (CL, "5")], Err(TransferEncodingInHttp10)),
    ];
    for (version, pairs, expected) in cases {
        assert_eq!(request_framing(&request(*version, pairs)), *expected, "{version:?} {pairs:?}");
    }
}

#[test]
fn a_response_body_depends_on_the_request_the_status_and_the_fields() {
    use Version::*;
    let cases: &[(&str, u16, Pairs<'_>, Result<Framing, crate::http1::Refusal>)] = &[
        ("GET", 200, &[], Ok(Framing::Close)),
        ("GET", 200, &[(CL, "5")], Ok(Framing::Length(5))),
        ("GET", 200, &[(TE, "chunked")], Ok(Framing::Chunked)),
        ("GET", 500, &[(CL, "0")], Ok(Framing::Length(0))),
        ("GET", 206, &[(CL, "5"), (CL, "5")], Err(TwoLengths)),
        ("GET", 200, &[(CL, "5, 5")], Err(TwoLengths)),
        ("GET", 200, &[(TE, "chunked"), (CL, "5")], Err(LengthWithTransferEncoding)),
        ("GET", 200, &[(TE, "gzip")], Err(UnknownTransferCoding)),
        ("GET", 200, &[(TE, "gzip, chunked")], Err(UnknownTransferCoding)),
        ("HEAD", 200, &[(CL, "5")], Ok(Framing::None)),
        ("HEAD", 200, &[(TE, "chunked")], Ok(Framing::None)),
        ("HEAD", 200, &[], Ok(Framing::None)),
        ("head", 200, &[(CL, "5")], Ok(Framing::Length(5))),
        ("GET", 204, &[(CL, "0")], Ok(Framing::None)),
        ("GET", 204, &[(TE, "chunked")], Ok(Framing::None)),
        ("GET", 304, &[(CL, "5")], Ok(Framing::None)),
        ("GET", 100, &[], Ok(Framing::None)),
        ("GET", 103, &[(CL, "5")], Ok(Framing::None)),
        ("GET", 101, &[], Ok(Framing::None)),
        ("GET", 205, &[], Ok(Framing::Close)),
        ("CONNECT", 200, &[(CL, "5")], Ok(Framing::None)),
        ("CONNECT", 299, &[(TE, "chunked")], Ok(Framing::None)),
        ("CONNECT", 403, &[(CL, "5")], Ok(Framing::Length(5))),
    ];
    for (method, status, pairs, expected) in cases {
        let head = response(Http11, *status, pairs);
        assert_eq!(response_framing(&head, method), *expected, "{method} {status} {pairs:?}");
    }
    let chunked = response(Http10, 200, &[(TE, "chunked")]);
    assert_eq!(response_framing(&chunked, "GET"), Err(TransferEncodingInHttp10));
    assert_eq!(response_framing(&response(Http10, 200, &[]), "GET"), Ok(Framing::Close));
}

#[test]
fn all_connection_lines_have_a_say_in_keeping_it() {
    use Version::*;
    let cases: &[(Version, Pairs<'_>, bool)] = &[
        (Http11, &[], true),
        (Http10, &[], false),
        (Http11, &[(CN, "close")], false),
        (Http11, &[(CN, "upgrade"), (CN, "x, CLOSE")], false),
        (Http11, &[(CN, "keep-alive")], true),
        (Http11, &[(CN, "keep-alive"), (CN, "close")], false),
        (Http11, &[(CN, "closed")], true),
        (Http11, &[(CN, "not close")], true),
        (Http10, &[(CN, "Keep-Alive")], true),
        (Http10, &[(CN, "x,,\tkeep-alive ,")], true),
        (Http10, &[(CN, "keep-alive, close")], false),
        (Http10, &[("Proxy-Connection", "keep-alive")], false),
    ];
    for (version, pairs, expected) in cases {
        assert_eq!(request_keeps_alive(&request(*version, pairs)), *expected, "{pairs:?}");
        let head = response(*version, 200, pairs);
        assert_eq!(response_keeps_alive(&head), *expected, "{pairs:?}");
    }
}

#[test]
fn a_connection_whose_bodiless_answer_announced_a_body_is_not_used_again() {
    let keeps = |status, pairs| response_keeps_alive(&response(Version::Http11, status, pairs));
    assert!(keeps(204, &[]) && keeps(204, &[(CL, "0")]) && keeps(304, &[(CL, "5")]));
    assert!(!keeps(204, &[(TE, "chunked")]) && !keeps(204, &[(CL, "5")]));
}

#[test]
fn only_http_1_1_clients_wait_for_100_and_upgrade() {
    let expecting: Pairs<'_> = &[("Expect", "100-Continue")];
    assert!(expects_continue(&request(Version::Http11, expecting)));
    assert!(!expects_continue(&request(Version::Http10, expecting)));
    assert!(!expects_continue(&request(Version::Http11, &[("Expect", "200-ok")])));
}

#[test]
fn interim_answers_are_told_from_a_switch_of_protocols() {
    let head = |status| response(Version::Http11, status, &[]);
    assert!(is_interim(&head(100)) && is_interim(&head(103)) && is_interim(&head(199)));
    assert!(!is_interim(&head(101)) && !is_interim(&head(200)));
    assert!(switches_protocols(&head(101)) && !switches_protocols(&head(200)));
}

#[test]
fn list_members_come_from_all_lines_in_order() {
    let fields = fields(&[("A", " x,y ,"), ("b", "no"), ("a", ",\tz")]);
    let members: Vec<&[u8]> = list_members(&fields, "a").collect();
    assert_eq!(members, [b"x", b"y", b"z"]);
}
