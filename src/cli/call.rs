//! `tieline call`: a simulated caller for trying a server out and for measuring it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgAction, ArgMatches, Args, FromArgMatches};
use url::{Host, Url};

use crate::caller::{
    Event, Happened, Level, Pace, Plan, Report, Target, TraceEvent, Trust, Utterance, place_call_trusting,
};

/// Gives a text a voice: mono samples in −1 to 1 and their rate in Hz.
pub(super) type Voice<'a> = &'a mut dyn FnMut(&str) -> anyhow::Result<(Vec<f32>, u32)>;

/// Call a server as Twilio would, hold a conversation, and measure it.
///
/// Every --say and --wav is one turn of the caller, in the order given.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// Voice webhook to call; its answer names the media stream [default: the local server]
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    webhook: Option<String>,
    /// Media stream to open without a webhook (ws:// or wss://); there is no trace then
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Public base URL of the server, when it is called by another one here: signatures name it
    /// [default: that of the settings, for a server on this machine]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    #[command(flatten)]
    turns: Turns,
    /// Write the call to a stereo wav, caller left, agent right
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document on standard output; the text for people goes to standard error
    #[arg(long)]
    json: bool,
    /// Trust this authority, too, for https and wss: a PEM file, such as that of a self-signed certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Auth Token to sign with [default: that of the settings; without one nothing is signed]
    #[arg(long, value_name = "TOKEN")]
    auth_token: Option<String>,
    /// Account of the call [default: that of the settings]
    #[arg(long, value_name = "SID")]
    account_sid: Option<String>,
    /// Number of the caller
    #[arg(long, value_name = "NUMBER", default_value = "+15005550006")]
    from: String,
    /// Number that is called [default: that of the settings]
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    /// Level of the caller's active speech in dBFS, or "as-is"
    #[arg(long, default_value = "-22", allow_hyphen_values = true)]
    level: Level,
    /// Speak the next turn this many seconds into the agent's answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    barge_after: Option<Duration>,
    /// Silence after which the agent's answer is over, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1.0")]
    quiet: Duration,
    /// How long to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "20")]
    timeout: Duration,
    /// How long to wait for a greeting, in seconds; 0 when there is none
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "20")]
    greeting_timeout: Duration,
}

/// What the settings of this machine's server say, for arguments that are not given.
pub(super) struct LocalServer {
    /// Its voice webhook, called when neither `--webhook` nor `--url` is given.
    pub(super) webhook: String,
    /// Its `PUBLIC_URL`; it applies to a webhook on this machine.
    pub(super) public_url: Option<String>,
    /// Its `TWILIO_AUTH_TOKEN`.
    pub(super) auth_token: Option<String>,
    /// Its `TWILIO_ACCOUNT_SID`.
    pub(super) account_sid: Option<String>,
    /// Its `TWILIO_PHONE_NUMBER`.
    pub(super) number: Option<String>,
}

