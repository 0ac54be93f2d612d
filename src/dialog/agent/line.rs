//! What happens to a call before an agent answers it: `[line]`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::hours::Hours;

/// How calls to an agent's numbers are received. Without it the agent answers at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Line {
    /// Callers that are refused before the call is answered.
    pub blocked: Vec<Blocked>,
    /// When the line is open. Default: always.
    pub hours: Option<Hours>,
    /// What callers choose from by a key. Default: nothing.
    pub menu: Option<Menu>,
    /// How messages are recorded, where something leads to `"voicemail"`.
    pub voicemail: Voicemail,
    /// What callers hear while `MAX_CALLS` are taken. Default: the busy tone.
    pub queue: Option<Queue>,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Way {
    /// Goodbye.
    #[default]
    End,
    /// A message is recorded.
    Voicemail,
    /// A person takes over.
    HandOver,
    /// This agent answers.
    Agent(String),
}

/// A menu of keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Menu {
    /// Names the keys.
    #[serde(deserialize_with = "super::sentence")]
    pub say: String,
    /// Where each leads.
    #[serde(deserialize_with = "keys")]
    pub keys: BTreeMap<char, Choice>,
    /// How long a key is waited for after the menu was said. Default 5 s.
    #[serde(default = "Menu::wait", deserialize_with = "wait")]
    pub wait: Duration,
    /// How often the menu is said to who presses no key, or a wrong one. Default 2.
    #[serde(default = "Menu::rounds", deserialize_with = "menu_rounds")]
    pub rounds: u8,
    /// Where a call goes then. Default: this agent answers.
    #[serde(default)]
    pub default: Option<Way>,
}

/// What a key does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The call goes there.
    Go(Way),
    /// The menu is said again.
    Repeat,
}

/// How a message is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Voicemail {
    /// Longest message. Default 2 min.
    #[serde(deserialize_with = "longest")]
    pub max: Duration,
    /// Silence that ends it. Default 5 s.
    #[serde(deserialize_with = "silence")]
    pub silence: Duration,
}

/// How callers wait for a free line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// How often a free line is looked for. Default 20.
    #[serde(deserialize_with = "queue_rounds")]
    pub rounds: u8,
    /// Silence between two looks. Default 15 s.
    #[serde(deserialize_with = "pause")]
    pub wait: Duration,
}

/// A caller that is refused.
#[derive(Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Who shows no number.
    Withheld,
    /// This number.
    Number(String),
    /// Numbers that begin so.
    Prefix(String),
}

impl Line {
    /// Whether a caller is refused. `None`: the number is withheld.
    pub fn blocks(&self, from: Option<&str>) -> bool {
        self.blocked.iter().any(|blocked| match (blocked, from) {
            (Blocked::Withheld, None) => true,
            (Blocked::Number(number), Some(from)) => number == from,
            (Blocked::Prefix(prefix), Some(from)) => from.starts_with(prefix.as_str()),
            (Blocked::Withheld, Some(_)) | (Blocked::Number(_) | Blocked::Prefix(_), None) => false,
        })
    }

    /// Everywhere it may lead to.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Way> {
        let keys = self.menu.iter().flat_map(|menu| menu.keys.values());
        let chosen = keys.filter_map(|choice| match choice {
            Choice::Go(way) => Some(way),
            Choice::Repeat => None,
        });
        let default = self.menu.iter().filter_map(|menu| menu.default.as_ref());
        let closed = self.hours.iter().map(|hours| &hours.then);
        chosen.chain(default).chain(closed)
    }

    /// The agents among them.
    pub(super) fn agents(&self) -> impl Iterator<Item = &String> {
        self.ways().filter_map(|way| match way {
            Way::Agent(name) => Some(name),
            Way::End | Way::Voicemail | Way::HandOver => None,
        })
    }
}

impl Menu {
    fn wait() -> Duration {
        Duration::from_secs(5)
    }

    fn rounds() -> u8 {
        2
    }
}

impl Default for Voicemail {
    fn default() -> Self {
        Self {
            max: Duration::from_secs(120),
            silence: Duration::from_secs(5),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            rounds: 20,
            wait: Duration::from_secs(15),
        }
    }
}

impl Way {
    fn named(name: &str) -> Option<Self> {
        match name {
            "end" => Some(Self::End),
            "voicemail" => Some(Self::Voicemail),
            "hand-over" => Some(Self::HandOver),
            name => super::is_name(name).then(|| Self::Agent(name.to_owned())),
        }
    }
}

