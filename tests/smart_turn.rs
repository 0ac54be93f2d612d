//! The end-of-turn model and the second-opinion VAD, on the real models. They are pulled by `make test`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tieline::audio::level::dbfs;
use tieline::audio::mulaw;
use tieline::audio::wav::Recording;
use tieline::models::{Manifest, Purpose, locate};
use tieline::speech::EndOfTurn;
use tieline::speech::piper::load_runtime;
use tieline::speech::silero::{SILERO_WINDOW, Silero, SileroModel};
use tieline::speech::smart_turn::SmartTurn;
use tieline::speech::smart_turn::features::{FRAMES, Features, MELS};
use tieline::time::SampleRate;

#[test]
fn smart_turn_agrees_with_pipecat() {
    let (mut model, mut features) = (smart_turn(), Features::new());
    let (mut worst_value, mut worst_probability) = (0.0_f64, 0.0_f64);
    for case in reference() {
        let name = case["name"].as_str().expect("a name");
        let Some(audio) = audio_of(name) else { continue };
        assert_eq!(Some(audio.len() as u64), case["samples"].as_u64(), "{name}");
        let off = farthest(features.of(&audio), &case);
        let expected = case["probability"].as_f64().expect("a probability");
        let found = f64::from(model.probability(&audio).expect("runs"));
        say(&format!(
            "{name}: {found:.4}, reference {expected:.4}; features off by {off:.1e}"
        ));
        assert!(off < 1e-4, "{name}: features off by {off}");
        assert!((found - expected).abs() < 0.01, "{name}: {found}, not {expected}");
        worst_value = worst_value.max(off);
        worst_probability = worst_probability.max((found - expected).abs());
    }
    say(&format!(
        "worst: features {worst_value:.1e}, probability {worst_probability:.1e}"
    ));
}

#[test]
fn smart_turn_tells_a_cut_sentence_from_a_whole_one() {
    let Some(whole) = audio_of("clip conf-now-recording") else {
        return;
    };
    let mut model = smart_turn();
    let complete = model.probability(&whole).expect("runs");
    let cut = model.probability(&whole[..whole.len() * 6 / 10]).expect("runs");
    assert!(complete > 0.5 && cut < 0.5, "{complete}, {cut}");
}

#[test]
fn silero_hears_speech_and_nothing_else() {
    let silero = silero();
    let silence = share(&silero, &[0; 8_000 * 10], 0.3);
    let noise = share(&silero, &white_noise(8_000 * 10, -35.0), 0.3);
    say(&format!(
        "Silero above 0.3: silence {silence:.3}, white noise at -35 dBFS {noise:.3}"
    ));
    assert!(silence < 0.02 && noise < 0.1, "{silence}, {noise}");
    for name in ["conf-now-recording", "dir-welcome", "vm-options"] {
        let Some(speech) = line_clip(name) else { return };
        let loud: Vec<i16> = speech
            .chunks_exact(SILERO_WINDOW)
            .filter(|window| dbfs(window) > -35.0)
            .flatten()
            .copied()
            .collect();
        let voiced = share(&silero, &loud, 0.5);
        let all = share(&silero, &speech, 0.5);
        say(&format!(
            "Silero above 0.5 in {name}: {voiced:.2} of the loud windows, {all:.2} of all"
        ));
        assert!(voiced > 0.7, "{name}: {voiced}");
    }
}

#[test]
fn silero_streams_do_not_hear_each_other() {
    let mut alone = silero();
    let (mut one, mut other) = (alone.clone(), alone.clone());
    let (speech, noise) = (white_noise(8_000, -20.0), white_noise(8_000, -50.0));
    let ask = |stream: &mut Silero, audio: &[i16], n: usize| {
        let window = audio[n * SILERO_WINDOW..].first_chunk().expect("a window");
        stream.probability(window).expect("runs")
    };
    for n in 0..30 {
        ask(&mut other, &noise, n);
        assert_eq!(ask(&mut alone, &speech, n), ask(&mut one, &speech, n));
    }
}

/// Prints what one question costs. A figure, not a promise: nothing is asserted.
#[test]
fn costs() {
    let audio = buzz(16_000 * 4);
    let mut features = Features::new();
    let (mel, spread) = median(40, || features.of(&audio).len());
    say(&format!("smart-turn features: {:.2} ms (p5-p95 {spread})", mel * 1e3));
    let mut model = smart_turn();
    let (whole, spread) = median(20, || model.probability(&audio).expect("runs"));
    say(&format!(
        "smart-turn features and model: {:.1} ms (p5-p95 {spread})",
        whole * 1e3
    ));
    let mut silero = silero();
    let window = [100; SILERO_WINDOW];
    let (window, spread) = median(1_000, || silero.probability(&window).expect("runs"));
    say(&format!("Silero window: {:.0} us (p5-p95 {spread})", window * 1e6));
}

/// Greatest difference to the reference over its samples and row means.
fn farthest(found: &[f32], case: &serde_json::Value) -> f64 {
    let numbers = |key: &str| -> Vec<f64> {
        let list = case[key].as_array().expect("numbers");
        list.iter().map(|value| value.as_f64().expect("a number")).collect()
    };
    let (samples, means) = (numbers("every_97th"), numbers("row_means"));
    assert_eq!((samples.len(), means.len()), (found.len().div_ceil(97), MELS));
    let sampled = found.iter().step_by(97).map(|&value| f64::from(value));
    let rows = found
        .chunks_exact(FRAMES)
        .map(|row| row.iter().copied().map(f64::from).sum::<f64>() / FRAMES as f64);
    let pairs = sampled.zip(samples).chain(rows.zip(means));
    pairs.map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max)
}

