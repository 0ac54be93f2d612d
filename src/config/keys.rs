//! Every key there is, in one table: the reader, the documentation and the tests all go by it.

/// One key that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in the environment and the `.env` file.
    pub name: &'static str,
    /// The value it has when unset, or `None` when being unset means something of its own.
    pub default: Option<&'static str>,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

const fn key(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        default: Some(default),
        meaning,
        secret: false,
    }
}

const fn unset(name: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        default: None,
        meaning,
        secret: false,
    }
}

const fn secret(name: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        default: None,
        meaning,
        secret: true,
    }
}

/// The key of that name, which must exist: callers name keys by literals.
pub(super) fn find(name: &str) -> &'static Key {
    KEYS.iter()
        .find(|key| key.name == name)
        .expect("invariant: every key that is read is in KEYS")
}

/// All keys, in the order of `.env.example`.
pub const KEYS: &[Key] = &[
    // Twilio
    unset(
        "PUBLIC_URL",
        "the address at which Twilio reaches this server; several with commas between, our own first",
    ),
    unset("TWILIO_ACCOUNT_SID", "the Twilio account"),
    secret(
        "TWILIO_AUTH_TOKEN",
        "the key that Twilio's webhook signatures are checked with",
    ),
    unset("TWILIO_PHONE_NUMBER", "the number callers dial, in E.164 form"),
    secret(
        "TWILIO_AUTH_TOKEN_OLD",
        "another auth token that is good too, while one replaces the other",
    ),
    key(
        "TWILIO_SIGNATURE",
        "sha1",
        "how webhooks are signed: sha1 with the auth token, or sha256 with TWILIO_SHARED_KEY",
    ),
    secret("TWILIO_SHARED_KEY", "the shared key of sha256 signatures"),
    secret(
        "TWILIO_SHARED_KEY_OLD",
        "another shared key that is good too, while one replaces the other",
    ),
    key(
        "TWILIO_VERIFY",
        "on",
        "whether webhooks must be signed; off is for development on this machine",
    ),
    unset(
        "TWILIO_API_KEY_SID",
        "an API key that asks Twilio's REST API instead of the account's auth token",
    ),
    secret("TWILIO_API_KEY_SECRET", "the secret of that API key"),
    unset("TWILIO_REGION", "the Twilio region whose API is asked"),
    unset("TWILIO_EDGE", "the Twilio edge by which it is asked"),
    unset(
        "TWILIO_API_URL",
        "where Twilio's REST API is, when it is not at twilio.com",
    ),
    key(
        "TRANSPORT",
        "stream",
        "how a call's audio comes and goes: a media stream, or record, turn by turn",
    ),
    // Outbound
    unset(
        "TRANSFER_NUMBERS",
        "the only numbers that callers are handed over to, the usual one first; unset: calls are not handed over",
    ),
    unset(
        "OUTBOUND_ALLOW",
        "whom this server may call: numbers, or how they begin with * behind it; unset: nobody",
    ),
    key("OUTBOUND_PER_DAY", "50", "calls placed in 24 hours"),
    key("OUTBOUND_HOURS", "08:00-20:00", "when calls may be placed"),
    key(
        "TIME_ZONE",
        "UTC",
        "whose clock that is, and whose day is today where an agent's line has no hours",
    ),
    key("SMS", "off", "whether text messages are sent"),
    key("SMS_PER_DAY", "50", "text messages sent in 24 hours"),
    unset("SMS_NUMBERS", "to whom beside the caller"),
    // Egress
    key(
        "PRIVACY",
        "on-prem",
        "what the server may contact: on-prem, this machine and private networks; cloud-llm, the language model too",
    ),
    unset("EGRESS_ALLOW", "hosts and networks that may be contacted besides"),
    // Agent and LLM
    key(
        "AGENT",
        "front-desk",
        "the agent that answers: the name of a file in AGENTS_DIR",
    ),
    unset(
        "LLM_BASE_URL",
        "an OpenAI-compatible chat endpoint; OpenAI itself when only a key is set",
    ),
    secret("LLM_API_KEY", "the key for the LLM endpoint"),
    secret("OPENAI_API_KEY", "read when LLM_API_KEY is unset"),
    key("LLM_MODEL", "gpt-4o-mini", "the model's name at the LLM endpoint"),
    key("LLM_TEMPERATURE", "0.4", "randomness of replies, 0 to 2"),
    key("LLM_MAX_TOKENS", "200", "longest reply, in tokens"),
    unset(
        "LLM_REDACT",
        "on or off: whether ids, numbers, dates, names and addresses leave as placeholders; unset: on with PRIVACY=cloud-llm",
    ),
    // Speech
    key(
        "STT_MODEL",
        "tiny.en",
        "the Whisper model: a manifest name or a path to a ggml file",
    ),
    key("STT_LANGUAGE", "en", "the callers' language, or auto"),
    unset(
        "STT_WORKERS",
        "transcriptions at the same time; one per core when unset",
    ),
    key("STT_THREADS", "1", "threads per transcription"),
    unset(
        "STT_URL",
        "an OpenAI-compatible transcription server instead of the local Whisper",
    ),
    secret("STT_API_KEY", "the key for STT_URL"),
    key(
        "TTS_VOICE",
        "en_US-joe-medium",
        "the Piper voice: a manifest name or a path to an .onnx file",
    ),
    unset("TTS_VOICE_ES", "the voice of agents that speak Spanish"),
    key("TTS_SPEED", "1.0", "speaking rate, 0.5 to 2.0; 1.0 is the voice's own"),
    unset(
        "TTS_WORKERS",
        "sentences synthesized at the same time; the server decides when unset",
    ),
    key("TTS_THREADS", "1", "threads per synthesis"),
    unset(
        "TTS_URL",
        "an OpenAI-compatible speech server instead of the local Piper",
    ),
    secret("TTS_API_KEY", "the key for TTS_URL"),
    key("TTS_MODEL", "tts-1", "the model's name at TTS_URL"),
    // Turn-taking
    key(
        "ENDPOINTING",
        "all",
        "what decides how long a pause ends the turn: silence, sound, words or all",
    ),
    key(
        "ENDPOINT_MIN",
        "350ms",
        "silence that ends the turn when the caller has surely finished",
    ),
    key(
        "ENDPOINT_DELAY",
        "600ms",
        "silence that ends the turn when nothing else is known",
    ),
    key(
        "ENDPOINT_MAX",
        "2s",
        "silence that ends the turn when the caller surely has more to say",
    ),
    key(
        "SPECULATION",
        "full",
        "how much of the answer is prepared in a pause: off, stt, llm or full",
    ),
    key("SPECULATE_AFTER", "100ms", "silence after which it is prepared"),
    key("BARGE_IN_MIN", "200ms", "speech that interrupts the agent"),
    key("SPEECH_ONSET", "60ms", "speech that starts a turn while nobody speaks"),
    key("PRE_ROLL", "240ms", "audio kept from before the onset"),
    key("VAD_MODE", "2", "how strictly sound is judged to be speech, 0 to 3"),
    key("PLAYOUT_LEAD", "400ms", "audio sent ahead of the caller's ear"),
    key(
        "SILENCE_PROMPT",
        "10s",
        "silence of both sides after which the agent asks whether the caller is there",
    ),
    key("SILENCE_PROMPTS", "2", "how often it asks before it says goodbye"),
    key("MAX_TURN", "60s", "longest caller turn"),
    key("MAX_CALL", "1h", "longest call"),
    key(
        "MEDIA_TIMEOUT",
        "15s",
        "time without caller audio after which the line counts as dead",
    ),
    key("STT_DEADLINE", "10s", "longest wait for a transcript"),
    key("LLM_DEADLINE", "8s", "longest wait for the next sentence of a reply"),
    key("TTS_DEADLINE", "10s", "longest wait for the audio of a sentence"),
    // Other lines
    secret(
        "SIGNALWIRE_SIGNING_KEY",
        "the key that SignalWire's webhook signatures are checked with",
    ),
    unset(
        "TELNYX_PUBLIC_KEY",
        "the key that Telnyx' webhook signatures are checked with",
    ),
    secret(
        "PLIVO_AUTH_TOKEN",
        "the key that Plivo's webhook signatures are checked with",
    ),
    secret("EXOTEL_SECRET", "what Exotel's applet is to bring"),
    unset("AUDIOSOCKET_BIND", "the address at which a PBX's AudioSocket is taken"),
    unset(
        "AUDIOSOCKET_UUIDS",
        "the UUIDs that a PBX may call with, with numbers; any when unset",
    ),
    unset(
        "AUDIOSOCKET_NUMBER",
        "the number that a PBX's calls have dialled, which chooses the agent",
    ),
    key(
        "AUDIOSOCKET_PUBLIC",
        "false",
        "whether AUDIOSOCKET_BIND may be an address outside private networks",
    ),
    // Server
    key("BIND", "0.0.0.0:8080", "the address and port to listen on"),
    unset(
        "TLS_CERT",
        "the certificate to listen with, PEM with its chain; unset: no TLS here",
    ),
    unset("TLS_KEY", "its private key, PEM"),
    key(
        "TRUSTED_PROXIES",
        "127.0.0.1,::1",
        "proxies whose X-Forwarded-For tells who asks",
    ),
    key("DATA_DIR", "./data", "where the server keeps what it writes"),
    unset(
        "DATABASE_URL",
        "where records are kept: sqlite:PATH or postgres://…; a SQLite file in DATA_DIR when unset",
    ),
    key(
        "SEED_DATA",
        "on",
        "whether a new database begins with example customers and test patients",
    ),
    unset(
        "KEK_FILE",
        "the file of the key that all records are encrypted with; kek.key in DATA_DIR when unset",
    ),
    secret("KEK", "that key itself, instead of a file"),
    unset(
        "CREDENTIALS_DIRECTORY",
        "set by systemd: where that key is as the credential tieline-kek",
    ),
    unset(
        "AUDIT_ANCHOR_FILE",
        "a file, on another disk, to which the end of the audit trail is added every hour",
    ),
    key(
        "RETAIN_RECORDINGS",
        "90d",
        "how long the audio of calls is kept: days, years, or forever",
    ),
    key(
        "RETAIN_TRANSCRIPTS",
        "6y",
        "how long it is kept what was said and done in calls",
    ),
    key("RETAIN_CALLS", "6y", "how long it is kept that there was a call"),
    key("RETAIN_VOICEMAILS", "1y", "how long messages are kept"),
    key("RETAIN_AUDIT", "7y", "how long the audit trail is kept"),
    unset(
        "SHRED_LIST",
        "the file that lists the keys deleted for good, for backups; shredded.list in DATA_DIR when unset",
    ),
    key("RECORDING", "off", "whether calls are recorded, encrypted"),
    unset(
        "RECORDINGS_DIR",
        "where recordings are kept; recordings in DATA_DIR when unset",
    ),
    key("MODELS_DIR", "./models", "where model files are"),
    key("AGENTS_DIR", "./agents", "where agent files are"),
    unset("MAX_CALLS", "calls at the same time; 4 per core when unset"),
    key(
        "SHUTDOWN_GRACE",
        "30s",
        "time that calls get to finish when the server stops",
    ),
    key("HF_ENDPOINT", "https://huggingface.co", "where models are pulled from"),
    // Management API
    key("API_RATE_PER_KEY", "600", "API requests a minute that one key may make"),
    key(
        "API_RATE_PER_ADDRESS",
        "1200",
        "API requests a minute that one address may make",
    ),
    // Logs
    key(
        "LOG",
        "info",
        "what is logged: a level, or target=level, separated by commas",
    ),
    key("LOG_FORMAT", "text", "text for people, json for collectors"),
    key("LOG_TRANSCRIPTS", "false", "whether what was said is logged"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_secrets_have_no_default() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS[..index].iter().all(|other| other.name != key.name),
                "{} is there twice",
                key.name
            );
            assert!(
                !(key.secret && key.default.is_some()),
                "{} is secret and has a default",
                key.name
            );
            assert!(!key.meaning.is_empty());
        }
    }
}
