//! The conversation's state, and the dialog that needs no LLM: it asks, understands, confirms, acts and answers from the agent's file.
//!
//! Pure. [`Dialog::hear`] takes what the caller said and gives a [`Step`]: what to say, and whether a tool is to be run, whose
//! result goes to [`Dialog::done`]. The LLM, where there is one, fills the same forms ([`Dialog::submit`]); tools are run, and
//! what must be confirmed is confirmed, here in either case.

mod acting;
mod answer;
mod answers;
mod confirming;
mod opening;
mod private;
mod submit;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

pub use submit::{Submitted, Unfit};

use crate::dialog::agent::{Agent, Agents, Context, Form, SlotSpec};
use crate::dialog::slot::{Date, Slot, Value};
use crate::dialog::tool::ToolCall;
use crate::turn::event::Progress;

/// What is fixed for one call.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct CallFacts {
    /// Unique: part of every tool call's key.
    pub id: String,
    /// The caller's number in E.164, if it is shown.
    pub from: Option<String>,
}

/// One call's conversation. Holds PHI: it has no `Debug`.
#[derive(Clone)]
pub struct Dialog {
    agents: Arc<Agents>,
    agent: Arc<Agent>,
    call: CallFacts,
    asked: Asked,
    run: Option<Run>,
    /// What tools found, by the names the agent's file gives.
    saved: Map<String, Json>,
    /// What they found and was of somebody else, for as long as the history may name it.
    denied: Vec<Json>,
    /// Answers in a row that were not understood.
    misses: u8,
    /// Answers of the LLM in a row that brought the form no further.
    chats: u8,
    /// Forms begun.
    begun: u32,
    /// The urgent answer that was given to what the caller said last.
    warned: Option<String>,
    /// What was said last, for callers who ask for it again.
    said: Vec<String>,
}

/// What the agent waits for.
#[derive(Clone, PartialEq)]
enum Asked {
    /// Whatever the caller wants.
    Open,
    /// Whether there is anything else.
    More,
    /// A slot of the form, of which part may have been said.
    Slot { name: String, heard: String },
    /// Whether the summary is right.
    Confirm,
    /// Which part of it is wrong.
    Which,
    /// A tool.
    Tool { call: ToolCall, place: Place },
}

/// Where in a form a tool is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    Before(usize),
    LookUp(usize),
    Action(usize),
}

/// A form that is being filled.
#[derive(Clone)]
struct Run {
    form: usize,
    slots: BTreeMap<String, Value>,
    /// Optional ones that the caller does without.
    declined: BTreeSet<String>,
    /// Tools that are done.
    done: BTreeSet<Place>,
    confirmed: bool,
    /// How often each place had to ask again.
    tries: BTreeMap<Place, u8>,
    /// The slot filled last.
    last: Option<String>,
}

/// What the dialog does next.
#[derive(Clone, PartialEq)]
pub struct Step {
    /// Spoken in this order.
    pub say: Vec<String>,
    /// And then.
    pub next: Next,
}

/// What comes after a step's words.
#[derive(Clone, PartialEq)]
pub enum Next {
    /// The caller's answer.
    Listen,
    /// A tool, whose result goes to [`Dialog::done`].
    Run(ToolCall),
    /// A person: this agent cannot go on.
    HandOver,
    /// The end of the call.
    End,
}

private_debug!(CallFacts);

impl Step {
    fn new() -> Self {
        Self {
            say: Vec::new(),
            next: Next::Listen,
        }
    }

    fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.say.push(text);
        }
    }
}

impl Dialog {
    /// A call that `agent`, one of `agents`, answers.
    pub fn new(agents: Arc<Agents>, agent: Arc<Agent>, call: CallFacts) -> Self {
        Self {
            agents,
            agent,
            call,
            asked: Asked::Open,
            run: None,
            saved: Map::new(),
            denied: Vec::new(),
            misses: 0,
            chats: 0,
            begun: 0,
            warned: None,
            said: Vec::new(),
        }
    }

    /// Who speaks at present.
    pub fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    /// The call's id.
    pub fn call_sid(&self) -> &str {
        &self.call.id
    }

