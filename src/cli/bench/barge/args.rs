//! The arguments of `tieline bench barge`, and the calls that they ask for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::course::{Aim, Settings};
use super::noise::Kind;
use crate::caller::Level;

/// Arguments of `tieline bench barge`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BargeArgs {
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pub(super) scenario: Vec<Scenario>,
    /// Measure the server behind this voice webhook, instead of one started here; it uses its own LLM, which should
    /// give long answers. For `backchannel` they must be the stub's, `src/cli/bench/barge/answers.txt`, a block a request
    #[arg(long, value_name = "URL")]
    pub(super) target: Option<String>,
    /// Interruptions to make, for interrupt and heard
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) interruptions: u16,
    /// Seconds of an answer after which it is interrupted: from, to
    #[arg(long, value_name = "FROM,TO", default_value = "1.0,3.0", value_parser = span)]
    pub(super) after: (f64, f64),
    /// Minutes of each noise
    #[arg(long, default_value_t = 5.0)]
    pub(super) minutes: f64,
    /// Kinds of noise
    #[arg(long, value_enum, value_delimiter = ',', default_value = "white,babble,line")]
    pub(super) noise: Vec<Kind>,
    /// RMS of the noise in dBFS
    #[arg(long, default_value_t = -35.0, allow_hyphen_values = true)]
    pub(super) noise_dbfs: f32,
    /// Noise only under and after the answers, not under the questions: so that an agent whose endpoint the noise hides
    /// comes to speak, and can be stopped. The noise begins anew with each answer, which detectors that adapt to a
    /// steady one take for speech: another case than noise all the while, and a harder one
    #[arg(long)]
    pub(super) clean_questions: bool,
    /// Words of listening to say
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) backchannels: u16,
    /// Tab-separated file with the columns `path` and `text` for questions, interruptions and babble, instead of Piper
    #[arg(long, value_name = "TSV")]
    pub(super) clips: Option<PathBuf>,
    /// The same for the words of listening
    #[arg(long, value_name = "TSV")]
    pub(super) backchannel_clips: Option<PathBuf>,
    /// Leave out clips shorter or longer than so many seconds; words of listening may be shorter
    #[arg(long, value_name = "FROM,TO", default_value = "1.0,5.0", value_parser = span)]
    pub(super) clip_seconds: (f64, f64),
    /// Level of active speech in dBFS, or "as-is"
    #[arg(long, default_value = "-22", allow_hyphen_values = true)]
    pub(super) level: Level,
    /// Chooses clips, moments and noise
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// The stub's time to the first token
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    pub(super) ttft: Duration,
    /// The stub's time from token to token; a word is a token
    #[arg(long, default_value = "20ms", value_parser = humantime::parse_duration)]
    pub(super) itl: Duration,
    /// Whisper model that listens to the recordings [default: base, or else tiny.en]
    #[arg(long, value_name = "MODEL")]
    pub(super) ear: Option<String>,
    /// Write each call to a stereo wav in this folder, caller left, agent right
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// Write everything measured to a JSON file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scenario {
    /// Real words into the answer: how soon it stops.
    Interrupt,
    /// Noise on the line: how often it stops for nothing.
    Noise,
    /// "Uh-huh" into the answer: whether the answer survives.
    Backchannel,
    /// Whether the server knows what of a cut answer was heard.
    Heard,
    /// All of these.
    All,
}

/// A call that is to be placed.
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) noise: Option<Kind>,
    pub(super) settings: Settings,
}

impl BargeArgs {
    pub(super) fn wants(&self, scenario: Scenario) -> bool {
        self.scenario.contains(&scenario) || self.scenario.contains(&Scenario::All)
    }

    /// The calls in their order.
    pub(super) fn calls(&self, questions: usize, words: usize) -> Vec<Planned> {
        let settings = |aim, quiet, limit| Settings {
            aim,
            questions,
            words,
            after: self.after.0..self.after.1,
            quiet,
            limit,
            clean_questions: self.clean_questions,
            seed: self.seed,
        };
        let planned = |name: &str, settings| Planned {
            name: name.to_owned(),
            noise: None,
            settings,
        };
        let mut calls = Vec::new();
        if self.wants(Scenario::Interrupt) || self.wants(Scenario::Heard) {
            let limit = LONGEST_ANSWER * (u32::from(self.interruptions) + 1);
            let aim = Aim::Interrupt(usize::from(self.interruptions));
            calls.push(planned(INTERRUPT, settings(aim, QUIET, limit)));
        }
        if self.wants(Scenario::Backchannel) {
            let limit = LONGEST_ANSWER * (u32::from(self.backchannels) + 2);
            let aim = Aim::Acknowledge(usize::from(self.backchannels));
            let mut call = planned(BACKCHANNEL, settings(aim, QUIET, limit));
            call.settings.after = BETWEEN_WORDS;
            calls.push(call);
        }
        if self.wants(Scenario::Noise) {
            for kind in &self.noise {
                let long = Duration::from_secs_f64(self.minutes.clamp(0.1, 60.0) * 60.0);
                calls.push(Planned {
                    name: format!("noise-{kind:?}").to_lowercase(),
                    noise: Some(*kind),
                    // The line is also heard while nobody speaks.
                    settings: settings(Aim::Listen(long), LISTENING, long),
                });
            }
        }
        calls
    }
}

/// Two numbers of seconds, the smaller first.
fn span(text: &str) -> Result<(f64, f64), String> {
    let parts = text
        .split_once(',')
        .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parts
        .filter(|(from, to): &(f64, f64)| (0.0..600.0).contains(from) && to > from && *to <= 600.0)
        .ok_or_else(|| format!("{text:?} is no span like 1.0,3.0"))
}

/// Seconds of an answer between two words of listening.
const BETWEEN_WORDS: std::ops::Range<f64> = 3.0..7.0;

/// Silence after which an answer is over; the questions wait for it and up to half a second more.
const QUIET: Duration = Duration::from_secs(1);

/// The same over a noisy line, which is listened to for a while.
const LISTENING: Duration = Duration::from_secs(4);

/// Longer than an answer takes, with its question.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

const INTERRUPT: &str = "interrupt";
const BACKCHANNEL: &str = "backchannel";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        barge: BargeArgs,
    }

    fn parse(line: &str) -> Result<BargeArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once("barge").chain(line.split_whitespace())).map(|cli| cli.barge)
    }

    fn names(args: &BargeArgs) -> Vec<String> {
        args.calls(1, 1).into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn scenarios_choose_the_calls() {
        let all = ["interrupt", "backchannel", "noise-white", "noise-babble", "noise-line"];
        assert_eq!(names(&parse("").expect("arguments")), all);
        assert_eq!(names(&parse("--scenario heard").expect("arguments")), ["interrupt"]);
        let noise = parse("--scenario noise,interrupt --noise line --minutes 0.5").expect("arguments");
        assert_eq!(names(&noise), ["interrupt", "noise-line"]);
    }

    #[test]
    fn arguments_have_bounds() {
        assert_eq!(parse("--after 0.5,2").expect("arguments").after, (0.5, 2.0));
        for wrong in [
            "--after 2,1",
            "--after 1",
            "--after nan,2",
            "--interruptions 0",
            "--scenario tea",
            "--noise pink",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
