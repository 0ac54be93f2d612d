//! `tieline data`: records in and out, and whether they are whole.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::keeping::{self, KeepingCommand, say};
use crate::call::recording::{Recordings, Wav};
use crate::call::voicemail::Mailbox;
use crate::cli::audit::{self, AuditCommand};
use crate::cli::operator::Operator;
use crate::config::{Config, Server};
use crate::privacy::egress::Egress;
use crate::store::{Record, Recording, Store};

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
    /// The audit trail: who did what to what, from where
    #[command(subcommand)]
    Audit(AuditCommand),
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
    #[command(flatten)]
    Keeping(KeepingCommand),
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
    if let DataCommand::Keeping(command @ KeepingCommand::Restore { .. }) = args.command {
        let whole = keeping::restore(command, config, egress).await?;
        return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let store = Store::open_within(&config.database, egress).await?;
    let mailbox = Mailbox::new(config.server.data_dir.join("voicemail"), store.clone());
    let recordings = Recordings::new(config.server.recordings_dir.clone(), store.clone());
    let operator = Operator::here();
    let mut whole = true;
    match args.command {
        DataCommand::Import { files } => import(&store, &operator, &files).await?,
        DataCommand::Verify => whole = verify(&store, &config.server).await?,
        DataCommand::Keeping(command) => keeping::run(command, config, &store, &operator).await?,
        DataCommand::Voicemail { id, file } => voicemail(&store, &operator, &mailbox, (&id, &file)).await?,
        DataCommand::Recording { call_sid, file } => {
            recording(&store, &operator, &recordings, (&call_sid, &file)).await?;
        }
        DataCommand::Audit(command) => whole = audit::run(command, &store, &operator).await?,
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

async fn import(store: &Store, operator: &Operator, files: &[PathBuf]) -> anyhow::Result<()> {
    for file in files {
        let name = file.display();
        let csv = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
        let imported = store.import(&csv).await.with_context(|| name.to_string())?;
        store
            .audit(&operator.event("import", "", "done", &imported.to_string()))
            .await?;
        say(&format!("{name}: {imported}\n"))?;
    }
    Ok(())
}

/// Whether all is whole.
pub(super) async fn verify(store: &Store, server: &Server) -> anyhow::Result<bool> {
    let mailbox = Mailbox::new(server.data_dir.join("voicemail"), store.clone());
    let recordings = Recordings::new(server.recordings_dir.clone(), store.clone());
    let mut found = store.verify().await?;
    found.faults.extend(mailbox.verify().await?);
    found.faults.extend(recordings.verify().await?);
    for fault in &found.faults {
        say(&format!("{fault}\n"))?;
    }
    let (records, shredded, faults) = (found.records, found.shredded, found.faults.len());
    let trail = store.verify_audit(None).await?;
    say(&audit::told(&trail))?;
    let faults = faults + trail.faults.len();
    say(&format!(
        "{records} records looked at, {shredded} deleted for good, {faults} faults\n"
    ))?;
    Ok(faults == 0)
}

async fn voicemail(
    store: &Store,
    operator: &Operator,
    mailbox: &Mailbox,
    (id, file): (&str, &Path),
) -> anyhow::Result<()> {
    let name = file.display();
    let found = store.voicemail(id).await?;
    let found = found.with_context(|| format!("there is no voicemail {id:?}, or it was deleted for good"))?;
    store
        .audit(&operator.event("export", &found.new.id, "allowed", "voicemail"))
        .await?;
    let wav = mailbox.wav(&found.new.id).await?.context("it was deleted for good")?;
    let mut target = private_file(file)?;
    target
        .write_all(&wav)
        .with_context(|| format!("{name} cannot be written"))?;
    say(&format!(
        "{name}: not encrypted any more; delete it when you have heard it\n"
    ))
}

async fn recording(
    store: &Store,
    operator: &Operator,
    recordings: &Recordings,
    (call_sid, file): (&str, &Path),
) -> anyhow::Result<()> {
    let name = file.display();
    store
        .audit(&operator.event("export", call_sid, "allowed", "recording"))
        .await?;
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
