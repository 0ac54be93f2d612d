//! What the witnesses say at each pause, whatever would follow from it: to choose a rule by.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use super::answers::{Answers, Engines};
use super::noise::Noise;
use super::replay::{Look, Nominal, Recording, replay};
use super::slot::{LANGUAGE, progress};
use crate::audio::mulaw;
use crate::call::inbound::Inbound;
use crate::call::socket::Audio;
use crate::config::Config;
use crate::speech::ear::Ear;
use crate::time::MediaTime;
use crate::turn::endpoint::{Endpointing, Witnesses};
use crate::turn::policy::Policy;
use crate::turn::shape::shape;

/// The lines of one recording: one for each look of the machine into a pause that it never takes for the end.
pub(super) fn of(
    recording: &Recording<'_>,
    noise: Noise,
    config: &Config,
    nominal: Nominal,
    engines: &mut Engines,
) -> anyhow::Result<String> {
    let policy = Policy {
        endpointing: Endpointing {
            min: NEVER,
            delay: NEVER,
            max: NEVER,
            witnesses: Witnesses::All,
        },
        ..config.turn.policy.clone()
    };
    let turn = recording.turn;
    let trace = replay(recording, None, &policy, engines.ear(), nominal, engines)?;
    let line = line(recording, engines.ear());
    let mut lines = String::new();
    for look in trace.looks {
        let (place, gap) = place(recording, look.heard.2 as usize);
        let words = look.words.as_deref().unwrap_or_default();
        let says = |slot| format!("{:?}", progress(slot, words)).to_lowercase();
        write!(
            lines,
            "{}\t{}\t{}\t{}\t{place}\t{}\t{}\t{}\t{}\t{}",
            noise.name(),
            turn.id,
            turn.category,
            turn.half.name(),
            gap.len() / 8,
            (look.heard.2 as i64 - gap.start as i64) / 8,
            look.sound.map_or_else(String::new, |sound| format!("{sound:.4}")),
            format!("{:?}", shape(words, LANGUAGE.code())).to_lowercase(),
            turn.slot.as_ref().map_or_else(|| "-".to_owned(), says),
        )?;
        for later in LATER {
            match sound_later(&look, later, &gap, &line, engines)? {
                Some(sound) => write!(lines, "\t{sound:.4}")?,
                None => lines.push('\t'),
            }
        }
        writeln!(lines, "\t{words}")?;
    }
    Ok(lines)
}

/// Which silence a position lies in: the pause's number and where it is, "end", or "inside" of speech.
fn place(recording: &Recording<'_>, position: usize) -> (String, Range<usize>) {
    let turn = recording.turn;
    if position >= turn.end() {
        return ("end".to_owned(), turn.end()..turn.samples.len());
    }
    let pause = turn
        .pauses()
        .into_iter()
        .enumerate()
        .find(|(_, pause)| pause.contains(&position));
    pause.map_or_else(
        || ("inside".to_owned(), position..position),
        |(n, pause)| (n.to_string(), pause),
    )
}

/// The judgement so many ms after the look, if the pause lasts that long.
fn sound_later(
    look: &Look,
    later: u64,
    gap: &Range<usize>,
    line: &Inbound,
    engines: &mut Engines,
) -> anyhow::Result<Option<f32>> {
    let (recording, from, to) = look.heard;
    let later = to + later * 8;
    if later as usize >= gap.end {
        return Ok(None);
    }
    let from = from.max(later.saturating_sub(JUDGED));
    let audio = || line.audio(MediaTime::from_samples(from), MediaTime::from_samples(later));
    Ok(Some(engines.sound((recording, from, later), audio)?.0))
}

/// The whole recording, received.
fn line(recording: &Recording<'_>, ear: Ear) -> Inbound {
    let mut inbound = Inbound::new(ear, 300);
    let (mut windows, mut pcm) = (Vec::new(), Vec::new());
    for payload in recording.payload.chunks(160) {
        pcm.clear();
        mulaw::decode_into(payload, &mut pcm);
        let at_ms = None;
        inbound.take(Audio { at_ms, pcm: &pcm }, &mut windows);
    }
    inbound
}

pub(super) const HEADER: &str = "noise\tid\tcategory\thalf\tplace\tgap_ms\tasked_ms\tsound\tshape\tslot\t\
    sound_100_later\tsound_200_later\tsound_300_later\twords\n";
const LATER: [u64; 3] = [100, 200, 300];
const NEVER: Duration = Duration::from_secs(10);
/// Line samples: 8 s.
const JUDGED: u64 = 64_000;
