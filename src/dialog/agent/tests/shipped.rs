//! The files that ship.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::{Agent, Agents, Form, load, names};
use crate::dialog::slot::Language;
use crate::dialog::tool::builtin::{BUILTIN, COMMON_OUTCOMES};

fn dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/agents"))
}

fn all() -> Vec<Agent> {
    let files = names(dir());
    assert!(files.len() >= 5, "{files:?}");
    let load = |name: &String| load(dir(), name).unwrap_or_else(|error| panic!("{error}"));
    files.iter().map(load).collect()
}

#[test]
fn every_agent_can_be_the_one_that_answers() {
    for agent in all() {
        let set = Agents::load(dir(), &agent.name).unwrap_or_else(|error| panic!("{error}"));
        let leads = agent
            .routes
            .iter()
            .map(|route| &route.agent)
            .chain(agent.translations.values());
        for name in leads {
            assert!(set.get(name).is_some(), "{} leads to {name}", agent.name);
        }
        assert!(agent.guides(), "{} works without an LLM", agent.name);
    }
}

#[test]
fn every_outcome_of_a_tool_has_a_reaction() {
    for agent in all() {
        for (form, act) in agent
            .forms
            .iter()
            .flat_map(|form| form.acts().map(move |act| (form, act)))
        {
            let builtin = BUILTIN.iter().find(|tool| tool.name == act.tool);
            let own = builtin.map_or(&[][..], |tool| tool.outcomes);
            for outcome in own.iter().chain(COMMON_OUTCOMES) {
                let place = format!("{}, form {}, {}", agent.name, form.name, act.tool);
                assert!(
                    act.results.contains_key(*outcome),
                    "{place}: nothing follows from {outcome}"
                );
            }
        }
    }
}

#[test]
fn translations_have_the_same_forms_with_the_same_slots() {
    let agents = all();
    let mut pairs = 0;
    for agent in &agents {
        for (code, name) in &agent.translations {
            let other = agents.iter().find(|other| other.name == *name).expect("a file");
            assert_eq!(other.language, Language::of(code), "{name}");
            let back: Vec<&String> = other.translations.values().collect();
            assert_eq!(back, [&agent.name], "{name} leads back");
            let forms = agent.forms.iter().map(shape).collect::<Vec<_>>();
            assert_eq!(forms, other.forms.iter().map(shape).collect::<Vec<_>>(), "{name}");
            assert_eq!(agent.answers.len(), other.answers.len(), "{name}");
            pairs += 1;
        }
    }
    assert!(pairs >= 4, "{pairs}");
}

/// What must not depend on the language.
fn shape(form: &Form) -> impl PartialEq + std::fmt::Debug + use<> {
    let slots = form.slots.iter().map(|slot| {
        let values: BTreeSet<String> = slot.spoken.keys().cloned().collect();
        (
            slot.name.clone(),
            std::mem::discriminant(&slot.kind),
            values,
            slot.optional,
            slot.opening,
        )
    });
    let acts = form.acts().map(|act| {
        let results = act.results.iter().map(|(outcome, reaction)| {
            let what = (reaction.save_as.clone(), reaction.ask_again.clone(), reaction.then);
            (outcome.clone(), what)
        });
        let args: Vec<String> = act.args.keys().cloned().collect();
        (act.tool.clone(), args, results.collect::<Vec<_>>())
    });
    let confirms = form.confirm.is_some();
    (
        form.name.clone(),
        confirms,
        slots.collect::<Vec<_>>(),
        acts.collect::<Vec<_>>(),
    )
}
