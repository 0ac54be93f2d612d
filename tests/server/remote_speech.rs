//! Speech engines behind an OpenAI-compatible server.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tieline::audio::wav::{self, Recording};
use tieline::config::Secret;
use tieline::privacy::egress::Egress;
use tieline::speech::remote::{Endpoint, RemoteSynthesizer, RemoteTranscriber};
use tieline::speech::{Speech, SpeechError, Synthesizer as _, Transcriber as _};
use tieline::time::SampleRate;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::engines::tone;
use crate::http_server::{Answer, Asked, HttpServer};
use crate::support::soon;

fn endpoint(url: String) -> Endpoint {
    Endpoint {
        url,
        api_key: Some(Secret::new("sk-local")),
        model: "whisper-large".to_owned(),
    }
}

/// Runs what blocks on a thread of its own, as the engine does.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || done.send(work()).ok());
    soon("the engine", result).await.expect("no panic")
}

async fn transcribe(server: &HttpServer) -> Result<String, SpeechError> {
    let (endpoint, runtime) = (endpoint(server.url()), Handle::current());
    on_a_thread(move || {
        let mut engine = RemoteTranscriber::new(endpoint, "en".to_owned(), runtime, &Egress::default())?;
        let audio = tone(std::time::Duration::from_millis(500)).samples;
        engine.transcribe(&audio, &|| false).map(|heard| heard.text)
    })
    .await
}

async fn synthesize(server: &HttpServer) -> Result<Speech, SpeechError> {
    let (endpoint, runtime) = (endpoint(server.url()), Handle::current());
    on_a_thread(move || {
        let mut engine = RemoteSynthesizer::new(endpoint, "amy".to_owned(), 1.5, runtime, &Egress::default())?;
        engine.synthesize("Good morning.", &|| false)
    })
    .await
}

fn json(body: &str) -> Answer {
    Answer::Full(200, "application/json", body.as_bytes().to_vec())
}

/// Name and value of each part of a multipart body.
fn parts(asked: &Asked) -> Vec<(String, Vec<u8>)> {
    let kind = asked.header("content-type").expect("a content type");
    let boundary = kind.split_once("boundary=").expect("a boundary").1;
    let marker = format!("--{boundary}");
    let find = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).position(|window| window == wanted);
    let mut rest = &asked.body[..];
    let mut parts = Vec::new();
    while let Some(at) = find(rest, marker.as_bytes()) {
        rest = &rest[at + marker.len()..];
        let Some(head_end) = find(rest, b"\r\n\r\n") else { break };
        let head = String::from_utf8_lossy(&rest[..head_end]).into_owned();
        rest = &rest[head_end + 4..];
        let end = find(rest, format!("\r\n{marker}").as_bytes()).expect("the end of the part");
        let name = head.split("name=\"").nth(1).and_then(|tail| tail.split('"').next());
        parts.push((name.expect("a name").to_owned(), rest[..end].to_vec()));
    }
    parts
}

