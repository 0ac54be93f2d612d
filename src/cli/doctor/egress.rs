//! Which other machines this configuration lets the server talk to, what they get to know, and what the guard thinks of it.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;
use url::Url;

use super::page::Line;
use crate::cli::destinations::{self, Destination, Judged};
use crate::config::Config;
use crate::dialog::agent::Agents;
use crate::privacy::egress::{Egress, Purpose, Rule, Why};

/// One line for each server. `offline`: names are not looked up.
pub(super) async fn judge(config: &Config, agents: Option<&Agents>, offline: bool) -> Vec<Line> {
    let mut all = destinations::all(config, agents);
    all.dedup();
    if all.is_empty() {
        let found = "this configuration lets the server contact no other machine";
        return vec![Line::ok(TOPIC, found)];
    }
    let (named, literal): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|destination| offline && destination.origin.literal().is_none());
    let named = named.iter().map(|destination| {
        let shown = shown(destination);
        Line::ok(TOPIC, format!("{shown}; its name was not looked up (--offline)"))
    });
    let egress = Egress::new(config.egress.clone());
    let judged = destinations::judge(&egress, literal).await;
    judged.iter().map(line).chain(named).collect()
}

fn shown(destination: &Destination) -> String {
    let Destination {
        origin, setting, gets, ..
    } = destination;
    format!("{origin}: {setting}, gets {gets}")
}

fn line(judged: &Judged) -> Line {
    let destination = &judged.destination;
    let found = shown(destination);
    let looked = match &judged.found {
        Ok(looked) => looked,
        Err(error) => {
            let remedy = "correct the name, or see that this machine's DNS or hosts file knows it";
            return Line::warn(
                TOPIC,
                format!("{found}; its name cannot be looked up ({error})"),
                remedy,
            );
        }
    };
    if let Some((address, why)) = looked.refused() {
        let (found, remedy) = destination.fault(address, why);
        return Line::fail(TOPIC, format!("{found}: the server does not start"), remedy);
    }
    let rules: Vec<Rule> = looked
        .addresses
        .iter()
        .filter_map(|(_, verdict)| verdict.ok())
        .collect();
    let Some(rule) = rules.first() else {
        return Line::ok(TOPIC, found);
    };
    let found = format!("{found} ({rule})");
    let outside = rules
        .iter()
        .any(|rule| !matches!(rule, Rule::ThisMachine | Rule::Private));
    if outside && destination.purpose != Purpose::Carrier {
        let remedy = "if that must not leave the house, use a server of your own; else have an agreement (BAA) with its operator";
        Line::warn(TOPIC, found, remedy)
    } else {
        Line::ok(TOPIC, found)
    }
}

/// A row of the table: one address of one server, or a server without any.
#[derive(Debug, Serialize)]
struct Row {
    purpose: &'static str,
    destination: String,
    address: String,
    verdict: &'static str,
    rule: String,
    setting: String,
    gets: &'static str,
}

/// Prints every machine that can be reached and why; whether the server would start.
///
/// # Errors
///
/// Standard output is closed.
pub(super) async fn table(config: &Config, agents: Option<&Agents>, json: bool) -> anyhow::Result<bool> {
    let egress = Egress::new(config.egress.clone());
    let judged = destinations::judge(&egress, destinations::all(config, agents)).await;
    let starts = judged
        .iter()
        .all(|one| !matches!(&one.found, Ok(looked) if looked.refused().is_some()));
    let names = judged.iter().any(|one| one.destination.origin.literal().is_none());
    let mut rows: Vec<Row> = judged.iter().flat_map(rows).collect();
    if names {
        rows.extend(nameservers(Path::new("/etc/resolv.conf")));
    }
    rows.extend(commands(config));
    let text = if json {
        let policy = egress.policy();
        let allow: Vec<String> = policy.allow.iter().map(ToString::to_string).collect();
        let document = serde_json::json!({
            "ok": starts, "privacy": policy.mode.name(), "egress_allow": allow, "destinations": rows,
        });
        format!("{}\n", serde_json::to_string_pretty(&document)?)
    } else {
        format!(
            "PRIVACY={}: what is not allowed here is refused at start and at each connection.\n\n{}",
            egress.policy().mode.name(),
            aligned(&rows)
        )
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(starts)
}

fn rows(judged: &Judged) -> Vec<Row> {
    let Judged { destination, found } = judged;
    let row = |address: String, verdict, rule| Row {
        purpose: destination.purpose.name(),
        destination: destination.origin.to_string(),
        address,
        verdict,
        rule,
        setting: destination.setting.clone(),
        gets: destination.gets,
    };
    match found {
        Err(error) => vec![row("-".to_owned(), "unknown", format!("cannot be looked up: {error}"))],
        Ok(looked) => {
            let each = looked.addresses.iter();
            let judged = |(address, verdict): &(IpAddr, Result<Rule, Why>)| match verdict {
                Ok(rule) => row(address.to_string(), "allowed", rule.to_string()),
                Err(why) => row(address.to_string(), "REFUSED", why.to_string()),
            };
            each.map(judged).collect()
        }
    }
}

/// Whom the system asks for names: not by way of the guard, and about nothing but the hosts above.
fn nameservers(resolv_conf: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(resolv_conf).unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    let row = |server: &str| Row {
        purpose: "dns",
        destination: format!("{server}:53"),
        address: server.to_owned(),
        verdict: "allowed",
        rule: "the system's resolver".to_owned(),
        setting: resolv_conf.display().to_string(),
        gets: "the host names above",
    };
    servers.map(row).collect()
}

/// What no server contacts, but a person with this configuration does.
fn commands(config: &Config) -> Vec<Row> {
    let row = |command, url: &Url, setting: &str, gets| Row {
        purpose: command,
        destination: format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        ),
        address: "-".to_owned(),
        verdict: "allowed",
        rule: "a command, not the server".to_owned(),
        setting: setting.to_owned(),
        gets,
    };
    let models = Url::parse(&config.server.hf_endpoint).ok();
    let models = models.map(|url| row("models pull", &url, "HF_ENDPOINT", "which models are wanted"));
    let public = config.server.public_url.iter().chain(&config.server.also_public);
    let public = public.map(|url| row("doctor", url, "PUBLIC_URL", "that somebody asks who is there"));
    public.chain(models).collect()
}

