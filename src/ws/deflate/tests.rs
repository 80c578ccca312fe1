use proptest::prelude::*;

use super::*;
use crate::exchange::Fields;
use crate::ws::property;

const ROOM: u64 = 1 << 20;

fn extensions(lines: &[&str]) -> Fields {
    lines.iter().map(|line| ("Sec-WebSocket-Extensions", line)).collect()
}

fn inflate(inflater: &mut Inflater, pieces: &[&[u8]]) -> Result<Vec<u8>, Fault> {
    let mut plain = Vec::new();
    for piece in pieces {
        inflater.push(piece, |bytes| plain.extend_from_slice(bytes))?;
    }
    inflater.finish()?;
    Ok(plain)
}

fn deflate(plain: &[u8], bits: u8) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(bits).unwrap().message(plain, &mut out);
    out
}

/// Bytes that don't compress, always the same.
fn noise(len: usize) -> Vec<u8> {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    (0..len).scan(7, |state, _| next(state)).collect()
}

#[test]
fn the_examples_of_the_rfc_inflate() {
    let hello = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..];
    let again = &[0xf2, 0x00, 0x11, 0x00, 0x00][..];
    let stored = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00][..];
    let last = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00][..];
    let two = &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00][..];
    for takeover in [true, false] {
        let mut inflater = Inflater::new(takeover, 15, ROOM);
        let mut inflate = |pieces: &[&[u8]]| inflate(&mut inflater, pieces);
        let whole = Ok(b"Hello".to_vec());
        assert_eq!(inflate(&[hello]), whole, "RFC 7692 section 7.2.3.1");
        assert_eq!(inflate(&[&hello[..3], &hello[3..]]), whole, "the same, fragmented");
        assert_eq!(inflate(&[stored]), whole, "section 7.2.3.3");
        assert_eq!(inflate(&[last]), whole, "section 7.2.3.4");
        assert_eq!(inflate(&[two]), whole, "section 7.2.3.5");
        assert_eq!(inflate(&[&[0x00]]), Ok(vec![]), "section 7.2.3.6");
        assert_eq!(inflate(&[hello]), whole);
        match takeover {
            true => assert_eq!(inflate(&[again]), whole, "section 7.2.3.2"),
            false => assert_eq!(inflate(&[again]), Err(Fault::Malformed), "nothing to refer to"),
        }
    }
    assert_eq!(deflate(b"Hello", 15), hello, "section 7.2.3.1, the other way");
    assert_eq!(deflate(b"", 15), [0x00], "section 7.2.3.6");
}

#[test]
fn a_message_may_go_on_after_the_last_block_of_its_stream() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let hello = &deflate(b"Hello", 15)[..];
    let mut inflater = Inflater::new(true, 15, ROOM);
    assert_eq!(inflate(&mut inflater, &[&last, &last, hello]), Ok(b"HelloHelloHello".to_vec()));
    assert_eq!(inflate(&mut inflater, &[&last]), Ok(b"Hello".to_vec()), "without an empty block");
    assert_eq!(inflate(&mut inflater, &[&[0xf2, 0x00, 0x11, 0, 0]]), Ok(b"Hello".to_vec()));
    assert_eq!(inflate(&mut inflater, &[]), Ok(vec![]), "no payload at all");
}

#[test]
fn a_message_that_is_not_whole_is_malformed() {
    let (whole, mut inflater) = (deflate(&noise(300), 15), Inflater::new(false, 15, ROOM));
    let short = deflate(b"some text, some more text", 15);
    for whole in [&whole, &short] {
        assert!(inflate(&mut inflater, &[whole]).is_ok());
        // One byte of the first is a whole message, an empty one.
        for len in 2..whole.len() {
            let cut = inflate(&mut inflater, &[&whole[..len]]);
            assert_eq!(cut, Err(Fault::Malformed), "{len} of {}", whole.len());
        }
    }
}

