//! The answer to a question of the form.

use std::sync::Arc;

use super::{Asked, Dialog, Step, words};
use crate::dialog::agent::{Form, SlotSpec};
use crate::dialog::slot::{Date, Language, Resumed, Slot, Value};
use crate::turn::event::Progress;

impl Dialog {
    pub(super) fn answer(&mut self, name: &str, heard: &str, text: &str, today: Date, step: &mut Step) {
        if heard.is_empty()
            && words::starts_over(text, self.agent.language)
            && let Some(form) = self.run.as_ref().map(|run| run.form)
        {
            self.forget_answers();
            return self.start_form(form, "", today, step);
        }
        if self.disowned(text) {
            return self.proceed(today, step);
        }
        if self.take(name, heard, text, today) {
            return self.proceed(today, step);
        }
        if let Some(say) = self.matching_answer(text) {
            step.say(say);
            return self.proceed(today, step);
        }
        if self.switch_form(text, today, step) {
            return;
        }
        if words::waits(text, self.agent.language) {
            step.say(self.agent.phrases.take_time.clone());
        } else if self.begins_answer(name, heard, text, today) {
            step.say(self.agent.phrases.go_on.clone());
        } else {
            self.missed(today, step);
        }
    }

    /// Empties what was filled, with what was found by it.
    fn forget_answers(&mut self) {
        let filled = self.run.iter().flat_map(|run| run.slots.keys().cloned());
        for name in filled.collect::<Vec<_>>() {
            self.clear(&name);
        }
    }

    /// Keeps the beginning of an answer, a few times. `false` if it is none.
    pub(super) fn begins_answer(&mut self, name: &str, heard: &str, text: &str, today: Date) -> bool {
        let language = self.agent.language;
        let spec = self.form().and_then(|form| form.slot(name));
        let kind = spec.map(|spec| &spec.kind).filter(|kind| comes_in_parts(kind));
        let begun = kind.map(|kind| read(kind, heard, text, language, today));
        let begun = begun.filter(|begun| begun.parsed.progress == Progress::Incomplete);
        let begun = begun.filter(|_| self.misses < self.agent.limits.attempts);
        // Who says the same address again does not go on; figures may well be the same.
        let again = kind == Some(&Slot::Address) && words::same(heard, text);
        let begun = begun.filter(|_| !again);
        let begins = begun.is_some();
        if let Some(begun) = begun {
            self.misses += 1;
            self.asked = Asked::Slot {
                name: name.to_owned(),
                heard: begun.text,
            };
        }
        begins
    }

    /// Takes what `text` says of the slot that was asked for, and of others. `false` if nothing.
    pub(super) fn take(&mut self, name: &str, heard: &str, text: &str, today: Date) -> bool {
        let agent = Arc::clone(&self.agent);
        let language = agent.language;
        let Some(form) = self.run.as_ref().and_then(|run| agent.forms.get(run.form)) else {
            return false;
        };
        let Some(spec) = form.slot(name) else { return false };
        let own = without_dates(form, spec, text, language, today);
        let parsed = read(&spec.kind, heard, &own, language, today).parsed;
        // "No, it is …": about what was said before, unless it answers what was asked.
        let answers = parsed.value.is_some() && parsed.progress == Progress::Complete && self.is_only(form, spec);
        let corrects = if spec.kind == Slot::Text {
            // "No hot water since yesterday" is a description.
            words::changes(text, language)
        } else {
            words::corrects(text, language)
        };
        if corrects && !answers && self.correct(form, text, today) {
            self.absorb(form, text, today);
            return true;
        }
        if spec.optional && words::declines(text, language) {
            if let Some(run) = &mut self.run {
                run.declined.insert(name.to_owned());
            }
            self.misses = 0;
            self.absorb(form, text, today);
            return true;
        }
        // Of a yes or no the whole sentence counts: "Yes. Yes, that's wrong."
        let is_yes_no = spec.kind == Slot::YesNo;
        let value = parsed.value.or_else(|| {
            let within = || Some(spec.kind.find(text, language, today)?.value);
            let first = || read(&spec.kind, heard, first_copy(text)?, language, today).parsed.value;
            (!is_yes_no).then(|| within().or_else(first))?
        });
        // "No" tells nothing, whatever it was an answer to.
        let bare = spec.kind == Slot::Text && words::is_bare(text, language, today);
        let value = value.filter(|_| !bare);
        let taken = value.is_some();
        if let Some(value) = value {
            self.fill(name, value);
        }
        let is_free = matches!(spec.kind, Slot::Name | Slot::Address | Slot::Text);
        // The words of a free answer are its own.
        let absorbed = !(taken && is_free) && self.absorb(form, text, today);
        taken || absorbed
    }

    /// Takes values of slots that are not filled yet from anywhere in a sentence.
    pub(super) fn absorb(&mut self, form: &Form, text: &str, today: Date) -> bool {
        let language = self.agent.language;
        let mut any = false;
        // Also what the caller did not have before.
        let empty = |spec: &&SlotSpec| self.run.as_ref().is_some_and(|run| !run.slots.contains_key(&spec.name));
        let empty: Vec<&SlotSpec> = form.slots.iter().filter(empty).collect();
        for spec in &empty {
            // Of two empty slots of one kind it could be either.
            let alone = empty.iter().filter(|other| other.kind == spec.kind).count() == 1;
            if alone
                && is_recognisable(&spec.kind)
                && let Some(found) = spec.kind.find(text, language, today)
            {
                let last = self.run.as_ref().and_then(|run| run.last.clone());
                self.fill(&spec.name, found.value);
                if let (Some(run), Some(last)) = (&mut self.run, last) {
                    run.last = Some(last);
                }
                any = true;
            }
        }
        any
    }

