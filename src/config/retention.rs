//! How long records are kept.

use std::fmt;
use std::path::{Path, PathBuf};

use super::parse::{self, Bad, Reader};

/// How long each class of records is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The audio of calls. Default 90 days: what a complaint takes to come.
    pub recordings: Keep,
    /// What was said and done in calls. Default 6 years: 45 CFR 164.316(b)(2) for documentation.
    pub transcripts: Keep,
    /// That there was a call. Default the same.
    pub calls: Keep,
    /// Messages. Default 1 year: they were acted on long ago.
    pub voicemails: Keep,
    /// The audit trail. Default 7 years: it outlasts what it tells of.
    pub audit: Keep,
    /// The list of keys that were deleted for good. Default `shredded.list` in `DATA_DIR`.
    pub shred_list: PathBuf,
}

/// For how long. The longer one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// So many days.
    Days(u32),
    /// Until somebody deletes it.
    Forever,
}

impl Retention {
    pub(super) fn parse(reader: &mut Reader<'_>, data_dir: &Path) -> Self {
        Self {
            recordings: reader.or_default("RETAIN_RECORDINGS", keep),
            transcripts: reader.or_default("RETAIN_TRANSCRIPTS", keep),
            calls: reader.or_default("RETAIN_CALLS", keep),
            voicemails: reader.or_default("RETAIN_VOICEMAILS", keep),
            audit: reader.or_default("RETAIN_AUDIT", keep),
            shred_list: reader
                .optional("SHRED_LIST", parse::text)
                .map_or_else(|| data_dir.join("shredded.list"), Into::into),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        lines.extend([
            ("RETAIN_RECORDINGS", self.recordings.to_string()),
            ("RETAIN_TRANSCRIPTS", self.transcripts.to_string()),
            ("RETAIN_CALLS", self.calls.to_string()),
            ("RETAIN_VOICEMAILS", self.voicemails.to_string()),
            ("RETAIN_AUDIT", self.audit.to_string()),
            ("SHRED_LIST", self.shred_list.display().to_string()),
        ]);
    }

    /// What is odd without being wrong.
    pub(super) fn cross_check(&self, reader: &mut Reader<'_>) -> Option<String> {
        let order = [
            (
                ("RETAIN_RECORDINGS", self.recordings),
                ("RETAIN_TRANSCRIPTS", self.transcripts),
                "a recording is encrypted with its call's key, which is deleted with what was said",
            ),
            (
                ("RETAIN_TRANSCRIPTS", self.transcripts),
                ("RETAIN_CALLS", self.calls),
                "what was said in a call goes with the call",
            ),
        ];
        for ((shorter, one), (longer, other), why) in order {
            if one > other && !reader.is_bad(shorter) && !reader.is_bad(longer) {
                reader.conflict(format!(
                    "{shorter} is {one} and {longer} is {other}: {why}. Write {longer}={one} or longer, or {shorter}={other} or shorter"
                ));
            }
        }
        let classes = [
            ("RETAIN_CALLS", self.calls),
            ("RETAIN_TRANSCRIPTS", self.transcripts),
            ("RETAIN_RECORDINGS", self.recordings),
            ("RETAIN_VOICEMAILS", self.voicemails),
        ];
        let longest = classes.into_iter().rev().max_by_key(|(_, keep)| *keep);
        if let Some((name, longest)) = longest
            && self.audit < longest
            && !reader.is_bad("RETAIN_AUDIT")
            && !reader.is_bad(name)
        {
            reader.conflict(format!(
                "RETAIN_AUDIT is {} and {name} is {longest}: who has seen a record must be known for as long as there is the record, and that it \
                 was deleted afterwards. Write RETAIN_AUDIT={longest} or longer, or {name}={} or shorter",
                self.audit, self.audit
            ));
        }
        (self.audit < SIX_YEARS).then(|| {
            format!(
                "RETAIN_AUDIT is {}, and HIPAA (45 CFR 164.316) asks for six years: write RETAIN_AUDIT=6y or longer if it applies to you",
                self.audit
            )
        })
    }
}

impl Keep {
    /// In milliseconds; `None`: for ever.
    pub fn milliseconds(self) -> Option<i64> {
        match self {
            Self::Days(days) => Some(i64::from(days) * 86_400_000),
            Self::Forever => None,
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

fn keep(value: &str) -> Result<Keep, Bad> {
    let value = value.to_ascii_lowercase();
    if value == "forever" {
        return Ok(Keep::Forever);
    }
    let bad = || Bad::new("days such as 90d, years such as 6y, or forever, from 1d to 100y");
    let (number, unit) = value.split_at(value.len() - value.chars().next_back().map_or(0, char::len_utf8));
    let days = match (number.trim().parse::<u32>(), unit) {
        (Ok(days), "d") => days,
        // Leap days count, so that six years are not ended by a day.
        (Ok(years @ 0..=100), "y") => (years * 1_461).div_ceil(4),
        (Err(_), _) if value.parse::<u32>().is_ok() => return Err(bad().example(format!("{value}d"))),
        _ => return Err(bad()),
    };
    if (1..=MOST_DAYS).contains(&days) {
        Ok(Keep::Days(days))
    } else {
        Err(bad())
    }
}

/// 100 years.
const MOST_DAYS: u32 = 36_525;
const SIX_YEARS: Keep = Keep::Days(2_190);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_years_and_for_ever() {
        for (text, expected) in [
            ("90d", Keep::Days(90)),
            ("6y", Keep::Days(2_192)),
            ("1Y", Keep::Days(366)),
            ("100y", Keep::Days(36_525)),
            ("Forever", Keep::Forever),
        ] {
            assert_eq!(keep(text).expect(text), expected);
        }
        for text in [
            "0d", "0y", "-1d", "90", "d", "", "6 months", "101y", "36526d", "9e9d", "é",
        ] {
            assert!(keep(text).is_err(), "{text}");
        }
        assert!(Keep::Forever > Keep::Days(MOST_DAYS));
    }
}
