//! How engines and line answer: rightly, wrongly, late, twice, or without having been asked.

use tieline::turn::event::{Input, MarkName, Progress, SentenceId, TurnId};

use super::bytes::Bytes;
use super::line::{AGENT, FRAME_SAMPLES};
use super::model::CALLER;
use super::{Ask, Call};

impl Call<'_> {
    /// Gives one answer to a request, which may have been answered or withdrawn long ago.
    pub(super) fn answer(&mut self, ask: Ask, how: u8, bytes: &mut Bytes<'_>) {
        if !matches!((ask, how), (Ask::Reply(_), 0..=9)) {
            self.withdraw(|open| open == ask);
        }
        let turn = ask.turn();
        let input = match (ask, how) {
            (Ask::Transcript(_), 15) => Input::TranscribeFailed { turn },
            (Ask::Transcript(_), _) => {
                let text = match how {
                    0..=5 => self.said(),
                    6 => format!("{} and", self.said()),
                    7 => format!("{} five five", self.said()),
                    8 => format!("{}.", self.said()),
                    9 => format!(" {}  {} ", self.said(), self.said()),
                    10 | 11 => "Uh-huh.".to_owned(),
                    12 => "\u{a0} ".to_owned(),
                    _ => String::new(),
                };
                let states = [
                    None,
                    None,
                    Some(Progress::Complete),
                    Some(Progress::Incomplete),
                    Some(Progress::Impossible),
                ];
                // The first is how everything is answered in the end.
                let odd = [1.0, 0.9, 0.61, 0.3, 0.0, f32::NAN, -3.0];
                Input::Transcript {
                    turn,
                    text,
                    language: "en",
                    certainty: odd[usize::from(how) % odd.len()],
                    progress: states[usize::from(bytes.next()) % states.len()],
                }
            }
            (Ask::Judgement(_), _) => Input::EndOfTurn {
                turn,
                probability: match how {
                    0..=12 => f32::from(how) / 12.0,
                    13 => f32::NAN,
                    14 => f32::INFINITY,
                    _ => -3.0,
                },
            },
            (Ask::Reply(_), 0..=7) => {
                let count = [3, 1, 8, 0][usize::from(how % 4)];
                let words: Vec<String> = (0..count).map(|_| self.word(AGENT)).collect();
                let end = if how < 4 { "." } else { "?" };
                Input::Sentence {
                    turn,
                    text: words.join(" ") + if count == 0 { "" } else { end },
                }
            }
            (Ask::Reply(_), 8 | 9) => Input::FirstToken { turn },
            (Ask::Reply(_), 10..=13) => Input::ReplyDone { turn },
            (Ask::Reply(_), _) => Input::ReplyFailed { turn },
            (Ask::Voice(sentence), 14 | 15) => Input::SynthesizeFailed { sentence },
            (Ask::Voice(sentence), _) => {
                let frames = [50, 10, 100, 1, 300, 0, 2_000][usize::from(how) % 7];
                Input::Synthesized {
                    sentence,
                    samples: frames * FRAME_SAMPLES,
                    words: [].into(),
                }
            }
        };
        self.give(input);
    }

    /// Everything that is asked for is given, and what the line has played is acknowledged.
    pub(super) fn answer_all(&mut self) {
        for ask in self.open.clone() {
            if self.open.contains(&ask) {
                self.answer(ask, 0, &mut Bytes::new(&[]));
                if matches!(ask, Ask::Reply(_)) && self.open.contains(&ask) {
                    self.answer(ask, 10, &mut Bytes::new(&[]));
                }
            }
        }
        self.return_marks();
    }

    fn return_marks(&mut self) {
        while let Some(&(mark, due)) = self.model.line.marks.front()
            && due <= self.now
        {
            self.old_marks.push(mark);
            self.give(Input::Mark(mark));
        }
    }

    pub(super) fn marks(&mut self, arg: u8) {
        let front = self.model.line.marks.front().copied();
        match (arg % 8, front) {
            (0..=2, Some((_, due))) => {
                self.wait(due.saturating_duration_since(self.now));
                self.return_marks();
            }
            (3, Some((mark, _))) => {
                self.model.line.marks.pop_front();
                self.old_marks.push(mark);
            }
            // Too early.
            (4, Some((mark, _))) => self.give(Input::Mark(mark)),
            (5, _) if !self.old_marks.is_empty() => {
                let mark = self.old_marks[usize::from(arg / 8) % self.old_marks.len()];
                self.give(Input::Mark(mark));
            }
            _ => self.return_marks(),
        }
    }

    /// An input that nobody has asked for.
    pub(super) fn forge(&mut self, arg: u8, bytes: &mut Bytes<'_>) {
        let turn = TurnId((self.model.newest().0 + 2).saturating_sub(u32::from(arg / 16)));
        let sentence = SentenceId {
            turn,
            index: [0, 1, 2, 7, u16::MAX][usize::from(bytes.next()) % 5],
        };
        let detail = usize::from(bytes.next());
        let epochs = [self.model.line.epoch, 0, self.model.line.epoch + 1, u32::MAX];
        let input = match arg % 16 {
            0 => Input::Transcript {
                turn,
                text: self.said(),
                language: "en",
                certainty: 1.0,
                progress: None,
            },
            1 => Input::TranscribeFailed { turn },
            2 | 3 => {
                let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 7.0, 0.0, 1.0, -0.0];
                Input::EndOfTurn {
                    turn,
                    probability: odd[detail % odd.len()],
                }
            }
            4 => Input::Sentence {
                turn,
                text: self.word(AGENT),
            },
            5 => Input::ReplyDone { turn },
            6 => Input::ReplyFailed { turn },
            7 => Input::FirstToken { turn },
            8 | 9 => Input::Synthesized {
                sentence,
                samples: [0, 1, 160, 161, u64::MAX][detail % 5],
                words: (0..u64::from(detail as u8) % 4)
                    .map(|word| word * 1_000..u64::MAX)
                    .collect(),
            },
            10 => Input::SynthesizeFailed { sentence },
            11..=13 => Input::Mark(MarkName {
                epoch: epochs[detail % epochs.len()],
                sentence,
            }),
            14 => Input::Start,
            // Rarely, as nothing can follow.
            _ if detail % 4 == 3 => Input::Stop,
            _ => Input::Start,
        };
        self.give(input);
    }

    fn said(&mut self) -> String {
        self.word(CALLER)
    }

    fn word(&mut self, kind: &str) -> String {
        self.words += 1;
        format!("{kind}{}", self.words)
    }
}