    /// Changes a value that was given before. `false` if the text names none.
    pub(super) fn correct(&mut self, form: &Form, text: &str, today: Date) -> bool {
        let language = self.agent.language;
        let mut filled: Vec<(&SlotSpec, Value)> = form
            .slots
            .iter()
            .filter_map(|spec| Some((spec, self.run.as_ref()?.slots.get(&spec.name)?.clone())))
            .collect();
        let found = self.contradicted(form, text, today);
        // What is named comes first, then what was said last.
        let last = self.run.as_ref().and_then(|run| run.last.clone());
        filled.sort_by_key(|(spec, _)| {
            (
                std::cmp::Reverse(words::shared(text, &spec.label)),
                Some(&spec.name) != last.as_ref(),
            )
        });
        let amended = |text: &str| {
            let named = |spec: &SlotSpec| words::shared(text, &spec.label) > 0;
            // A bare "no" could be about anything.
            let mut filled = filled
                .iter()
                .filter(|(spec, _)| spec.kind != Slot::YesNo || named(spec));
            filled.find_map(|(spec, old)| {
                let text = without_dates(form, spec, text, language, today);
                let new = spec.kind.amend(old, &text, language, today)?;
                (new != *old).then(|| (spec.name.clone(), new))
            })
        };
        // "No, it ends in 456. And I was born …": the one sentence without the other.
        let parts = text.split_inclusive(". ").filter(|part| part.len() < text.len());
        let mut parts = parts.filter(|part| words::corrects(part, language));
        let changed = found.or_else(|| amended(text)).or_else(|| parts.find_map(amended));
        let is_changed = changed.is_some();
        if let Some((name, value)) = changed {
            self.fill(&name, value);
        }
        is_changed
    }

    /// A value that a sentence has for a slot which was filled with another.
    pub(super) fn contradicted(&self, form: &Form, text: &str, today: Date) -> Option<(String, Value)> {
        let run = self.run.as_ref()?;
        form.slots
            .iter()
            .filter(|spec| is_recognisable(&spec.kind))
            .find_map(|spec| {
                let old = run.slots.get(&spec.name)?;
                let new = spec.kind.find(text, self.agent.language, today)?.value;
                (new != *old).then(|| (spec.name.clone(), new))
            })
    }

    /// Whether a value of this slot's kind can be for no other slot that is filled. A yes or no is for the one that was asked.
    fn is_only(&self, form: &Form, spec: &SlotSpec) -> bool {
        if spec.kind == Slot::YesNo {
            return true;
        }
        let free = matches!(spec.kind, Slot::Name | Slot::Address | Slot::Text);
        let alike = form.slots.iter().filter(|other| other.kind == spec.kind);
        !free && alike.filter(|other| self.has(&other.name)).count() == 0
    }

    fn has(&self, name: &str) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.slots.contains_key(name) || run.declined.contains(name))
    }
}

/// The first sentence of a text that starts over: "July 22nd, 1990. July 20, 2" is Whisper's, not the caller's.
fn first_copy(text: &str) -> Option<&str> {
    let (first, rest) = text.split_once(". ")?;
    let word = |text: &str| text.split_whitespace().next().map(str::to_lowercase);
    (word(first) == word(rest)).then_some(first)
}

/// Whether a value of this kind can be told from anything else a caller says.
fn is_recognisable(kind: &Slot) -> bool {
    match kind {
        Slot::Id(_) | Slot::Phone { .. } | Slot::Date(_) | Slot::Choice(_) | Slot::Email | Slot::Money => true,
        // Only where it is introduced: "my name is".
        Slot::Name | Slot::Address => true,
        Slot::Digits { .. } | Slot::YesNo | Slot::Number { .. } | Slot::Text => false,
    }
}

/// Whether callers say it piece by piece.
fn comes_in_parts(kind: &Slot) -> bool {
    match kind {
        Slot::Digits { .. } | Slot::Id(_) | Slot::Phone { .. } | Slot::Date(_) | Slot::Email | Slot::Address => true,
        Slot::YesNo | Slot::Number { .. } | Slot::Money | Slot::Choice(_) | Slot::Name | Slot::Text => false,
    }
}

/// The text without the dates that other slots find in it, whose figures are no part of this one's value.
fn without_dates(form: &Form, spec: &SlotSpec, text: &str, language: Language, today: Date) -> String {
    let mut rest = text.to_owned();
    if matches!(spec.kind, Slot::Id(_) | Slot::Digits { .. } | Slot::Phone { .. }) {
        let dates = form.slots.iter().filter(|other| matches!(other.kind, Slot::Date(_)));
        for date in dates {
            if let Some(found) = date.kind.find(&rest, language, today) {
                rest.replace_range(found.span, "");
            }
        }
    }
    rest
}

/// Reads an answer that may have been begun in an earlier turn.
pub(super) fn read(kind: &Slot, heard: &str, text: &str, language: Language, today: Date) -> Resumed {
    if heard.is_empty() {
        let parsed = kind.parse(text, language, today);
        let text = text.to_owned();
        Resumed { parsed, text }
    } else {
        kind.resume(heard, text, language, today)
    }
}
