//! What the server may contact.

use super::parse::{Bad, Reader};
use crate::privacy::egress::{Allowed, Mode, Policy};

pub(super) fn policy(reader: &mut Reader<'_>) -> Policy {
    Policy {
        mode: reader.or_default("PRIVACY", mode),
        allow: reader.optional("EGRESS_ALLOW", entries).unwrap_or_default(),
    }
}

pub(super) fn describe(policy: &Policy, lines: &mut Vec<(&'static str, String)>) {
    let allow: Vec<String> = policy.allow.iter().map(ToString::to_string).collect();
    let allow = if allow.is_empty() {
        "nothing else".to_owned()
    } else {
        allow.join(",")
    };
    lines.extend([("PRIVACY", policy.mode.name().to_owned()), ("EGRESS_ALLOW", allow)]);
}

fn mode(value: &str) -> Result<Mode, Bad> {
    let known = [Mode::OnPrem, Mode::CloudLlm];
    let found = known.into_iter().find(|known| value.eq_ignore_ascii_case(known.name()));
    found.ok_or_else(|| Bad::new("on-prem or cloud-llm"))
}

fn entries(value: &str) -> Result<Vec<Allowed>, Bad> {
    let parsed: Result<_, _> = value.split(',').map(str::parse).collect();
    parsed.map_err(|()| {
        Bad::new("host names without *, IP addresses, each perhaps with :PORT, and networks such as 100.64.0.0/10, with commas between")
            .example("crm.example.org:443,100.64.0.0/10")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Strings};

    #[test]
    fn the_strictest_unless_told_otherwise() {
        let policy = |pairs: &[(&str, &str)]| {
            let strings: Strings = pairs.iter().copied().collect();
            Config::parse(&strings)
                .map(|config| config.egress)
                .map_err(|errors| errors.to_string())
        };
        assert_eq!(policy(&[]), Ok(Policy::default()));
        assert_eq!(
            policy(&[("PRIVACY", "Cloud-LLM")]).map(|policy| policy.mode),
            Ok(Mode::CloudLlm)
        );
        let listed = policy(&[("EGRESS_ALLOW", "crm.example.org:8443, 10.1.2.3/8")]).expect("good");
        let shown: Vec<String> = listed.allow.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["crm.example.org:8443", "10.0.0.0/8"]);
        for (key, value) in [
            ("PRIVACY", "off"),
            ("EGRESS_ALLOW", "*"),
            ("EGRESS_ALLOW", "a.example,"),
        ] {
            let error = policy(&[(key, value)]).expect_err(value);
            assert!(error.contains(key), "{error}");
        }
    }
}
