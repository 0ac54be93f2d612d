//! The servers that a configuration names, and whether the egress guard admits them.

use std::io;
use std::net::IpAddr;

use anyhow::Context as _;
use futures_util::future::join_all;
use url::Url;

use crate::config::{Config, Location};
use crate::dialog::agent::Agents;
use crate::privacy::egress::{Egress, Looked, Mode, Origin, Purpose, Refused, Why};
use crate::store::postgres_origin;

/// One server, and what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) purpose: Purpose,
    pub(super) origin: Origin,
    /// The key, or the tool and its agent.
    pub(super) setting: String,
    /// What it gets to know.
    pub(super) gets: &'static str,
}

/// A destination, looked up.
pub(super) struct Judged {
    pub(super) destination: Destination,
    pub(super) found: io::Result<Looked>,
}

/// Every server that the serving process may contact by this configuration.
pub(super) fn all(config: &Config, agents: Option<&Agents>) -> Vec<Destination> {
    let mut all = Vec::new();
    let mut add = |purpose, origin: Option<Origin>, setting: String, gets| {
        all.extend(origin.map(|origin| Destination {
            purpose,
            origin,
            setting,
            gets,
        }));
    };
    let of = |url: &str| Url::parse(url).ok().as_ref().and_then(Origin::of);
    if let Some(url) = &config.llm.base_url {
        let setting = if config.llm.is_openai() {
            "LLM_BASE_URL (where it is not set, a key means OpenAI)"
        } else {
            "LLM_BASE_URL"
        };
        add(Purpose::Llm, of(url), setting.to_owned(), "the text of conversations");
    }
    if let Some(url) = &config.stt.url {
        add(Purpose::Stt, of(url), "STT_URL".to_owned(), "what callers say");
    }
    if let Some(url) = &config.tts.url {
        add(Purpose::Tts, of(url), "TTS_URL".to_owned(), "what the agent says");
    }
    if let Location::Postgres(url) = &config.database.location {
        let origin = postgres_origin(url.expose());
        add(Purpose::Database, origin, "DATABASE_URL".to_owned(), "all records");
    }
    if let Some(rest) = config.twilio.rest() {
        let setting = "TWILIO_ACCOUNT_SID".to_owned();
        add(
            Purpose::Carrier,
            of(&rest.url),
            setting,
            "numbers, messages, orders to calls",
        );
    }
    all.extend(agents.into_iter().flat_map(tools));
    all
}

/// Those of the agents' HTTP tools.
pub(super) fn tools(agents: &Agents) -> Vec<Destination> {
    let mut all = Vec::new();
    for agent in agents.iter() {
        for tool in &agent.tools {
            all.extend(tool.base().as_ref().and_then(Origin::of).map(|origin| Destination {
                purpose: Purpose::Tool,
                origin,
                setting: format!("tool {} of agent {}", tool.name, agent.name),
                gets: "its arguments",
            }));
        }
    }
    all
}

/// Looks all of them up at the same time.
pub(super) async fn judge(egress: &Egress, destinations: Vec<Destination>) -> Vec<Judged> {
    let each = destinations.into_iter().map(|destination| async move {
        let found = egress.look(destination.purpose, &destination.origin).await;
        Judged { destination, found }
    });
    join_all(each).await
}

