//! `tieline data purge|hold|export|delete|backup|restore`: how long records live.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};

use crate::cli::keys::{self, Backups};
use crate::cli::operator::Operator;
use crate::config::{Config, Database, Location};
use crate::privacy::egress::Egress;
use crate::privacy::kek::{KekSource, KeyRing};
use crate::privacy::shredlist::ShredList;
use crate::retention::restore::{self, Restored};
use crate::retention::{Due, Keeper, Purge};
use crate::store::{Belongings, Class, Item, Person, Record, Store, Who, phone};

#[derive(Debug, Subcommand)]
pub(super) enum KeepingCommand {
    /// Deletes for good what is older than RETAIN_… says, but for what is on hold
    Purge {
        /// Only show how much that is
        #[arg(long)]
        dry_run: bool,
    },
    /// Keeps records from being deleted, for a court or an audit
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Writes everything that is known of a person to a new directory, decrypted; the audit trail says so
    Export {
        #[command(flatten)]
        of: Whose,
        /// The directory, which must not be there
        #[arg(long)]
        out: PathBuf,
    },
    /// Deletes everything that is known of a person, for good; without --yes it only shows what that is
    Delete {
        #[command(flatten)]
        of: Whose,
        /// Do it
        #[arg(long)]
        yes: bool,
        /// Then encrypt all data keys with a new key, so that backups become unreadable once the old key is deleted
        #[arg(long, requires = "yes")]
        rotate: bool,
    },
    /// Writes all records and their files to one encrypted file, while servers run
    Backup {
        /// The file, which must not be there
        out: PathBuf,
    },
    /// Puts a backup into an empty database and `DATA_DIR`, but for what was deleted since
    Restore {
        /// The backup
        file: PathBuf,
        /// Another database than `DATABASE_URL`: sqlite:PATH or postgres://…
        #[arg(long)]
        into: Option<String>,
        /// The list of deleted keys, if it is not `SHRED_LIST`
        #[arg(long, conflicts_with = "without_shred_list")]
        shred_list: Option<PathBuf>,
        /// The list of deleted keys is lost: bring back what was deleted after the backup, too
        #[arg(long)]
        without_shred_list: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum HoldCommand {
    /// Puts a call, or all there is and will be of a customer or patient, on hold
    Add {
        #[command(flatten)]
        of: Held,
        /// Why; it is encrypted
        #[arg(long)]
        reason: String,
    },
    /// Ends a hold
    Release {
        /// Its id
        id: String,
        /// Why; it is encrypted
        #[arg(long)]
        reason: String,
    },
    /// Lists all holds, those that are over too
    List,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Held {
    /// The carrier's id of a call
    #[arg(long)]
    call: Option<String>,
    /// A customer number
    #[arg(long)]
    customer: Option<String>,
    /// A member id
    #[arg(long)]
    patient: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Whose {
    /// A member id
    #[arg(long)]
    patient: Option<String>,
    /// A telephone number that calls came from, with + and country code
    #[arg(long)]
    caller: Option<String>,
    /// A customer number
    #[arg(long)]
    customer: Option<String>,
}

impl Whose {
    fn person(&self) -> anyhow::Result<Person<'_>> {
        if let Some(number) = &self.caller {
            ensure!(
                phone(number).is_some(),
                "--caller: write the number with + and country code, such as +12125550101"
            );
            return Ok(Person::Caller(number));
        }
        let patient = self.patient.as_deref().map(Person::Patient);
        let person = patient.or_else(|| self.customer.as_deref().map(Person::Customer));
        person.context("name a patient, a caller or a customer")
    }
}

/// Runs one of them on an open database.
pub(super) async fn run(
    command: KeepingCommand,
    config: &Config,
    store: &Store,
    operator: &Operator,
) -> anyhow::Result<()> {
    let who = operator.who();
    let keeper = Keeper::new(store.clone(), &config.server, config.retention.clone());
    match command {
        KeepingCommand::Purge { dry_run: true } => show(&keeper.due().await?),
        KeepingCommand::Purge { dry_run: false } => purge(&keeper, who).await,
        KeepingCommand::Hold(command) => hold(command, store, who).await,
        KeepingCommand::Export { of, out } => export((&keeper, store), of.person()?, out, who).await,
        KeepingCommand::Delete { of, yes, rotate } => {
            let rotate = rotate.then_some(&config.database.kek);
            delete((&keeper, store), of.person()?, (yes, rotate), operator).await
        }
        KeepingCommand::Backup { out } => backup(&keeper, out, config, who).await,
        KeepingCommand::Restore { .. } => unreachable!("invariant: its database is not opened before"),
    }
}

async fn purge(keeper: &Keeper, who: Who<'_>) -> anyhow::Result<()> {
    // A closed standard output does not stop it.
    let mut told = |class: Class, gone: u64| drop(say(&format!("{}: {gone} deleted\n", class.name())));
    match keeper.purge(who, &mut told).await? {
        Purge::Busy(until) => bail!(
            "another server is purging this database; if it has died, its turn ends at {}: run this again then",
            until.strftime("%H:%M:%SZ")
        ),
        Purge::Done(classes) => {
            for (class, purged) in classes {
                say(&format!(
                    "{}: {} deleted for good, {} on hold\n",
                    class.name(),
                    purged.gone,
                    purged.held
                ))?;
            }
            let events = keeper.purge_audit().await?;
            say(&format!("audit: {events} deleted\n"))
        }
    }
}

fn show(due: &[Due]) -> anyhow::Result<()> {
    for Due { class, keep, due, held } in due {
        let name = class.name();
        say(&format!(
            "{name}, kept for {keep}: {due} would be deleted, {held} on hold\n"
        ))?;
    }
    Ok(())
}

async fn hold(command: HoldCommand, store: &Store, who: Who<'_>) -> anyhow::Result<()> {
    match command {
        HoldCommand::Add { of, reason } => {
            let customer = of.customer.as_deref().map(Record::Customer);
            let patient = of.patient.as_deref().map(Record::Patient);
            let record = of.call.as_deref().map(Record::Call).or(customer).or(patient);
            let record = record.context("name a call, a customer or a patient")?;
            if let Record::Call(sid) = record {
                let found = store.find_call(sid).await?;
                ensure!(found.is_some(), "there is no call {sid:?}");
            }
            let id = store.add_hold(record, &reason, who).await?;
            let key = store.key_id(record)?;
            say(&format!("{key} is on hold; the hold's id is {id}\n"))
        }
        HoldCommand::Release { id, reason } => {
            let released = store.release_hold(&id, &reason, who).await?;
            ensure!(
                released,
                "there is no hold {id:?}, or it is released already; see `tieline data hold list`"
            );
            say(&format!("the hold {id} is released\n"))
        }
        HoldCommand::List => {
            for hold in store.holds().await? {
                let since = hold.since.strftime("%Y-%m-%d %H:%MZ");
                let until = hold
                    .released
                    .map(|at| format!(" until {}", at.strftime("%Y-%m-%d %H:%MZ")));
                let (id, record, until) = (hold.id, hold.record, until.unwrap_or_default());
                say(&format!("{id}  {record}  since {since}{until}: {}\n", hold.reason))?;
            }
            Ok(())
        }
    }
}

async fn export(
    (keeper, store): (&Keeper, &Store),
    person: Person<'_>,
    out: PathBuf,
    who: Who<'_>,
) -> anyhow::Result<()> {
    store.link_old_calls().await?;
    let found = store.belongings(person).await?;
    let done = keeper.export(person, &found, &out, who).await?;
    for unreadable in &done.unreadable {
        say(&format!("not in it: {unreadable}\n"))?;
    }
    say(&format!(
        "{}: {} records, {} audio files, not encrypted any more; delete it when it is handed over\n",
        out.display(),
        done.records,
        done.audio
    ))?;
    ensure!(done.unreadable.is_empty(), "not everything could be read");
    Ok(())
}

async fn delete(
    (keeper, store): (&Keeper, &Store),
    person: Person<'_>,
    (yes, rotate): (bool, Option<&KekSource>),
    operator: &Operator,
) -> anyhow::Result<()> {
    store.link_old_calls().await?;
    let found = store.belongings(person).await?;
    list(&found)?;
    for (item, since) in store.on_hold(&found.items).await? {
        let since = since.strftime("%Y-%m-%d %H:%MZ");
        say(&format!("{} is on hold since {since}\n", item.key()))?;
    }
    if !yes {
        return say("nothing was deleted; say --yes to delete this for good\n");
    }
    let event = operator.event("delete", &found.reference, "asked", "all that is known of a person");
    store.audit(&event).await?;
    let deleted = keeper.delete(&found, operator.who()).await?;
    say(&format!("{} records were deleted for good\n", deleted.records))?;
    ensure!(
        deleted.held == 0,
        "{} records were put on hold meanwhile, and stay: see `tieline data hold list`",
        deleted.held
    );
    if let Some(kek) = rotate {
        let place = KeyRing::place(kek);
        say(&keys::rotate(store, operator, &place, Backups::MustNotBeRead).await?)?;
    }
    Ok(())
}

fn list(found: &Belongings) -> anyhow::Result<()> {
    for item in &found.items {
        let what = match item {
            Item::Content(_) => "what was said in the call, its number and its audio",
            Item::Voicemail(_) => "the message with its audio",
            Item::Order(_) => "the task order",
            Item::Customer(_) => "the customer",
            Item::Patient(_) => "the patient with coverage",
            Item::Call(_) => "the call",
            Item::Recording(_) => "the audio of the call",
        };
        say(&format!("{}: {what}\n", item.key()))?;
    }
    if found.items.is_empty() {
        say(&format!("there is nothing of {}\n", found.reference))?;
    }
    Ok(())
}

async fn backup(keeper: &Keeper, out: PathBuf, config: &Config, who: Who<'_>) -> anyhow::Result<()> {
    let done = keeper.backup(&out, who).await?;
    say(&format!(
        "{}: {} with {} rows and {} files, encrypted with the key {}. Keep copies of the key and of {} apart from it\n",
        out.display(),
        done.id,
        done.rows,
        done.files,
        done.kek_id,
        config.retention.shred_list.display()
    ))?;
    ensure!(
        done.missing.is_empty(),
        "the files of these records are not here: {}; see `tieline data verify`",
        done.missing.join(", ")
    );
    Ok(())
}

/// Restores into a database that was not opened; whether all of it is whole.
pub(super) async fn restore(command: KeepingCommand, config: &Config, egress: &Egress) -> anyhow::Result<bool> {
    let KeepingCommand::Restore {
        file,
        into,
        shred_list,
        without_shred_list,
    } = command
    else {
        unreachable!("invariant: called for this one only")
    };
    let mut database: Database = config.database.clone();
    if let Some(url) = into {
        database.location = Location::of(&url).map_err(|expected| anyhow::anyhow!("--into: expected {expected}"))?;
    }
    let list = ShredList::new(shred_list.unwrap_or_else(|| config.retention.shred_list.clone()));
    let target = restore::Into {
        database: &database,
        server: &config.server,
        list: (!without_shred_list).then_some(&list),
    };
    let Restored {
        id,
        head,
        rows,
        files,
        left_out,
    } = restore::restore(&file, target, egress).await?;
    say(&format!(
        "{id} of {} is restored into {}: {rows} rows and {files} files; {left_out} records were deleted since and stay so\n",
        head.made_at, database.location
    ))?;
    let store = Store::open_within(&database, egress).await?;
    let detail = format!("made {}, {left_out} keys left out", head.made_at);
    let outcome = if without_shred_list {
        "restored without the list"
    } else {
        "restored"
    };
    store
        .audit(&Operator::here().event("restore", &id, outcome, &detail))
        .await?;
    let keeper = Keeper::new(store.clone(), &config.server, config.retention.clone());
    keeper.bring_list_up_to_date().await?;
    let whole = super::data::verify(&store, &config.server).await?;
    store.close().await;
    Ok(whole)
}

pub(super) fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output is closed")
}
