//! Word error rate: edits over reference words, after writing both texts the same way.

/// Counts of one or many comparisons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Errors {
    pub(super) edits: usize,
    pub(super) words: usize,
}

impl Errors {
    /// Compares what was heard with what was said.
    pub(super) fn between(reference: &str, heard: &str) -> Self {
        let (reference, heard) = (words(reference), words(heard));
        Self {
            edits: distance(&reference, &heard),
            words: reference.len(),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.edits += other.edits;
        self.words += other.words;
    }

    pub(super) fn percent(self) -> f64 {
        100.0 * self.edits as f64 / self.words.max(1) as f64
    }
}

/// Lower case, digits as words, no punctuation.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text.to_lowercase().chars() {
        match c.to_digit(10) {
            Some(digit) => {
                plain.push(' ');
                plain.push_str(DIGITS[digit as usize]);
                plain.push(' ');
            }
            None if c.is_alphabetic() || c == '\'' => plain.push(c),
            None => plain.push(' '),
        }
    }
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Levenshtein distance in words.
fn distance(a: &[String], b: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, word) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

const DIGITS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_in_words() {
        for (said, heard, edits) in [
            ("Press one, please.", "press 1 please", 0),
            ("the office is open", "the office open", 1),
            ("a b c", "a x c d", 2),
            ("", "a b", 2),
            ("a b", "", 2),
        ] {
            assert_eq!(Errors::between(said, heard).edits, edits, "{said} / {heard}");
        }
    }
}