/// Places the call, prints it, and tells by the exit code whether the server made mistakes.
///
/// # Errors
///
/// A turn cannot be spoken, the call does not come through, or the recording cannot be written.
pub(super) async fn run(args: CallArgs, local: LocalServer, voice: Voice<'_>) -> anyhow::Result<ExitCode> {
    let turns = args
        .turns
        .0
        .iter()
        .map(|turn| turn.utterance(args.level, voice))
        .collect::<anyhow::Result<_>>()?;
    let target = match args.url {
        Some(url) => Target::Stream { url },
        None => {
            let url = args.webhook.unwrap_or(local.webhook);
            let public_url = args.public_url.or_else(|| local.public_url.filter(|_| is_local(&url)));
            Target::Webhook { url, public_url }
        }
    };
    let plan = Plan {
        target,
        auth_token: args.auth_token.or(local.auth_token),
        account_sid: args
            .account_sid
            .or(local.account_sid)
            .unwrap_or_else(|| ACCOUNT.to_owned()),
        from: args.from,
        to: args.to.or(local.number).unwrap_or_else(|| NUMBER.to_owned()),
        turns,
        pace: Pace {
            greeting: args.greeting_timeout,
            answer: args.timeout,
            quiet: args.quiet,
            barge_after: args.barge_after,
            ..Pace::default()
        },
    };
    let mut screen = Screen {
        to_stderr: args.json,
        traced: false,
    };
    let trust = args
        .ca
        .as_deref()
        .map(Trust::with_file)
        .transpose()?
        .unwrap_or_default();
    let report = place_call_trusting(plan, &trust, &mut |event| screen.show(&event)).await?;
    if let Some(path) = &args.out {
        report
            .recording
            .write_wav(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        screen.print(&format!("\nwrote {} (caller left, agent right)", path.display()));
    }
    screen.print(&summary(&report));
    if args.json {
        let document = serde_json::to_string_pretty(&report)?;
        writeln!(std::io::stdout().lock(), "{document}")?;
    }
    Ok(if report.errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The caller's turns in the order of the command line.
#[derive(Debug, Clone, Default)]
struct Turns(Vec<Said>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Wav(PathBuf),
    Text(String),
}

impl Said {
    fn utterance(&self, level: Level, voice: Voice<'_>) -> anyhow::Result<Utterance> {
        match self {
            Self::Wav(path) => Ok(Utterance::from_wav(path, level)?),
            Self::Text(text) => {
                let (samples, rate) = voice(text).with_context(|| format!("cannot speak {text:?}"))?;
                Ok(Utterance::from_samples(text.clone(), &samples, rate, level)?)
            }
        }
    }
}

// By hand, because the derive knows no order between two arguments.
impl Args for Turns {
    fn augment_args(command: clap::Command) -> clap::Command {
        let wav = clap::Arg::new("wav").long("wav").value_name("FILE").num_args(1..);
        let say = clap::Arg::new("say")
            .long("say")
            .value_name("TEXT")
            .allow_hyphen_values(true);
        command
            .arg(
                wav.action(ArgAction::Append)
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Speak a wav file, any rate and format; several are several turns"),
            )
            .arg(say.action(ArgAction::Append).help("Speak a text with the local voice"))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Turns {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let wavs = matches
            .get_many::<PathBuf>("wav")
            .into_iter()
            .flatten()
            .cloned()
            .map(Said::Wav);
        let says = matches
            .get_many::<String>("say")
            .into_iter()
            .flatten()
            .cloned()
            .map(Said::Text);
        let places = |id| matches.indices_of(id).into_iter().flatten();
        let mut turns: Vec<(usize, Said)> = places("wav").zip(wavs).chain(places("say").zip(says)).collect();
        turns.sort_by_key(|(place, _)| *place);
        Ok(Self(turns.into_iter().map(|(_, said)| said).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Prints the call as it goes.
struct Screen {
    to_stderr: bool,
    /// The trace tells the texts; without one, the utterances' labels have to do.
    traced: bool,
}

impl Screen {
    fn show(&mut self, event: &Event) {
        let (who, text) = match &event.happened {
            Happened::Connected { call_sid } => ("call", format!("connected, {call_sid}")),
            Happened::Speaks { said, .. } if !self.traced => ("caller", said.clone()),
            Happened::Speaks { said, .. } => ("says", said.clone()),
            Happened::Answered { after, .. } => match after {
                Some(after) => (
                    "sound",
                    format!("the agent is heard after {:.0} ms", after.as_secs_f64() * 1000.0),
                ),
                None => ("sound", "the agent is heard".to_owned()),
            },
            Happened::Trace(event) => {
                self.traced = true;
                match event {
                    TraceEvent::Caller { text, .. } => ("caller", text.clone()),
                    TraceEvent::Agent { text, .. } => ("agent", text.clone()),
                    TraceEvent::Heard { .. } | TraceEvent::Turn { .. } | TraceEvent::End | TraceEvent::Unknown => {
                        return;
                    }
                }
            }
            Happened::TraceRefused { reason } => ("call", format!("no trace, {reason}: only what is measured here")),
            Happened::Fault { fault } => ("fault", fault.clone()),
        };
        self.print(&format!("{:7.2}  {who:<7} {text}", event.at.as_secs_f64()));
    }

    /// A closed pipe ends the printing, not the call.
    fn print(&self, text: &str) {
        let _ = if self.to_stderr {
            writeln!(std::io::stderr().lock(), "{text}")
        } else {
            writeln!(std::io::stdout().lock(), "{text}")
        };
    }
}

fn summary(report: &Report) -> String {
    let mut text = format!(
        "\n{:.1} s; latencies in ms, v2v = last word to first sound:\n\n",
        report.seconds
    );
    text.push_str(&report.latency_table());
    if report.worst_lag_ms > LAG_MS {
        let _ = writeln!(
            text,
            "\nThis machine was up to {:.0} ms late with a frame: read the figures with care.",
            report.worst_lag_ms
        );
    }
    if !report.errors.is_empty() {
        let _ = writeln!(text, "\n{} faults:", report.errors.len());
        for error in &report.errors {
            let _ = writeln!(text, "  {error}");
        }
    }
    text
}

/// Whether a URL leads to this machine, and so to the server that shares our `.env`.
pub(super) fn is_local(url: &str) -> bool {
    match Url::parse(url).as_ref().map(Url::host) {
        Ok(Some(Host::Ipv4(ip))) => ip.is_loopback() || ip.is_unspecified(),
        Ok(Some(Host::Ipv6(ip))) => ip.is_loopback() || ip.is_unspecified(),
        Ok(Some(Host::Domain(name))) => name == "localhost",
        Ok(None) | Err(_) => false,
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    Some(seconds)
        .filter(|seconds| (0.0..=3600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "between 0 and 3600 s are possible".to_owned())
}

/// The account of a call that names none.
pub(super) const ACCOUNT: &str = "AC00000000000000000000000000000000";

/// The number of a call that names none: Twilio's own for tests.
pub(super) const NUMBER: &str = "+15005550001";

/// A frame later than this makes the measurements of the call doubtful.
const LAG_MS: f64 = 20.0;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        call: CallArgs,
    }

    fn parse(line: &str) -> Result<CallArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once("call").chain(line.split(' '))).map(|cli| cli.call)
    }

    #[test]
    fn turns_keep_the_order_of_the_command_line() {
        let args = parse("--say one --wav 2.wav 3.wav --say four --json --wav 5.wav").expect("arguments");
        let wav = |name: &str| Said::Wav(PathBuf::from(name));
        let text = |text: &str| Said::Text(text.to_owned());
        assert_eq!(
            args.turns.0,
            [text("one"), wav("2.wav"), wav("3.wav"), text("four"), wav("5.wav")]
        );
        assert!(args.json);
    }

    #[test]
    fn arguments_have_sensible_defaults_and_bounds() {
        let args = parse("--barge-after 1.5 --level -26").expect("arguments");
        assert_eq!(args.barge_after, Some(Duration::from_millis(1500)));
        assert_eq!((args.level, args.quiet), (Level::Dbfs(-26.0), Duration::from_secs(1)));
        assert!(args.turns.0.is_empty());
        for wrong in [
            "--url ws://a --webhook http://b",
            "--level loud",
            "--quiet -1",
            "--barge-after nan",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_this_machine_has_our_settings() {
        for (url, local) in [
            ("http://127.0.0.1:8080/voice/incoming", true),
            ("https://localhost/voice/incoming", true),
            ("http://[::1]:8080/", true),
            ("http://0.0.0.0:8080/", true),
            ("http://127.evil.com/voice/incoming", false),
            ("http://127.0.0.1.evil.com/", false),
            ("http://localhost.evil.com/", false),
            ("http://localhost@evil.com/", false),
            ("http://127.0.0.1:8080@evil.com/", false),
            ("http://192.168.0.7/", false),
            ("127.0.0.1:8080", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
