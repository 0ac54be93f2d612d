//! Digits too many among equal ones.

/// `text` with one digit less, with two less and so on, where it has one long run of equal ones. Equal digits of two groups ("415 555")
/// are none.
pub(super) fn mended(text: &str) -> impl Iterator<Item = String> {
    let runs = runs(text);
    let run = match runs.as_slice() {
        [run] => run.clone(),
        _ => Vec::new(),
    };
    // The first one stays.
    let mut rest = text.to_owned();
    run.into_iter().skip(1).rev().map(move |at| {
        rest.remove(at);
        rest.clone()
    })
}

/// Where the digits of each long run stand.
fn runs(text: &str) -> Vec<Vec<usize>> {
    let digits: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| c.is_ascii_digit()).collect();
    let runs = digits.chunk_by(|(at, a), (next, b)| a == b && at + 1 == *next);
    let long = runs.filter(|run| run.len() >= STUTTER);
    long.map(|run| run.iter().map(|(at, _)| *at).collect()).collect()
}

/// Whisper counts three right.
const STUTTER: usize = 4;

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn one_long_run_is_made_shorter() {
        for (text, fewer) in [
            ("21255550177.", vec!["2125550177.", "212550177.", "21250177."]),
            ("212 5555 0177", vec!["212 555 0177", "212 55 0177", "212 5 0177"]),
            ("415 555 01234", vec![]),
            ("2125550177", vec![]),
            ("1111 2222", vec![]),
            ("5, 5, 5, 5", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(mended(text).collect::<Vec<_>>(), fewer, "{text}");
        }
    }
}
