//! Whether the tools that a form names exist, and can answer what the form expects of them.

use super::form::Form;
use crate::dialog::tool::builtin::{BUILTIN, COMMON_OUTCOMES};
use crate::dialog::tool::spec::{HttpToolSpec, OK};

/// The first fault: where in the file, and what.
pub(super) fn fault(form: &Form, own: &[HttpToolSpec]) -> Option<(usize, String)> {
    let start = form.slots.first().map_or(0, |slot| slot.ask.at());
    let name = &form.name;
    form.acts().find_map(|act| {
        let tool = &act.tool;
        let at = act.args.values().map(|arg| arg.at()).next().unwrap_or(start);
        let builtin = BUILTIN.iter().find(|builtin| builtin.name == tool);
        let mut outcomes: Vec<&str> = COMMON_OUTCOMES.to_vec();
        match (builtin, own.iter().find(|spec| spec.name == *tool)) {
            (_, Some(spec)) => {
                outcomes.push(OK);
                outcomes.extend(spec.outcomes.values().map(String::as_str));
            }
            (Some(builtin), None) => {
                outcomes.extend(builtin.outcomes);
                let unknown = act
                    .args
                    .keys()
                    .find(|arg| builtin.parameters.iter().all(|has| has.name != arg.as_str()));
                if let Some(unknown) = unknown {
                    let known: Vec<&str> = builtin.parameters.iter().map(|has| has.name).collect();
                    let known = known.join(", ");
                    return Some((at, format!("form {name}: {tool} takes no {unknown}; it takes: {known}")));
                }
            }
            (None, None) => {
                let known: Vec<&str> = BUILTIN.iter().map(|builtin| builtin.name).collect();
                let known = known.join(", ");
                return Some((
                    at,
                    format!("form {name}: there is no tool {tool}; there are {known}, and those of [[tools]]"),
                ));
            }
        }
        let unknown = act
            .results
            .keys()
            .find(|outcome| !outcomes.contains(&outcome.as_str()))?;
        let known = outcomes.join(", ");
        Some((
            at,
            format!("form {name}: {tool} never answers {unknown}; it answers: {known}"),
        ))
    })
}
