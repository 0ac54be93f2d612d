//! The configuration: a pure function of strings that reports every fault at once.
//!
//! Two layers only: [`gather`] lays the environment over the `.env` file and yields raw [`Strings`]; [`Config::parse`] turns
//! them into typed values. Nothing here reads the process environment: the caller passes it in. Defaults are in [`KEYS`]
//! (turn-taking ones in [`crate::turn::policy::Policy`]); `.env.example` is checked against both by a test.

mod api;
mod audit;
mod database;
mod egress;
mod error;
mod keys;
mod lines;
mod llm;
mod log;
mod outbound;
mod parse;
mod retention;
mod secret;
mod server;
mod speech;
mod strings;
#[cfg(test)]
mod tests;
mod turn;
mod twilio;

use crate::privacy::egress::Policy;
use parse::Reader;

pub use crate::privacy::kek::KekSource;
pub use api::ApiLimits;
pub use audit::Audit;
pub use database::{Database, Location};
pub use error::{ConfigError, ConfigErrors};
pub use keys::{KEYS, Key};
pub use lines::{Lines, Uuids};
pub use llm::Llm;
pub use log::{Log, LogFormat};
pub use outbound::{Allowed, Hours, Outbound};
pub use retention::{Keep, Retention};
pub use secret::Secret;
pub use server::{Server, TlsFiles, is_local};
pub use speech::{Stt, Tts};
pub use strings::{Origin, Strings, gather};
pub use turn::Turn;
pub use twilio::{Transport, Twilio, mask_digits};