#[tokio::test]
async fn a_turn_goes_out_as_a_wav_and_comes_back_as_text() {
    let server = HttpServer::start().await;
    server.answer([json(r#"{"text": " Hello there. ", "language": "en", "segments": []}"#)]);
    let text = transcribe(&server).await.expect("a text");
    assert_eq!(text, "Hello there.");
    let asked = server.asked().remove(0);
    assert_eq!(asked.path, "/v1/audio/transcriptions");
    assert_eq!(asked.header("authorization"), Some("Bearer sk-local"));
    let parts = parts(&asked);
    let field = |name: &str| {
        let found = parts.iter().find(|(key, _)| key == name);
        &found.unwrap_or_else(|| panic!("no field {name}")).1[..]
    };
    assert_eq!(field("model"), b"whisper-large");
    assert_eq!(field("language"), b"en");
    assert_eq!(field("response_format"), b"json");
    let recording = Recording::read(field("file")).expect("a WAV");
    assert_eq!((recording.rate, recording.samples.len()), (SampleRate::MODEL, 8_000));
}

#[tokio::test]
async fn a_transcription_that_fails_says_why_and_nothing_else() {
    for (answer, reason) in [
        (Answer::Full(500, "text/plain", b"secret words".to_vec()), "HTTP 500"),
        (Answer::Full(401, "application/json", b"{}".to_vec()), "HTTP 401"),
        (json("not JSON, secret words"), "not a transcription"),
        (json(r#"{"transcript": "secret words"}"#), "not a transcription"),
        (json(r#"{"text": 7}"#), "not a transcription"),
        (json(""), "not a transcription"),
        (Answer::Reset(vec![]), "remote STT failed"),
    ] {
        let server = HttpServer::start().await;
        server.answer([answer]);
        let error = transcribe(&server).await.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(!error.contains(&server.address.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_transcription_nobody_waits_for_is_dropped() {
    let mut server = HttpServer::start().await;
    server.answer([Answer::Stall(vec![])]);
    let cancel = Arc::new(AtomicBool::new(false));
    let (endpoint, runtime, flag) = (endpoint(server.url()), Handle::current(), Arc::clone(&cancel));
    let asking = tokio::spawn(on_a_thread(move || {
        let mut engine = RemoteTranscriber::new(endpoint, "en".to_owned(), runtime, &Egress::default())?;
        engine.transcribe(&[0.0; 8_000], &|| flag.load(Ordering::Relaxed))
    }));
    server.arrival().await;
    cancel.store(true, Ordering::Relaxed);
    let result = asking.await.expect("no panic");
    assert!(matches!(result, Err(SpeechError::Cancelled)), "{result:?}");
    server.departure().await;
}

#[tokio::test]
async fn a_sentence_goes_out_as_json_and_comes_back_as_a_wav() {
    let server = HttpServer::start().await;
    server.answer([wav_answer(file(SampleRate::hz(24_000)))]);
    let speech = synthesize(&server).await.expect("speech");
    assert_eq!((speech.rate, speech.samples.len()), (SampleRate::hz(24_000), SAMPLES));
    let asked = server.asked().remove(0);
    assert_eq!(asked.path, "/v1/audio/speech");
    assert_eq!(asked.header("authorization"), Some("Bearer sk-local"));
    assert_eq!(
        asked.json(),
        serde_json::json!({"model": "whisper-large", "voice": "amy", "input": "Good morning.", "speed": 1.5,
                           "response_format": "wav"})
    );
}

#[tokio::test]
async fn a_wav_that_was_streamed_without_knowing_its_length_is_read() {
    for (riff, data) in [
        (u32::MAX, u32::MAX),
        (0, 0),
        (u32::MAX, u32::MAX - 36),
        (36, 0),
        (0x7FFF_FFFF, 0x7FFF_FFDB),
    ] {
        let server = HttpServer::start().await;
        let mut file = file(SampleRate::hz(24_000));
        file[4..8].copy_from_slice(&riff.to_le_bytes());
        file[40..44].copy_from_slice(&data.to_le_bytes());
        server.answer([wav_answer(file)]);
        let speech = synthesize(&server)
            .await
            .unwrap_or_else(|error| panic!("{riff} {data}: {error}"));
        assert_eq!(
            (speech.rate.get(), speech.samples.len()),
            (24_000, SAMPLES),
            "{riff} {data}"
        );
    }
}

#[tokio::test]
async fn a_synthesis_that_fails_says_why_and_nothing_else() {
    let whole = file(SampleRate::hz(24_000));
    for (answer, reason) in [
        (Answer::Full(500, "text/plain", b"Good morning.".to_vec()), "HTTP 500"),
        (Answer::Full(200, "audio/wav", b"ID3 this is an MP3".to_vec()), "WAV"),
        (Answer::Full(200, "audio/wav", vec![]), "WAV"),
        (Answer::Full(200, "audio/wav", whole[..whole.len() / 2].to_vec()), "WAV"),
        (Answer::Full(200, "audio/wav", vec![0; (24 << 20) + 1]), "too large"),
        (Answer::Reset(vec![]), "remote TTS failed"),
    ] {
        let server = HttpServer::start().await;
        server.answer([answer]);
        let error = synthesize(&server).await.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
        assert!(
            !error.contains("Good morning") && !error.contains("127.0.0.1"),
            "{error}"
        );
    }
}

fn file(rate: SampleRate) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let samples: Vec<f32> = (0..SAMPLES).map(|n| (n as f32 * 0.1).sin() * 0.3).collect();
    wav::write_mono(&mut file, &samples, rate).expect("written");
    file.into_inner()
}

fn wav_answer(file: Vec<u8>) -> Answer {
    Answer::Full(200, "audio/wav", file)
}

const SAMPLES: usize = 4_800;
