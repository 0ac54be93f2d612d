//! Yes or no. A yes starts a recording or sends an order, so a sentence that also negates is none unless it is clear.

use std::ops::Range;

use super::choice::only_fillers;
use super::lexicon::Lexicon;
use super::text::{Token, any_phrase_at, phrase_at, tokens};
use super::{Language, Parsed, Value};
use crate::speech::Answer;
use crate::turn::shape::{Shape, shape};

/// What a sentence says to a question that yes or no answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Yes {
        /// It can mean nothing else.
        sure: bool,
    },
    No,
    /// Both, or half of one.
    Unclear,
    Nothing,
}

/// "No, that's right" is neither; a later "no" takes a yes back ("yeah, no"), a later "yes" a no only as a correction ("no, I mean yes").
pub(super) fn yes_no(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    let (verdict, end) = judge(&said, lexicon);
    let is_yes = match verdict {
        Verdict::Yes { .. } => Some(true),
        Verdict::No => Some(false),
        Verdict::Unclear | Verdict::Nothing => None,
    };
    // "It is." would call for more elsewhere.
    let ends_in_answer = said.iter().skip(end).all(|token| token.is("."));
    let asks = text.trim_end().ends_with('?');
    match is_yes {
        Some(_) if asks && text.split_whitespace().count() > MAX_ASKED => Parsed::IMPOSSIBLE,
        Some(is_yes) if shape(text, language.code()) == Shape::Open && !ends_in_answer => {
            Parsed::usable(Value::YesNo(is_yes))
        }
        Some(is_yes) => Parsed::complete(Value::YesNo(is_yes)),
        None if verdict == Verdict::Nothing && !asks && only_fillers(&said, lexicon) => Parsed::BEGUN,
        None => Parsed::IMPOSSIBLE,
    }
}

/// A yes that can mean nothing else.
pub(in crate::dialog) fn affirms(text: &str, language: Language) -> bool {
    judge(&tokens(text), Lexicon::of(language)).0 == Verdict::Yes { sure: true }
}

/// "Yes" and no more.
pub(super) fn is_plain_yes(text: &str, lexicon: &Lexicon) -> bool {
    let said = tokens(text);
    let mut words = said.iter().filter(|token| !token.is_mark()).peekable();
    words.peek().is_some() && words.all(|token| lexicon.polarity.plain_yes.contains(&token.text.as_str()))
}

/// A yes or no that the sentence begins with, and where it stands in bytes. Other words than a plain "yes" must stand alone.
pub(super) fn leading_answer(text: &str, language: Language) -> Option<(bool, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    let mut at = said
        .iter()
        .position(|token| !token.is_mark() && !lexicon.hesitates(&token.text))?;
    let first = at;
    let mut answer: Option<(bool, usize)> = None;
    while let Some(token) = said.get(at) {
        let yes = any_phrase_at(&said, at, lexicon.yes);
        let no = any_phrase_at(&said, at, lexicon.no);
        let unsure = any_phrase_at(&said, at, lexicon.unsure);
        let next = yes.max(no);
        // "No, that's fine" begins with a no.
        let turns = yes > no && answer.is_some_and(|(is_yes, _)| !is_yes);
        if let Some(next) = next.filter(|next| unsure < Some(*next) && !turns) {
            let is_plain = next == at + 1 && lexicon.forms.plain_answers.contains(&token.text.as_str());
            let stands_alone = said.get(next).is_none_or(Token::is_mark);
            if !(is_plain || stands_alone) {
                break;
            }
            answer = Some((yes > no, next));
            at = next;
        } else if token.is_mark() || lexicon.hesitates(&token.text) {
            at += 1;
        } else {
            break;
        }
    }
    let (is_yes, end) = answer?;
    let agrees = !is_yes || matches!(judge(&said, lexicon).0, Verdict::Yes { .. });
    agrees.then_some((is_yes, said.get(first)?.span.start..said.get(end - 1)?.span.end))
}

/// "Correct." and "wrong.", told from the usual answers, which are understood well enough, and which anything short sounds like.
pub(super) fn yes_no_answers(language: Language) -> Vec<Answer> {
    let forms = Lexicon::of(language).forms;
    let phrases = |list: &[&str]| list.iter().map(|phrase| (*phrase).to_owned()).collect::<Vec<_>>();
    let usual = Answer {
        phrases: phrases(forms.usual_answers),
        is_wanted: false,
    };
    let groups = [
        Answer::wanted(phrases(forms.confirms)),
        Answer::wanted(phrases(forms.denies)),
        usual,
    ];
    groups.into_iter().filter(|answer| !answer.phrases.is_empty()).collect()
}

