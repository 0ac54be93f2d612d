//! Who answers a call, and with what their conversation begins.

use std::sync::Arc;

use super::{Call, Services};
use crate::call::opening::{Direction, Opening};
use crate::call::reception::{Answering, First};
use crate::call::registry::Parties;
use crate::call::standing::Standing;
use crate::dialog::agent::Agent;
use crate::dialog::conversation::Staff;
use crate::dialog::form::{CallFacts, Dialog};
use crate::turn::machine::{Line, Machine, Phrases, Speaker};

/// Who answers at first.
pub(in crate::call) fn begins(staff: &Staff, parties: &Parties, opening: &Opening) -> Arc<Agent> {
    let agents = &staff.agents;
    if let Some(back) = &opening.back {
        return Arc::clone(back.dialog.agent());
    }
    let named = opening.agent.as_deref().and_then(|name| agents.get(name));
    Arc::clone(match (named, &parties.to) {
        (Some(agent), _) => agent,
        (None, Some(number)) => agents.at(number),
        (None, None) => agents.default(),
    })
}

/// The conversation as it begins, or as it goes on after a hand-over that came to nothing.
pub(super) fn conversation(
    services: &Services,
    call: &Call<'_>,
    opening: &Opening,
    answering: &Answering,
) -> (Standing, Machine) {
    let (staff, agent) = (&answering.staff, &answering.agent);
    let policy = services.policy.clone();
    let mut phrases = phrases(agent);
    match &answering.first {
        First::Greeting => {}
        First::AfterNotice(heard) if *heard != phrases.notice => {}
        First::AfterNotice(_) => phrases.notice.clear(),
        First::HandOver => (phrases.notice, phrases.greeting) = (String::new(), String::new()),
    }
    if let Some(back) = &opening.back {
        phrases.greeting.clone_from(&back.words);
        let machine = Machine::new(policy, phrases).after(back.history.clone(), back.next_turn);
        return (
            Standing::after((*back.dialog).clone(), lines(machine.history())),
            machine,
        );
    }
    let person = match opening.direction {
        Direction::Inbound => &call.parties.from,
        Direction::Outbound => &call.parties.to,
    };
    let facts = CallFacts {
        id: call.call_sid.to_owned(),
        from: person.clone(),
    };
    let mut dialog = Dialog::new(Arc::clone(&staff.agents), Arc::clone(agent), facts);
    if opening.direction == Direction::Outbound {
        dialog.know("context", opening.context.clone());
        if let Some(greeting) = &agent.outgoing.greeting {
            phrases.greeting = greeting.render(&dialog.template_context(services.today(agent)));
        }
    }
    (Standing::new(dialog), Machine::new(policy, phrases))
}

/// How often the caller has had the floor.
pub(super) fn lines(history: &[Line]) -> usize {
    history.iter().filter(|line| line.speaker == Speaker::Caller).count()
}

/// The machine's phrases are those of the agent.
pub(super) fn phrases(agent: &Agent) -> Phrases {
    Phrases {
        notice: agent.notice.clone(),
        greeting: agent.greeting.clone(),
        still_there: agent.phrases.still_there.clone(),
        goodbye: agent.phrases.goodbye.clone(),
        apology: agent.phrases.apology.clone(),
        not_heard: agent.phrases.not_heard.clone(),
        too_long: agent.phrases.too_long.clone(),
    }
}
