//! The real models: Whisper, Piper, and a whole call through both. They are pulled by `make test`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::response::IntoResponse;
use axum::routing::post;
use tieline::call::driver::Services;
use tieline::call::registry::Registry;
use tieline::caller::{Level, Pace, Plan, Target, Utterance, place_call};
use tieline::config::{Config, Strings};
use tieline::dialog::agent::{self, Agents};
use tieline::dialog::conversation::{Mind, Staff};
use tieline::dialog::llm::LlmClient;
use tieline::engine::{Engine, Sizes};
use tieline::http::{App, TwilioAccount, router};
use tieline::models::{Manifest, Purpose, locate};
use tieline::privacy::egress::Egress;
use tieline::speech::piper::{self, Piper};
use tieline::speech::spoken::spoken;
use tieline::speech::whisper::{AudioContext, Whisper, WhisperModel, WhisperOptions};
use tieline::speech::{Answer, Listen, SpeechError, Synthesizer, Transcriber};
use tieline::time::SampleRate;
use tieline::turn::policy::Policy;

#[test]
fn whisper_hears_a_telephone_clip_at_either_context() {
    let Some(audio) = telephone_clip("conf-now-recording") else {
        return;
    };
    for context in [AudioContext::Fitted, AudioContext::Full] {
        let text = whisper(context)
            .transcribe(&audio, &|| false)
            .expect("transcribed")
            .text;
        assert_eq!(plain(&text), "the conference is now being recorded", "{context:?}");
    }
}

#[test]
fn nothing_is_said_twice_on_short_clips() {
    let mut whisper = whisper(AudioContext::Fitted);
    for name in [
        "conf-locked",
        "dir-welcome",
        "conf-extended",
        "is-in-use",
        "conf-hasleft",
        "agent-loggedoff",
    ] {
        let Some(audio) = telephone_clip(name) else { return };
        let text = plain(&whisper.transcribe(&audio, &|| false).expect("transcribed").text);
        let words: Vec<&str> = text.split(' ').collect();
        assert!(words.len() <= 6, "{name}: {text}");
        let half = words.len() / 2;
        assert!(half < 2 || words[..half] != words[half..2 * half], "{name}: {text}");
    }
}

/// A person says the words of the radio alphabet, which Whisper alone makes sentences of.
#[test]
fn a_word_that_is_expected_is_told_from_others() {
    let mut whisper = whisper(AudioContext::Fitted);
    let alphabet: Vec<String> = RADIO.iter().map(|word| (*word).to_owned()).collect();
    let days = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let listen = |words: &[String]| Listen {
        languages: Vec::new(),
        answers: words.iter().map(|word| Answer::wanted([word.clone()])).collect(),
    };
    let (radio, week) = (listen(&alphabet), listen(&days.map(str::to_owned)));
    let (mut free, mut expected, mut other) = (0, 0, 0);
    for word in RADIO {
        let Some(audio) = telephone_clip(&format!("phonetic/{}_p", &word[..1].to_lowercase())) else {
            return;
        };
        let mut heard = |listen: &Listen| {
            let heard = whisper.transcribe_for(&audio, listen, &|| false).expect("transcribed");
            plain(&heard.text)
        };
        let word = plain(word);
        free += usize::from(heard(&Listen::default()) == word);
        let with = heard(&radio);
        expected += usize::from(with == word);
        let wrong = RADIO.iter().any(|other| plain(other) == with && with != word);
        assert!(!wrong, "{word} was heard as another word: {with}");
        other += usize::from(days.iter().any(|day| plain(day) == heard(&week)));
    }
    assert!(expected >= free + 5, "{expected} with and {free} without");
    assert_eq!(other, 0, "words of the alphabet were taken for days");
}