/// A word or phrase that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    PlainYes,
    Yes,
    MildYes,
    /// One that may mean something else here.
    WeakYes,
    PlainNo,
    No,
    Negation,
    Denial,
    Unsure,
    Idiom,
    Break,
}

/// What was heard of a sentence so far.
#[derive(Default)]
struct Heard {
    yes: bool,
    mild: bool,
    weak: bool,
    no: bool,
    /// A plain no came after the last yes.
    taken_back: bool,
    unsure: bool,
    /// Before any no.
    unsure_first: bool,
    /// Behind the negator that reaches here.
    negated: Option<usize>,
}

/// And where the last of it ends.
fn judge(said: &[Token], lexicon: &Lexicon) -> (Verdict, usize) {
    let mut heard = Heard::default();
    let mut at = corrected(said, lexicon);
    let mut end = 0;
    while let Some(token) = said.get(at) {
        if let Some((piece, next)) = piece(said, at, lexicon) {
            heard.take(piece, at, next);
            if !matches!(piece, Piece::Idiom | Piece::Break) {
                end = next;
            }
            at = next;
        } else {
            if token.is_mark() {
                heard.close();
            }
            at += 1;
        }
    }
    heard.close();
    let is_idle = |token: &Token| token.is_mark() || lexicon.hesitates(&token.text);
    let begins = (0..said.len()).find(|at| said.get(*at).is_some_and(|token| !is_idle(token)));
    let only = begins.and_then(|at| piece(said, at, lexicon)).map(|(_, next)| next);
    let is_whole = only.is_some_and(|next| said.iter().skip(next).all(is_idle));
    (heard.verdict(is_whole), end)
}

impl Heard {
    fn take(&mut self, piece: Piece, at: usize, next: usize) {
        let negated = self.negated.is_some();
        match piece {
            Piece::PlainYes => self.agree(),
            // "Not correct": the negation says it.
            Piece::Yes | Piece::MildYes | Piece::WeakYes if negated => {}
            Piece::MildYes if !self.no => self.mild = true,
            Piece::Yes | Piece::MildYes => self.agree(),
            Piece::WeakYes => self.weak = true,
            Piece::PlainNo => {
                (self.no, self.taken_back) = (true, true);
            }
            Piece::No => self.no = true,
            Piece::Negation => {
                self.close();
                self.negated = Some(next);
            }
            // "Not wrong", "no está mal": nothing is said.
            Piece::Denial if self.negated.is_some_and(|behind| at <= behind + 1) => self.negated = None,
            Piece::Denial => self.no = true,
            Piece::Unsure => {
                self.unsure = true;
                self.unsure_first |= !self.no;
            }
            Piece::Break => self.close(),
            Piece::Idiom => {}
        }
    }

    fn agree(&mut self) {
        (self.yes, self.taken_back) = (true, false);
    }

    /// A clause ends: a negator that nothing has cancelled is a no.
    fn close(&mut self) {
        self.no |= self.negated.take().is_some();
    }

    /// `whole`: one phrase is all that was said.
    const fn verdict(&self, whole: bool) -> Verdict {
        match (self.yes, self.no) {
            (true, true) if self.taken_back => Verdict::No,
            (true, true) => Verdict::Unclear,
            (false, true) if self.unsure_first => Verdict::Unclear,
            (false, true) => Verdict::No,
            (true | false, false) if self.unsure => Verdict::Unclear,
            (true, false) => Verdict::Yes { sure: true },
            (false, false) if self.mild || self.weak => Verdict::Yes {
                sure: self.mild || whole,
            },
            (false, false) => Verdict::Nothing,
        }
    }
}

/// Where a plain yes begins that corrects what came before: "no, sorry, yes".
fn corrected(said: &[Token], lexicon: &Lexicon) -> usize {
    let polarity = lexicon.polarity;
    let is_in = |at: usize, words: &[&str]| said.get(at).is_some_and(|token| words.contains(&token.text.as_str()));
    let mut starts = (0..said.len()).rev().filter_map(|at| {
        let next = any_phrase_at(said, at, lexicon.replaces)?;
        let begins = at == 0
            || said.get(at - 1).is_some_and(Token::is_mark)
            || is_in(at - 1, polarity.plain_yes)
            || is_in(at - 1, polarity.plain_no);
        let takes_back = (at..next).any(|at| !is_in(at, polarity.plain_no) && !is_in(at, COPULAS));
        let answer = (next..said.len()).find(|at| {
            said.get(*at)
                .is_some_and(|token| !token.is_mark() && !lexicon.hesitates(&token.text))
        })?;
        (begins && takes_back && is_in(answer, polarity.plain_yes)).then_some(answer)
    });
    starts.next().unwrap_or(0)
}