/// The audio of a case, built as the reference script built it. `None`, said loudly, for a clip that is not installed.
fn audio_of(name: &str) -> Option<Vec<f32>> {
    let scaled = |n: usize, gain: f32| lcg(n).into_iter().map(|value| value * gain).collect();
    Some(match name {
        "silence 2 s" => vec![0.0; 32_000],
        "noise 0.5 s" => scaled(8_000, 1.0),
        "noise 8 s" => scaled(128_000, 1.0),
        "noise 12 s" => scaled(192_000, 0.1),
        "buzz 0.5 s" => buzz(8_000),
        "buzz 3 s" => buzz(48_000),
        "buzz 8 s" => buzz(128_000),
        "buzz 12 s" => buzz(192_000),
        clip => {
            let clip = clip.strip_prefix("clip ")?;
            let (name, percent) = clip.strip_suffix(" 60 %").map_or((clip, 100), |name| (name, 60));
            let mut audio = doubled(&line_clip(name)?);
            audio.truncate(audio.len() * percent / 100);
            audio
        }
    })
}

/// 8 kHz to 16 kHz with the mean of two neighbours between them: poor, and the same in any language.
fn doubled(line: &[i16]) -> Vec<f32> {
    let next = line.iter().skip(1).chain(&[0]);
    let scale = |sum: i32| sum as f32 / 65_536.0;
    line.iter()
        .zip(next)
        .flat_map(|(&a, &b)| [scale(2 * i32::from(a)), scale(i32::from(a) + i32::from(b))])
        .collect()
}

/// Sawteeth at 125 Hz in bursts of 0.2 s over faint noise.
fn buzz(n: usize) -> Vec<f32> {
    let tooth = |i: usize| match i / 3_200 % 2 {
        0 => 0.5 * (1.0 - (i % 128) as f32 / 64.0),
        _ => 0.0,
    };
    lcg(n)
        .into_iter()
        .enumerate()
        .map(|(i, noise)| noise * 0.01 + tooth(i))
        .collect()
}

/// White noise in −0.5..0.5.
fn lcg(n: usize) -> Vec<f32> {
    let mut seed = 1_u32;
    let next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as f32 / 65_536.0 - 0.5
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn white_noise(n: usize, dbfs: f32) -> Vec<i16> {
    // Uniform noise in −0.5..0.5 has a root mean square of 1/√12.
    let gain = 10_f32.powf(dbfs / 20.0) * 12_f32.sqrt();
    lcg(n).into_iter().map(|value| mulaw::to_i16(value * gain)).collect()
}

/// Windows above a probability.
fn share(silero: &Silero, audio: &[i16], above: f32) -> f32 {
    let mut silero = silero.clone();
    let (windows, _) = audio.as_chunks::<SILERO_WINDOW>();
    let hits = windows
        .iter()
        .filter(|window| silero.probability(window).expect("runs") > above)
        .count();
    hits as f32 / windows.len() as f32
}

/// Seconds: the median, and the 5th and 95th percentile as text.
#[expect(clippy::disallowed_methods, reason = "measures what the real models cost")]
fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> (f64, String) {
    let mut times: Vec<f64> = (0..runs + 3)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(work());
            began.elapsed().as_secs_f64()
        })
        .skip(3)
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100] * 1e3;
    (times[times.len() / 2], format!("{:.3}-{:.3} ms", at(5), at(95)))
}

fn smart_turn() -> SmartTurn {
    let path = model("smart-turn-v3.2", Purpose::EndOfTurn);
    SmartTurn::load(&path, 1).expect("loads")
}

fn silero() -> Silero {
    SileroModel::load(&model("silero-vad", Purpose::Vad))
        .expect("loads")
        .stream()
}

/// The file of a model, once the runtime it needs is loaded.
fn model(name: &str, purpose: Purpose) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let manifest = Manifest::load(&models).expect("valid manifest");
    let find = |name, purpose| {
        let found = locate(&manifest, &models, name, purpose);
        found.unwrap_or_else(|error| panic!("{error}"))
    };
    load_runtime(find("onnxruntime", Purpose::Runtime).path()).expect("loads");
    find(name, purpose).path().to_owned()
}

fn reference() -> Vec<serde_json::Value> {
    let text = include_str!("data/smart_turn_reference.json");
    let parsed: serde_json::Value = serde_json::from_str(text).expect("JSON");
    parsed["cases"].as_array().expect("cases").clone()
}

fn line_clip(name: &str) -> Option<Vec<i16>> {
    let folder = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison");
    if !folder.exists() {
        say("NOT TESTED: the Debian package asterisk-core-sounds-en-wav is not installed");
        return None;
    }
    Some(recording(&folder.join(format!("{name}.wav"))).expect("a recording"))
}

fn recording(path: &Path) -> Option<Vec<i16>> {
    let samples = Recording::read(File::open(path).ok()?)
        .ok()?
        .at(SampleRate::LINE)
        .ok()?;
    Some(samples.into_iter().map(mulaw::to_i16).collect())
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}
