use super::LIMITS;
use crate::exchange::Fields;
use crate::http1::Refusal::{self, *};
use crate::http1::framing::{BodyDecoder, BodyEvent, Decoded, Framing, Truncated};
use crate::http1::head::HeadLimits;

#[derive(Debug, PartialEq)]
struct Body {
    data: Vec<u8>,
    trailers: Fields,
    /// What follows the message.
    rest: Vec<u8>,
    is_ended: bool,
}

fn decode(framing: Framing, limits: &HeadLimits, pieces: &[&[u8]]) -> Result<Body, Refusal> {
    let mut decoder = BodyDecoder::new(framing, limits);
    let (mut data, mut rest) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut input = *piece;
        loop {
            let Decoded { consumed, event } = decoder.decode(input)?;
            let before = input;
            input = &input[consumed..];
            match event {
                BodyEvent::NeedMore => break,
                BodyEvent::Data(range) => data.extend_from_slice(&before[range]),
                BodyEvent::End => {
                    rest.extend_from_slice(input);
                    break;
                }
            }
        }
    }
    let is_ended = decoder.is_ended();
    Ok(Body { data, trailers: decoder.take_trailers(), rest, is_ended })
}

/// Decodes in one piece and byte by byte, which must agree.
fn chunked(input: &str) -> Result<Body, Refusal> {
    let whole = decode(Framing::Chunked, &LIMITS, &[input.as_bytes()]);
    let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
    assert_eq!(whole, decode(Framing::Chunked, &LIMITS, &bytes), "{input:?}");
    whole
}

fn body(data: &str, trailers: &[(&str, &str)], rest: &str) -> Result<Body, Refusal> {
    let trailers = trailers.iter().copied().collect();
    Ok(Body { data: data.into(), trailers, rest: rest.into(), is_ended: true })
}

#[test]
fn chunks_are_put_together_and_what_follows_is_left() {
    assert_eq!(chunked("0\r\n\r\n"), body("", &[], ""));
    assert_eq!(chunked("3\r\nabc\r\n0\r\n\r\nGET /"), body("abc", &[], "GET /"));
    assert_eq!(chunked("1\r\na\r\n00a\r\n0123456789\r\n000\r\n\r\n"), body("a0123456789", &[], ""));
    assert_eq!(
        chunked("A\r\n\r\n0\r\n\r\n\r\n\n\r\n0\r\n\r\n"),
        body("\r\n0\r\n\r\n\r\n\n", &[], "")
    );
}

#[test]
fn chunk_extensions_are_dropped() {
    for extension in [";a", ";a=b", ";a=\"b;c\"", " ;a", "\t; a = b", ";", ";a;b=c", ";\u{e9}"] {
        let input = format!("3{extension}\r\nabc\r\n0{extension}\r\n\r\n");
        assert_eq!(chunked(&input), body("abc", &[], ""), "{extension:?}");
    }
}

#[test]
fn chunk_extensions_are_bounded_over_the_whole_body() {
    let chunk = |len: usize| format!("1;{}\r\na\r\n", "x".repeat(len - 1));
    let fits = format!("{}{}0\r\n\r\n", chunk(8 << 10), chunk(8 << 10));
    assert!(chunked(&fits).is_ok());
    let over = format!("{}{}0;\r\n\r\n", chunk(8 << 10), chunk(8 << 10));
    assert_eq!(chunked(&over), Err(ChunkExtensionsTooLarge { max: 16 << 10 }));
    let blanks = format!("1{}", " ".repeat(20_000));
    assert_eq!(chunked(&blanks), Err(ChunkExtensionsTooLarge { max: 16 << 10 }));
}

#[test]
fn trailers_keep_order_case_and_repetition() {
    let expected = [("X-b", "1"), ("x-A", ""), ("X-b", "2 3"), ("Content-Type", "t")];
    assert_eq!(
        chunked("1\r\na\r\n0\r\nX-b: 1\r\nx-A:\r\nX-b:\t2 3 \r\nContent-Type: t\r\n\r\nrest"),
        body("a", &expected, "rest")
    );
}

