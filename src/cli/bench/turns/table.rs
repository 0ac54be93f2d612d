//! The table: settings against what they cost.

use std::collections::BTreeSet;
use std::io::Write;

use serde::Serialize;

use super::audio::Turn;
use super::noise::Noise;
use super::score::{Result, Score};
use super::set::Half;
use super::sweep::{Awaiting, Delays, Setting};

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) noise: Noise,
    pub(super) awaiting: Awaiting,
    pub(super) setting: Setting,
}

/// All results.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<(Row, Vec<Entry>)>,
}

#[derive(Debug)]
struct Entry {
    half: Half,
    category: String,
    /// Whether it could have been run with a slot.
    has_slot: bool,
    result: Result,
}

/// A row as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    noise: Noise,
    awaiting: Awaiting,
    half: Half,
    category: Option<String>,
    witnesses: &'static str,
    #[serde(flatten)]
    delays: Delays,
    #[serde(flatten)]
    score: Score,
}

impl Table {
    /// Adds what became of a turn.
    pub(super) fn add(&mut self, row: Row, turn: &Turn, result: Result) {
        let entry = Entry {
            half: turn.half,
            category: turn.category.clone(),
            has_slot: turn.slot.is_some(),
            result,
        };
        match self.rows.iter_mut().find(|(known, _)| *known == row) {
            Some((_, entries)) => entries.push(entry),
            None => self.rows.push((row, vec![entry])),
        }
    }

    /// Every row for both halves and all, for each category and all.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (row, entries) in &self.rows {
            for category in std::iter::once(None).chain(categories(entries).into_iter().map(Some)) {
                for half in [Half::All, Half::Tune, Half::Test] {
                    let score = score(entries, half, |entry| {
                        category.is_none_or(|category| entry.category == category)
                    });
                    figures.push(Figure {
                        noise: row.noise,
                        awaiting: row.awaiting,
                        half,
                        category: category.map(str::to_owned),
                        witnesses: row.setting.witnesses(),
                        delays: row.setting.delays,
                        score,
                    });
                }
            }
        }
        figures
    }

    /// For people.
    pub(super) fn write(&self, out: &mut impl Write, by_category: bool) -> std::io::Result<()> {
        writeln!(
            out,
            "cut-offs: % of turns (tune/test half); of the pauses met; of those up to 1 s. Dead air in ms, p50 (tune/test)"
        )?;
        let (noises, mut groups) = (
            self.noises(),
            vec![Group::Nothing, Group::NothingThoughSlot, Group::Slot],
        );
        if by_category {
            let categories = |awaiting: Awaiting| -> BTreeSet<&str> {
                let rows = self.rows.iter().filter(|(row, _)| row.awaiting == awaiting);
                rows.flat_map(|(_, entries)| categories(entries)).collect()
            };
            for awaiting in [Awaiting::Nothing, Awaiting::Slot] {
                groups.extend(
                    categories(awaiting)
                        .into_iter()
                        .map(|category| Group::Category(awaiting, category)),
                );
            }
        }
        for noise in noises {
            for group in &groups {
                self.section(out, noise, group)?;
            }
        }
        Ok(())
    }

    fn section(&self, out: &mut impl Write, noise: Noise, group: &Group<'_>) -> std::io::Result<()> {
        let rows: Vec<_> = self
            .rows
            .iter()
            .filter(|(row, _)| row.noise == noise && row.awaiting == group.awaiting())
            .map(|(row, entries)| (row, entries, score(entries, Half::All, |entry| group.holds(entry))))
            .filter(|(.., score)| score.turns > 0)
            .collect();
        let Some((.., first)) = rows.first() else { return Ok(()) };
        writeln!(out, "\n{}, {}: {} turns", noise.name(), group.name(), first.turns)?;
        writeln!(
            out,
            "{:<8} {:>14} | {:>5} {:>11} {:>7} {:>6} | {:>5} {:>11} {:>5} {:>5} {:>5} | {:>6}",
            "", "min/delay/max", "cut %", "(t/t)", "pause %", "<=1s %", "p50", "(t/t)", "p90", "p95", "mean", "missed"
        )?;
        for (row, entries, all) in rows {
            let part = |half| score(entries, half, |entry| group.holds(entry));
            let (tune, test) = (part(Half::Tune), part(Half::Test));
            let Delays { min, delay, max } = row.setting.delays;
            let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
            let air = all.dead_air;
            writeln!(
                out,
                "{:<8} {:>14} | {:>5.1} {:>11} {:>7.1} {:>6.1} | {:>5} {:>11} {:>5} {:>5} {:>5} | {:>6}",
                row.setting.witnesses(),
                format!("{min}/{delay}/{max}"),
                all.cut_off_percent,
                format!("{:.1}/{:.1}", tune.cut_off_percent, test.cut_off_percent),
                all.pause_percent,
                all.short_pause_percent,
                ms(air.p50),
                format!("{}/{}", ms(tune.dead_air.p50), ms(test.dead_air.p50)),
                ms(air.p90),
                ms(air.p95),
                ms(air.mean),
                all.missed
            )?;
        }
        Ok(())
    }

    fn noises(&self) -> Vec<Noise> {
        let mut noises: Vec<Noise> = self.rows.iter().map(|(row, _)| row.noise).collect();
        noises.dedup();
        noises
            .iter()
            .enumerate()
            .filter(|&(n, noise)| !noises[..n].contains(noise))
            .map(|(_, &noise)| noise)
            .collect()
    }
}

/// Which turns a section is about.
enum Group<'a> {
    Nothing,
    NothingThoughSlot,
    Slot,
    Category(Awaiting, &'a str),
}

impl Group<'_> {
    fn awaiting(&self) -> Awaiting {
        match self {
            Self::Nothing | Self::NothingThoughSlot => Awaiting::Nothing,
            Self::Slot => Awaiting::Slot,
            Self::Category(awaiting, _) => *awaiting,
        }
    }

    fn holds(&self, entry: &Entry) -> bool {
        match self {
            Self::Nothing => !entry.has_slot,
            Self::NothingThoughSlot => entry.has_slot,
            Self::Slot => true,
            Self::Category(_, category) => entry.category == *category,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Nothing => "free speech, nothing awaited".to_owned(),
            Self::NothingThoughSlot => "answers to a slot, but nothing awaited".to_owned(),
            Self::Slot => "answers to a slot, the slot awaited".to_owned(),
            Self::Category(Awaiting::Nothing, category) => format!("{category}, nothing awaited"),
            Self::Category(Awaiting::Slot, category) => format!("{category}, its slot awaited"),
        }
    }
}

fn categories(entries: &[Entry]) -> BTreeSet<&str> {
    entries.iter().map(|entry| entry.category.as_str()).collect()
}

fn score(entries: &[Entry], half: Half, wanted: impl Fn(&Entry) -> bool) -> Score {
    let entries = entries.iter().filter(|entry| half.holds(entry.half) && wanted(entry));
    Score::of(entries.map(|entry| &entry.result))
}
