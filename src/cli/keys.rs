//! `tieline keys`: who may use the management API, and the key that records are encrypted with.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::cli::operator::Operator;
use crate::config::Database;
use crate::privacy::egress::Egress;
use crate::privacy::kek::KeyRing;
use crate::store::{ApiKey, NewApiKey, NoRole, NoScope, Role, Rotated, Scope, Store};

/// Makes, lists and revokes keys of the management API; changes the key that records are encrypted with.
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Makes a key and shows it, this once
    Create {
        /// What you call it, such as the program that uses it
        #[arg(long)]
        name: String,
        /// Whose it is: viewer (read), reviewer (read, phi), operator (read, operate), admin (admin) or auditor (audit)
        #[arg(long, required_unless_present = "scopes", value_parser = role)]
        role: Option<Role>,
        /// What it may do, beside what its role does: read, operate, admin, phi, audit, break-glass, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = scope)]
        scopes: Vec<Scope>,
        /// How long it is good, such as 90d; without it, until it is revoked
        #[arg(long, value_parser = lifetime)]
        expires: Option<Duration>,
        /// Print nothing but the key
        #[arg(long)]
        quiet: bool,
    },
    /// Lists all keys, with their last use
    List,
    /// Takes a key back, at once and for good
    Revoke {
        /// Its id or, if only one good key has it, its name
        key: String,
    },
    /// Encrypts the keys of all records with a new key, while servers run
    RotateKek {
        /// Only put the new key into the key file, so that it can be copied to servers with files of their own
        #[arg(long)]
        stage: bool,
    },
}

/// Runs `tieline keys` on the configured database.
pub(super) async fn run(args: KeysArgs, database: &Database, egress: &Egress) -> anyhow::Result<()> {
    let store = Store::open_within(database, egress).await?;
    let operator = Operator::here();
    let text = match args.command {
        KeysCommand::Create {
            name,
            role,
            scopes,
            expires,
            quiet,
        } => {
            let of_role = role.map(Role::scopes).unwrap_or_default();
            let new = NewApiKey {
                name,
                scopes: of_role.into_iter().chain(scopes).collect(),
                lifetime: expires,
            };
            let (key, secret) = store.create_api_key(&new).await?;
            store
                .audit(&operator.event("create-key", &key.id, "done", &names(&key.scopes)))
                .await?;
            if quiet {
                format!("{}\n", secret.expose())
            } else {
                format!(
                    "{}\n\nThis is key {} ({}), good for {} {}. It is shown only now; send it as `Authorization: Bearer …`.\n",
                    secret.expose(),
                    key.id,
                    key.name,
                    names(&key.scopes),
                    key.expires_at.map_or_else(
                        || "until it is revoked".to_owned(),
                        |at| format!("until {}", minute(at))
                    ),
                )
            }
        }
        KeysCommand::List => table(&store.api_keys().await?),
        KeysCommand::Revoke { key } => {
            let id = find(&store.api_keys().await?, &key)?;
            let revoked = store.revoke_api_key(&id).await?.context("the key is gone")?;
            store
                .audit(&operator.event("revoke-key", &revoked.id, "done", ""))
                .await?;
            format!("key {} ({}) is revoked\n", revoked.id, revoked.name)
        }
        KeysCommand::RotateKek { stage: true } => {
            let id = store.stage_kek().await?;
            store.audit(&operator.event("kek", &id, "staged", "")).await?;
            format!(
                "the key {id} is the first of {}. Nothing is encrypted with it yet: bring the file to all servers of this database, then run \
                 tieline keys rotate-kek\n",
                KeyRing::place(&database.kek)
            )
        }
        KeysCommand::RotateKek { stage: false } => {
            rotate(&store, &operator, &KeyRing::place(&database.kek), Backups::MayBeRead).await?
        }
    };
    store.close().await;
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output is closed")
}

/// What is to become of the backups that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Backups {
    /// They are needed: a rotation that was interrupted may just go on.
    MayBeRead,
    /// Something is only in them, and is to be gone.
    MustNotBeRead,
}

/// Exchanges the key, with its event; what to tell.
pub(super) async fn rotate(
    store: &Store,
    operator: &Operator,
    place: &str,
    backups: Backups,
) -> anyhow::Result<String> {
    let rotated = store.rotate_kek(backups == Backups::MayBeRead).await?;
    let detail = format!("{} data keys", rotated.keys);
    store
        .audit(&operator.event("kek", &rotated.kek_id, "rotated", &detail))
        .await?;
    Ok(told(&rotated, place, backups))
}