#[test]
fn noise_is_no_answer() {
    let mut whisper = whisper(AudioContext::Fitted);
    let answer = |phrases: [&str; 2]| Answer::wanted(phrases.map(str::to_owned));
    let listen = Listen {
        languages: Vec::new(),
        answers: vec![answer(["low", "no hurry"]), answer(["urgent", "today"])],
    };
    let mut noise = 0x1234_5678_u32;
    let mut white = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let hiss: Vec<f32> = (0..20_000).map(|_| 0.05 * white()).collect();
    let hum: Vec<f32> = (0..20_000).map(|n| 0.1 * (n as f32 * 0.05).sin()).collect();
    for audio in [hiss, hum, vec![0.0; 20_000]] {
        let heard = whisper.transcribe_for(&audio, &listen, &|| false).expect("transcribed");
        let text = plain(&heard.text);
        assert!(
            !["low", "no hurry", "urgent", "today"].contains(&text.as_str()),
            "{text}"
        );
    }
}

#[test]
fn a_cancelled_transcription_stops() {
    let audio = vec![0.01; 16_000 * 5];
    let asked = std::sync::atomic::AtomicUsize::new(0);
    // Wanted when it begins, dropped while it runs.
    let cancelled = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 3;
    let result = whisper(AudioContext::Full).transcribe(&audio, &cancelled);
    assert!(matches!(result, Err(SpeechError::Cancelled)), "{result:?}");
}

#[test]
fn silence_is_no_text() {
    let text = whisper(AudioContext::Fitted)
        .transcribe(&vec![0.0; 16_000 * 2], &|| false)
        .expect("transcribed")
        .text;
    assert_eq!(text, "");
}

#[test]
fn whisper_understands_piper() {
    let mut piper = piper();
    let mut whisper = whisper(AudioContext::Fitted);
    let sentence = "Please bring your insurance card to the office on Monday morning.";
    let speech = piper.synthesize(sentence, &|| false).expect("synthesised");
    let seconds = speech.samples.len() as f32 / speech.rate.get() as f32;
    assert!((2.0..8.0).contains(&seconds), "{seconds} s");
    let audio =
        tieline::audio::resample::resample(&speech.samples, speech.rate, SampleRate::MODEL).expect("valid rate");
    let heard = whisper.transcribe(&audio, &|| false).expect("transcribed").text;
    assert_eq!(plain(&heard), plain(sentence));
}

