//! A cassette that is read exchange by exchange is as one that is read whole.

use std::io::{self, Cursor, Read};

use super::*;

/// Gives so many bytes at a read.
struct Trickle<'t>(Cursor<&'t [u8]>, usize);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(self.1);
        self.0.read(&mut out[..len])
    }
}

fn written() -> String {
    let bodies = ["{\"a\":\"}\\\"{\"}", "plain { \" \\ text", "", "日本"];
    let exchanges = bodies.map(|body| answer(whole(body), &[("content-type", "application/json")]));
    Folder::new().write(&exchanges)
}

fn stream(text: &str, step: usize) -> Result<(Vec<Exchange>, String), Unfit> {
    let file = Trickle(Cursor::new(text.as_bytes()), step);
    let mut stream = Exchanges::open(file, &Folder::new().bodies, &Catalog::new())?;
    let (mut all, mut texts) = (Vec::new(), Vec::new());
    while let Some(one) = stream.read_next()? {
        texts.push(one.text.to_owned());
        all.push(one.exchange);
    }
    let (before, behind) = stream.around();
    Ok((all, format!("{before}{}{behind}", texts.join(","))))
}

#[test]
fn exchanges_come_as_a_reader_of_the_whole_file_has_them_wherever_it_is_cut() {
    let text = written();
    let expected = read_bytes(text.as_bytes()).unwrap();
    for step in [1, 2, 3, 7, 100, 1 << 20] {
        let (exchanges, copy) = stream(&text, step).unwrap();
        assert_eq!(exchanges, expected.exchanges, "step {step}");
        let copy = read_bytes(copy.as_bytes()).unwrap();
        assert_eq!((copy.exchanges, copy.endpoints), (exchanges, expected.endpoints.clone()));
    }
}

#[test]
fn a_cassette_with_a_fault_or_another_layout_is_unfit() {
    let text = written();
    let edits = [
        text.replacen("\"format\"", "\"formats\"", 1),
        text.replacen("\"GET\"", "5", 1),
        text.replacen("\"status\"", "\"status\": 200, \"status\"", 1),
        text.replacen("\"endpoint\": \"openai\"", "\"endpoint\": \"other\"", 1),
        format!("\u{feff}{text}"),
        format!("{text} {{}}"),
        text[..text.len() - 3].to_owned(),
        String::new(),
        "[]".to_owned(),
    ];
    for (n, edit) in edits.iter().enumerate() {
        assert_ne!(edit, &text, "edit {n}");
        assert!(stream(edit, 100).is_err(), "edit {n}");
    }
}

#[test]
fn no_prefix_of_a_cassette_is_taken_for_one() {
    let text = written();
    for len in (0..text.trim_end().len()).filter(|len| text.is_char_boundary(*len)) {
        assert!(stream(&text[..len], 1 << 20).is_err(), "{len}");
    }
}

proptest! {
    #[test]
    fn any_exchanges_come_as_they_were_written(
        given in prop::collection::vec(law::any_exchange(), 0..4),
        step in 1..200usize,
    ) {
        let text = Folder::new().write(&given);
        let expected = read_bytes(text.as_bytes()).unwrap().exchanges;
        prop_assert_eq!(stream(&text, step).unwrap().0, expected);
    }
}