/// Everything an operator can set, typed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Addresses, directories, limits.
    pub server: Server,
    /// Where records are kept.
    pub database: Database,
    /// How long they are kept.
    pub retention: Retention,
    /// Which agent answers: `AGENTS_DIR/<agent>.toml`. Default `front-desk`, the one that ships.
    pub agent: String,
    /// The telephone company.
    pub twilio: Twilio,
    /// Other carriers, and a PBX.
    pub lines: Lines,
    /// What may be dialled.
    pub outbound: Outbound,
    /// What may be contacted.
    pub egress: Policy,
    /// The language model.
    pub llm: Llm,
    /// Speech to text.
    pub stt: Stt,
    /// Text to speech.
    pub tts: Tts,
    /// Turn-taking.
    pub turn: Turn,
    /// Logging.
    pub log: Log,
    /// The management API.
    pub api: ApiLimits,
    /// The audit trail.
    pub audit: Audit,
    /// What is odd without being wrong; to be logged at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Parses all keys before it returns, so that the operator sees every mistake at once.
    pub fn parse(strings: &Strings) -> Result<Self, ConfigErrors> {
        let (config, errors) = Self::read(strings);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(errors))
        }
    }

    /// As [`Config::parse`], for looking at a configuration that is not right yet: faulty keys count as unset.
    pub fn read(strings: &Strings) -> (Self, Vec<ConfigError>) {
        let reader = &mut Reader::new(strings);
        let server = Server::parse(reader);
        let egress = egress::policy(reader);
        let mut config = Self {
            database: Database::parse(reader, &server.data_dir),
            retention: Retention::parse(reader, &server.data_dir),
            server,
            agent: reader.or_default("AGENT", agent_name),
            twilio: Twilio::parse(reader),
            lines: Lines::parse(reader),
            outbound: Outbound::parse(reader),
            llm: Llm::parse(reader, egress.mode),
            egress,
            stt: Stt::parse(reader),
            tts: Tts::parse(reader),
            turn: Turn::parse(reader),
            log: Log::parse(reader),
            api: ApiLimits::parse(reader),
            audit: Audit::parse(reader),
            warnings: strings.warnings().to_vec(),
        };
        config.cross_check(reader);
        config.warnings.extend(config.retention.cross_check(reader));
        let errors = std::mem::replace(reader, Reader::new(strings)).finish();
        (config, errors)
    }

    /// The effective values for the start-up log, in the order of [`KEYS`]: secrets as "set" or "not set", the telephone
    /// number but for its last two digits. `OPENAI_API_KEY` shows under `LLM_API_KEY`.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("AGENT", self.agent.clone())];
        self.server.describe(&mut lines);
        self.database.describe(&mut lines);
        self.retention.describe(&mut lines);
        self.twilio.describe(&mut lines);
        self.lines.describe(&mut lines);
        self.outbound.describe(&mut lines);
        egress::describe(&self.egress, &mut lines);
        self.llm.describe(&mut lines);
        self.stt.describe(&mut lines);
        self.tts.describe(&mut lines);
        self.turn.describe(&mut lines);
        self.log.describe(&mut lines);
        self.api.describe(&mut lines);
        self.audit.describe(&mut lines);
        lines.sort_by_key(|(name, _)| KEYS.iter().position(|key| key.name == *name));
        lines
    }

    fn cross_check(&mut self, reader: &mut Reader<'_>) {
        let mut addresses = self.server.public_url.iter().chain(&self.server.also_public);
        let public = addresses.find(|url| !is_local(url));
        self.twilio.cross_check(public, reader);
        if reader.is_set("TWILIO_API_KEY_SID") != reader.is_set("TWILIO_API_KEY_SECRET") {
            self.warnings.push(
                "one of TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET is not set, so TWILIO_AUTH_TOKEN is used instead; set both"
                    .to_owned(),
            );
        }
        if self.outbound.is_wanted() {
            let lacking: Vec<&str> = [
                ("PUBLIC_URL", self.server.public_url.is_some()),
                ("TWILIO_ACCOUNT_SID", reader.is_set("TWILIO_ACCOUNT_SID")),
                ("TWILIO_PHONE_NUMBER", reader.is_set("TWILIO_PHONE_NUMBER")),
                (
                    "TWILIO_AUTH_TOKEN (or TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET)",
                    reader.is_set("TWILIO_AUTH_TOKEN") || self.twilio.api_key.is_some(),
                ),
            ]
            .into_iter()
            .filter_map(|(name, given)| (!given).then_some(name))
            .collect();
            if !lacking.is_empty() {
                reader.conflict(format!(
                    "TRANSFER_NUMBERS, OUTBOUND_ALLOW and SMS need Twilio's API, which needs {}. Set it, or unset these",
                    lacking.join(", ")
                ));
            }
        }
        if self.twilio.transport == Transport::Record
            && (self.twilio.rest().is_none() || self.server.public_url.is_none())
        {
            reader.conflict(
                "TRANSPORT is record, so recordings are fetched from Twilio, and what callers hear from here: set \
                 TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN (or an API key) and PUBLIC_URL, or write TRANSPORT=stream"
                    .to_owned(),
            );
        }
        if !self.outbound.allow.is_empty() && self.twilio.transport == Transport::Record {
            reader.conflict(
                "OUTBOUND_ALLOW is set and TRANSPORT is record, by which no calls are placed: write TRANSPORT=stream or unset OUTBOUND_ALLOW"
                    .to_owned(),
            );
        }
        if self.server.recording && self.twilio.transport == Transport::Record {
            reader.conflict(
                "RECORDING is on and TRANSPORT is record, where there is no stream to be recorded: write TRANSPORT=stream or RECORDING=off"
                    .to_owned(),
            );
        }
        let policy = &self.turn.policy;
        if policy.barge_in_min < policy.onset && !reader.is_bad("BARGE_IN_MIN") && !reader.is_bad("SPEECH_ONSET") {
            let (barge_in, onset) = (
                parse::show_duration(policy.barge_in_min),
                parse::show_duration(policy.onset),
            );
            reader.conflict(format!(
                "BARGE_IN_MIN is {barge_in} and SPEECH_ONSET is {onset}: interrupting the agent may not take less speech than \
                 starting a turn. Write BARGE_IN_MIN={onset} or longer"
            ));
        }
        if self.stt.url.is_none() && self.stt.model.ends_with(".en") && self.stt.language != "en" {
            self.warnings.push(format!(
                "STT_MODEL {} understands English only and STT_LANGUAGE is {}; choose a model without .en, such as base",
                self.stt.model, self.stt.language
            ));
        }
    }
}

fn agent_name(value: &str) -> Result<String, parse::Bad> {
    if crate::dialog::agent::is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(parse::Bad::new(
            "an agent's name of a-z, 0-9 and -, without directory or .toml",
        ))
    }
}

/// An optional value for [`Config::describe`].
fn or_unset<T: ToString>(value: Option<&T>, unset: &str) -> String {
    value.map_or_else(|| unset.to_owned(), ToString::to_string)
}

/// A secret for [`Config::describe`].
fn set_or_not(secret: Option<&Secret>) -> String {
    if secret.is_some() { "set" } else { "not set" }.to_owned()
}
