//! Recorded and replayed answers side by side: what differs, and the table that shows it.

use std::fmt;
use std::time::Duration;

use super::answer::{Answer, Body, Played};
use super::conversation::Message;
use super::script::Row;
use crate::exchange::Fields;
use crate::ws::close::Said;

/// Bytes of a body that are shown around a difference.
const SHOWN_BYTES: usize = 40;

/// One line of the table.
pub(super) struct Compared {
    request: String,
    what: &'static str,
    status: u16,
    /// Of its content, decoded.
    bytes: usize,
    recorded: Duration,
    replayed: Duration,
    /// The first one; none if the answers are the same.
    difference: Option<String>,
}

/// `rows` with what each was answered; all three are equally long.
pub(super) fn compare(rows: &[Row], recorded: &[Played], replayed: &[Played]) -> Vec<Compared> {
    let answers = recorded.iter().zip(replayed);
    rows.iter()
        .zip(answers)
        .map(|(row, (recorded, replayed))| Compared {
            request: row.talk.title(),
            what: row.what,
            status: recorded.answer.status,
            bytes: recorded.answer.body.len(),
            recorded: recorded.took,
            replayed: replayed.took,
            difference: difference(&recorded.answer, &replayed.answer),
        })
        .collect()
}

impl Compared {
    /// `GET /v1/models: …`, for a row that differs.
    pub(super) fn explained(&self) -> Option<String> {
        self.difference.as_ref().map(|difference| format!("{}: {difference}", self.request))
    }
}

/// The first difference between two answers, in words.
pub(super) fn difference(recorded: &Answer, replayed: &Answer) -> Option<String> {
    if recorded == replayed {
        return None;
    }
    if replayed.is_fault() && !recorded.is_fault() {
        return Some(format!("Ouli has no answer to it: {}", replayed.explanation()));
    }
    if recorded.status != replayed.status {
        return Some(format!("recorded status {}, replayed {}", recorded.status, replayed.status));
    }
    let fields = field_difference(&recorded.fields, &replayed.fields);
    let trailers = || field_difference(&recorded.trailers, &replayed.trailers);
    fields.or_else(|| body_difference(&recorded.body, &replayed.body)).or_else(trailers)
}

fn field_difference(recorded: &Fields, replayed: &Fields) -> Option<String> {
    let (mut first, mut second) = (recorded.iter(), replayed.iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (Some(one), Some(other)) => {
                return Some(format!("recorded `{one:?}`, replayed `{other:?}`"));
            }
            (Some(one), None) => return Some(format!("`{one:?}` is missing in the replay")),
            (None, Some(other)) => return Some(format!("`{other:?}` is only in the replay")),
        }
    }
}

fn body_difference(recorded: &Body, replayed: &Body) -> Option<String> {
    match (recorded, replayed) {
        (Body::Whole(recorded), Body::Whole(replayed)) => {
            byte_difference("the body", recorded, replayed)
        }
        (Body::Messages(recorded), Body::Messages(replayed)) => {
            message_difference(recorded, replayed)
        }
        (
            Body::Conversation { messages: recorded, closed },
            Body::Conversation { messages: replayed, closed: closed_then },
        ) => message_difference(recorded, replayed)
            .or_else(|| kind_difference(recorded, replayed))
            .or_else(|| close_difference(closed, closed_then)),
        _ => Some("they are answers of different kinds".to_owned()),
    }
}

fn kind_difference(recorded: &[Message], replayed: &[Message]) -> Option<String> {
    let pairs = (1..).zip(recorded.iter().zip(replayed));
    let mut other_kinds = pairs.filter(|(_, (recorded, replayed))| recorded.kind != replayed.kind);
    other_kinds.next().map(|(number, (recorded, replayed))| {
        format!("message {number}: recorded {:?}, replayed {:?}", recorded.kind, replayed.kind)
    })
}

fn close_difference(recorded: &Said, replayed: &Said) -> Option<String> {
    let shown = |said: &Said| match said.code {
        Some(code) => format!("{code} {:?}", said.reason),
        None => "nothing".to_owned(),
    };
    (recorded != replayed).then(|| {
        format!(
            "the close frame says {} in the recording, {} in the replay",
            shown(recorded),
            shown(replayed)
        )
    })
}

