use crate::exchange::{Fields, Version};
use crate::http1::writer::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"before ".to_vec();
    write(&mut out);
    String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
}

#[test]
fn heads_are_written_as_given() {
    let fields: Fields = [("HOST", "a"), ("x-B", ""), ("X-b", "c  d")].into_iter().collect();
    assert_eq!(
        written(|out| request_head(out, "GET", "/a?b", &fields)),
        "GET /a?b HTTP/1.1\r\nHOST: a\r\nx-B: \r\nX-b: c  d\r\n\r\n"
    );
    assert_eq!(
        written(|out| response_head(out, Version::Http11, 404, b"Not Found", &fields)),
        "HTTP/1.1 404 Not Found\r\nHOST: a\r\nx-B: \r\nX-b: c  d\r\n\r\n"
    );
    assert_eq!(written(|out| status_line(out, Version::Http10, 200, b"")), "HTTP/1.0 200 \r\n");
    assert_eq!(written(|out| status_line(out, Version::Http2, 999, b"x")), "HTTP/1.1 999 x\r\n");
    assert_eq!(written(|out| field_number(out, b"content-length", 0)), "content-length: 0\r\n");
}

#[test]
fn nothing_that_is_written_can_split_a_line() {
    let evil: Fields = [("a\r\nb", "c\r\n\r\nd\0\n")].into_iter().collect();
    assert_eq!(
        written(|out| request_head(out, "G\nET", "/\r\n", &evil)),
        "G ET /   HTTP/1.1\r\na  b: c    d  \r\n\r\n"
    );
    assert_eq!(
        written(|out| status_line(out, Version::Http11, 200, b"\nSet-Cookie: a")),
        "HTTP/1.1 200  Set-Cookie: a\r\n"
    );
}

#[test]
fn chunk_sizes_are_hexadecimal_without_leading_zeros() {
    for len in [1, 9, 10, 15, 16, 255, 256, 0xabcde, usize::MAX] {
        assert_eq!(written(|out| chunk_head(out, len)), format!("{len:x}\r\n"));
    }
}

#[test]
fn an_empty_chunk_is_not_written() {
    assert_eq!(written(|out| chunk(out, b"")), "");
    assert_eq!(written(|out| chunk(out, b"abc")), "3\r\nabc\r\n");
}

#[test]
fn the_last_chunk_brings_the_trailers_that_may_stand_there() {
    assert_eq!(written(|out| last_chunk(out, &Fields::new())), "0\r\n\r\n");
    let trailers: Fields =
        [("X-a", "1"), ("Content-Length", "5"), ("HOST", "a"), ("x-A", "2")].into_iter().collect();
    assert_eq!(written(|out| last_chunk(out, &trailers)), "0\r\nX-a: 1\r\nx-A: 2\r\n\r\n");
}
