//! Whether a caller may be recorded: what they say to the question, and what is written down of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::Desk;
use crate::call::flow::Answer;
use crate::call::inbound::Inbound;
use crate::call::socket::Audio;
use crate::dialog::slot::{Slot, Value};
use crate::engine::Urgency;
use crate::speech::ear::Ear;
use crate::speech::webrtc::WebRtcVad;
use crate::speech::{Listen, WINDOW};
use crate::store::Consent;
use crate::time::{MediaTime, SampleRate};
use crate::turn::event::Voice;

/// The caller's audio from the end of the question on.
pub(super) struct Listening {
    inbound: Inbound,
    windows: Vec<Voice>,
    heard: MediaTime,
    voiced: u64,
    /// Since speech was heard last.
    silent: u64,
}

impl Desk<'_> {
    pub(super) fn ear(&self) -> Listening {
        let vad = Box::new(WebRtcVad::new(self.services.vad_mode));
        let ear = Ear::new(vad, self.services.silero.as_ref());
        Listening {
            inbound: Inbound::new(ear, LONGEST.as_secs()),
            windows: Vec::new(),
            heard: MediaTime::ZERO,
            voiced: 0,
            silent: 0,
        }
    }

    /// Listens for the answer; once the caller has said something, it is made out.
    pub(super) fn overhear(&mut self, audio: Audio<'_>) {
        let Some(listening) = &mut self.listening else { return };
        let answered = listening.is_answered(audio);
        if listening.has_word() {
            // However long the rest takes, it is the answer.
            self.wait = None;
        }
        if !answered {
            return;
        }
        let audio = listening.inbound.audio(MediaTime::ZERO, listening.heard);
        (self.listening, self.wait) = (None, None);
        let engine = Arc::clone(&self.services.engine);
        let (within, call) = (self.services.policy.transcribe_deadline, self.call.call_sid);
        let language = self.agent.language;
        let today = self.services.today(&self.agent);
        let listen = Listen {
            languages: self.agent.languages(),
            answers: Slot::YesNo.answers(language),
        };
        let understood = async move {
            let heard = engine.transcribe(audio, listen, within, Urgency::now()).await;
            let heard = heard.inspect_err(|error| {
                tracing::warn!(call, %error, "whether call {call} may be recorded could not be made out: {error}");
            });
            match Slot::YesNo.parse(&heard.ok()?.text, language, today).value {
                Some(Value::YesNo(yes)) => Some(yes),
                _ => None,
            }
        };
        self.understanding = Some(understood.boxed());
    }

    pub(super) fn consented(&mut self, answer: Answer) {
        let Some(recording) = &self.agent.recording else { return };
        let (answer, by) = match answer {
            Answer::Told => ("told", ""),
            Answer::Given { yes, keyed } => (if yes { "yes" } else { "no" }, if keyed { "key" } else { "voice" }),
            Answer::None => ("none", ""),
        };
        let call = self.call.call_sid;
        tracing::info!(call, answer, "whether call {call} may be recorded: {answer}");
        self.consent = Some(Consent {
            asked: recording.consent.name().to_owned(),
            notice: format!("{} {}", recording.notice, recording.question).trim().to_owned(),
            answer: answer.to_owned(),
            by: by.to_owned(),
            at: Timestamp::now(),
        });
    }
}

impl Listening {
    /// Takes audio. Whether something was said, and is over.
    fn is_answered(&mut self, audio: Audio<'_>) -> bool {
        self.windows.clear();
        self.inbound.take(audio, &mut self.windows);
        for voice in &self.windows {
            let samples = WINDOW as u64;
            self.heard = self.heard.advance(samples);
            if *voice == Voice::Sure {
                self.voiced += samples;
                self.silent = 0;
            } else {
                self.silent += samples;
            }
        }
        let reached = |samples, limit| SampleRate::LINE.duration(samples) >= limit;
        self.has_word() && reached(self.silent, PAUSE) || reached(self.heard.samples(), LONGEST)
    }

    fn has_word(&self) -> bool {
        SampleRate::LINE.duration(self.voiced) >= WORD
    }
}

/// The shortest answer.
const WORD: Duration = Duration::from_millis(100);
/// Silence behind it.
const PAUSE: Duration = Duration::from_millis(700);
/// Who speaks longer is answering something else.
const LONGEST: Duration = Duration::from_secs(15);
