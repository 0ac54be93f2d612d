//! `tieline data`: records in and out, and whether they are whole.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::call::recording::{Recordings, Wav};
use crate::call::voicemail::Mailbox;
use crate::config::Config;
use crate::privacy::egress::Egress;
use crate::store::{AuditEvent, Record, Recording, Store};

/// Brings records into the database, and looks through those there are.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Imports customers or coverage from CSV files, each as a whole or not at all
    Import {
        /// UTF-8 with a header; README.md explains the columns
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Opens every record, every voicemail file and every recording, and names what was altered or is missing; exit code 1 if anything was
    Verify,
    /// Writes a voicemail as WAV, decrypted; the audit trail says so
    Voicemail {
        /// Its id, as in the table `voicemails`
        id: String,
        /// The file, which must not be there
        file: PathBuf,
    },
    /// Writes the recording of a call as WAV, decrypted: the caller left, the agent right; the audit trail says so
    Recording {
        /// The carrier's id of the call
        call_sid: String,
        /// The file, which must not be there
        file: PathBuf,
    },
    /// Prints what stands for a customer or patient in the audit trail and in messages, which do not name them
    Reference {
        #[command(flatten)]
        of: Whose,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// A customer number
    #[arg(long)]
    customer: Option<String>,
    /// A member id
    #[arg(long)]
    member: Option<String>,
}

/// Runs `tieline data` on the configured database.
pub(super) async fn run(args: DataArgs, config: &Config, egress: &Egress) -> anyhow::Result<ExitCode> {
    let store = Store::open_within(&config.database, egress).await?;
    let mailbox = Mailbox::new(config.server.data_dir.join("voicemail"), store.clone());
    let recordings = Recordings::new(config.server.recordings_dir.clone(), store.clone());
    let mut whole = true;
    match args.command {
        DataCommand::Import { files } => import(&store, &files).await?,
        DataCommand::Verify => whole = verify(&store, &mailbox, &recordings).await?,
        DataCommand::Voicemail { id, file } => voicemail(&store, &mailbox, &id, &file).await?,
        DataCommand::Recording { call_sid, file } => recording(&store, &recordings, &call_sid, &file).await?,
        DataCommand::Reference { of } => {
            let record = of.customer.as_deref().map(Record::Customer);
            let record = record.or_else(|| of.member.as_deref().map(Record::Patient));
            let record = record.context("name a customer or a member")?;
            say(&format!("{}\n", store.key_id(record)?))?;
        }
    }
    store.close().await;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn import(store: &Store, files: &[PathBuf]) -> anyhow::Result<()> {
    for file in files {
        let name = file.display();
        let csv = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
        let imported = store.import(&csv).await.with_context(|| name.to_string())?;
        say(&format!("{name}: {imported}\n"))?;
    }
    Ok(())
}

/// Whether all is whole.
async fn verify(store: &Store, mailbox: &Mailbox, recordings: &Recordings) -> anyhow::Result<bool> {
    let mut found = store.verify().await?;
    found.faults.extend(mailbox.verify().await?);
    found.faults.extend(recordings.verify().await?);
    for fault in &found.faults {
        say(&format!("{fault}\n"))?;
    }
    let (records, shredded, faults) = (found.records, found.shredded, found.faults.len());
    say(&format!(
        "{records} records looked at, {shredded} deleted for good, {faults} faults\n"
    ))?;
    Ok(faults == 0)
}

async fn voicemail(store: &Store, mailbox: &Mailbox, id: &str, file: &Path) -> anyhow::Result<()> {
    let name = file.display();
    let found = store.voicemail(id).await?;
    let found = found.with_context(|| format!("there is no voicemail {id:?}, or it was deleted for good"))?;
    let event = AuditEvent {
        actor: "operator (command line)",
        action: "export",
        subject: &found.new.id,
        outcome: "allowed",
        detail: "voicemail",
    };
    store.audit(&event).await?;
    let wav = mailbox.wav(&found.new.id).await?.context("it was deleted for good")?;
    let mut target = private_file(file)?;
    target
        .write_all(&wav)
        .with_context(|| format!("{name} cannot be written"))?;
    say(&format!(
        "{name}: not encrypted any more; delete it when you have heard it\n"
    ))
}

async fn recording(store: &Store, recordings: &Recordings, call_sid: &str, file: &Path) -> anyhow::Result<()> {
    let name = file.display();
    let event = AuditEvent {
        actor: "operator (command line)",
        action: "export",
        subject: call_sid,
        outcome: "allowed",
        detail: "recording",
    };
    store.audit(&event).await?;
    let tape = recordings.read(call_sid).await?;
    let tape =
        tape.with_context(|| format!("there is no recording of call {call_sid:?}, or it was deleted for good"))?;
    for part in &tape.parts {
        say(&facts(part))?;
    }
    if !tape.played.ended {
        say("its writer was stopped before the end: this is what there is\n")?;
    }
    let mut target = private_file(file)?;
    for bytes in Wav::new(tape.played) {
        target
            .write_all(&bytes)
            .with_context(|| format!("{name} cannot be written"))?;
    }
    say(&format!(
        "{name}: not encrypted any more; delete it when you have heard it\n"
    ))
}

/// What is known of a part, on a line.
fn facts(part: &Recording) -> String {
    let (number, state, began_at) = (part.part, part.state.name(), part.began_at);
    let facts = part.facts.as_ref().map(|facts| {
        let (consent, seconds, pauses) = (&facts.consent, facts.duration_ms as f64 / 1_000.0, facts.pauses.len());
        format!(
            "; {}: {} at {}; {seconds:.1} s, {} ms lost, {pauses} pauses",
            consent.asked, consent.answer, consent.at, facts.lost_ms
        )
    });
    format!("part {number}, {state}, from {began_at}{}\n", facts.unwrap_or_default())
}

/// A new file for its owner's eyes only.
fn private_file(file: &Path) -> anyhow::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(file)
        .with_context(|| format!("{} cannot be made", file.display()))
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output is closed")
}
