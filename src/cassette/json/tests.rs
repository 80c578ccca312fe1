use proptest::prelude::*;

use super::*;

fn fault(text: &str) -> (usize, String) {
    let error = parse(text).unwrap_err();
    (error.at, error.message)
}

#[test]
fn values_keep_their_place_and_their_text() {
    let node = parse(" {\"a\": [1.50e+2, -0, \"x\\u00e9\\n\"], \"b\": null}").unwrap();
    let Value::Object(members) = node.value else { panic!("{node:?}") };
    assert_eq!((node.at, members[0].at, &*members[0].key), (1, 2, "a"));
    let Value::Array(elements) = &members[0].node.value else { panic!() };
    assert_eq!(elements[0], Node { at: 8, value: Value::Number("1.50e+2".into()) });
    assert_eq!(elements[1], Node { at: 17, value: Value::Number("-0".into()) });
    assert_eq!(elements[2].value, Value::String("xé\n".into()));
    assert_eq!(members[1].node.value, Value::Null);
}

#[test]
fn every_escape_is_taken_off() {
    let node = parse(r#""\"\\\/\b\f\n\r\t\u0041\ud83d\ude00""#).unwrap();
    assert_eq!(node.value, Value::String("\"\\/\u{8}\u{c}\n\r\tA😀".into()));
}

#[test]
fn half_a_surrogate_pair_is_refused_where_it_stands() {
    for text in [r#""ab\ud83d""#, r#""ab\ud83dx""#, r#""ab\ud83d\n""#, r#""ab\ud83dA""#] {
        let (at, message) = fault(text);
        assert_eq!(at, 3, "{text}");
        assert_eq!(
            message, "expected a character, found half of a surrogate pair (\\ud83d)",
            "{text}"
        );
    }
    assert_eq!(fault(r#""\ude00""#).0, 1);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let cases = [
        ("", 0, "expected a value, found the end of the file"),
        ("{a: 1}", 1, "expected a key in double quotes, found `a`"),
        ("{\"a\" 1}", 5, "expected `:`, found `1`"),
        ("{\"a\": 1 \"b\": 2}", 8, "expected `,` or `}`, found `\"`"),
        ("[1 2]", 3, "expected `,` or `]`, found `2`"),
        ("[1, ]", 2, "expected no comma before `]`"),
        ("{\"a\": 1,}", 7, "expected no comma before `}`"),
        ("[,]", 1, "expected a value, found `,`"),
        ("// no\n1", 0, "expected a value, found `/`"),
        ("'a'", 0, "expected a value, found `'`"),
        ("1 2", 2, "expected nothing more, found `2`"),
        ("[1", 2, "expected `,` or `]`, found the end of the file"),
        ("\"abc", 4, "expected the string's closing quote, found the end of the file"),
        (
            "\"a\nb\"",
            2,
            "expected an escape such as `\\n` in place of it, found the end of the line",
        ),
        (
            "\"a\u{1}\"",
            2,
            "expected an escape such as `\\n` in place of it, found the control character U+0001",
        ),
        ("\"\\x\"", 2, "expected one of `\"\\/bfnrtu` after a backslash, found `x`"),
        ("\"\\u12g4\"", 5, "expected four hexadecimal digits after `\\u`, found `g`"),
        ("01", 1, "expected the end of the number, found `1`"),
        ("1.", 2, "expected a digit, found the end of the file"),
        (".5", 0, "expected a value, found `.`"),
        ("+1", 0, "expected a value, found `+`"),
        ("-x", 1, "expected a digit, found `x`"),
        ("1e", 2, "expected a digit, found the end of the file"),
        ("0x10", 1, "expected the end of the number, found `x`"),
        ("nul", 3, "expected `null`, found the end of the file"),
        ("nil", 0, "expected a value, found `n`"),
        ("nullx", 0, "expected a value, found `n`"),
        ("NaN", 0, "expected a value, found `N`"),
        ("\u{a0}1", 0, "expected a value, found `\u{a0}`"),
    ];
    for (text, at, message) in cases {
        assert_eq!(fault(text), (at, message.to_owned()), "{text:?}");
    }
}

#[test]
fn a_text_that_stops_early_says_so() {
    let text = r#"{"a": [1, true, "x\u00e9", {"b": null}], "c": -1.5e3}"#;
    for len in 0..text.len() {
        assert!(parse(&text[..len]).unwrap_err().at_end, "{}", &text[..len]);
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(parse(&nested(DEPTH_MAX + 1)).unwrap_err().at, DEPTH_MAX);
    assert!(parse(&"[".repeat(1_000_000)).is_err());
    assert!(parse(&"{\"a\":".repeat(1_000_000)).is_err());
}

#[test]
fn keys_that_stand_twice_are_noted_in_small_and_large_objects() {
    let many: String = (0..50).map(|n| format!("\"k{n}\": 0, ")).collect();
    for text in ["{\"k1\": 1, \"k1\": 2}".to_owned(), format!("{{{many}\"k1\": 2}}")] {
        let mut parser = Parser::new(&text);
        parser.value().unwrap();
        assert_eq!(parser.take_repeated(), [(text.rfind("\"k1\"").unwrap(), "k1".to_owned())]);
    }
}

proptest! {
    #[test]
    fn accepts_what_serde_json_accepts_and_nothing_else(text in r#"[\[\]{}:,"\\u0-9a-f.eE+\- ntrls\x01é]{0,24}"#) {
        // serde_json takes half surrogates in skipped values and bounds depth elsewhere.
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(parse(&text).is_ok(), theirs.is_ok(), "{}", text);
    }

    #[test]
    fn strings_are_read_as_serde_json_writes_them(text in any::<String>()) {
        let written = serde_json::to_string(&text).unwrap();
        let node = parse(&written).unwrap();
        prop_assert_eq!(node.value, Value::String(text.into()));
    }
}