#[test]
fn a_message_may_be_as_large_as_the_bound_and_no_larger() {
    let bomb = deflate(&vec![0; 100_000], 15);
    assert!(bomb.len() < 200);
    let mut plain = 0;
    let mut push = |bound| {
        plain = 0;
        let mut inflater = Inflater::new(false, 15, bound);
        let pushed = inflater.push(&bomb, |bytes| plain += bytes.len());
        (pushed.and_then(|()| inflater.finish()), plain)
    };
    assert_eq!(push(100_000), (Ok(()), 100_000));
    assert_eq!(push(99_999), (Err(Fault::TooLarge), 99_999));
    assert_eq!(push(0), (Err(Fault::TooLarge), 0));
}

#[test]
fn a_fault_takes_later_messages_with_it_only_if_they_may_refer_back() {
    let hello = deflate(b"Hello", 15);
    for (takeover, later) in [(true, Err(Fault::Lost)), (false, Ok(b"Hello".to_vec()))] {
        let mut inflater = Inflater::new(takeover, 15, 10);
        assert_eq!(inflate(&mut inflater, &[&deflate(&[0; 99], 15)]), Err(Fault::TooLarge));
        assert_eq!(inflate(&mut inflater, &[&hello]), later);
        let mut inflater = Inflater::new(takeover, 15, 10);
        assert_eq!(inflate(&mut inflater, &[&[0xff]]), Err(Fault::Malformed));
        assert_eq!(inflate(&mut inflater, &[&hello]), later);
    }
}

#[test]
fn a_sender_may_refer_back_through_all_of_its_window() {
    let mut sender = flate2::Compress::new_with_window_bits(flate2::Compression::best(), false, 15);
    let mut inflater = Inflater::new(true, 15, ROOM);
    let far = noise(32_000);
    for part in far.chunks(1000).chain([&far[..]]).chain(far.chunks(700)) {
        let mut out = Vec::with_capacity(40_000);
        sender.compress_vec(part, &mut out, flate2::FlushCompress::Sync).unwrap();
        out.truncate(out.len() - 4);
        assert_eq!(inflate(&mut inflater, &[&out]).as_deref(), Ok(part));
    }
    assert!(sender.total_out() < 34_500, "it did: {}", sender.total_out());
}

#[test]
fn a_message_has_the_same_bytes_wherever_it_stands_and_its_window_is_kept() {
    let far = [noise(600), noise(600)].concat();
    assert!(deflate(&far, 15).len() < 700, "600 bytes back");
    assert!(deflate(&far, 9).len() > 1200, "512 bytes back at most");
    let mut deflater = Deflater::new(15).unwrap();
    for _ in 0..3 {
        let mut out = b"before".to_vec();
        deflater.message(&far, &mut out);
        assert_eq!(out, [&b"before"[..], &deflate(&far, 15)].concat());
    }
    assert!(Deflater::new(8).is_none() && Deflater::new(16).is_none());
}

#[test]
fn an_answer_is_read() {
    let terms = |server_takeover, client_takeover, server_bits, client_bits| {
        Granted::Deflate(Terms { server_takeover, client_takeover, server_bits, client_bits })
    };
    for (lines, expected) in [
        (&[][..], Granted::None),
        (&[""], Granted::None),
        (&["permessage-deflate"], terms(true, true, 15, 15)),
        (&["Permessage-Deflate; server_no_context_takeover"], terms(false, true, 15, 15)),
        (&["permessage-deflate;client_no_context_takeover"], terms(true, false, 15, 15)),
        (
            &["", "permessage-deflate; client_max_window_bits=\"9\";server_max_window_bits=10"],
            terms(true, true, 10, 9),
        ),
    ] {
        assert_eq!(Terms::granted(&extensions(lines)), expected, "{lines:?}");
    }
    for unknown in [
        "x-webkit-deflate-frame",
        "permessage-deflate, other",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; level=9",
        "permessage-deflate;",
    ] {
        assert_eq!(Terms::granted(&extensions(&[unknown])), Granted::Unknown, "{unknown}");
    }
}

/// What is answered to `offer` where the answer was `recorded` before.
fn answer(recorded: &str, offer: &str) -> Option<String> {
    let Granted::Deflate(terms) = Terms::granted(&extensions(&[recorded])) else {
        panic!("{recorded}");
    };
    Some(terms.offered_by(&extensions(&[offer]))?.value)
}

