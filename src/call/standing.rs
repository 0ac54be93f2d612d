//! The conversation's state as it stands: what is prepared counts only once its turn does, and a turn that is taken back takes
//! its state with it.

use std::sync::Arc;

use crate::dialog::agent::Agent;
use crate::dialog::form::Dialog;
use crate::turn::event::TurnId;

/// See the module. Caller lines of the history number the states.
pub(super) struct Standing {
    dialog: Dialog,
    /// The turn that has come to it.
    turn: TurnId,
    /// How many lines of the caller it has heard.
    lines: usize,
    /// As it was before the last of them; gone when something was done that cannot be undone.
    before: Option<Dialog>,
    prepared: Option<(TurnId, usize, Dialog)>,
}

impl Standing {
    pub(super) fn new(dialog: Dialog) -> Self {
        Self {
            dialog,
            turn: TurnId(0),
            lines: 0,
            before: None,
            prepared: None,
        }
    }

    /// The state of a conversation in which the caller has had `lines` lines.
    pub(super) fn after(dialog: Dialog, lines: usize) -> Self {
        Self {
            lines,
            ..Self::new(dialog)
        }
    }

    /// Who speaks, as far as it counts.
    pub(super) fn agent(&self) -> &Arc<Agent> {
        self.dialog.agent()
    }

    /// What the conversation has come to, as far as it counts.
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// The turn that has come to it.
    pub(super) fn turn(&self) -> TurnId {
        self.turn
    }

    /// The state from which the caller's line number `line`, from 1, is answered.
    pub(super) fn at(&self, line: usize) -> &Dialog {
        match &self.before {
            Some(before) if line <= self.lines => before,
            _ => &self.dialog,
        }
    }

    /// A state that follows from the caller's line number `line`.
    pub(super) fn prepare(&mut self, turn: TurnId, line: usize, dialog: Dialog) {
        self.prepared = Some((turn, line, dialog));
    }

    /// What was prepared for a turn counts.
    pub(super) fn commit(&mut self) {
        if let Some((turn, line, dialog)) = self.prepared.take() {
            self.turn = turn;
            if line > self.lines || self.before.is_some() {
                self.before = Some(self.at(line).clone());
            }
            (self.dialog, self.lines) = (dialog, line);
        }
    }

    /// What was prepared for a turn is dropped.
    pub(super) fn drop_prepared(&mut self, turn: TurnId) {
        self.prepared.take_if(|(of, ..)| *of == turn);
    }

    /// Something was done that cannot be undone.
    pub(super) fn acted(&mut self) {
        self.before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::agent::{Agents, parse};
    use crate::dialog::form::CallFacts;
    use crate::dialog::slot::Date;

    const AGENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/eligibility.toml"));

    fn today() -> Date {
        Date::constant(2026, 11, 21)
    }

    /// What is asked after the caller's line, and the state then.
    fn heard(dialog: &Dialog, text: &str) -> (String, Dialog) {
        let mut next = dialog.clone();
        (next.hear(text, today()).say.join(" "), next)
    }

    #[test]
    fn a_line_that_is_taken_back_is_heard_again_from_where_it_was() {
        let agents = Arc::new(Agents::single(parse(AGENT, "x").expect("the file that ships")));
        let call = CallFacts {
            id: "CA1".to_owned(),
            from: None,
        };
        let mut standing = Standing::new(Dialog::new(Arc::clone(&agents), Arc::clone(agents.default()), call));
        let (asked, next) = heard(standing.at(1), "Is my coverage good?");
        assert!(asked.contains("member id"), "{asked}");
        standing.prepare(TurnId(1), 1, next.clone());
        standing.drop_prepared(TurnId(1));
        standing.commit();
        assert!(
            heard(standing.at(1), "MB123456").0.contains("date of birth"),
            "nothing had counted"
        );
        standing.prepare(TurnId(2), 1, next);
        standing.commit();
        assert!(heard(standing.at(2), "MB123456").0.contains("date of birth"));
        let (asked, _) = heard(standing.at(1), "Is my coverage good? It is MB123456.");
        assert!(asked.contains("date of birth"), "{asked}");
        standing.acted();
        assert!(
            heard(standing.at(1), "MB123456").0.contains("date of birth"),
            "the same line again goes on from here"
        );
    }
}
