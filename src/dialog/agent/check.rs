//! What must fit together in an agent's file: forms, tools, routes, and the names that texts use.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::Raw;
use super::form::{GIVEN, OWN_TOOLS};
use super::tools;

type Fault = Option<(usize, String)>;

/// The first fault: where in the file, and what.
pub(super) fn fault(raw: &Raw) -> Fault {
    let tools: Vec<_> = raw.tools.iter().map(Spanned::get_ref).collect();
    let forms = || raw.forms.iter().map(Spanned::get_ref);
    // What one form has found, another may use.
    let saved = forms().flat_map(|form| form.saved());
    let known: BTreeSet<&str> = saved.chain(GIVEN.iter().copied()).collect();
    twice(raw)
        .or_else(|| early(raw))
        .or_else(|| forms().find_map(|form| form.fault().or_else(|| form.stranger(&known))))
        .or_else(|| forms().find_map(|form| tools::fault(form, &tools)))
        .or_else(|| forms().find_map(|form| tools::sms_fault(form, raw.sms.private)))
        .or_else(|| {
            let (at, used) = raw.system_prompt.names();
            let slots = forms().flat_map(|form| form.slots.iter().map(|slot| slot.name.as_str()));
            let known: BTreeSet<&str> = slots.chain(known.iter().copied()).collect();
            let unknown = used.iter().find(|used| !known.contains(used.as_str()))?;
            let known = known.iter().copied().collect::<Vec<_>>().join(", ");
            Some((at, format!("nothing is called {unknown}; there are: {known}")))
        })
}

/// A text that is said before, or beside, any form, and uses what only forms know.
fn early(raw: &Raw) -> Fault {
    let known = ["caller", "context", "language", "today"];
    let texts = [&raw.outgoing.greeting, &raw.outgoing.message];
    texts.into_iter().flatten().find_map(|text| {
        let (at, used) = text.names();
        let unknown = used.iter().find(|name| !known.contains(&name.as_str()))?;
        let known = known.join(", ");
        Some((at, format!("nothing is called {unknown} yet; there are: {known}")))
    })
}

/// Two of a name, or of a key.
fn twice(raw: &Raw) -> Fault {
    let forms = raw.forms.iter().map(|form| {
        let at = form.span().start;
        (at, form.get_ref().name.as_str(), "a form")
    });
    let tools = raw.tools.iter().map(|tool| {
        let at = tool.span().start;
        (at, tool.get_ref().name.as_str(), "a tool")
    });
    let mut taken: BTreeMap<&str, &str> = OWN_TOOLS
        .iter()
        .map(|own| (own.name, "a tool of every agent"))
        .collect();
    for (at, name, what) in forms.chain(tools) {
        if let Some(before) = taken.insert(name, what) {
            let message = format!("{name} is the name of {before} already; the LLM could not tell it from {what}");
            return Some((at, message));
        }
    }
    let mut keys = BTreeSet::new();
    let again = raw.routes.iter().find_map(|route| {
        let key = route.get_ref().key.filter(|key| !keys.insert(*key))?;
        Some((route.span().start, key))
    });
    again.map(|(at, key)| (at, format!("two routes have the key {key}")))
}