#[test]
fn recorded_terms_are_granted_again_where_they_are_offered() {
    for (recorded, offer, expected) in [
        ("", "permessage-deflate", ""),
        ("", "permessage-deflate; client_max_window_bits", ""),
        ("", "permessage-deflate; client_max_window_bits=10", ""),
        ("", "permessage-deflate; client_no_context_takeover", ""),
        ("", "other, permessage-deflate; client_max_window_bits=7, permessage-deflate", ""),
        ("; server_no_context_takeover", "permessage-deflate", "; server_no_context_takeover"),
        ("; client_no_context_takeover", "permessage-deflate", "; client_no_context_takeover"),
        ("; server_max_window_bits=9", "permessage-deflate", "; server_max_window_bits=9"),
        (
            "; client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits",
            "; client_max_window_bits=9",
        ),
        (
            "; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=12",
            "; server_max_window_bits=9",
        ),
        // The second offer allows what the first doesn't.
        (
            "; server_no_context_takeover; client_max_window_bits=9",
            "permessage-deflate, permessage-deflate; client_max_window_bits",
            "; server_no_context_takeover; client_max_window_bits=9",
        ),
    ] {
        let [recorded, expected] = [recorded, expected].map(|said| format!("{NAME}{said}"));
        assert_eq!(answer(&recorded, offer), Some(expected), "{recorded} for {offer}");
    }
}

#[test]
fn recorded_terms_are_adjusted_to_what_is_offered() {
    for (recorded, offer, expected) in [
        ("", "; server_no_context_takeover", "; server_no_context_takeover"),
        ("", "; server_max_window_bits=10", "; server_max_window_bits=10"),
        ("", "; server_max_window_bits=15", "; server_max_window_bits=15"),
        ("; client_max_window_bits=9", "", ""),
        (
            "; client_max_window_bits=12",
            "; client_max_window_bits=10",
            "; client_max_window_bits=10",
        ),
        ("; client_max_window_bits=9", "; client_max_window_bits=10", "; client_max_window_bits=9"),
        (
            "; client_no_context_takeover; client_max_window_bits=9",
            "; server_max_window_bits=8, permessage-deflate",
            "; client_no_context_takeover; server_max_window_bits=8",
        ),
    ] {
        let [recorded, offer, expected] =
            [recorded, offer, expected].map(|said| format!("{NAME}{said}"));
        assert_eq!(answer(&recorded, &offer), Some(expected), "{recorded} for {offer}");
    }
    for offer in ["", "other", "permessage-deflate; level=3", "permessage-deflate; x, y;;", "x"] {
        assert_eq!(answer(NAME, offer), None, "{offer}");
    }
}

const NAME: &str = "permessage-deflate";

proptest! {
    #[test]
    fn what_is_deflated_inflates_under_every_cut(
        plain in prop::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..3000),
        head in any::<[u8; 3]>(),
    ) {
        property::deflating(&[&head[..], &plain].concat());
    }

    #[test]
    fn anything_inflates_the_same_under_every_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        property::inflating(&bytes);
    }

    #[test]
    fn what_is_almost_deflated_inflates_the_same_under_every_cut(
        plain in prop::collection::vec(prop_oneof![Just(b'a'), 0..4u8], 0..2000),
        head in any::<[u8; 3]>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = [&head[..], &deflate(&plain, 15)].concat();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        property::inflating(&bytes);
    }

    #[test]
    fn any_agreement_is_a_valid_answer(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..24),
        terms in any::<[u8; 4]>(),
    ) {
        property::negotiating(&[&terms[..], words.concat().as_bytes()].concat());
    }
}

const WORDS: &[&str] = &[
    "permessage-deflate",
    "; ",
    "; ",
    ", ",
    ", permessage-deflate",
    "; client_max_window_bits",
    "; server_max_window_bits",
    "=",
    "=10",
    "=8",
    "=15",
    "=\"12\"",
    "; server_no_context_takeover",
    "; client_no_context_takeover",
    "=1",
    "x",
    "\n",
    "\"",
    "\\",
    " ",
];
