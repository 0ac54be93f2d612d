//! The summary: yes, no, or a correction.

use std::sync::Arc;

use super::{Asked, Dialog, Step, words};
use crate::dialog::agent::{Form, SlotSpec};
use crate::dialog::slot::{Choice, Date, Slot, Value, affirms, capitalised};

impl Dialog {
    pub(super) fn confirming(&mut self, text: &str, today: Date, step: &mut Step) {
        if !self.confirmed(text, today, step) {
            self.missed(today, step);
        }
    }

    /// `false` if the text is no answer to a summary.
    pub(super) fn confirmed(&mut self, text: &str, today: Date, step: &mut Step) -> bool {
        let agent = Arc::clone(&self.agent);
        let Some(form) = self.run.as_ref().and_then(|run| agent.forms.get(run.form)) else {
            return false;
        };
        if self.disowned(text) {
            self.proceed(today, step);
            return true;
        }
        let answer = Slot::YesNo.parse(text, agent.language, today).value;
        // "Yes, but make it urgent": what is said of a slot counts for more than the yes, and "It is at 7 Mill Lane" is none.
        let plain_yes = answer == Some(Value::YesNo(true))
            && affirms(text, agent.language)
            && !words::restricts(text, agent.language)
            && self.contradicted(form, text, today).is_none();
        let named = words::rejects(text, agent.language) && self.clear_named(form, text);
        if named || !plain_yes && (self.correct(form, text, today) || self.clear_named(form, text)) {
            self.proceed(today, step);
            return true;
        }
        match answer {
            Some(Value::YesNo(true)) if plain_yes => {
                self.misses = 0;
                if let Some(run) = &mut self.run {
                    run.confirmed = true;
                }
                self.proceed(today, step);
            }
            Some(Value::YesNo(_)) => self.ask_which(step),
            _ if words::rejects(text, agent.language) => self.ask_which(step),
            _ => return false,
        }
        true
    }

    pub(super) fn correcting(&mut self, text: &str, today: Date, step: &mut Step) {
        let agent = Arc::clone(&self.agent);
        let Some(form) = self.run.as_ref().and_then(|run| agent.forms.get(run.form)) else {
            return self.ask_open(step);
        };
        let named = self.disowned(text)
            || self.clear_placed(form, text, today)
            || words::rejects(text, agent.language) && self.clear_named(form, text);
        if named || self.correct(form, text, today) || self.clear_named(form, text) {
            return self.proceed(today, step);
        }
        if words::says_everything(text, agent.language) {
            for spec in &form.slots {
                self.clear(&spec.name);
            }
            return self.proceed(today, step);
        }
        self.missed(today, step);
    }

    /// "The last one", of those the agent has named: it is asked again.
    fn clear_placed(&mut self, form: &Form, text: &str, today: Date) -> bool {
        let language = self.agent.language;
        let Some(run) = &self.run else { return false };
        let filled = form.slots.iter().filter(|spec| run.slots.contains_key(&spec.name));
        let choices = filled.map(|spec| Choice {
            value: spec.name.clone(),
            says: vec![spec.label.clone()],
        });
        let named = Slot::Choice(choices.collect()).parse(text, language, today).value;
        match named {
            Some(Value::Choice(name)) if words::count(text) <= PLACE => {
                self.clear(&name);
                true
            }
            _ => false,
        }
    }

    /// "The location is wrong": it is asked again. So is what another look-up has made needless.
    fn clear_named(&mut self, form: &Form, text: &str) -> bool {
        let Some(run) = &self.run else { return false };
        let known = |spec: &&SlotSpec| run.slots.contains_key(&spec.name) || self.has_found(spec);
        let named = form.slots.iter().filter(known);
        let named = named.max_by_key(|spec| words::shared(text, &spec.label));
        match named.filter(|spec| words::shared(text, &spec.label) > 0) {
            Some(spec) => {
                self.clear(&spec.name);
                true
            }
            None => false,
        }
    }

    /// "That's not me": whom a look-up has found, or the number they call from, is somebody else.
    pub(super) fn disowned(&mut self, text: &str) -> bool {
        let agent = Arc::clone(&self.agent);
        let form = self.run.as_ref().and_then(|run| agent.forms.get(run.form));
        let found = form.and_then(|form| form.slots.iter().find(|spec| self.has_found(spec)));
        match found.filter(|_| words::disowns(text, agent.language)) {
            Some(spec) => {
                self.clear(&spec.name);
                true
            }
            None => false,
        }
    }

    /// Whether what its look-up would find is known.
    fn has_found(&self, spec: &SlotSpec) -> bool {
        spec.finds().any(|name| self.saved.contains_key(name))
    }

    pub(super) fn ask_which(&mut self, step: &mut Step) {
        self.asked = Asked::Which;
        let mut labels: Vec<String> = Vec::new();
        if let (Some(form), Some(run)) = (self.form(), &self.run) {
            let filled = form.slots.iter().filter(|spec| run.slots.contains_key(&spec.name));
            labels = filled.map(|spec| spec.label.clone()).collect();
        }
        let or = words::or(self.agent.language);
        step.say(match labels.split_last() {
            Some((last, [])) => format!("{} {last}?", self.agent.phrases.which_wrong),
            Some((last, first)) => {
                format!(
                    "{} {}, {or} {last}?",
                    self.agent.phrases.which_wrong,
                    capitalised(&first.join(", "))
                )
            }
            None => self.agent.phrases.which_wrong.clone(),
        });
    }
}

/// Words of "the last one". More may be a correction: "the first is a five".
const PLACE: usize = 4;