#[test]
fn broken_chunks_are_refused_for_their_reason() {
    for (input, expected) in [
        // Sizes.
        ("\r\n", BadChunkSize),
        ("x\r\n", BadChunkSize),
        (" 1\r\n", BadChunkSize),
        ("+1\r\n", BadChunkSize),
        ("-1\r\n", BadChunkSize),
        (";a\r\n", BadChunkSize),
        ("1x\r\n", BadChunkSize),
        ("0x1\r\n", BadChunkSize),
        ("1_0\r\n", BadChunkSize),
        ("1 1\r\n", BadChunkSize),
        ("1,1\r\n", BadChunkSize),
        ("1\0\r\n", BadChunkSize),
        ("8000000000000000\r\n", ChunkTooLarge),
        ("ffffffffffffffff\r\n", ChunkTooLarge),
        ("10000000000000000\r\n", ChunkTooLarge),
        ("00000000000000001\r\n", ChunkTooLarge),
        // Ends of size lines.
        ("1\n", BadChunkLineEnd),
        ("1\rx", BadChunkLineEnd),
        ("1\r\r\n", BadChunkLineEnd),
        ("1 \r\n", BadChunkLineEnd),
        ("1 \n", BadChunkLineEnd),
        ("1;a\n", BadChunkLineEnd),
        ("1;a\rb", BadChunkLineEnd),
        ("1;a=\"\n\"\r\n", BadChunkLineEnd),
        ("1;\0\r\n", BadChunkExtension),
        ("1;a=\x7f\r\n", BadChunkExtension),
        // Ends of chunks.
        ("1\r\nab\r\n", BadChunkEnd),
        ("1\r\na\n", BadChunkEnd),
        ("1\r\na\rb", BadChunkEnd),
        ("3\r\nab\r\n0\r\n\r\n", BadChunkEnd),
        // Trailers.
        ("0\r\n\n", BareLineFeed { at: 0 }),
        ("0\r\n\rx", BareCarriageReturn { at: 0 }),
        ("0\r\na: b\n\r\n", BareLineFeed { at: 4 }),
        ("0\r\na: b\r\n\n", BareLineFeed { at: 6 }),
        ("0\r\n a: b\r\n\r\n", ObsFold { at: 0 }),
        ("0\r\na: b\r\n c\r\n\r\n", ObsFold { at: 6 }),
        ("0\r\na\r\n\r\n", MissingColon { at: 0 }),
        ("0\r\na : b\r\n\r\n", SpaceBeforeColon { at: 1 }),
        ("0\r\na: \x01\r\n\r\n", BadFieldValue { at: 3 }),
        ("0\r\nContent-Length: 0\r\n\r\n", ForbiddenTrailer),
        ("0\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n", ForbiddenTrailer),
        ("0\r\nhost: a\r\n\r\n", ForbiddenTrailer),
    ] {
        assert_eq!(chunked(input), Err(expected), "{input:?}");
    }
}

#[test]
fn the_largest_chunk_size_is_taken() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &LIMITS);
    let decoded = decoder.decode(b"7fffffffffffffff\r\nab").unwrap();
    assert_eq!(decoded, Decoded { consumed: 20, event: BodyEvent::Data(18..20) });
}

#[test]
fn a_trailer_section_is_bounded_like_a_head() {
    let limits = HeadLimits { bytes_max: 20, fields_max: 2, target_max: 0 };
    let verdict = |trailers: &str| {
        let input = format!("0\r\n{trailers}\r\n");
        let whole = decode(Framing::Chunked, &limits, &[input.as_bytes()]);
        let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
        assert_eq!(whole, decode(Framing::Chunked, &limits, &bytes));
        whole.map(|body| body.trailers.len())
    };
    assert_eq!(verdict(&format!("a:{}\r\n", "b".repeat(14))), Ok(1));
    assert_eq!(verdict(&format!("a:{}\r\n", "b".repeat(15))), Err(TrailersTooLarge { max: 20 }));
    assert_eq!(verdict(&"a".repeat(500)), Err(TrailersTooLarge { max: 20 }));
    assert_eq!(verdict("a:\r\nb:\r\n"), Ok(2));
    assert_eq!(verdict("a:\r\nb:\r\nc:\r\n"), Err(TooManyTrailers { max: 2 }));
}

#[test]
fn a_length_counts_down_to_the_next_message() {
    let mut decoder = BodyDecoder::new(Framing::Length(5), &LIMITS);
    assert_eq!(decoder.decode(b"").unwrap().event, BodyEvent::NeedMore);
    assert_eq!(decoder.remaining(), Some(5));
    assert_eq!(
        decoder.decode(b"abc").unwrap(),
        Decoded { consumed: 3, event: BodyEvent::Data(0..3) }
    );
    assert_eq!((decoder.remaining(), decoder.is_ended()), (Some(2), false));
    assert_eq!(decoder.end_of_input(), Err(Truncated::Length { missing: 2 }));
    assert_eq!(
        decoder.decode(b"deGET").unwrap(),
        Decoded { consumed: 2, event: BodyEvent::Data(0..2) }
    );
    assert_eq!((decoder.remaining(), decoder.is_ended()), (Some(0), true));
    assert_eq!(decoder.decode(b"GET").unwrap(), Decoded { consumed: 0, event: BodyEvent::End });
    assert_eq!(decoder.decode(b"").unwrap().event, BodyEvent::End);
    assert_eq!(decoder.end_of_input(), Ok(()));
}

#[test]
fn a_message_without_body_ends_at_once() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut decoder = BodyDecoder::new(framing, &LIMITS);
        assert!(decoder.is_ended());
        assert_eq!(decoder.decode(b"GET").unwrap(), Decoded { consumed: 0, event: BodyEvent::End });
        assert_eq!(decoder.end_of_input(), Ok(()));
    }
}

#[test]
fn a_close_ends_what_it_frames_and_cuts_the_rest() {
    let mut close = BodyDecoder::new(Framing::Close, &LIMITS);
    assert_eq!(close.decode(b"abc").unwrap().event, BodyEvent::Data(0..3));
    assert_eq!((close.remaining(), close.is_ended()), (None, false));
    assert_eq!(close.end_of_input(), Ok(()));
    assert!(close.is_ended());
    assert_eq!(close.decode(b"").unwrap().event, BodyEvent::End);

    for input in ["", "3", "3\r\nab", "3\r\nabc\r\n", "0\r\n", "0\r\na: b\r\n", "0\r\n\r"] {
        let mut chunked = BodyDecoder::new(Framing::Chunked, &LIMITS);
        let mut rest = input.as_bytes();
        while !rest.is_empty() {
            rest = &rest[chunked.decode(rest).unwrap().consumed..];
        }
        assert_eq!(chunked.end_of_input(), Err(Truncated::Chunked), "{input:?}");
    }
}