/// The voice's own durations: what is cut behind a word is heard up to that word.
#[test]
fn piper_tells_where_each_word_lies() {
    let mut piper = piper();
    let mut whisper = whisper(AudioContext::Fitted);
    // espeak-ng says "of the" and "in the" as one word each.
    let sentence =
        "Our courses begin in the middle of the month — and they are held in the garden, whenever it is warm.";
    let speech = piper.synthesize(sentence, &|| false).expect("synthesised");
    let words: Vec<&str> = sentence.split_whitespace().collect();
    assert_eq!(speech.words.len(), words.len());
    assert!(speech.words.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(speech.words.last().is_some_and(|last| last.end <= speech.samples.len()));
    for (place, word) in words.iter().enumerate() {
        let lasts = speech.words[place].len() as f32 / speech.rate.get() as f32;
        assert!((0.03..1.0).contains(&lasts) || *word == "—", "{word}: {lasts} s");
    }
    for cut in [2, 6, 8, 14, 16] {
        let played = &speech.samples[..speech.words[cut].end];
        let audio = tieline::audio::resample::resample(played, speech.rate, SampleRate::MODEL).expect("valid rate");
        let heard = plain(&whisper.transcribe(&audio, &|| false).expect("transcribed").text);
        let expected = plain(&words[..=cut].join(" "));
        let (heard, expected) = (heard.split_whitespace().count(), expected.split_whitespace().count());
        assert!(
            heard.abs_diff(expected) <= 1,
            "up to {}: {heard} words instead of {expected}",
            words[cut]
        );
    }
}

#[test]
fn spelled_ids_and_prices_arrive_as_such() {
    let mut piper = piper();
    let mut whisper = whisper(AudioContext::Fitted);
    let speech = piper
        .synthesize(&spoken("Your copay is $50."), &|| false)
        .expect("synthesised");
    let audio =
        tieline::audio::resample::resample(&speech.samples, speech.rate, SampleRate::MODEL).expect("valid rate");
    let heard = whisper.transcribe(&audio, &|| false).expect("transcribed").text;
    assert!(
        heard.contains("$50") || plain(&heard).contains("fifty dollars"),
        "{heard}"
    );
}

/// The whole path on real models: a person's voice in, the LLM's words heard in the agent's channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_holds_two_turns() {
    let Some(sounds) = sounds() else { return };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let llm = scripted_llm(Arc::clone(&asked)).await;
    let server = server(&llm).await;
    let clip = |name: &str| Utterance::from_wav(&sounds.join(name), Level::Dbfs(-22.0)).expect("clip");
    let plan = Plan {
        target: Target::Webhook {
            url: format!("{server}/voice/incoming"),
            public_url: None,
        },
        auth_token: None,
        account_sid: format!("AC{:032}", 1),
        from: "+15005550006".to_owned(),
        to: "+15005550001".to_owned(),
        turns: vec![clip("conf-now-recording.wav"), clip("conf-full.wav")],
        pace: Pace::default(),
    };
    let report = place_call(plan, &mut |_| {}).await.expect("the call came through");
    assert_eq!(report.errors, Vec::<String>::new());
    let heard: Vec<String> = report
        .turns
        .iter()
        .map(|turn| plain(turn.caller_text.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(
        heard,
        ["the conference is now being recorded", "that conference is full"]
    );
    assert_eq!(*asked.lock().expect("not poisoned"), heard);
    assert!(
        report
            .turns
            .iter()
            .all(|turn| turn.voice_to_voice_ms.is_some() && !turn.cut_in)
    );
    assert_eq!(
        plain(report.greeting.agent_heard.as_deref().unwrap_or("")),
        plain("Hello, this is the test line.")
    );
    let agent: Vec<f32> = report
        .recording
        .samples()
        .map(|[_, agent]| f32::from(agent) / 32_768.0)
        .collect();
    let agent = tieline::audio::resample::resample(&agent, SampleRate::LINE, SampleRate::MODEL).expect("valid rate");
    let said = plain(
        &whisper(AudioContext::Full)
            .transcribe(&agent, &|| false)
            .expect("transcribed")
            .text,
    );
    // Piper speaks a little differently each time.
    assert!(said.contains("this is the test line"), "{said}");
    assert_eq!(said.matches("closed on sunday").count(), 2, "{said}");
}

/// Answers every request with the same sentence and notes the caller's last line.
async fn scripted_llm(asked: Arc<Mutex<Vec<String>>>) -> String {
    let answer = move |body: axum::Json<serde_json::Value>| async move {
        let last = body["messages"]
            .as_array()
            .and_then(|messages| messages.last().cloned())
            .unwrap_or_default();
        asked
            .lock()
            .expect("not poisoned")
            .push(plain(last["content"].as_str().unwrap_or("")));
        let chunk = |text: &str| {
            let delta = serde_json::json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
                "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
            format!("data: {delta}\n\n")
        };
        let body = format!(
            "{}{}data: [DONE]\n\n",
            chunk("Our office is closed "),
            chunk("on Sunday.")
        );
        ([("content-type", "text/event-stream")], body).into_response()
    };
    let router = axum::Router::new().route("/v1/chat/completions", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn server(llm: &str) -> String {
    let agent = "name = \"test\"\ngreeting = \"Hello, this is the test line.\"\nsystem_prompt = \"Be brief.\"\n";
    let strings: Strings = [("LLM_BASE_URL".to_owned(), llm.to_owned())].into_iter().collect();
    let config = Config::parse(&strings).expect("valid");
    let (model, voice) = (whisper_model(), voice_files());
    let sizes = Sizes {
        stt_workers: 1,
        tts_workers: 1,
        queue: 8,
    };
    let options = options(AudioContext::Fitted);
    let engine = Engine::start(
        sizes,
        Box::new(move || Ok(Box::new(model.worker(options.clone())?))),
        Box::new(move || Ok(Box::new(Piper::load(&voice[0], &voice[1], 1.0, 1)?))),
    );
    let mut engine = engine.expect("engines start");
    engine
        .warm(&[("Hello, this is the test line.", "en")])
        .await
        .expect("engines work");
    let services = Services {
        engine: Arc::new(engine),
        mind: Mind::new(
            LlmClient::new(&config.llm, &Egress::default()).expect("client"),
            Policy::default().reply_deadline,
        ),
        staff: tokio::sync::watch::channel(Arc::new(
            Staff::of(
                Agents::single(agent::parse(agent, "test.toml").expect("agent")),
                None,
                |_| None,
                &Egress::default(),
            )
            .expect("no tools"),
        ))
        .1,
        store: None,
        policy: Policy {
            media_timeout: Duration::from_secs(60),
            ..Policy::default()
        },
        vad_mode: 2,
        silero: None,
        log_transcripts: false,
        switchboard: None,
        mailbox: None,
        recordings: None,
        time_zone: jiff::tz::TimeZone::UTC,
    };
    let twilio = TwilioAccount {
        unverified: true,
        ..TwilioAccount::default()
    };
    let registry = Arc::new(Registry::new(4));
    let app = App::new(services, registry, twilio, &config.api);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let service = router(Arc::new(app)).into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

fn whisper(context: AudioContext) -> Whisper {
    whisper_model().worker(options(context)).expect("worker")
}

fn options(context: AudioContext) -> WhisperOptions {
    WhisperOptions {
        language: "en".to_owned(),
        threads: 1,
        context,
        vocabulary: None,
        vocabularies: std::collections::BTreeMap::new(),
    }
}

fn whisper_model() -> WhisperModel {
    let located = locate(&manifest(), &models(), "tiny.en", Purpose::Stt).expect("run: tieline models pull tiny.en");
    WhisperModel::load(located.path()).expect("loads")
}

fn piper() -> Piper {
    let [model, config] = voice_files();
    Piper::load(&model, &config, 1.0, 1).expect("loads")
}

/// The files of the voice, once the runtime it needs is loaded.
fn voice_files() -> [PathBuf; 2] {
    let library =
        locate(&manifest(), &models(), "onnxruntime", Purpose::Runtime).expect("run: tieline models pull onnxruntime");
    piper::load_runtime(library.path()).expect("loads");
    let voice = locate(&manifest(), &models(), "en_US-joe-medium", Purpose::Tts)
        .expect("run: tieline models pull en_US-joe-medium");
    voice.files.try_into().expect("a model and its configuration")
}

fn manifest() -> Manifest {
    Manifest::load(&models()).expect("valid manifest")
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// Human speech on a telephone line, at the rate of the models. `None`, said loudly, where the package is not installed.
fn telephone_clip(name: &str) -> Option<Vec<f32>> {
    let clip = Utterance::from_wav(&sounds()?.join(format!("{name}.wav")), Level::Dbfs(-22.0)).expect("clip");
    let silence = std::iter::repeat_n(0xFF, 2_400);
    let bytes = silence
        .clone()
        .chain(clip.frames.iter().flatten().copied())
        .chain(silence);
    let line: Vec<f32> = bytes
        .map(|byte| tieline::audio::mulaw::to_f32(tieline::audio::mulaw::decode(byte)))
        .collect();
    Some(tieline::audio::resample::resample(&line, SampleRate::LINE, SampleRate::MODEL).expect("valid rate"))
}

fn sounds() -> Option<PathBuf> {
    let folder = PathBuf::from("/usr/share/asterisk/sounds/en_US_f_Allison");
    if folder.exists() {
        return Some(folder);
    }
    let note = "NOT TESTED: the Debian package asterisk-core-sounds-en-wav is not installed";
    writeln!(std::io::stderr(), "{note}").expect("standard error");
    None
}

fn plain(text: &str) -> String {
    let letters: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

const RADIO: [&str; 26] = [
    "Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliet", "Kilo", "Lima",
    "Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey", "X-ray",
    "Yankee", "Zulu",
];