/// The longest piece that stands at `at`, and where it ends.
fn piece(said: &[Token], at: usize, lexicon: &Lexicon) -> Option<(Piece, usize)> {
    let polarity = lexicon.polarity;
    let token = said.get(at).filter(|token| !token.is_mark())?;
    let is = |list: &[&str]| list.contains(&token.text.as_str());
    // Of equals the last.
    let lists = [
        (lexicon.yes, Piece::Yes),
        (lexicon.no, Piece::No),
        (polarity.hedges, Piece::Unsure),
        (lexicon.unsure, Piece::Unsure),
        (polarity.idioms, Piece::Idiom),
    ];
    let found = lists.into_iter().filter_map(|(list, piece)| {
        let phrases = list.iter().filter_map(|phrase| phrase_at(said, at, phrase));
        let next = phrases.filter(|next| !is_torn(said, at, *next, lexicon)).max()?;
        let has_mark = said.get(at..next)?.iter().any(Token::is_mark);
        (piece != Piece::Idiom || !has_mark).then_some((piece, next))
    });
    match found.max_by_key(|(_, next)| *next) {
        Some((Piece::Yes, next)) => Some((yes_piece(said, at, next, lexicon), next)),
        Some((Piece::No, next)) => Some((no_piece(said, at, next, lexicon), next)),
        Some(found) => Some(found),
        None if is_negator(token, lexicon) => Some((Piece::Negation, at + 1)),
        None if is(polarity.denials) => Some((Piece::Denial, at + 1)),
        None if is(polarity.breaks) => Some((Piece::Break, at + 1)),
        None => None,
    }
}

/// "No. Problem is …" is not "no problem".
pub(super) fn is_torn(said: &[Token], at: usize, next: usize, lexicon: &Lexicon) -> bool {
    let words = said.get(at..next).unwrap_or_default();
    words.iter().any(Token::is_mark)
        && words
            .iter()
            .any(|token| is_no(token, lexicon) || is_negator(token, lexicon))
}

fn yes_piece(said: &[Token], at: usize, next: usize, lexicon: &Lexicon) -> Piece {
    let polarity = lexicon.polarity;
    let is = |list: &[&str]| any_phrase_at(said, at, list) == Some(next);
    let ends = said.get(next).is_none_or(Token::is_mark);
    if is(polarity.plain_yes) {
        Piece::PlainYes
    } else if is(polarity.mild) {
        Piece::MildYes
    } else if is(polarity.weak) || is(polarity.short) && !ends {
        Piece::WeakYes
    } else {
        Piece::Yes
    }
}

fn no_piece(said: &[Token], at: usize, next: usize, lexicon: &Lexicon) -> Piece {
    let Some(last) = said.get(next - 1) else {
        return Piece::No;
    };
    let is_one = next == at + 1;
    if is_one && is_no(last, lexicon) {
        let begins = said
            .iter()
            .take(at)
            .all(|token| token.is_mark() || lexicon.hesitates(&token.text));
        let is_answer = |token: &Token| {
            token.is_mark() || is_no(token, lexicon) || lexicon.polarity.plain_yes.contains(&token.text.as_str())
        };
        let ends = said.get(next).is_none_or(is_answer) || any_phrase_at(said, next, lexicon.closings).is_some();
        let negates = is_negator(last, lexicon);
        // English "no" answers before anything, Spanish "no" only alone.
        return match (ends || begins && !negates, negates) {
            (true, _) => Piece::PlainNo,
            (false, true) => Piece::Negation,
            (false, false) => Piece::No,
        };
    }
    if is_negator(last, lexicon) {
        Piece::Negation
    } else if is_one && lexicon.polarity.denials.contains(&last.text.as_str()) {
        Piece::Denial
    } else {
        Piece::No
    }
}

fn is_no(token: &Token, lexicon: &Lexicon) -> bool {
    lexicon.polarity.plain_no.contains(&token.text.as_str())
}

pub(super) fn is_negator(token: &Token, lexicon: &Lexicon) -> bool {
    lexicon.polarity.negators.contains(&token.text.as_str()) || token.text.ends_with("n't")
}

/// "Yes?" answers; a longer question asks.
const MAX_ASKED: usize = 3;
/// "No, it's" takes nothing back yet.
const COPULAS: &[&str] = &["it's", "that's", "es", "son"];