fn aligned(rows: &[Row]) -> String {
    let head = [
        "PURPOSE",
        "DESTINATION",
        "ADDRESS",
        "VERDICT",
        "BECAUSE OF",
        "SETTING",
        "GETS",
    ]
    .map(str::to_owned);
    let body = rows.iter().map(|row| {
        [
            row.purpose.to_owned(),
            row.destination.clone(),
            row.address.clone(),
            row.verdict.to_owned(),
            row.rule.clone(),
            row.setting.clone(),
            row.gets.to_owned(),
        ]
    });
    let table: Vec<[String; 7]> = std::iter::once(head).chain(body).collect();
    let widths: [usize; 7] = std::array::from_fn(|at| {
        let cells = table.iter().map(|row| row[at].chars().count());
        cells.max().unwrap_or(0)
    });
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let cells: Vec<String> = cells.collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    table.iter().map(line).collect()
}

const TOPIC: &str = "egress";

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;
    use crate::config::Strings;

    async fn judged(pairs: &[(&str, &str)]) -> Vec<Line> {
        let (config, _) = Config::read(&pairs.iter().copied().collect::<Strings>());
        judge(&config, None, false).await
    }

    #[tokio::test]
    async fn what_callers_say_stays_in_the_house_or_is_marked() {
        for (url, privacy, state, shown) in [
            ("http://127.0.0.1:8081/v1", "on-prem", State::Ok, "(this machine)"),
            ("http://10.0.0.5:8000/v1", "on-prem", State::Ok, "(private network)"),
            (
                "https://203.0.113.9/v1",
                "cloud-llm",
                State::Warn,
                "(PRIVACY=cloud-llm)",
            ),
            ("https://203.0.113.9/v1", "on-prem", State::Fail, "does not start"),
        ] {
            let lines = judged(&[("LLM_BASE_URL", url), ("PRIVACY", privacy)]).await;
            assert_eq!(lines[0].state, state, "{url}");
            assert!(lines[0].found.contains(shown), "{}", lines[0].found);
        }
    }

    #[tokio::test]
    async fn no_password_is_shown() {
        let lines = judged(&[("DATABASE_URL", "postgres://u:hidden@203.0.113.9:5433/d")]).await;
        assert!(lines[0].found.contains("203.0.113.9"), "{lines:?}");
        assert!(!format!("{lines:?}").contains("hidden"));
    }

    #[tokio::test]
    async fn offline_names_are_left_alone() {
        let pairs = [("LLM_BASE_URL", "https://llm.example.org/v1")];
        let (config, _) = Config::read(&pairs.into_iter().collect::<Strings>());
        let lines = judge(&config, None, true).await;
        assert!(lines[0].found.contains("llm.example.org:443"), "{lines:?}");
        assert!(lines[0].found.contains("not looked up"), "{lines:?}");
    }

    #[test]
    fn the_resolver_is_a_destination_too() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("resolv.conf");
        std::fs::write(&path, "# x\nsearch a\nnameserver 10.0.0.2\nnameserver 9.9.9.9\n").expect("written");
        let rows = nameservers(&path);
        let shown: Vec<&str> = rows.iter().map(|row| row.destination.as_str()).collect();
        assert_eq!(shown, ["10.0.0.2:53", "9.9.9.9:53"]);
        assert!(aligned(&rows).contains("the host names above"));
    }
}
