use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// Text that compresses, of any length.
fn text(len: usize) -> Vec<u8> {
    let words = ["alpha ", "beta ", "gamma ", "delta\n"];
    let all = (0..len).flat_map(|n| words[(n * n + n / 7) % 4].bytes());
    all.take(len).collect()
}

fn fields(values: &[&str]) -> Fields {
    values.iter().map(|value| ("Content-Encoding", value)).collect()
}

#[test]
fn a_single_known_coding_is_recognised_in_any_case() {
    assert_eq!(of(&fields(&["gzip"])), Some(Coding::Gzip));
    assert_eq!(of(&fields(&["X-GZip"])), Some(Coding::Gzip));
    assert_eq!(of(&fields(&[" BR "])), Some(Coding::Brotli));
    assert_eq!(of(&fields(&["zstd"])), Some(Coding::Zstd));
    assert_eq!(of(&fields(&["deflate"])), Some(Coding::Deflate));
}

#[test]
fn several_or_unknown_codings_are_left_alone() {
    for values in [&["gzip, br"][..], &["gzip", "br"], &["identity"], &["compress"], &[""], &[]] {
        assert_eq!(of(&fields(values)), None, "{values:?}");
    }
}

#[test]
fn every_length_comes_back() {
    for coding in ALL {
        for len in [0, 1, 2, 100, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 300_000] {
            let plain = text(len);
            let coded = encode(coding, &plain).unwrap();
            assert_eq!(
                decode(coding, &coded, Extent::Whole, u64::MAX).unwrap(),
                plain,
                "{coding:?} {len}"
            );
        }
    }
}

#[test]
fn coding_twice_gives_the_same_bytes() {
    for coding in ALL {
        assert_eq!(encode(coding, &text(9000)).unwrap(), encode(coding, &text(9000)).unwrap());
    }
}

#[test]
fn nothing_at_all_is_no_coded_data() {
    for coding in ALL {
        assert_eq!(decode(coding, b"", Extent::Whole, 100), Err(DecodeError::Truncated(coding)));
    }
}

