//! The same on real models: Whisper hears what Piper says, on both sides.

use std::path::{Path, PathBuf};

use tieline::engine::{Engine, Sizes};
use tieline::models::{Manifest, Purpose, locate};
use tieline::speech::piper::{self, Piper};
use tieline::speech::whisper::{AudioContext, WhisperModel, WhisperOptions};
use tieline::speech::{Synthesizer, Transcriber};
use tieline::time::SampleRate;

use crate::exchange::{At, Caller, Exchange, written};
use crate::support::{Server, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_understood_and_answered_over_http_alone() {
    let model = WhisperModel::load(located("tiny.en", Purpose::Stt)[0].as_path()).expect("loads");
    piper::load_runtime(&located("onnxruntime", Purpose::Runtime)[0]).expect("loads");
    let voice = located("en_US-joe-medium", Purpose::Tts);
    let load = move || Piper::load(&voice[0], &voice[1], 1.0, 1);
    let mut ear = model.worker(options()).expect("a worker");
    let mut mouth = load().expect("loads");
    let sizes = Sizes {
        stt_workers: 1,
        tts_workers: 1,
        queue: 8,
    };
    let engine = Engine::start(
        sizes,
        Box::new(move || Ok(Box::new(model.worker(options())?))),
        Box::new(move || Ok(Box::new(load()?))),
    );
    let setup = Setup {
        engine: Some(engine.expect("engines start")),
        ..Setup::default()
    };
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, setup).await;
    let mut caller = Caller::rings(&server, &exchange, "CAreal").await;
    let speech = mouth.synthesize("I want to know whether an office visit is covered.", &|| false);
    let speech = speech.expect("synthesised");
    caller.says(written(&speech.samples, speech.rate)).await;
    let asked = caller.played.last().expect("an answer").clone();
    caller.types("123456").await;
    assert!(matches!(caller.at, At::Recorded { .. }));
    server
        .app
        .recorder
        .as_ref()
        .expect("calls are recorded")
        .hung_up("CAreal");

    let asked = tieline::audio::resample::resample(&asked, SampleRate::LINE, SampleRate::MODEL).expect("valid rate");
    let asked = ear
        .transcribe(&asked, &|| false)
        .expect("transcribed")
        .text
        .to_lowercase();
    assert!(asked.contains("member"), "what was played says: {asked}");
    let kept = server.over("CAreal").await;
    assert!(
        kept.turns[1].said.contains("office visit is covered"),
        "{}",
        kept.turns[1].said
    );
    assert!(kept.turns[1].heard.contains("member id"), "{}", kept.turns[1].heard);
    assert_eq!(kept.turns[2].said, "(keypad) 123456");
    server.all_deleted().await;
    exchange.is_clean();
}

fn options() -> WhisperOptions {
    WhisperOptions {
        language: "en".to_owned(),
        threads: 1,
        context: AudioContext::Fitted,
        vocabulary: None,
        vocabularies: std::collections::BTreeMap::new(),
    }
}

fn located(name: &str, purpose: Purpose) -> Vec<PathBuf> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let manifest = Manifest::load(&models).expect("valid manifest");
    let found = locate(&manifest, &models, name, purpose);
    found
        .unwrap_or_else(|_| panic!("run: tieline models pull {name}"))
        .files
}
