//! Whisper and Piper by model, threads and length. The throughput is milliseconds of audio per second of computing:
//! `12.5 Kelem/s` is 12.5 times real time, a real-time factor of 0.08.

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tieline::audio::mulaw;
use tieline::audio::resample::resample;
use tieline::speech::piper::{Piper, load_runtime};
use tieline::speech::whisper::{AudioContext, WhisperModel, WhisperOptions};
use tieline::speech::{Synthesizer, Transcriber};
use tieline::time::SampleRate;

#[path = "support/speech.rs"]
mod speech;

fn transcribing(c: &mut Criterion) {
    let line: Vec<f32> = speech::line_speech().into_iter().map(mulaw::to_f32).collect();
    let audio = resample(&line, SampleRate::LINE, SampleRate::MODEL).expect("the ratio is valid");
    for (name, file) in [("tiny.en", "ggml-tiny.en.bin"), ("base", "ggml-base.bin")] {
        let Some(path) = model(file) else { continue };
        let model = WhisperModel::load(&path).expect("the model loads");
        for &threads in threads() {
            for seconds in [1, 2, 4, 8] {
                transcribe(
                    c,
                    &model,
                    (name, threads, AudioContext::Fitted),
                    &audio[..seconds * 16_000],
                );
            }
        }
        transcribe(
            c,
            &model,
            (name, 2, AudioContext::Full),
            &audio[..FULL_SECONDS * 16_000],
        );
    }
}

fn transcribe(
    c: &mut Criterion,
    model: &WhisperModel,
    (name, threads, context): (&str, usize, AudioContext),
    audio: &[f32],
) {
    let options = WhisperOptions {
        language: "en".to_owned(),
        threads,
        context,
        vocabulary: None,
        vocabularies: std::collections::BTreeMap::new(),
    };
    let mut worker = model.worker(options).expect("a state is created");
    let context = match context {
        AudioContext::Fitted => "fitted",
        AudioContext::Full => "full",
    };
    let id = BenchmarkId::new(
        format!("{name}_{context}_{threads}_threads"),
        format!("{}s", audio.len() / 16_000),
    );
    few(c, "stt", id, audio.len() as u64 / 16, || {
        worker
            .transcribe(audio, &|| false)
            .expect("the audio is transcribed")
            .text
            .len()
    });
}

fn synthesizing(c: &mut Criterion) {
    let files = (
        model("libonnxruntime.so"),
        model("en_US-joe-medium.onnx"),
        model("en_US-joe-medium.onnx.json"),
    );
    let (Some(runtime), Some(voice), Some(config)) = files else {
        return;
    };
    load_runtime(&runtime).expect("the library loads");
    for &threads in threads() {
        let mut piper = Piper::load(&voice, &config, 1.0, threads).expect("the voice loads");
        for (length, text) in SENTENCES {
            // The length varies by a few percent from run to run: Piper draws durations at random.
            let speech = piper.synthesize(text, &|| false).expect("the sentence is spoken");
            let milliseconds = speech.rate.duration(speech.samples.len() as u64).as_millis() as u64;
            let id = BenchmarkId::new(format!("joe-medium_{threads}_threads"), length);
            few(c, "tts", id, milliseconds, || {
                piper
                    .synthesize(text, &|| false)
                    .expect("the sentence is spoken")
                    .samples
                    .len()
            });
        }
    }
}

/// Ten samples of one run or few each: a model's run takes up to seconds, and criterion's defaults would take an hour.
fn few(c: &mut Criterion, group: &str, id: BenchmarkId, milliseconds: u64, mut run: impl FnMut() -> usize) {
    let mut group = c.benchmark_group(group);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Elements(milliseconds))
        .bench_function(id, |b| b.iter(&mut run));
    group.finish();
}

/// ggml's threads wait for each other in a busy loop, and on a machine that also compiles one run took up to 11 s.
/// `cargo test` does without a second thread.
fn threads() -> &'static [usize] {
    if measuring() { &[1, 2] } else { &[1] }
}

/// Whether this is `cargo bench`. `cargo test` runs everything once and does not pass the flag.
fn measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

#[expect(clippy::print_stderr, reason = "a missing line of the table needs its reason")]
fn model(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(file);
    let found = path.is_file();
    if !found {
        eprintln!("note: skipped what needs {}; run: tieline models pull", path.display());
    }
    found.then_some(path)
}

/// What the full context is measured on; it costs the same for any length.
const FULL_SECONDS: usize = 2;
/// By the length that the voice gives them, roughly.
const SENTENCES: [(&str, &str); 4] = [
    ("1s", "Yes, of course."),
    ("2s", "Thank you, one moment please while I look."),
    (
        "4s",
        "Your appointment with the doctor is on Tuesday, the fourteenth of March, at half past nine.",
    ),
    (
        "8s",
        "I have found your plan: it covers two visits a year, the first of them in full, and for every visit after \
         that you pay twenty dollars at the desk, unless your doctor has sent you there.",
    ),
];

criterion_group!(benches, transcribing, synthesizing);
criterion_main!(benches);
