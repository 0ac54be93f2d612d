//! Texts compared in words: what of an answer was heard, up to where, and which sentences were not. Pure.

use super::super::wer::words;

/// An answer of the stub: its sentences, in order.
pub(super) struct Answer<'a> {
    sentences: Vec<&'a str>,
    words: Vec<String>,
    /// Where in `words` each sentence ends.
    ends: Vec<usize>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(sentences: Vec<&'a str>) -> Self {
        let (mut all, mut ends) = (Vec::new(), Vec::new());
        for sentence in &sentences {
            all.extend(words(sentence));
            ends.push(all.len());
        }
        Self {
            sentences,
            words: all,
            ends,
        }
    }

    pub(super) fn text(&self) -> String {
        self.sentences.join(" ")
    }

    /// How many words it has.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// How many sentences it has.
    pub(super) fn sentences(&self) -> usize {
        self.sentences.len()
    }

    /// How many pairs of neighbouring words a text has in common with it.
    pub(super) fn likeness(&self, heard: &str) -> usize {
        let heard = words(heard);
        let shared = heard
            .windows(2)
            .filter(|pair| self.words.windows(2).any(|own| own == *pair));
        shared.count()
    }

    /// How many of its words a text comes to that repeats it from its start on, with errors.
    pub(super) fn reached(&self, heard: &str) -> usize {
        let heard = words(heard);
        // Edits between each beginning of the answer and all that was heard.
        let mut row: Vec<usize> = (0..=self.words.len()).collect();
        for (i, word) in heard.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, own) in self.words.iter().enumerate() {
                let substitute = diagonal + usize::from(word != own);
                diagonal = row[j + 1];
                row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
            }
        }
        let best = (0..row.len()).min_by_key(|&length| (row[length], length.abs_diff(heard.len()), length));
        best.unwrap_or(0)
    }

    /// Which of its words were heard, in its order; what else was heard in between does not count.
    fn heard(&self, heard: &str) -> Vec<bool> {
        let heard = words(heard);
        let (rows, columns) = (self.words.len(), heard.len());
        // The longest common subsequence of the rests from each pair of places on.
        let mut common = vec![vec![0_u32; columns + 1]; rows + 1];
        for i in (0..rows).rev() {
            for j in (0..columns).rev() {
                common[i][j] = if self.words[i] == heard[j] {
                    common[i + 1][j + 1] + 1
                } else {
                    common[i + 1][j].max(common[i][j + 1])
                };
            }
        }
        let (mut i, mut j, mut found) = (0, 0, vec![false; rows]);
        while i < rows && j < columns {
            if self.words[i] == heard[j] {
                found[i] = true;
                (i, j) = (i + 1, j + 1);
            } else if common[i + 1][j] >= common[i][j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
        found
    }

    /// How many of its words were heard in its order, and the sentences of which less than `share` was.
    pub(super) fn compare(&self, heard: &str, share: f64) -> (usize, Vec<&'a str>) {
        let found = self.heard(heard);
        let mut lost = Vec::new();
        let mut start = 0;
        for (sentence, &end) in self.sentences.iter().zip(&self.ends) {
            let here = found[start..end].iter().filter(|&&found| found).count();
            if (here as f64) < share * (end - start) as f64 {
                lost.push(*sentence);
            }
            start = end;
        }
        (found.into_iter().filter(|&found| found).count(), lost)
    }
}

/// The built-in answers.
pub(super) fn answers(text: &str) -> Vec<Answer<'_>> {
    let blocks = text.split("\n\n").map(|block| block.lines().map(str::trim));
    let sentences = blocks.map(|block| block.filter(|line| !line.is_empty()).collect::<Vec<_>>());
    sentences
        .filter(|sentences| !sentences.is_empty())
        .map(Answer::new)
        .collect()
}

/// The answer that a text resembles most, if it resembles any.
pub(super) fn likest(answers: &[Answer<'_>], heard: &str) -> Option<usize> {
    let likeness = |place: &usize| answers[*place].likeness(heard);
    (0..answers.len())
        .max_by_key(likeness)
        .filter(|place| likeness(place) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "The office opens at nine.\nBring your old card along.\n\nThe bus stops outside.\nIt leaves each hour.\n";

    #[test]
    fn answers_are_blocks_of_lines() {
        let answers = answers(TEXT);
        assert_eq!(answers.iter().map(Answer::len).collect::<Vec<_>>(), [10, 8]);
        assert_eq!(likest(&answers, "stops outside and it leaves"), Some(1));
        assert_eq!(likest(&answers, "I am sorry"), None);
        assert_eq!(likest(&answers, ""), None);
    }

    #[test]
    fn a_beginning_is_found_in_spite_of_errors() {
        let answer = &answers(TEXT)[0];
        for (heard, reached) in [
            ("", 0),
            ("The office", 2),
            ("the office opens at nine bring", 6),
            ("the offers opens at nine bring", 6),
            ("office opens at nine bring your", 7),
            ("the office opens at 9. Bring your old card along", 10),
        ] {
            assert_eq!(answer.reached(heard), reached, "{heard}");
        }
    }

    #[test]
    fn a_sentence_is_lost_unless_nearly_all_of_it_was_heard() {
        let answer = &answers(TEXT)[0];
        let lost = |heard: &str| answer.compare(heard, 0.8);
        assert_eq!(lost("the office opens at nine bring your old card along"), (10, vec![]));
        // Cut and said again from its start; cut and gone on; cut and given up.
        assert_eq!(
            lost("the office opens the office opens at nine bring your old card along").1,
            Vec::<&str>::new()
        );
        assert_eq!(
            lost("the office opens [at nine] bring your old card along").1,
            Vec::<&str>::new()
        );
        assert_eq!(
            lost("the office opens okay the bus stops outside"),
            (3, vec!["The office opens at nine.", "Bring your old card along."])
        );
        assert_eq!(
            lost("bring your old card along"),
            (5, vec!["The office opens at nine."])
        );
        assert_eq!(lost("").0, 0);
    }
}
