//! The agents of a directory, and which of them answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::{Agent, AgentError, load};

/// The agents that callers of one server can get to, read together.
#[derive(Debug, Clone)]
pub struct Agents {
    default: Arc<Agent>,
    by_name: BTreeMap<String, Arc<Agent>>,
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// One of the files.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// One that another leads to.
    #[error("agent {from}: {reason}")]
    Leads {
        /// Whose routes or translations name it.
        from: String,
        /// Why it cannot be used.
        reason: AgentError,
    },
    /// Two agents answer at one number.
    #[error("agents {first} and {second} both have the number {number}; one number is one agent's")]
    Number {
        /// By name.
        first: String,
        /// By name.
        second: String,
        /// As written.
        number: String,
    },
}

impl Agents {
    /// The agent called `default`, those with a number of their own or that place calls, and those they lead to.
    pub fn load(dir: &Path, default: &str) -> Result<Self, SetError> {
        let first = Arc::new(load(dir, default)?);
        let mut by_name = BTreeMap::from([(first.name.clone(), Arc::clone(&first))]);
        for name in super::names(dir) {
            if name != default
                && let agent = load(dir, &name)?
                && (!agent.numbers.is_empty() || agent.outgoing.allowed)
            {
                by_name.insert(name, Arc::new(agent));
            }
        }
        let mut open: Vec<Arc<Agent>> = by_name.values().cloned().collect();
        while let Some(agent) = open.pop() {
            let routes = agent.routes.iter().map(|route| &route.agent);
            for name in routes.chain(agent.translations.values()) {
                if !by_name.contains_key(name) {
                    let from = agent.name.clone();
                    let next = load(dir, name).map_err(|reason| SetError::Leads { from, reason })?;
                    let next = Arc::new(next);
                    by_name.insert(name.clone(), Arc::clone(&next));
                    open.push(next);
                }
            }
        }
        let set = Self {
            default: first,
            by_name,
        };
        set.one_agent_a_number()?;
        Ok(set)
    }

    /// Only one.
    pub fn single(agent: Agent) -> Self {
        let default = Arc::new(agent);
        let by_name = BTreeMap::from([(default.name.clone(), Arc::clone(&default))]);
        Self { default, by_name }
    }

    /// Who answers where nothing says otherwise.
    pub fn default(&self) -> &Arc<Agent> {
        &self.default
    }

    /// Who answers at a number.
    pub fn at(&self, number: &str) -> &Arc<Agent> {
        let found = self.iter().find(|agent| agent.numbers.iter().any(|own| own == number));
        found.unwrap_or(&self.default)
    }

    /// By its name.
    pub fn get(&self, name: &str) -> Option<&Arc<Agent>> {
        self.by_name.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.by_name.values()
    }

    fn one_agent_a_number(&self) -> Result<(), SetError> {
        let mut taken = BTreeMap::new();
        for agent in self.iter() {
            for number in agent.numbers.iter().collect::<BTreeSet<_>>() {
                if let Some(first) = taken.insert(number, &agent.name) {
                    return Err(SetError::Number {
                        first: first.clone(),
                        second: agent.name.clone(),
                        number: number.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}
