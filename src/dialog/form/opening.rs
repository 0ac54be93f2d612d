//! What the caller wants: a form, another agent, or a fact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Asked, Dialog, Next, Run, Step, words};
use crate::dialog::agent::{Agent, Form};
use crate::dialog::slot::{Date, Slot, Value};

/// What a sentence asks for.
enum Intent {
    Form(usize),
    Route(String),
    Answer(usize),
}

impl Dialog {
    pub(super) fn open(&mut self, text: &str, today: Date, step: &mut Step) {
        let language = self.agent.language;
        if let Some(intent) = self.intent(text, today) {
            return self.follow(intent, text, today, step);
        }
        if words::is_done(text, language) {
            return self.goodbye(step);
        }
        if self.asked == Asked::More {
            let answer = Slot::YesNo.parse(text, language, today).value;
            // "No, that's fine" is not clear anywhere else.
            let answer = answer.or_else(|| Some(Slot::YesNo.find(text, language, today)?.value));
            match answer {
                Some(Value::YesNo(false)) => return self.goodbye(step),
                Some(Value::YesNo(true)) => return self.ask_open(step),
                _ => {}
            }
        }
        if words::greets(text, language) {
            self.ask_open(step);
        } else if self.agent.forms.len() == 1 && self.agent.routes.is_empty() && self.asked == Asked::Open {
            self.start_form(0, text, today, step);
        } else {
            self.missed(today, step);
        }
    }

    /// Digits pressed where anything may be wanted: a route's key, or a form by its place.
    pub(super) fn choose(&mut self, keys: &str, today: Date, step: &mut Step) {
        let mut chars = keys.chars().filter(|c| *c != '#');
        let (Some(key), None) = (chars.next(), chars.next()) else {
            return self.missed(today, step);
        };
        let routed = self.agent.routes.iter().find(|route| route.key == Some(key));
        let form = key.to_digit(10).and_then(|n| (n as usize).checked_sub(1));
        match (routed.map(|route| route.agent.clone()), form) {
            (Some(agent), _) => self.follow(Intent::Route(agent), "", today, step),
            (None, Some(form)) if form < self.agent.forms.len() => self.start_form(form, "", today, step),
            _ => self.missed(today, step),
        }
    }

    /// In the middle of a form the caller asks for something else.
    pub(super) fn switch_form(&mut self, text: &str, today: Date, step: &mut Step) -> bool {
        let present = self.run.as_ref().map(|run| run.form);
        let wanted = self
            .agent
            .forms
            .iter()
            .enumerate()
            .find(|(n, form)| Some(*n) != present && form.says.iter().any(|says| words::mentions(text, says)));
        let wanted = wanted.map(|(n, _)| n);
        if let Some(form) = wanted {
            self.start_form(form, text, today, step);
        }
        wanted.is_some()
    }

    /// What the agent's file answers to a question.
    pub(super) fn matching_answer(&self, text: &str) -> Option<String> {
        let best = self
            .agent
            .answers
            .iter()
            .map(|answer| (words::score(text, &answer.says), answer));
        let best = best.filter(|(score, _)| *score > 0).max_by_key(|(score, _)| *score);
        best.map(|(_, answer)| answer.say.clone())
    }

    /// Says what an urgent answer has for it, whatever is awaited; then the call goes on where it was. `false` if the text is no
    /// emergency, or was just warned of: who says it again means something else.
    pub(super) fn warn(&mut self, text: &str, today: Date, step: &mut Step) -> bool {
        let last = self.warned.take();
        let urgent = self.agent.answers.iter().filter(|answer| answer.urgent);
        let scored = urgent.map(|answer| (words::score(text, &answer.says), &answer.say));
        let best = scored
            .filter(|(score, say)| *score > 0 && last.as_ref() != Some(*say))
            .max_by_key(|(score, _)| *score);
        let Some(say) = best.map(|(_, say)| say.clone()) else {
            return false;
        };
        step.say(say.clone());
        self.warned = Some(say);
        match &self.asked {
            Asked::Open | Asked::More => {
                (self.misses, self.asked) = (0, Asked::More);
                step.say(self.agent.phrases.anything_else.clone());
            }
            Asked::Tool { call, .. } => step.next = Next::Run(call.clone()),
            Asked::Slot { .. } | Asked::Confirm | Asked::Which => self.proceed_again(today, step),
        }
        true
    }

