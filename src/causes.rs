//! An error with all its causes on one line, for logs and answers.

use std::error::Error;

/// `could not open the cassette `a.json`: line 3, column 7: expected …`. A cause that its effect
/// has told already isn't told twice.
pub fn line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut told = line.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        told = text;
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Option<Box<Link>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Link { text, source: chain(rest) }))
    }

    #[test]
    fn every_cause_is_told_once() {
        for (texts, expected) in
            [(&["a"][..], "a"), (&["a", "b", "c"], "a: b: c"), (&["a: b", "b", "c"], "a: b: c")]
        {
            let error = chain(texts).unwrap();
            assert_eq!(line(&*error), expected);
        }
    }
}