    /// The caller speaks another language: the agent's translation takes over, with all that is known, if there is one.
    pub fn turn_to(&mut self, language: &str) {
        let name = self.agent.translations.get(language);
        let Some(agent) = name.and_then(|name| self.agents.get(name)).map(Arc::clone) else {
            return;
        };
        if let Some(run) = &mut self.run {
            let form = self.agent.forms.get(run.form).map(|form| form.name.as_str());
            match agent.forms.iter().position(|other| Some(other.name.as_str()) == form) {
                Some(same) => run.form = same,
                None => (self.run, self.asked) = (None, Asked::Open),
            }
        }
        self.agent = agent;
    }

    /// Something is known from the beginning: templates find it under `name`.
    pub fn know(&mut self, name: &str, facts: Map<String, Json>) {
        self.saved.insert(name.to_owned(), facts.into());
    }

    /// The number of the person on the telephone, if it is known.
    pub fn person(&self) -> Option<&str> {
        self.call.from.as_deref()
    }

    /// What the form that is being filled is for.
    pub fn purpose(&self) -> Option<&str> {
        self.form().map(|form| form.description.as_str())
    }

    /// Whether what is said now, by either side, is of a slot that no recording may hold.
    pub fn is_sensitive(&self) -> bool {
        let Some((form, run)) = self.form().zip(self.run.as_ref()) else {
            return false;
        };
        let mut sensitive = form.slots.iter().filter(|spec| spec.sensitive);
        match &self.asked {
            Asked::Slot { name, .. } => sensitive.any(|spec| spec.name == *name),
            // It is read back, or said again.
            Asked::Confirm | Asked::Which => sensitive.any(|spec| run.slots.contains_key(&spec.name)),
            Asked::Open | Asked::More | Asked::Tool { .. } => false,
        }
    }

    /// Whether this agent can go on without an LLM.
    pub fn guides(&self) -> bool {
        self.agent.guides()
    }

    /// Ends the conversation as asked, with the words that belong to it.
    pub fn end(&mut self, next: Next) -> Step {
        let mut step = Step::new();
        match next {
            Next::HandOver => self.hand_over(&mut step),
            Next::End | Next::Listen | Next::Run(_) => self.goodbye(&mut step),
        }
        self.ended(step)
    }

    /// What templates of the agent's file are rendered with.
    pub fn template_context(&self, today: Date) -> Context {
        self.context(today)
    }

    /// The caller has said `text`, a whole turn.
    pub fn hear(&mut self, text: &str, today: Date) -> Step {
        let mut step = Step::new();
        self.heard(text, today, &mut step);
        self.ended(step)
    }

    /// The caller has pressed `keys` and no more follow.
    pub fn press(&mut self, keys: &str, today: Date) -> Step {
        let mut step = Step::new();
        self.pressed(keys, today, &mut step);
        self.ended(step)
    }

    /// Whether more is to come after `text`, where something is awaited whose form is known.
    pub fn progress(&self, text: &str, today: Date) -> Option<Progress> {
        let language = self.agent.language;
        match &self.asked {
            Asked::Slot { name, heard } => {
                let spec = self.form()?.slot(name)?;
                Some(answer::read(&spec.kind, heard, text, language, today).parsed.progress)
            }
            Asked::Confirm => {
                let answer = Slot::YesNo.parse(text, language, today);
                // "No, it is …": a correction is anything.
                (answer.progress == Progress::Complete).then_some(Progress::Complete)
            }
            Asked::Open if self.agent.forms.is_empty() => {
                let slot = self.agent.expect.as_ref()?;
                Some(slot.parse(text, language, today).progress)
            }
            Asked::Open | Asked::More | Asked::Which | Asked::Tool { .. } => None,
        }
    }

    /// Remembers what was said, in case it is asked for again.
    fn ended(&mut self, step: Step) -> Step {
        if !step.say.is_empty() {
            self.said.clone_from(&step.say);
        }
        step
    }

