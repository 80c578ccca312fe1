use bytes::Bytes;
use proptest::prelude::*;
use prost_reflect::prost::Message as _;

use super::encoding::{on_wire, take_off};
use super::property::{self, body, split};
use super::*;
use crate::exchange::{Coding, Compression};

fn typed(value: &str) -> Fields {
    Fields::from_iter([("Content-Type", value)])
}

#[test]
fn calls_are_told_by_their_content_type() {
    for (media, named) in [
        ("application/grpc", ""),
        ("Application/gRPC", ""),
        ("application/grpc+proto", "proto"),
        ("application/grpc+json; charset=utf-8", "json"),
        (" application/grpc ;x=y", ""),
    ] {
        assert_eq!(format(&typed(media)), Some(named.as_bytes()), "{media}");
    }
    for media in ["application/grpc-web", "application/grpc-web+proto", "application/grpcish"] {
        assert!(!is_call(&typed(media)), "{media}");
    }
    for media in ["application/json", "application/gr", "", "x application/grpc"] {
        assert!(!is_call(&typed(media)), "{media}");
    }
    assert!(!is_call(&Fields::new()));
}

#[test]
fn only_codings_that_grpc_names_are_taken_off() {
    let of = |value: &str| encoding::of(&Fields::from_iter([("grpc-encoding", value)]));
    assert_eq!(of("gzip"), Some(Coding::Gzip));
    assert_eq!(of("deflate"), Some(Coding::Deflate));
    assert_eq!(of("zstd"), Some(Coding::Zstd));
    for other in ["identity", "snappy", "br", ""] {
        assert_eq!(of(other), None, "{other}");
    }
    let twice = Fields::from_iter([("grpc-encoding", "gzip"), ("grpc-encoding", "zstd")]);
    assert_eq!(encoding::of(&twice), None);
}

#[test]
fn a_message_that_is_compressed_again_decompresses_to_the_same() {
    let plain = Bytes::from(vec![7; 100_000]);
    let (prefix, sent) = on_wire(Compression::Off, &plain, Some(Coding::Gzip)).unwrap();
    assert_eq!(prefix, super::prefix(true, sent.len() as u32));
    assert_eq!(take_off(Coding::Gzip, &sent, u64::MAX), Some(plain.to_vec()));
    assert_eq!(take_off(Coding::Gzip, &sent, 99_999), None);
    assert_eq!(take_off(Coding::Gzip, b"not gzip", u64::MAX), None);
}

#[test]
fn a_message_as_it_came_keeps_its_flag() {
    let (prefix, sent) = on_wire(Compression::On, &"??".into(), Some(Coding::Gzip)).unwrap();
    assert_eq!((prefix, &*sent), ([1, 0, 0, 0, 2], &b"??"[..]));
    let (prefix, _) = on_wire(Compression::None, &Bytes::new(), None).unwrap();
    assert_eq!(prefix, [0; PREFIX_BYTES]);
}

fn cut(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.iter_mut().for_each(|cut| *cut %= bytes.len() + 1);
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

#[test]
fn a_flag_that_means_nothing_ends_the_messages() {
    let bytes = [&body(&[(false, b"ok".to_vec())])[..], &[2, 0, 0, 0, 1, 9]].concat();
    for pieces in [vec![&bytes[..]], bytes.chunks(1).collect()] {
        let split = split(&pieces);
        assert_eq!(split.messages, [(false, b"ok".to_vec())]);
        assert_eq!(split.rest, [2, 0, 0, 0, 1, 9]);
        assert_eq!((split.whole_bytes, split.is_between), (7, false));
    }
}

fn messages() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..30)), 0..8)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_messages(
        messages in messages(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let bytes = body(&messages);
        let split = split(&cut(&bytes, cuts));
        prop_assert_eq!(split.whole_bytes, bytes.len() as u64);
        prop_assert!(split.is_between && split.rest.is_empty() && split.begun.is_none());
        prop_assert_eq!(split.messages, messages);
    }

    #[test]
    fn any_bytes_are_split_alike_however_they_are_cut(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), 0u8..4], 0..60),
        cut in any::<u8>(),
    ) {
        property::splitting(&[&[cut], &bytes[..]].concat());
    }

    #[test]
    fn a_body_that_stops_anywhere_gives_a_prefix_of_its_messages(
        messages in messages(),
        stop in any::<usize>(),
    ) {
        let bytes = body(&messages);
        let split = split(&[&bytes[..stop % (bytes.len() + 1)]]);
        prop_assert!(messages.starts_with(&split.messages));
    }
}

#[test]
fn a_descriptor_set_knows_its_methods() {
    let set = testing::descriptors();
    let method = set.method("/chat.Chat/Talk?x=1").unwrap();
    assert_eq!((method.input.name(), method.output.name()), ("chat.Line", "chat.Line"));
    for path in ["/chat.Chat/Sing", "/chat.Other/Talk", "chat.Chat/Talk", "/chat.Chat", "/", ""] {
        assert!(set.method(path).is_none(), "{path}");
    }
}

#[test]
fn what_is_no_descriptor_set_is_refused_with_a_reason() {
    let parse = |bytes: &[u8]| Descriptors::parse(Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(parse(b"syntax = \"proto3\";"), DescriptorsError::NotASet);
    assert_eq!(parse(b""), DescriptorsError::Empty);
    let mut set = testing::set();
    set.file.remove(0);
    let missing = parse(&set.encode_to_vec());
    let (file, import) = ("chat.proto".to_owned(), "google/protobuf/timestamp.proto".to_owned());
    assert_eq!(missing, DescriptorsError::MissingImport { file, import });
    assert!(missing.hint().contains("--include_imports"));
    let mut set = testing::set();
    set.file[1].message_type[0].field[4].type_name = Some(".chat.Nothing".to_owned());
    assert!(matches!(parse(&set.encode_to_vec()), DescriptorsError::Unsound(_)));
}

proptest! {
    #[test]
    fn any_bytes_are_a_descriptor_set_or_refused(
        flips in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6),
        message in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = testing::set().encode_to_vec();
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(set) = Descriptors::parse(bytes.into())
            && let Some(method) = set.method("/chat.Chat/Talk")
        {
            let _ = method.input.json(&message);
        }
    }
}