    fn follow(&mut self, intent: Intent, text: &str, today: Date, step: &mut Step) {
        match intent {
            Intent::Form(form) => self.start_form(form, text, today, step),
            Intent::Answer(answer) => {
                step.say(self.agent.answers[answer].say.clone());
                self.misses = 0;
                self.asked = Asked::More;
                step.say(self.agent.phrases.anything_else.clone());
            }
            Intent::Route(name) => {
                let Some(agent) = self.agents.get(&name).map(Arc::clone) else {
                    return self.missed(today, step);
                };
                self.agent = agent;
                self.asked = Asked::Open;
                // What brought the caller here may say more than where to.
                let here = self.intent(text, today);
                match here.filter(|intent| !matches!(intent, Intent::Route(_))) {
                    Some(intent) => self.follow(intent, text, today, step),
                    None if self.agent.forms.len() == 1 => self.start_form(0, text, today, step),
                    None => self.ask_open(step),
                }
            }
        }
    }

    /// Leads to the agent that a sentence asks for. `false` if it asks for none, or for something here.
    pub(super) fn route(&mut self, text: &str, today: Date, step: &mut Step) -> bool {
        let intent = self.intent(text, today);
        let routed = intent.filter(|intent| matches!(intent, Intent::Route(_)));
        let found = routed.is_some();
        if let Some(intent) = routed {
            self.follow(intent, text, today, step);
        }
        found
    }

    /// The caller wants nothing more. Only where nothing is awaited.
    pub(super) fn is_done(&self, text: &str, today: Date) -> bool {
        words::is_done(text, self.agent.language) && self.intent(text, today).is_none()
    }

    fn intent(&self, text: &str, today: Date) -> Option<Intent> {
        let forms = self.agent.forms.iter().enumerate();
        let forms = forms.map(|(n, form)| (self.wants(form, text, today), Intent::Form(n)));
        let answers = self.agent.answers.iter().enumerate();
        let answers = answers.map(|(n, answer)| (words::score(text, &answer.says), Intent::Answer(n)));
        let routes = self.agent.routes.iter().map(|route| {
            let forms = self.agents.get(&route.agent).into_iter().flat_map(|agent| &agent.forms);
            let through = forms.map(|form| self.wants(form, text, today)).max();
            let score = words::score(text, &route.says).max(through.unwrap_or_default());
            (score, Intent::Route(route.agent.clone()))
        });
        // Of equals the first: what the agent does itself.
        let all = forms.chain(routes).chain(answers).filter(|(score, _)| *score > 0);
        all.reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map(|(_, intent)| intent)
    }

    /// How much a sentence asks for a form, by its words or by one of its choices.
    pub(super) fn wants(&self, form: &Form, text: &str, today: Date) -> usize {
        let language = self.agent.language;
        // What is chosen first tells what it is about; "today" may be an answer to a later choice and means nothing yet.
        let first = form.slots.iter().find(|spec| matches!(spec.kind, Slot::Choice(_)));
        let ids = form.slots.iter().filter(|spec| matches!(spec.kind, Slot::Id(_)));
        let mut telling = first.into_iter().chain(ids);
        let chosen = telling.any(|spec| spec.kind.find(text, language, today).is_some());
        words::score(text, &form.says).max(usize::from(chosen))
    }

    /// Begins a form with what the caller has said of it already.
    pub(super) fn start_form(&mut self, form: usize, text: &str, today: Date, step: &mut Step) {
        self.begin(form, text, today);
        self.proceed(today, step);
    }

    pub(super) fn begin(&mut self, form: usize, text: &str, today: Date) {
        let agent = Arc::clone(&self.agent);
        self.begun += 1;
        (self.misses, self.chats) = (0, 0);
        self.run = Some(Run {
            form,
            slots: BTreeMap::new(),
            declined: BTreeSet::new(),
            done: BTreeSet::new(),
            confirmed: false,
            tries: BTreeMap::new(),
            last: None,
        });
        let Some(form) = agent.forms.get(form) else { return };
        self.prefill(&agent, form, today);
        self.absorb(form, text, today);
        let generic = words::score(text, &form.says) > 0;
        let enough = if generic { OPENING_WITH_INTENT } else { OPENING };
        if let Some(spec) = form.slots.iter().find(|spec| spec.opening)
            && text.split_whitespace().count() >= enough
        {
            self.fill(&spec.name, Value::Text(text.trim().to_owned()));
        }
    }

    fn prefill(&mut self, agent: &Agent, form: &Form, today: Date) {
        let context = self.context(today);
        for spec in &form.slots {
            let known = spec.prefill.as_ref().map(|prefill| prefill.eval(&context));
            if let Some(known) = known.as_ref().and_then(|known| known.as_str())
                && let Some(value) = spec.kind.parse(known, agent.language, today).value
            {
                self.fill(&spec.name, value);
            }
        }
    }
}

/// Words of a sentence that describes a problem.
const OPENING: usize = 4;
/// The same if it also names the form, as "I need a repair" does.
const OPENING_WITH_INTENT: usize = 9;
