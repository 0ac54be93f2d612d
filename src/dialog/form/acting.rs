//! Tools: what is given to them, and what follows from what they say.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value as Json};

use super::{Asked, Dialog, Next, Place, Step};
use crate::dialog::agent::{Act, Form, Reaction, Then};
use crate::dialog::slot::Date;
use crate::dialog::tool::{ToolCall, ToolResult};

impl Dialog {
    /// The tool of the last step is done.
    pub fn done(&mut self, result: &ToolResult, today: Date) -> Step {
        let mut step = Step::new();
        let asked = std::mem::replace(&mut self.asked, Asked::Open);
        match &asked {
            Asked::Tool { call, place } => self.react(&call.tool, *place, result, today, &mut step),
            Asked::Open | Asked::More | Asked::Slot { .. } | Asked::Confirm | Asked::Which => self.asked = asked,
        }
        self.ended(step)
    }

    /// The tool that is being run, or has to be run again because its result was lost.
    pub fn awaited_tool(&self) -> Option<&ToolCall> {
        match &self.asked {
            Asked::Tool { call, .. } => Some(call),
            Asked::Open | Asked::More | Asked::Slot { .. } | Asked::Confirm | Asked::Which => None,
        }
    }

    /// Runs a tool, unless it is done or its condition does not hold.
    pub(super) fn run_act(&mut self, place: Place, act: &Act, today: Date, step: &mut Step) -> bool {
        let context = self.context(today);
        let Some(run) = &mut self.run else { return false };
        if run.done.contains(&place) || act.when.as_ref().is_some_and(|when| !when.holds(&context)) {
            return false;
        }
        let args: Map<String, Json> = if act.args.is_empty() {
            run.slots
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect()
        } else {
            let given = act
                .args
                .iter()
                .map(|(name, expr)| (name.clone(), json(&expr.eval(&context))));
            given.filter(|(_, value)| !value.is_null()).collect()
        };
        // Another try of the same tool in the same form is another act, and so are other arguments: after a broken stream the call
        // begins anew, under the same id.
        let tries = run.tries.get(&place).copied().unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        (place, Json::from(args.clone()).to_string()).hash(&mut hasher);
        let (call, begun, what) = (&self.call.id, self.begun, hasher.finish());
        let key = format!("{call}/{begun}/{}/{tries}/{what:x}", act.tool);
        let call = ToolCall {
            tool: act.tool.clone(),
            args,
            key,
        };
        self.asked = Asked::Tool {
            call: call.clone(),
            place,
        };
        step.next = Next::Run(call);
        true
    }

    fn react(&mut self, tool: &str, place: Place, result: &ToolResult, today: Date, step: &mut Step) {
        let agent = std::sync::Arc::clone(&self.agent);
        let form = self.run.as_ref().and_then(|run| agent.forms.get(run.form));
        let act = form.and_then(|form| act_at(form, place)).filter(|act| act.tool == tool);
        let (Some(form), Some(reaction)) = (form, act.and_then(|act| act.results.get(&result.outcome))) else {
            tracing::debug!(
                tool,
                outcome = result.outcome,
                "the agent's file does not say what follows from this outcome"
            );
            return self.hand_over(step);
        };
        let say = reaction
            .say
            .as_ref()
            .map(|say| say.render(&self.context_with(Some(&result.data), today)));
        if let Some(name) = &reaction.save_as {
            self.saved.insert(name.clone(), result.data.clone().into());
        }
        let again = self.ask_again(form, place, reaction);
        if again != Again::Declined {
            step.say(say.unwrap_or_default());
        }
        if again == Again::TooOften {
            return self.hand_over(step);
        }
        match reaction.then {
            Then::Continue => self.proceed(today, step),
            Then::Done => self.finish_form(step),
            Then::HandOver => self.hand_over(step),
            Then::End => self.goodbye(step),
        }
    }

    /// Empties the slots that the tool found wrong.
    fn ask_again(&mut self, form: &Form, place: Place, reaction: &Reaction) -> Again {
        let attempts = self.agent.limits.attempts;
        let Some(run) = &mut self.run else { return Again::No };
        if reaction.ask_again.is_empty() {
            run.done.insert(place);
            return Again::No;
        }
        let tries = run.tries.entry(place).or_default();
        *tries += 1;
        let often = *tries >= attempts;
        let optional = |name: &String| form.slot(name).is_some_and(|spec| spec.optional);
        if often && !reaction.ask_again.iter().all(optional) {
            return Again::TooOften;
        }
        for name in &reaction.ask_again {
            self.clear(name);
            if let Some(run) = self.run.as_mut().filter(|_| often) {
                run.declined.insert(name.clone());
            }
        }
        if often { Again::Declined } else { Again::Asked }
    }
}

/// Whether a tool's outcome makes the agent ask again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Asked,
    /// So often that the caller does without.
    Declined,
    /// So often that this agent cannot go on.
    TooOften,
}

fn act_at(form: &Form, place: Place) -> Option<&Act> {
    match place {
        Place::Before(n) => form.before.get(n),
        Place::LookUp(n) => form.slots.get(n)?.look_up.as_ref(),
        Place::Action(n) => form.actions.get(n),
    }
}

fn json(value: &minijinja::Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}
