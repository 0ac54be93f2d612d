//! Speech engines on another machine of the house, by the `OpenAI`-compatible audio API (Speaches, `LocalAI`, vLLM …).

use std::io::Cursor;
use std::time::Duration;

use serde::Deserialize;
use tokio::runtime::Handle;

use crate::audio::wav::{self, Recording};
use crate::config::Secret;
use crate::privacy::egress::{Egress, Outlet, Purpose, Redirects, refusal};
use crate::speech::{Cancelled, Heard, Speech, SpeechError, Synthesizer, Transcriber};
use crate::time::SampleRate;

/// Where the server is and what it needs.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Base URL, such as `http://10.0.0.5:8000/v1`, without a trailing slash.
    pub url: String,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// The model to ask for.
    pub model: String,
}

/// `POST {url}/audio/transcriptions`.
pub struct RemoteTranscriber {
    endpoint: Endpoint,
    language: String,
    link: Link,
}

/// `POST {url}/audio/speech`.
pub struct RemoteSynthesizer {
    endpoint: Endpoint,
    voice: String,
    speed: f32,
    link: Link,
}

impl RemoteTranscriber {
    /// Requests run on `runtime`, and connect where `egress` lets them; the calling thread waits for them.
    pub fn new(endpoint: Endpoint, language: String, runtime: Handle, egress: &Egress) -> Result<Self, SpeechError> {
        Ok(Self {
            link: Link::new(Purpose::Stt, &endpoint, runtime, egress)?,
            endpoint,
            language,
        })
    }
}

impl Transcriber for RemoteTranscriber {
    fn transcribe(&mut self, audio: &[f32], cancelled: Cancelled<'_>) -> Result<Heard, SpeechError> {
        let mut file = Cursor::new(Vec::new());
        wav::write_mono(&mut file, audio, SampleRate::MODEL).map_err(|error| self.link.failed(error))?;
        let part = reqwest::multipart::Part::bytes(file.into_inner())
            .file_name("turn.wav")
            .mime_str("audio/wav");
        let form = reqwest::multipart::Form::new()
            .part("file", part.map_err(|error| self.link.failed(error))?)
            .text("model", self.endpoint.model.clone())
            .text("language", self.language.clone())
            .text("response_format", "json");
        let request = self.link.post(&self.endpoint, "audio/transcriptions").multipart(form);
        let body = self.link.body(request, cancelled)?;
        let answer: Transcription =
            serde_json::from_slice(&body).map_err(|_| self.link.failed("the answer is not a transcription"))?;
        Ok(Heard::plain(answer.text.trim().to_owned()))
    }
}

impl RemoteSynthesizer {
    /// Requests run on `runtime`, and connect where `egress` lets them; the calling thread waits for them.
    pub fn new(
        endpoint: Endpoint,
        voice: String,
        speed: f32,
        runtime: Handle,
        egress: &Egress,
    ) -> Result<Self, SpeechError> {
        Ok(Self {
            link: Link::new(Purpose::Tts, &endpoint, runtime, egress)?,
            endpoint,
            voice,
            speed,
        })
    }
}

impl Synthesizer for RemoteSynthesizer {
    fn synthesize(&mut self, text: &str, cancelled: Cancelled<'_>) -> Result<Speech, SpeechError> {
        let request = self.link.post(&self.endpoint, "audio/speech").json(&serde_json::json!({
            "model": self.endpoint.model, "voice": self.voice, "input": text, "speed": self.speed, "response_format": "wav",
        }));
        let mut body = self.link.body(request, cancelled)?;
        // vLLM, Speaches and others send the header before they know the length.
        wav::mend_streamed(&mut body);
        let recording = Recording::read(&body[..]).map_err(|error| self.link.failed(error))?;
        Ok(Speech {
            samples: recording.samples,
            rate: recording.rate,
            words: Vec::new(),
        })
    }
}

#[derive(Deserialize)]
struct Transcription {
    text: String,
}

/// The HTTP side both share.
struct Link {
    engine: &'static str,
    outlet: Outlet,
    runtime: Handle,
}

impl Link {
    fn new(purpose: Purpose, endpoint: &Endpoint, runtime: Handle, egress: &Egress) -> Result<Self, SpeechError> {
        let engine = if purpose == Purpose::Stt {
            "remote STT"
        } else {
            "remote TTS"
        };
        // A redirect would take what is said to another place than the operator chose.
        let outlet = egress.outlet(purpose, &endpoint.url, Redirects::Never, |client| {
            client.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT)
        });
        let outlet = outlet.map_err(|error| SpeechError::Load {
            engine,
            reason: error.to_string(),
        })?;
        Ok(Self {
            engine,
            outlet,
            runtime,
        })
    }

    fn post(&self, endpoint: &Endpoint, path: &str) -> reqwest::RequestBuilder {
        let request = self.outlet.post(path);
        match &endpoint.api_key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    /// The body of a successful answer, at most [`MAX_BODY`] long. Given up as soon as nobody wants it.
    fn body(&self, request: reqwest::RequestBuilder, cancelled: Cancelled<'_>) -> Result<Vec<u8>, SpeechError> {
        self.runtime.block_on(async {
            let work = async {
                let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
                if !response.status().is_success() {
                    return Err(self.failed(format!("HTTP {}", response.status().as_u16())));
                }
                let mut body = Vec::new();
                while let Some(part) = response.chunk().await.map_err(|error| self.unreachable(error))? {
                    body.extend_from_slice(&part);
                    if body.len() > MAX_BODY {
                        return Err(self.failed("the answer is too large"));
                    }
                }
                Ok(body)
            };
            let mut check = tokio::time::interval(CANCEL_CHECK);
            tokio::pin!(work);
            loop {
                tokio::select! {
                    done = &mut work => return done,
                    _ = check.tick() => if cancelled() { return Err(SpeechError::Cancelled) },
                }
            }
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> SpeechError {
        match refusal(&error) {
            Some(refused) => self.failed(refused),
            None => self.failed(error.without_url()),
        }
    }

    fn failed(&self, reason: impl ToString) -> SpeechError {
        SpeechError::Run {
            engine: self.engine,
            reason: reason.to_string(),
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(30);
const CANCEL_CHECK: Duration = Duration::from_millis(20);
/// Two minutes of 48 kHz stereo.
const MAX_BODY: usize = 24 << 20;