    fn heard(&mut self, text: &str, today: Date, step: &mut Step) {
        let language = self.agent.language;
        if self.warn(text, today, step) {
            return;
        }
        if let Asked::Tool { call, .. } = &self.asked {
            // Its result was lost with an interrupted turn; the key sees to it that nothing is done twice.
            step.next = Next::Run(call.clone());
            return;
        }
        if words::asks_for_person(text, language, &self.agent.hand_over.says) {
            return self.hand_over(step);
        }
        if words::asks_to_repeat(text, language) && !self.said.is_empty() {
            step.say.clone_from(&self.said);
            return;
        }
        if words::says_goodbye(text, language) {
            return self.goodbye(step);
        }
        if self.cancels(text) {
            return self.finish_form(step);
        }
        match self.asked.clone() {
            Asked::Open | Asked::More => self.open(text, today, step),
            Asked::Slot { name, heard } => self.answer(&name, &heard, text, today, step),
            Asked::Confirm => self.confirming(text, today, step),
            Asked::Which => self.correcting(text, today, step),
            Asked::Tool { .. } => {}
        }
    }

    /// The caller does not want the present form any more.
    fn cancels(&self, text: &str) -> bool {
        let own = self.agent.forms.iter().flat_map(|form| &form.says);
        let answers = self.agent.answers.iter().flat_map(|answer| &answer.says);
        self.run.is_some()
            && words::cancels(text, self.agent.language)
            && !own.chain(answers).any(|says| words::mentions(text, says))
    }

    fn pressed(&mut self, keys: &str, today: Date, step: &mut Step) {
        let language = self.agent.language;
        match self.asked.clone() {
            Asked::Slot { name, .. } => {
                let kind = self
                    .form()
                    .and_then(|form| form.slot(&name))
                    .map(|spec| spec.kind.clone());
                match kind.and_then(|kind| kind.keyed(keys, language, today).value) {
                    Some(value) => {
                        self.fill(&name, value);
                        self.proceed(today, step);
                    }
                    None => self.missed(today, step),
                }
            }
            Asked::Confirm => match keys.trim_end_matches('#') {
                "1" => self.heard(words::yes(language), today, step),
                "2" => self.heard(words::no(language), today, step),
                _ => self.missed(today, step),
            },
            Asked::Open | Asked::More => self.choose(keys, today, step),
            Asked::Which => self.missed(today, step),
            // As for what is said meanwhile.
            Asked::Tool { call, .. } => step.next = Next::Run(call),
        }
    }

    /// Goes on with the form: the next tool, the next question, the summary, or the end.
    fn proceed(&mut self, today: Date, step: &mut Step) {
        let agent = Arc::clone(&self.agent);
        let Some(form) = self.run.as_ref().and_then(|run| agent.forms.get(run.form)) else {
            return self.ask_open(step);
        };
        for (n, act) in form.before.iter().enumerate() {
            if self.run_act(Place::Before(n), act, today, step) {
                return;
            }
        }
        for (n, spec) in form.slots.iter().enumerate() {
            let context = self.context(today);
            let Some(run) = &mut self.run else { return };
            if run.slots.contains_key(&spec.name) {
                if let Some(act) = &spec.look_up
                    && self.run_act(Place::LookUp(n), act, today, step)
                {
                    return;
                }
            } else if !run.declined.contains(&spec.name) && spec.when.as_ref().is_none_or(|when| when.holds(&context)) {
                return self.ask(spec, &context, step);
            }
        }
        if let Some(confirm) = &form.confirm
            && self.run.as_ref().is_some_and(|run| !run.confirmed)
        {
            self.asked = Asked::Confirm;
            return step.say(confirm.render(&self.context(today)));
        }
        for (n, act) in form.actions.iter().enumerate() {
            if self.run_act(Place::Action(n), act, today, step) {
                return;
            }
        }
        self.finish_form(step);
    }

    fn ask(&mut self, spec: &SlotSpec, context: &Context, step: &mut Step) {
        let text = match &spec.reask {
            Some(reask) if self.misses > 0 => reask,
            Some(_) | None => &spec.ask,
        };
        self.asked = Asked::Slot {
            name: spec.name.clone(),
            heard: String::new(),
        };
        step.say(text.render(context));
    }

    fn finish_form(&mut self, step: &mut Step) {
        self.run = None;
        self.misses = 0;
        self.asked = Asked::More;
        step.say(self.agent.phrases.anything_else.clone());
    }

