//! Whether the tools that a form names exist, get what they need, and can answer what the form expects of them.

use super::form::{Act, Form, OWN_TOOLS, SlotSpec, Then};
use crate::dialog::slot::Slot;
use crate::dialog::tool::builtin::{BUILTIN, COMMON_OUTCOMES};
use crate::dialog::tool::sms::Texts;
use crate::dialog::tool::spec::{HttpToolSpec, OK};

/// What a form must know of a tool.
struct Known<'a> {
    parameters: Vec<&'a str>,
    required: Vec<&'a str>,
    /// Whether it takes others too.
    open: bool,
    outcomes: Vec<&'a str>,
    /// If it changes something: what else may be done than asking for a yes.
    changes: Option<&'static str>,
}

/// The first fault: where in the file, and what.
pub(super) fn fault(form: &Form, own: &[&HttpToolSpec]) -> Option<(usize, String)> {
    let found = form.acts().find_map(|act| act_fault(form, act, own));
    found.map(|(at, message)| (at, format!("form {}: {message}", form.name)))
}

fn act_fault(form: &Form, act: &Act, own: &[&HttpToolSpec]) -> Option<(usize, String)> {
    let tool = &act.tool;
    if let Some(model) = OWN_TOOLS.iter().find(|own| own.name == tool) {
        let then = if model.then == Then::HandOver {
            "hand-over"
        } else {
            "end"
        };
        let message = format!("{tool} is the language model's; write then = \"{then}\" in a result instead");
        return Some((act.at, message));
    }
    let Some(known) = known(tool, own) else {
        let known: Vec<&str> = BUILTIN.iter().map(|builtin| builtin.name).collect();
        let known = known.join(", ");
        let message = format!("there is no tool {tool}; there are {known}, and those of [[tools]]");
        return Some((act.at, message));
    };
    if let Some(remedy) = known.changes
        && !(form.confirm.is_some() && form.actions.contains(act))
    {
        let message = format!(
            "{tool} changes something and needs the caller's yes: make it an action of a form with confirm{remedy}"
        );
        return Some((act.at, message));
    }
    let mut args = act.args.iter().filter(|_| !known.open);
    if let Some((unknown, expr)) = args.find(|(arg, _)| !known.parameters.contains(&arg.as_str())) {
        let takes = known.parameters.join(", ");
        let takes = if takes.is_empty() { "nothing" } else { &takes };
        return Some((expr.at(), format!("{tool} takes no {unknown}; it takes: {takes}")));
    }
    let given = |name: &&&str| match act.args.is_empty() {
        true => form.slot(name).is_some(),
        false => act.args.contains_key(**name),
    };
    if let Some(missing) = known.required.iter().find(|name| !given(name)) {
        let from = if act.args.is_empty() {
            "no slot is called so"
        } else {
            "it is not in args"
        };
        return Some((act.at, format!("{tool} needs {missing}, and {from}")));
    }
    let mut results = act.results.iter();
    let (unknown, reaction) = results.find(|(outcome, _)| !known.outcomes.contains(&outcome.as_str()))?;
    let known = known.outcomes.join(", ");
    Some((
        reaction.at,
        format!("{tool} never answers {unknown}; it answers: {known}"),
    ))
}

/// Whether a form's text messages are sent only after the caller has said yes, and hold nothing of what was said in the call
/// unless the file wants that.
pub(super) fn sms_fault(form: &Form, private: bool) -> Option<(usize, String)> {
    let early = form.acts().count() - form.actions.len();
    let asks = |act: &Act| {
        let names = act.when.as_ref().map(|when| when.names().1).unwrap_or_default();
        let agrees =
            |slot: &SlotSpec| slot.kind == Slot::YesNo && (names.contains(&slot.name) || names.contains("raw"));
        form.confirm.is_some() || form.slots.iter().any(agrees)
    };
    form.acts()
        .enumerate()
        .filter(|(_, act)| act.tool == Texts::TOOL)
        .find_map(|(n, act)| {
            if n < early || !asks(act) {
                let needs = "an action of a form with confirm, or with a when that names a yes-no slot";
                let message = format!("form {}: send_sms needs the caller's yes: make it {needs}", form.name);
                return Some((act.at, message));
            }
            let Some(text) = act.args.get("text") else {
                return Some((act.at, format!("form {}: send_sms needs its text in args", form.name)));
            };
            let (at, used) = text.names();
            let told = used.iter().find(|name| !["language", "today"].contains(&name.as_str()));
            told.filter(|_| !private).map(|name| {
                let message = format!(
                    "form {}: send_sms would tell {name} to whoever has the telephone",
                    form.name
                );
                (at, format!("{message}; leave it out, or write [sms] private = true"))
            })
        })
}

/// The agent's own tools come before those built in.
fn known<'a>(tool: &str, own: &[&'a HttpToolSpec]) -> Option<Known<'a>> {
    let mut outcomes: Vec<&str> = COMMON_OUTCOMES.to_vec();
    if let Some(spec) = own.iter().find(|spec| spec.name == *tool) {
        let schema = &spec.parameters;
        let names = schema["properties"].as_object();
        let required = schema["required"].as_array();
        outcomes.push(OK);
        outcomes.extend(spec.outcomes.values().map(String::as_str));
        return Some(Known {
            parameters: names.into_iter().flatten().map(|(name, _)| name.as_str()).collect(),
            required: required
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str())
                .collect(),
            open: !matches!(schema["additionalProperties"].as_bool(), None | Some(false)),
            outcomes,
            changes: spec
                .changes
                .then_some(", or write changes = false in its [[tools]] if it only looks something up"),
        });
    }
    let builtin = BUILTIN.iter().find(|builtin| builtin.name == tool)?;
    outcomes.extend(builtin.outcomes);
    let required = builtin.parameters.iter().filter(|parameter| parameter.required);
    Some(Known {
        parameters: builtin.parameters.iter().map(|parameter| parameter.name).collect(),
        required: required.map(|parameter| parameter.name).collect(),
        open: false,
        outcomes,
        changes: builtin.changes.then_some(""),
    })
}
