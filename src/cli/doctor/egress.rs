//! Which other machines this configuration lets the server talk to, and what they get to know.

use url::Url;

use super::page::Line;
use crate::config::{Config, Location, is_local};
use crate::dialog::agent::Agents;

/// How far away a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    ThisMachine,
    Private,
    Public,
}

impl Reach {
    fn of(url: &Url) -> Self {
        let here = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match (here, is_local(url)) {
            (true, _) => Self::ThisMachine,
            (false, true) => Self::Private,
            (false, false) => Self::Public,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ThisMachine => "this machine",
            Self::Private => "private network",
            Self::Public => "PUBLIC",
        }
    }
}

/// One machine.
#[derive(Debug, PartialEq, Eq)]
struct Destination {
    host: String,
    reach: Reach,
    why: String,
    /// Whether it learns what callers say or are.
    learns: bool,
}

pub(super) fn judge(config: &Config, agents: Option<&Agents>) -> Vec<Line> {
    let destinations = destinations(config, agents);
    if destinations.is_empty() {
        return vec![Line::ok(
            TOPIC,
            "this configuration lets the server contact no other machine",
        )];
    }
    destinations.into_iter().map(line).collect()
}

fn line(destination: Destination) -> Line {
    let Destination {
        host,
        reach,
        why,
        learns,
    } = destination;
    let found = format!("{host} ({}): {why}", reach.name());
    if reach == Reach::Public && learns {
        let remedy = "if that must not leave the house, use a server of your own; else have an agreement (BAA) with its operator";
        Line::warn(TOPIC, found, remedy)
    } else {
        Line::ok(TOPIC, found)
    }
}

fn destinations(config: &Config, agents: Option<&Agents>) -> Vec<Destination> {
    let mut all = Vec::new();
    let mut add = |url: &str, why: String, learns: bool| {
        // A template's host is literal; what follows it may not be a URL yet.
        let fixed = url.split("{").next().unwrap_or_default();
        if let Ok(url) = Url::parse(fixed)
            && let Some(host) = url.host_str()
        {
            let host = url
                .port()
                .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            let reach = Reach::of(&url);
            let destination = Destination {
                host,
                reach,
                why,
                learns,
            };
            if !all.contains(&destination) {
                all.push(destination);
            }
        }
    };
    if let Some(url) = &config.llm.base_url {
        add(url, "LLM_BASE_URL, gets the text of conversations".to_owned(), true);
    }
    if let Some(url) = &config.stt.url {
        add(url, "STT_URL, gets what callers say".to_owned(), true);
    }
    if let Some(url) = &config.tts.url {
        add(url, "TTS_URL, gets what the agent says".to_owned(), true);
    }
    for agent in agents.into_iter().flat_map(Agents::iter) {
        for tool in &agent.tools {
            let why = format!("tool {} of agent {}, gets its arguments", tool.name, agent.name);
            add(&tool.url, why, true);
        }
    }
    if let Location::Postgres(url) = &config.database.location {
        add(url.expose(), "DATABASE_URL, keeps all records".to_owned(), true);
    }
    if let Some(rest) = config.twilio.rest() {
        add(
            &rest.url,
            "Twilio's API, for calls that this server controls".to_owned(),
            false,
        );
    }
    add(
        &config.server.hf_endpoint,
        "HF_ENDPOINT, only for `tieline models pull`".to_owned(),
        false,
    );
    all
}

const TOPIC: &str = "egress";

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;
    use crate::config::Strings;

    fn judged(pairs: &[(&str, &str)]) -> Vec<Line> {
        let (config, _) = Config::read(&pairs.iter().copied().collect::<Strings>());
        judge(&config, None)
    }

    #[test]
    fn what_callers_say_may_stay_in_the_house_or_is_marked() {
        for (url, state, shown) in [
            ("http://127.0.0.1:8081/v1", State::Ok, "127.0.0.1:8081 (this machine)"),
            ("http://gpu-box:8000/v1", State::Ok, "gpu-box:8000 (private network)"),
            ("https://llm.example.org/v1", State::Warn, "llm.example.org (PUBLIC)"),
        ] {
            let lines = judged(&[("LLM_BASE_URL", url)]);
            assert_eq!(lines[0].state, state, "{url}");
            assert!(lines[0].found.starts_with(shown), "{}", lines[0].found);
        }
    }

    #[test]
    fn no_password_is_shown() {
        let lines = judged(&[("DATABASE_URL", "postgres://u:hidden@db.example.org:5433/d")]);
        assert!(
            lines[0].found.starts_with("db.example.org:5433 (PUBLIC): DATABASE_URL"),
            "{lines:?}"
        );
        assert!(!format!("{lines:?}").contains("hidden"));
    }
}