    fn ask_open(&mut self, step: &mut Step) {
        self.run = None;
        self.asked = Asked::Open;
        step.say(self.agent.phrases.menu.clone());
    }

    fn goodbye(&mut self, step: &mut Step) {
        self.run = None;
        self.asked = Asked::More;
        step.say(self.agent.phrases.goodbye.clone());
        step.next = Next::End;
    }

    fn hand_over(&mut self, step: &mut Step) {
        step.say(self.agent.phrases.hand_over.clone());
        step.next = Next::HandOver;
    }

    /// The caller was not understood. Asks again, a few times.
    fn missed(&mut self, today: Date, step: &mut Step) {
        self.misses += 1;
        if self.misses < self.agent.limits.attempts {
            step.say(self.agent.phrases.not_understood.clone());
            return self.proceed_again(today, step);
        }
        self.misses = 0;
        let optional = match (&self.asked, self.form()) {
            (Asked::Slot { name, .. }, Some(form)) => form.slot(name).filter(|spec| spec.optional),
            _ => None,
        };
        match (optional.map(|spec| spec.name.clone()), &mut self.run) {
            (Some(name), Some(run)) => {
                run.declined.insert(name);
                self.proceed(today, step);
            }
            _ => self.hand_over(step),
        }
    }

    /// Asks the same thing again.
    fn proceed_again(&mut self, today: Date, step: &mut Step) {
        match self.asked {
            Asked::Open | Asked::More => self.ask_open(step),
            Asked::Which => self.ask_which(step),
            Asked::Slot { .. } | Asked::Confirm | Asked::Tool { .. } => self.proceed(today, step),
        }
    }

    fn form(&self) -> Option<&Form> {
        self.agent.forms.get(self.run.as_ref()?.form)
    }

    fn fill(&mut self, name: &str, value: Value) {
        if self.form().is_none_or(|form| form.slot(name).is_none()) {
            return;
        }
        self.clear(name);
        let Some(run) = &mut self.run else { return };
        run.slots.insert(name.to_owned(), value);
        run.last = Some(name.to_owned());
        (self.misses, self.chats) = (0, 0);
    }

    /// Empties a slot, and forgets what was found by it: another value may be another customer's.
    fn clear(&mut self, name: &str) {
        let agent = Arc::clone(&self.agent);
        let Some(run) = &mut self.run else { return };
        run.slots.remove(name);
        run.declined.remove(name);
        run.confirmed = false;
        let form = agent.forms.get(run.form);
        let Some((form, place)) = form.and_then(|form| {
            let place = form.slots.iter().position(|spec| spec.name == name);
            Some((form, place?))
        }) else {
            return;
        };
        run.done.remove(&Place::LookUp(place));
        for found in form.slots.get(place).into_iter().flat_map(SlotSpec::finds) {
            let Some(facts) = self.saved.remove(found) else {
                continue;
            };
            self.denied.push(facts);
            // Who calls does not tell again what the caller has denied.
            for (n, act) in form.before.iter().enumerate() {
                if act.saves().any(|saved| saved == found) {
                    run.done.insert(Place::Before(n));
                }
            }
        }
    }

    /// What templates see: each slot as it is spoken, `raw` as tools get them, what tools found, and the fixed names.
    fn context(&self, today: Date) -> Context {
        self.context_with(None, today)
    }

    fn context_with(&self, result: Option<&Map<String, Json>>, today: Date) -> Context {
        let mut all = self.saved.clone();
        let mut raw = Map::new();
        for (name, value) in self.run.iter().flat_map(|run| &run.slots) {
            let spec = self.form().and_then(|form| form.slot(name));
            let spoken = spec.map(|spec| spec.speak(value, self.agent.language));
            all.insert(name.clone(), spoken.unwrap_or_default().into());
            raw.insert(name.clone(), value.to_json());
        }
        all.insert("raw".to_owned(), raw.into());
        all.insert("result".to_owned(), result.cloned().unwrap_or_default().into());
        all.insert("caller".to_owned(), serde_json::json!({ "phone": self.call.from }));
        all.insert("language".to_owned(), self.agent.language.code().into());
        all.insert("today".to_owned(), today.to_string().into());
        Context::from_serialize(Json::Object(all))
    }
}

#[cfg(test)]
mod tests;
