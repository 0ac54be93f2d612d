//! The settings that are compared.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::turn::endpoint::{Endpointing, Witnesses};
use crate::turn::policy::Policy;

/// `ENDPOINT_MIN`, `ENDPOINT_DELAY` and `ENDPOINT_MAX`, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(super) struct Delays {
    pub(super) min: u64,
    pub(super) delay: u64,
    pub(super) max: u64,
}

/// One point of the trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) witnesses: Witnesses,
    pub(super) delays: Delays,
}

/// Whether the agent waits for what the caller is about to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Awaiting {
    /// For nothing in particular.
    Nothing,
    /// For the slot of the turn.
    Slot,
}

impl Setting {
    /// The policy with this endpoint.
    pub(super) fn policy(self, policy: &Policy) -> Policy {
        let Delays { min, delay, max } = self.delays;
        Policy {
            endpointing: Endpointing {
                min: Duration::from_millis(min),
                delay: Duration::from_millis(delay),
                max: Duration::from_millis(max),
                witnesses: self.witnesses,
            },
            ..policy.clone()
        }
    }

    /// As `ENDPOINTING` names them.
    pub(super) const fn witnesses(self) -> &'static str {
        match self.witnesses {
            Witnesses::Silence => "silence",
            Witnesses::Sound => "sound",
            Witnesses::Words => "words",
            Witnesses::All => "all",
        }
    }
}

impl FromStr for Delays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Option<Vec<u64>> = text.split('/').map(|part| part.trim().parse().ok()).collect();
        match parts.as_deref() {
            Some(&[min, delay, max]) if min <= delay && delay <= max => Ok(Self { min, delay, max }),
            _ => Err(format!("{text:?} is not MIN/DELAY/MAX in ms, such as 350/600/1500")),
        }
    }
}

/// Fixed delays without witnesses, then each set of witnesses with each triple.
pub(super) fn settings(silence: &[u64], delays: &[Delays]) -> Vec<Setting> {
    let fixed = silence.iter().map(|&ms| Setting {
        witnesses: Witnesses::Silence,
        delays: Delays {
            min: ms,
            delay: ms,
            max: ms,
        },
    });
    let heard = [Witnesses::Sound, Witnesses::Words, Witnesses::All];
    let judged = heard
        .into_iter()
        .flat_map(|witnesses| delays.iter().map(move |&delays| Setting { witnesses, delays }));
    fixed.chain(judged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_three_in_order() {
        let delays = Delays {
            min: 350,
            delay: 600,
            max: 1_500,
        };
        assert_eq!("350/600/1500".parse(), Ok(delays));
        for bad in ["600", "600/350/1500", "a/b/c", "1/2/3/4"] {
            assert!(bad.parse::<Delays>().is_err(), "{bad}");
        }
        assert_eq!(settings(&[300, 500], &[delays]).len(), 2 + 3);
    }
}
