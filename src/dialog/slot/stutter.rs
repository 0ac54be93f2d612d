//! A digit too many among equal ones.

/// `text` with a digit less where it has four or more equal ones together, if there is one such place only. Equal digits of two groups
/// ("415 555") are no such place.
pub(super) fn mended(text: &str) -> Option<String> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, c) in text.char_indices() {
        match runs.last_mut() {
            Some(run) if run.digit == c => (run.len, run.last) = (run.len + 1, at),
            _ if c.is_ascii_digit() => runs.push(Run {
                digit: c,
                len: 1,
                last: at,
            }),
            Some(run) => run.digit = NONE,
            None => {}
        }
    }
    runs.retain(|run| run.len >= STUTTER);
    let [run] = runs.as_slice() else { return None };
    let mut mended = text.to_owned();
    mended.remove(run.last);
    Some(mended)
}

struct Run {
    /// Or [`NONE`], once something else has followed.
    digit: char,
    len: usize,
    /// Where the last one stands.
    last: usize,
}

const NONE: char = '\0';
/// Whisper counts three right.
const STUTTER: usize = 4;

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn one_long_run_is_made_shorter() {
        for (text, fewer) in [
            ("21255550177.", Some("2125550177.")),
            ("212 5555 0177", Some("212 555 0177")),
            ("415 555 01234", None),
            ("MB 9998888", Some("MB 999888")),
            ("2125550177", None),
            ("1111 2222", None),
            ("5, 5, 5, 5", None),
            ("", None),
        ] {
            assert_eq!(mended(text).as_deref(), fewer, "{text}");
        }
    }
}
