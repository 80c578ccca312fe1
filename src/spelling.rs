//! What was probably meant by a word that nobody knows. Pure.

/// The candidate that a slip of the hand or another habit of spelling could have turned into
/// `word`; none if they have little in common.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = folded(word);
    candidates
        .iter()
        .map(|candidate| (distance(&word, &folded(candidate)), *candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 4))
        .map(|(_, candidate)| candidate)
}

/// `targetHost`, `target-host` and `target_host` are one name.
fn folded(word: &str) -> Vec<char> {
    const CHARS_MAX: usize = 64;
    let letters = word.chars().filter(|c| *c != '_' && *c != '-');
    letters.take(CHARS_MAX).map(|c| c.to_ascii_lowercase()).collect()
}

/// Edits (insert, delete, replace, swap neighbours) that turn one word into the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        const KNOWN: [&str; 6] =
            ["source_port", "target_host", "health", "headers", "body", "method"];
        for (word, meant) in [
            ("source_prt", Some("source_port")),
            ("targetHost", Some("target_host")),
            ("tagret-host", Some("target_host")),
            ("helath", Some("health")),
            ("headrs", Some("headers")),
            ("Header", Some("headers")),
            ("boddy", Some("body")),
            ("metod", Some("method")),
            ("verbose", None),
            ("xyzzy", None),
            ("", None),
            (&"body".repeat(1 << 18), None),
        ] {
            assert_eq!(nearest(word, &KNOWN), meant, "{word:.20}");
        }
    }

    #[test]
    fn edits_are_counted_one_by_one() {
        for (from, to, count) in
            [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("kitten", "sitting", 3), ("ab", "ba", 1)]
        {
            assert_eq!(distance(&folded(from), &folded(to)), count, "{from} {to}");
        }
    }
}
