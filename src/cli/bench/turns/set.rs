//! The labelled set: what is said, where the caller pauses, and what the agent waits for.

use anyhow::Context as _;
use serde::Serialize;

use super::slot;
use crate::dialog::slot::Slot;

/// One turn of a caller, as it is written down.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    /// Its name; fixes its half.
    pub(super) id: String,
    /// What kind of turn it is.
    pub(super) category: String,
    /// What the agent waits for.
    pub(super) slot: Option<Slot>,
    /// What is said in one breath.
    pub(super) pieces: Vec<String>,
    /// The silence between them, in ms: one fewer than the pieces.
    pub(super) pauses: Vec<u64>,
}

/// Half of a set: one to choose settings by, one to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Half {
    /// Settings may be chosen by it.
    Tune,
    /// They may not.
    Test,
    /// Both.
    All,
}

impl Half {
    /// Where a turn belongs.
    pub(super) fn of(id: &str) -> Self {
        if hash(id) >> 32 & 1 == 0 {
            Self::Tune
        } else {
            Self::Test
        }
    }

    /// Whether a turn of `half` belongs to this part.
    pub(super) fn holds(self, half: Self) -> bool {
        self == Self::All || self == half
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tune => "tune",
            Self::Test => "test",
            Self::All => "all",
        }
    }
}

/// Reads a set: tab-separated lines of id, category, slot and text, comments with `#`, and a header.
pub(super) fn parse(table: &str) -> anyhow::Result<Vec<Script>> {
    let mut scripts: Vec<Script> = Vec::new();
    for (number, line) in (1..).zip(table.lines()) {
        if line.trim().is_empty() || line.starts_with('#') || line.starts_with("id\t") {
            continue;
        }
        let script = script(line).with_context(|| format!("line {number} of the set"))?;
        anyhow::ensure!(
            scripts.iter().all(|other| other.id != script.id),
            "line {number} of the set: {} is there twice",
            script.id
        );
        scripts.push(script);
    }
    anyhow::ensure!(!scripts.is_empty(), "the set holds no turns");
    Ok(scripts)
}

fn script(line: &str) -> anyhow::Result<Script> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [id, category, awaited, text] = fields[..] else {
        anyhow::bail!("{} fields instead of id, category, slot and text", fields.len())
    };
    let mut pieces = Vec::new();
    let mut pauses = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let (pause, after) = after.split_once('>').context("a < without >")?;
        let pause: u64 = pause.parse().with_context(|| format!("<{pause}> is no pause in ms"))?;
        anyhow::ensure!((1..=10_000).contains(&pause), "a pause of {pause} ms");
        pieces.push(held(before));
        pauses.push(pause);
        rest = after;
    }
    pieces.push(rest.trim().to_owned());
    anyhow::ensure!(
        pieces.iter().all(|piece| piece.chars().any(char::is_alphanumeric)),
        "nothing is said before or after a pause"
    );
    Ok(Script {
        id: id.to_owned(),
        category: category.to_owned(),
        slot: slot::parse(awaited)?,
        pieces,
        pauses,
    })
}

/// What comes before a pause does not sound finished, unless its author wanted it to.
fn held(piece: &str) -> String {
    let piece = piece.trim();
    if piece.ends_with(char::is_alphanumeric) {
        format!("{piece},")
    } else {
        piece.to_owned()
    }
}

/// FNV-1a, 64 bits, with a last mix: the same on every machine and in every version.
pub(super) fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::super::BUILT_IN;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn pieces_and_pauses_alternate() {
        let set = parse(
            "# comment\nid\tcategory\tslot\ttext\na\tid\tid:MB####\tM B <400> one, <1500> two.\nb\tx\tnone\tYes.",
        )
        .expect("a set");
        assert_eq!(set[0].pieces, ["M B,", "one,", "two."]);
        assert_eq!(set[0].pauses, [400, 1500]);
        assert!(set[0].slot.is_some());
        assert_eq!((set[1].pieces.len(), set[1].slot.is_none()), (1, true));
    }

    #[test]
    fn what_is_no_set_is_refused_with_its_line() {
        for bad in [
            "",
            "a\tb\tnone",
            "a\tb\tnone\tx <4 y",
            "a\tb\tnone\tx <soon> y",
            "a\tb\tnone\tx <400> <300> y",
            "a\tb\tnone\t<400> y",
            "a\tb\tsoon\tx",
            "a\tb\tnone\tx\na\tb\tnone\ty",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = parse("# one\na\tb\tnone").expect_err("three fields");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn the_built_in_set_is_balanced() {
        let set = parse(BUILT_IN).expect("the built-in set");
        assert!((60..=200).contains(&set.len()));
        let mut categories: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for script in &set {
            let half = usize::from(Half::of(&script.id) == Half::Test);
            categories.entry(&script.category).or_default()[half] += 1;
            assert!(
                script.pauses.iter().all(|pause| (200..=1500).contains(pause)),
                "{}",
                script.id
            );
        }
        for (category, [tune, test]) in &categories {
            assert!(*tune >= 2 && *test >= 2, "{category}: {tune} to tune, {test} to test");
        }
        let pauses: usize = set.iter().map(|script| script.pauses.len()).sum();
        assert!(pauses >= 100, "{pauses} pauses");
    }
}
