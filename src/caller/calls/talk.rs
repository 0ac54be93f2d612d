//! What a caller says next: as a person with a script would, who is asked again and answers again.

use super::set::{Line, Pattern};

/// The caller's side of one call.
///
/// The agent's latest words are answered by the first line not used yet that fits them; else by a line used before, three
/// times at most; else by a spare one; else, if the agent asks to hear it again, by what was said last. A caller who has
/// nothing to say to them hangs up.
#[derive(Debug)]
pub struct Talk {
    lines: Vec<Line>,
    /// From here on they are spare.
    own: usize,
    again: Pattern,
    used: Vec<u8>,
    last: Option<usize>,
}

impl Talk {
    /// A caller with these lines of their own.
    pub fn new(own: &[Line], spare: &[Line], again: &Pattern) -> Self {
        let lines: Vec<Line> = own.iter().chain(spare).cloned().collect();
        Self {
            used: vec![0; lines.len()],
            own: own.len(),
            again: again.clone(),
            last: None,
            lines,
        }
    }

    /// All lines, the spare ones last.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The place of the line that answers what the agent said. `None`: the caller hangs up.
    pub fn answer(&mut self, agent: &str) -> Option<usize> {
        let place = self.choose(agent)?;
        self.used[place] += 1;
        self.last = Some(place);
        Some(place)
    }

    /// The lines of the call that were not needed.
    pub fn unused(&self) -> usize {
        self.used[..self.own].iter().filter(|&&used| used == 0).count()
    }

    fn choose(&self, agent: &str) -> Option<usize> {
        let Some(last) = self.last else {
            return (self.own > 0).then_some(0);
        };
        let fits = |place: &usize| self.lines[*place].answers(agent);
        let fresh = (0..self.own).filter(|&place| self.used[place] == 0).find(fits);
        let tired = |place: &usize| self.used[*place] > REPEATS;
        let told = (0..self.own).rev().filter(|place| !tired(place)).find(fits);
        let spare = (self.own..self.lines.len()).filter(|place| !tired(place)).find(fits);
        let again = Some(last).filter(|place| !tired(place) && self.again.matches(agent));
        fresh.or(told).or(spare).or(again)
    }
}

/// How often a line is said again.
const REPEATS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::super::set::CallSet;
    use super::*;

    #[test]
    fn a_caller_answers_what_is_asked_and_answers_it_again() {
        let set = CallSet::parse(
            "again = 'catch that'\nspare.en = [{ when = 'right\\?', say = 'No.' }]\n[[calls]]\nname = 'a'\nagent = 'x'\nexpect = {}\n\
             lines = [{ say = 'hello' }, { when = 'Your id', say = '12' }, { when = 'Your id', say = '13' }, { when = '13.*right', say = 'Yes.' }]",
        )
        .expect("a set");
        let mut talk = Talk::new(&set.calls[0].lines, set.spare("en"), &set.again);
        let mut answer = |agent: &str| talk.answer(agent);
        assert_eq!(answer("Welcome."), Some(0));
        assert_eq!(answer("I did not catch that."), Some(0));
        assert_eq!(answer("Your id?"), Some(1));
        assert_eq!(answer("Your id, please?"), Some(2));
        assert_eq!(answer("Your id, please?"), Some(2), "the latest of those used");
        assert_eq!(answer("It is 18, right?"), Some(4), "nobody agrees to what is wrong");
        assert_eq!(answer("It is 13, right?"), Some(3));
        assert_eq!(answer("Anything else?"), None);
        assert_eq!(talk.unused(), 0);
    }

    #[test]
    fn nobody_says_the_same_for_ever() {
        let set = CallSet::parse(
            "again = 'what'\n[[calls]]\nname = 'a'\nagent = 'x'\nexpect = {}\nlines = [{ say = 'hello' }]",
        )
        .expect("a set");
        let mut talk = Talk::new(&set.calls[0].lines, set.spare("en"), &set.again);
        let said = (0..10).map_while(|_| talk.answer("what?")).count();
        assert_eq!(said, 1 + usize::from(REPEATS));
    }
}