#[test]
fn every_truncation_is_noticed() {
    for coding in ALL {
        let coded = encode(coding, &text(500)).unwrap();
        for len in 0..coded.len() {
            let result = decode(coding, &coded[..len], Extent::Whole, u64::MAX);
            assert_eq!(result, Err(DecodeError::Truncated(coding)), "{coding:?} at {len}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for coding in ALL {
        let mut coded = encode(coding, b"whole").unwrap();
        coded.extend_from_slice(b"\0\0trailing");
        let error = decode(coding, &coded, Extent::Whole, 100).unwrap_err();
        let expected = match coding {
            Coding::Deflate | Coding::Brotli => DecodeError::Trailing(coding),
            Coding::Gzip | Coding::Zstd => DecodeError::Damaged(coding), // as a second member
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn members_one_after_the_other_are_one_content() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let mut coded = encode(coding, b"first, ").unwrap();
        coded.extend(encode(coding, b"second").unwrap());
        assert_eq!(decode(coding, &coded, Extent::Whole, 100).unwrap(), b"first, second");
    }
}

#[test]
fn deflate_without_its_zlib_frame_is_damaged() {
    // RFC 9110 section 8.4.1.2: deflate means the zlib format.
    let zlib = encode(Coding::Deflate, &text(100)).unwrap();
    assert_eq!(
        decode(Coding::Deflate, &zlib[2..], Extent::Whole, 1000),
        Err(DecodeError::Damaged(Coding::Deflate))
    );
}

#[test]
fn a_bomb_is_stopped_at_the_bound() {
    for coding in ALL {
        let coded = encode(coding, &vec![0; 8 << 20]).unwrap();
        assert!(coded.len() < 64 << 10, "{coding:?}: {}", coded.len());
        let mut decoder = Decoder::new(coding, 100_000).unwrap();
        let mut out = Vec::new();
        let error = decoder.push(&coded, &mut out).unwrap_err();
        assert_eq!(error, DecodeError::TooLarge { out_max: 100_000 });
        assert!(out.len() <= 100_000 + STEP_BYTES);
    }
}

#[test]
fn a_content_of_exactly_the_bound_passes() {
    for coding in ALL {
        let plain = text(2 * STEP_BYTES);
        let coded = encode(coding, &plain).unwrap();
        assert!(decode(coding, &coded, Extent::Whole, plain.len() as u64).is_ok());
        assert!(decode(coding, &coded, Extent::Whole, plain.len() as u64 - 1).is_err());
    }
}

#[test]
fn a_step_gives_out_no_more_than_its_bound() {
    for coding in ALL {
        let coded = encode(coding, &vec![0; 1 << 20]).unwrap();
        let mut decoder = Decoder::new(coding, u64::MAX).unwrap();
        let (mut input, mut total, mut out) = (&coded[..], 0, Vec::new());
        loop {
            out.clear();
            let step = decoder.step(input, &mut out).unwrap();
            assert!(out.len() <= STEP_BYTES);
            total += out.len();
            input = &input[step.consumed..];
            if input.is_empty() && !step.more {
                break;
            }
        }
        assert_eq!(total, 1 << 20);
        decoder.finish().unwrap();
    }
}

#[test]
fn a_zstd_window_over_eight_mebibytes_is_refused() {
    let mut encoder = zstd::stream::raw::Encoder::new(3).unwrap();
    encoder.set_parameter(zstd::stream::raw::CParameter::WindowLog(24)).unwrap();
    let mut coded = vec![0; 1 << 20];
    use zstd::stream::raw::Operation;
    // Without a known length the frame states its window.
    let status = encoder.run_on_buffers(b"some text", &mut coded).unwrap();
    let mut space = zstd::stream::raw::OutBuffer::around(&mut coded[status.bytes_written..]);
    assert_eq!(encoder.finish(&mut space, true).unwrap(), 0);
    let len = status.bytes_written + space.as_slice().len();
    assert!(decode(Coding::Zstd, &coded[..len], Extent::Whole, u64::MAX).is_err());
}

fn pieces(texts: &[&[u8]]) -> Vec<Piece> {
    let piece = |(n, text): (usize, &&[u8])| Piece {
        at: Duration::from_millis(n as u64),
        bytes: Bytes::copy_from_slice(text),
    };
    texts.iter().enumerate().map(piece).collect()
}

#[test]
fn a_coded_stream_keeps_its_pieces_where_they_were() {
    let plain = pieces(&[b"data: one\n\n", b"", b"data: two\n\n", b"data: three\n\n"]);
    for coding in ALL {
        let coded = encode_pieces(coding, &plain, Extent::Whole).unwrap();
        assert_eq!(
            decode_pieces(coding, &coded, Extent::Whole, 1000).unwrap(),
            plain,
            "{coding:?}"
        );
    }
}

#[test]
fn a_stream_without_pieces_is_still_valid_coded_data() {
    for coding in ALL {
        let coded = encode_pieces(coding, &[], Extent::Whole).unwrap();
        let all: Vec<u8> = coded.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
        assert_eq!(decode(coding, &all, Extent::Whole, 10).unwrap(), b"");
    }
}

#[test]
fn recoding_leaves_uncoded_and_absent_bodies_alone() {
    let body = Body::Whole(Bytes::from_static(b"plain"));
    assert_eq!(recode(&body, None, Extent::Whole).unwrap(), body);
    assert_eq!(recode(&Body::Absent, Some(Coding::Gzip), Extent::Whole).unwrap(), Body::Absent);
}

proptest! {
    #[test]
    fn decoding_does_not_depend_on_where_the_input_is_cut(
        plain in prop::collection::vec(any::<u8>(), 0..2000),
        repeat in 1usize..60,
        cuts in prop::collection::vec(1usize..300, 1..20),
        which in 0usize..4,
    ) {
        let plain = plain.repeat(repeat);
        let coding = ALL[which];
        let coded = encode(coding, &plain).unwrap();
        let mut decoder = Decoder::new(coding, u64::MAX).unwrap();
        let (mut out, mut rest, mut cuts) = (Vec::new(), &coded[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            decoder.push(now, &mut out).unwrap();
            rest = later;
        }
        decoder.finish().unwrap();
        prop_assert_eq!(out, plain);
    }

    #[test]
    fn any_split_into_pieces_survives_coding(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20),
        which in 0usize..4,
    ) {
        let plain = pieces(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assume!(!plain.is_empty());
        let coded = encode_pieces(ALL[which], &plain, Extent::Whole).unwrap();
        prop_assert_eq!(decode_pieces(ALL[which], &coded, Extent::Whole, u64::MAX).unwrap(), plain);
    }

    #[test]
    fn no_input_makes_a_decoder_panic_or_overrun(
        input in prop::collection::vec(any::<u8>(), 0..400),
        which in 0usize..4,
    ) {
        property::decoding(&[&[which as u8, 3], &input[..]].concat());
        // Damage in the middle of what was good.
        let mut coded = encode(ALL[which], &text(3000)).unwrap();
        let at = input.len() % coded.len();
        coded[at] ^= 1 + (input.len() % 255) as u8;
        property::decoding(&[&[which as u8, 7], &coded[..]].concat());
    }
}