fn message_difference<M: AsRef<[u8]>>(recorded: &[M], replayed: &[M]) -> Option<String> {
    let pairs = (1..).zip(recorded.iter().zip(replayed));
    let mut differences = pairs.filter_map(|(number, (recorded, replayed))| {
        byte_difference(&format!("message {number}"), recorded.as_ref(), replayed.as_ref())
    });
    differences.next().or_else(|| {
        let counts = (recorded.len(), replayed.len());
        (counts.0 != counts.1)
            .then(|| format!("recorded {} messages, replayed {}", counts.0, counts.1))
    })
}

fn byte_difference(what: &str, recorded: &[u8], replayed: &[u8]) -> Option<String> {
    let at = recorded.iter().zip(replayed).position(|(one, other)| one != other).or_else(|| {
        (recorded.len() != replayed.len()).then(|| recorded.len().min(replayed.len()))
    })?;
    let shown = |bytes: &[u8]| {
        let rest = bytes.get(at..).unwrap_or_default();
        rest.get(..SHOWN_BYTES).unwrap_or(rest).escape_ascii().to_string()
    };
    Some(format!(
        "{what} differs from byte {at} on: recorded `{}`, replayed `{}`",
        shown(recorded),
        shown(replayed)
    ))
}

/// Columns as wide as their content; figures stand at the right.
pub(super) struct Table<'a>(pub(super) &'a [Compared]);

