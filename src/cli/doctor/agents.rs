//! The agents' files, and whether there is a voice for what they speak.

use super::page::Line;
use crate::cli::agents::Files;
use crate::cli::engines;
use crate::config::Config;
use crate::dialog::conversation::{Staff, StaffError};
use crate::privacy::egress::Egress;

/// Reads the files as the server does.
pub(super) fn read(config: &Config) -> Result<Staff, StaffError> {
    Files {
        dir: config.server.agents_dir.clone(),
        default: config.agent.clone(),
        store: None,
        texts: None,
        egress: Egress::new(config.egress.clone()),
        time_zone: config.outbound.time_zone.clone(),
        only: None,
    }
    .load()
}

pub(super) fn judge(config: &Config, staff: &Result<Staff, StaffError>) -> Vec<Line> {
    let staff = match staff {
        Ok(staff) => staff,
        Err(error) => {
            return vec![Line::fail(
                TOPIC,
                error.to_string(),
                "correct the file, AGENT or AGENTS_DIR; docs/guide/agents.md explains every field",
            )];
        }
    };
    let agents = &staff.agents;
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let found = format!("{} answers; {} can be used", agents.default().name, names.join(", "));
    let unspoken = engines::unspoken_languages(config, agents).into_iter();
    let unspoken = unspoken.map(|(fault, remedy)| Line::warn(VOICES, fault, remedy));
    let unspoken: Vec<Line> = unspoken.collect();
    let voices = if unspoken.is_empty() {
        vec![Line::ok(VOICES, "there is a voice for every language the agents speak")]
    } else {
        unspoken
    };
    std::iter::once(Line::ok(TOPIC, found)).chain(voices).collect()
}

const TOPIC: &str = "agents";
const VOICES: &str = "voices";