/// Tells no number.
impl std::fmt::Debug for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Withheld => "Withheld",
            Self::Number(_) => "Number(hidden)",
            Self::Prefix(_) => "Prefix(hidden)",
        })
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::named(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} leads nowhere: expected an agent's name, \"voicemail\", \"hand-over\" or \"end\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "repeat" {
            return Ok(Self::Repeat);
        }
        Way::named(&text).map(Self::Go).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} leads nowhere: expected an agent's name, \"voicemail\", \"hand-over\", \"end\" or \"repeat\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Blocked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "withheld" {
            return Ok(Self::Withheld);
        }
        let digits = |text: &str, least: usize| {
            let digits = text.strip_prefix('+').unwrap_or_default();
            (least..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.starts_with('0')
        };
        match text.strip_suffix('*') {
            Some(prefix) if digits(prefix, 1) => Ok(Self::Prefix(prefix.to_owned())),
            None if digits(&text, 8) => Ok(Self::Number(text)),
            _ => Err(serde::de::Error::custom(format!(
                "{text:?} is nobody who could be blocked: expected a number, such as +12125550100, the beginning of one, such as \
                 +1900*, or withheld"
            ))),
        }
    }
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<char, Choice>, D::Error> {
    let keys = BTreeMap::<Key, Choice>::deserialize(deserializer)?;
    if keys.is_empty() {
        return Err(serde::de::Error::custom(
            "keys: expected at least one, such as { 1 = \"voicemail\" }",
        ));
    }
    Ok(keys.into_iter().map(|(key, choice)| (key.0, choice)).collect())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key(char);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(key), None) if key.is_ascii_digit() || matches!(key, '*' | '#') => Ok(Self(key)),
            _ => Err(serde::de::Error::custom(format!(
                "{text:?} is not a key of a telephone: expected 0 to 9, \"*\" or \"#\""
            ))),
        }
    }
}

fn menu_rounds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    count(deserializer, 5)
}

fn queue_rounds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    count(deserializer, 100)
}

fn count<'de, D: Deserializer<'de>>(deserializer: D, most: u8) -> Result<u8, D::Error> {
    let rounds = u64::deserialize(deserializer)?;
    let good = u8::try_from(rounds).ok().filter(|rounds| (1..=most).contains(rounds));
    good.ok_or_else(|| serde::de::Error::custom(format!("{rounds} is out of bounds: expected 1 to {most} rounds")))
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(deserializer, 1, 60)
}

fn pause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(deserializer, 5, 60)
}

fn longest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(deserializer, 5, 600)
}

fn silence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(deserializer, 2, 60)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D, least: u64, most: u64) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
    let good = humantime::parse_duration(&text).ok();
    good.filter(|length| (least..=most).contains(length)).ok_or_else(|| {
        let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
        serde::de::Error::custom(format!("{text:?}: expected a duration with a unit, {least} to {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn callers_are_blocked_by_number_by_beginning_and_for_showing_none() {
        let list = line(r#"blocked = ["+12125550199", "+1900*", "withheld"]"#);
        for (from, blocked) in [
            (Some("+12125550199"), true),
            (Some("+1212555019"), false),
            (Some("+121255501990"), false),
            (Some("+19005550123"), true),
            (Some("+1900"), true),
            (Some("+1901"), false),
            (Some("+441900555012"), false),
            (None, true),
        ] {
            assert_eq!(list.blocks(from), blocked, "{from:?}");
        }
        let numbers = line(r#"blocked = ["+1900*"]"#);
        assert!(
            !numbers.blocks(None) && !Line::default().blocks(None) && !Line::default().blocks(Some("+19005550123"))
        );
        assert!(!format!("{list:?}").contains("1900"));
    }

    #[test]
    fn everything_has_its_default() {
        let full =
            line("[menu]\nsay = 'Press one.'\nkeys = { 1 = 'voicemail', '#' = 'repeat', 2 = 'front-desk' }\n[queue]\n");
        let menu = full.menu.as_ref().expect("a menu");
        assert_eq!(
            (menu.wait, menu.rounds, &menu.default),
            (Duration::from_secs(5), 2, &None)
        );
        assert_eq!(menu.keys[&'#'], Choice::Repeat);
        assert_eq!(full.voicemail, Voicemail::default());
        assert_eq!(full.queue, Some(Queue::default()));
        assert_eq!(full.agents().collect::<Vec<_>>(), ["front-desk"]);
    }
}