fn told(rotated: &Rotated, place: &str, backups: Backups) -> String {
    let Rotated {
        kek_id,
        keys,
        unreadable,
        old,
    } = rotated;
    let mut text = format!("{keys} data keys are encrypted with the key {kek_id} now\n");
    if !unreadable.is_empty() {
        text.push_str(&format!(
            "{} do not open and were left as they were: {}\n",
            unreadable.len(),
            unreadable.join(", ")
        ));
    }
    let old = old.join(", ");
    match backups {
        _ if old.is_empty() => {}
        Backups::MayBeRead => text.push_str(&format!(
            "{place} still holds {old}. Older backups of the database need it; once they are gone, or if they are to become unreadable, \
             delete its line\n"
        )),
        Backups::MustNotBeRead => text.push_str(&format!(
            "Make a new backup; then delete {old} from {place}, and from all copies: older backups cannot be read by anybody then\n"
        )),
    }
    text
}

/// The id of the key that is meant.
fn find(keys: &[ApiKey], meant: &str) -> anyhow::Result<String> {
    if let Some(key) = keys.iter().find(|key| key.id == meant) {
        return Ok(key.id.clone());
    }
    let named: Vec<_> = keys
        .iter()
        .filter(|key| key.name == meant && key.revoked_at.is_none())
        .collect();
    match named.as_slice() {
        [] => bail!("there is no key {meant:?}; `tieline keys list` shows those there are"),
        [key] => Ok(key.id.clone()),
        several => {
            let ids: Vec<&str> = several.iter().map(|key| key.id.as_str()).collect();
            bail!(
                "several keys are called {meant:?}; name one by its id: {}",
                ids.join(", ")
            )
        }
    }
}

fn table(keys: &[ApiKey]) -> String {
    if keys.is_empty() {
        return "there are no keys; make one with `tieline keys create --name NAME --role viewer`\n".to_owned();
    }
    let width = keys
        .iter()
        .map(|key| key.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let row = |id: &str, name: &str, scopes: &str, made: &str, used: &str, state: &str| {
        format!("{id:<12}  {name:<width$}  {scopes:<22}  {made:<17}  {used:<17}  {state}\n")
    };
    let mut text = row("id", "name", "scopes", "created", "last used", "good until");
    for key in keys {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), minute);
        let state = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {}", minute(at)),
            (None, Some(at)) => minute(at),
            (None, None) => "it is revoked".to_owned(),
        };
        text.push_str(&row(
            &key.id,
            &key.name,
            &names(&key.scopes),
            &minute(key.created_at),
            &used,
            &state,
        ));
    }
    text
}

fn names(scopes: &BTreeSet<Scope>) -> String {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    names.join(",")
}

/// `2026-11-21 13:05Z`.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: NoScope| error.to_string())
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|error: NoRole| error.to_string())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|life| !life.is_zero())
        .ok_or_else(|| "expected a duration with a unit, such as 90d or 12h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, name: &str, revoked: bool) -> ApiKey {
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        ApiKey {
            id: id.to_owned(),
            name: name.to_owned(),
            scopes: [Scope::Read, Scope::Phi].into(),
            created_at: at,
            expires_at: None,
            revoked_at: revoked.then_some(at),
            last_used_at: None,
            glass: None,
        }
    }

    #[test]
    fn a_name_that_is_not_clear_revokes_nothing() {
        let keys = [
            key("000000000001", "crm", true),
            key("000000000002", "crm", false),
            key("000000000003", "wall", false),
            key("000000000004", "wall", false),
        ];
        assert_eq!(find(&keys, "crm").expect("one"), "000000000002");
        assert_eq!(find(&keys, "000000000004").expect("one"), "000000000004");
        let error = find(&keys, "wall").expect_err("two").to_string();
        assert!(error.contains("000000000003, 000000000004"), "{error}");
        assert!(find(&keys, "other").is_err());
    }

    #[test]
    fn the_list_shows_state_and_last_use() {
        let text = table(&[key("000000000001", "crm", true), key("000000000002", "wall", false)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].contains("read,phi") && lines[1].ends_with("revoked 2027-01-15 08:00Z"),
            "{text}"
        );
        assert!(
            lines[2].contains("never") && lines[2].ends_with("it is revoked"),
            "{text}"
        );
    }
}
