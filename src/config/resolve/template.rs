//! The `replace` text of a response header's replacement.
//!
//! The regex crate expands it, by the rules that Go's regexp has too, so test-server's files mean
//! the same here. This only looks for what those rules turn into nothing without a word.

use regex::bytes::Regex;

/// The first group that `template` names and `regex` doesn't have.
pub(super) fn missing_group<'a>(template: &'a str, regex: &Regex) -> Option<&'a str> {
    groups(template).find(|group| match group.parse::<usize>() {
        Ok(number) => number >= regex.captures_len(),
        Err(_) => !regex.capture_names().flatten().any(|name| name == *group),
    })
}

/// What `$name`, `$1` and `${name}` stand for, in order; `$$` is a dollar sign. A name without
/// braces goes as far as letters, digits and underscores do.
fn groups(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        loop {
            rest = rest.split_once('$')?.1;
            if let Some(after) = rest.strip_prefix('$') {
                rest = after;
            } else if let Some((name, after)) = braced(rest) {
                rest = after;
                return Some(name);
            } else {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let (name, after) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
                rest = after;
                if !name.is_empty() {
                    return Some(name);
                }
            }
        }
    })
}

fn braced(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('{')?.split_once('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_the_regex_lacks_is_found() {
        let regex = Regex::new("^https?://(?<host>[^/]+)(/.*)$").unwrap();
        let cases = [
            ("http://localhost", None),
            ("$host $1 ${2} ${host}x", None),
            ("$$1path", None),
            ("cost: $ 5", None),
            ("$1path", Some("1path")),
            ("${1}path$3", Some("3")),
            ("${nobody}", Some("nobody")),
        ];
        for (template, missing) in cases {
            assert_eq!(missing_group(template, &regex), missing, "{template}");
        }
    }
}