/// Fails if one of them is outside of what may be contacted: for the server's start.
pub(super) async fn admit(egress: &Egress, destinations: Vec<Destination>) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for judged in judge(egress, destinations).await {
        let Destination { setting, origin, .. } = &judged.destination;
        match &judged.found {
            // What has no address is contacted by nobody, and decided about again when it has one.
            Err(error) => {
                tracing::warn!("{setting}: {} cannot be looked up ({error})", origin.host);
            }
            Ok(looked) => match looked.refused() {
                Some((address, why)) => faults.push(judged.destination.fault(address, why)),
                None => warn_of_others(setting, origin, looked),
            },
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let faults: Vec<String> = faults
        .into_iter()
        .map(|(found, remedy)| format!("{found}. {remedy}"))
        .collect();
    Err(anyhow::anyhow!("{}", faults.join("\n")))
        .context("what leaves the house is guarded, and the configuration leads outside")
}

fn warn_of_others(setting: &str, origin: &Origin, looked: &Looked) {
    let others = looked.addresses.iter().filter(|(_, verdict)| verdict.is_err()).count();
    if others > 0 {
        let host = &origin.host;
        tracing::warn!("{setting}: {others} addresses of {host} are outside and are never connected to");
    }
}

impl Destination {
    /// What is wrong, and what to do about it.
    pub(super) fn fault(&self, address: IpAddr, why: Why) -> (String, String) {
        let host = &self.origin.host;
        let refused = Refused {
            host: host.clone(),
            address,
            why,
        };
        let remedy = match why {
            Why::Public(Mode::OnPrem) if self.purpose == Purpose::Llm => format!(
                "Use a language model of your own (LLM_BASE_URL), or set PRIVACY=cloud-llm if {} may go there, or add {host} to \
                 EGRESS_ALLOW",
                self.gets
            ),
            Why::Public(_) => format!(
                "Use a server of your own, or add {host} to EGRESS_ALLOW if {} may go there",
                self.gets
            ),
            Why::Plain if self.purpose == Purpose::Database => "Add ?sslmode=verify-full to DATABASE_URL".to_owned(),
            Why::Plain => "Write https:// instead of http://".to_owned(),
            Why::Special => "Correct the address".to_owned(),
        };
        (format!("{}: {refused}", self.setting), remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Strings;

    async fn admitted(pairs: &[(&str, &str)]) -> Result<(), String> {
        let strings: Strings = pairs.iter().copied().collect();
        let config = Config::parse(&strings).expect("good settings");
        let egress = Egress::new(config.egress.clone());
        let done = admit(&egress, all(&config, None)).await;
        done.map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn the_server_starts_only_with_what_may_be_contacted() {
        for pairs in [
            &[][..],
            &[
                ("LLM_BASE_URL", "http://127.0.0.1:8081/v1"),
                ("STT_URL", "http://10.0.0.5/v1"),
            ],
            &[("LLM_BASE_URL", "https://203.0.113.9/v1"), ("PRIVACY", "cloud-llm")],
            &[("TTS_URL", "https://203.0.113.9/v1"), ("EGRESS_ALLOW", "203.0.113.9")],
            &[("DATABASE_URL", "postgres://u@%2Frun%2Fpg/d")],
        ] {
            assert_eq!(admitted(pairs).await, Ok(()), "{pairs:?}");
        }
        for (pairs, parts) in [
            (
                &[("LLM_BASE_URL", "https://203.0.113.9/v1")][..],
                &[
                    "LLM_BASE_URL: 203.0.113.9 is not contacted",
                    "a public address",
                    "set PRIVACY=cloud-llm",
                ][..],
            ),
            (
                &[("LLM_BASE_URL", "http://203.0.113.9/v1"), ("PRIVACY", "cloud-llm")],
                &["LLM_BASE_URL: 203.0.113.9", "without encryption", "Write https://"],
            ),
            (
                &[("STT_URL", "https://203.0.113.9/v1"), ("PRIVACY", "cloud-llm")],
                &[
                    "STT_URL: 203.0.113.9",
                    "for the language model only",
                    "add 203.0.113.9 to EGRESS_ALLOW",
                ],
            ),
            (
                &[("DATABASE_URL", "postgres://u:hidden@203.0.113.9/d")],
                &["DATABASE_URL: 203.0.113.9", "if all records may go there"],
            ),
            (
                &[
                    ("LLM_BASE_URL", "http://169.254.169.254/v1"),
                    ("TTS_URL", "http://203.0.113.9/v1"),
                ],
                &["LLM_BASE_URL: 169.254.169.254", "link-local", "TTS_URL: 203.0.113.9"],
            ),
        ] {
            let error = admitted(pairs).await.expect_err("outside");
            for part in parts {
                assert!(error.contains(part), "{part} in {error}");
            }
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_agents_tool_is_a_destination_too() {
        let text = "name = \"a\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n[[tools]]\nname = \"find\"\n\
                    description = \"x\"\nurl = \"https://203.0.113.9/m/{{ id }}\"\nparameters = { type = \"object\", \
                    properties = { id = { type = \"string\" } }, required = [\"id\"] }\n";
        let agents = Agents::single(crate::dialog::agent::parse(text, "a.toml").expect("a good file"));
        let error = admit(&Egress::default(), tools(&agents)).await.expect_err("outside");
        let error = format!("{error:#}");
        assert!(
            error.contains("tool find of agent a: 203.0.113.9 is not contacted"),
            "{error}"
        );
        assert!(error.contains("if its arguments may go there"), "{error}");
    }

    #[tokio::test]
    async fn a_key_alone_means_openai_and_says_so() {
        let strings: Strings = [("OPENAI_API_KEY", "sk-x")].into_iter().collect();
        let config = Config::parse(&strings).expect("good settings");
        let [llm] = &all(&config, None)[..] else {
            panic!("one destination")
        };
        let (fault, _) = llm.fault([203, 0, 113, 9].into(), Why::Public(Mode::OnPrem));
        assert!(
            fault.starts_with("LLM_BASE_URL (where it is not set, a key means OpenAI)"),
            "{fault}"
        );
        assert!(
            fault.contains("api.openai.com is not contacted: it is at 203.0.113.9"),
            "{fault}"
        );
    }
}
