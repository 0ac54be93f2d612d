//! A minute of telephone speech.

use std::fs::File;
use std::path::Path;

use tieline::audio::mulaw::to_i16;
use tieline::audio::wav::Recording;
use tieline::time::SampleRate;

/// Recorded prompts at 8 kHz where the Debian package is installed, otherwise a hum with pauses (and a note saying so).
pub(crate) fn line_speech() -> Vec<i16> {
    let recorded: Option<Vec<Vec<i16>>> = PROMPTS.iter().map(|name| recording(name)).collect();
    recorded.map_or_else(synthetic, |prompts| prompts.concat())
}

fn recording(name: &str) -> Option<Vec<i16>> {
    let file = File::open(Path::new(SOUNDS).join(name)).ok()?;
    let samples = Recording::read(file).ok()?.at(SampleRate::LINE).ok()?;
    Some(samples.into_iter().map(to_i16).collect())
}

/// Half a second of a voice-like hum, half a second of faint noise, and so on.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the numbers must know what they were taken on"
)]
fn synthetic() -> Vec<i16> {
    eprintln!("note: {SOUNDS} is absent (package asterisk-core-sounds-en-wav); measuring on synthetic audio");
    let mut seed = 1_u32;
    (0..60 * 8_000)
        .map(|n| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f32::from((seed >> 16) as i16) / 32_768.0;
            let phase = n as f32 / 8_000.0 * std::f32::consts::TAU;
            let hum: f32 = [120.0, 480.0, 1_320.0, 2_400.0]
                .iter()
                .map(|hz| 0.1 * (hz * phase).sin())
                .sum();
            to_i16(if n / 4_000 % 2 == 0 {
                hum + 0.02 * noise
            } else {
                0.001 * noise
            })
        })
        .collect()
}

const SOUNDS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
/// A woman's voice, with the pauses of a menu.
const PROMPTS: [&str; 2] = ["demo-congrats.wav", "basic-pbx-ivr-main.wav"];