const TITLES: [&str; 7] = ["request", "what", "status", "bytes", "recorded", "replayed", "same"];
/// From here on there are figures.
const FIGURES: usize = 2;

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<[String; 7]> =
            std::iter::once(TITLES.map(str::to_owned)).chain(self.0.iter().map(cells)).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        for line in &lines {
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                match column < FIGURES {
                    true => write!(f, "{gap}{cell:width$}")?,
                    false => write!(f, "{gap}{cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn cells(row: &Compared) -> [String; 7] {
    let same = if row.difference.is_none() { "yes" } else { "NO" };
    [
        row.request.clone(),
        row.what.to_owned(),
        row.status.to_string(),
        row.bytes.to_string(),
        millis(row.recorded),
        millis(row.replayed),
        same.to_owned(),
    ]
}

/// `12.34 ms`
fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::script::ROWS;
    use super::*;
    use crate::exchange::Kind;

    fn answer(status: u16, fields: &[(&str, &str)], body: &str) -> Answer {
        let fields = fields.iter().copied().collect();
        Answer { status, fields, body: Body::Whole(body.into()), trailers: Fields::new() }
    }

    fn called(messages: &[&str], trailers: &[(&str, &str)]) -> Answer {
        let messages = messages.iter().map(|message| message.as_bytes().to_vec()).collect();
        let trailers = trailers.iter().copied().collect();
        Answer { body: Body::Messages(messages), trailers, ..answer(200, &[], "") }
    }

    #[test]
    fn the_first_difference_is_told() {
        let recorded = answer(200, &[("a", "1")], "abcdef");
        let cases = [
            (answer(200, &[("a", "1")], "abcdef"), None),
            (answer(404, &[], ""), Some("recorded status 200, replayed 404")),
            (answer(200, &[("a", "2")], "x"), Some("recorded `a: 1`, replayed `a: 2`")),
            (answer(200, &[("A", "1")], "abcdef"), Some("recorded `a: 1`, replayed `A: 1`")),
            (answer(200, &[], "abcdef"), Some("`a: 1` is missing in the replay")),
            (answer(200, &[("a", "1"), ("b", "")], "abcdef"), Some("`b: ` is only in the replay")),
            (
                answer(200, &[("a", "1")], "abcxef"),
                Some("the body differs from byte 3 on: recorded `def`, replayed `xef`"),
            ),
            (
                answer(200, &[("a", "1")], "abc"),
                Some("the body differs from byte 3 on: recorded `def`, replayed ``"),
            ),
            (
                answer(501, &[("ouli-fault", "miss")], "no such recording\n"),
                Some("Ouli has no answer to it: no such recording"),
            ),
        ];
        for (replayed, told) in cases {
            assert_eq!(difference(&recorded, &replayed).as_deref(), told);
        }
    }

    #[test]
    fn the_first_difference_of_calls_is_told() {
        let fine = [("grpc-status", "0")];
        let recorded = called(&["one", "two"], &fine);
        let missed =
            [("grpc-status", "5"), ("grpc-message", "no such recording"), ("ouli-fault", "miss")];
        let cases = [
            (called(&["one", "two"], &fine), None),
            (
                called(&["one", "txo"], &fine),
                Some("message 2 differs from byte 1 on: recorded `wo`, replayed `xo`"),
            ),
            (called(&["one"], &fine), Some("recorded 2 messages, replayed 1")),
            (
                called(&["onet", "wo"], &fine),
                Some("message 1 differs from byte 3 on: recorded ``, replayed `t`"),
            ),
            (
                called(&["one", "two"], &[("grpc-status", "2")]),
                Some("recorded `grpc-status: 0`, replayed `grpc-status: 2`"),
            ),
            (called(&["one"], &missed), Some("Ouli has no answer to it: no such recording")),
            (answer(200, &[], ""), Some("they are answers of different kinds")),
        ];
        for (replayed, told) in cases {
            assert_eq!(difference(&recorded, &replayed).as_deref(), told);
        }
    }

    fn conversed(messages: &[(Kind, &str)], code: u16, reason: &str) -> Answer {
        let message =
            |(kind, text): &(Kind, &str)| Message { kind: *kind, payload: (*text).into() };
        let messages = messages.iter().map(message).collect();
        let closed = Said { code: Some(code), reason: reason.to_owned() };
        Answer { body: Body::Conversation { messages, closed }, ..answer(101, &[], "") }
    }

    #[test]
    fn the_first_difference_of_conversations_is_told() {
        use Kind::{Binary, Text};
        let recorded = conversed(&[(Text, "one"), (Binary, "two")], 1000, "bye");
        let missed = "no recorded conversation agrees";
        let cases = [
            (conversed(&[(Text, "one"), (Binary, "two")], 1000, "bye"), None),
            (
                conversed(&[(Text, "one"), (Binary, "txo")], 1000, "bye"),
                Some("message 2 differs from byte 1 on: recorded `wo`, replayed `xo`"),
            ),
            (
                conversed(&[(Text, "one"), (Text, "two")], 1000, "bye"),
                Some("message 2: recorded Binary, replayed Text"),
            ),
            (conversed(&[(Text, "one")], 1000, "bye"), Some("recorded 2 messages, replayed 1")),
            (
                conversed(&[(Text, "one"), (Binary, "two")], 1001, ""),
                Some("the close frame says 1000 \"bye\" in the recording, 1001 \"\" in the replay"),
            ),
            (
                conversed(&[(Text, "one")], 1008, missed),
                Some("Ouli has no answer to it: no recorded conversation agrees"),
            ),
        ];
        for (replayed, told) in cases {
            assert_eq!(difference(&recorded, &replayed).as_deref(), told);
        }
    }

    #[test]
    fn the_table_of_the_whole_script_is_narrow() {
        let played =
            || Played { answer: answer(200, &[], "12345"), took: Duration::from_micros(1_234_560) };
        let all: Vec<_> = ROWS.iter().map(|_| played()).collect();
        let table = Table(&compare(&ROWS, &all, &all)).to_string();
        assert!(table.lines().all(|line| line.len() <= 100), "{table}");
    }

    #[test]
    fn trailers_count() {
        let recorded = answer(200, &[], "");
        let trailers = [("t", "1")].into_iter().collect();
        let replayed = Answer { trailers, ..answer(200, &[], "") };
        assert!(difference(&recorded, &replayed).is_some());
    }

    #[test]
    fn the_table_lines_up_and_shows_what_differs() {
        let played = |body: &str, micros| Played {
            answer: answer(200, &[], body),
            took: Duration::from_micros(micros),
        };
        let recorded = [played("12345", 61_234), played("{}", 900)];
        let replayed = [played("12345", 310), played("{]", 1_000)];
        let compared = compare(&ROWS[..2], &recorded, &replayed);
        insta::assert_snapshot!(Table(&compared), @r#"
        request                      what            status  bytes  recorded  replayed  same
        GET /v1/models               JSON               200      5  61.23 ms   0.31 ms   yes
        GET /v1/models/small?full=1  JSON, by query     200      2   0.90 ms   1.00 ms    NO
        "#);
        assert_eq!(compared[0].explained(), None);
        let told = compared[1].explained().unwrap();
        assert!(told.starts_with("GET /v1/models/small?full=1: the body differs"), "{told}");
    }
}
