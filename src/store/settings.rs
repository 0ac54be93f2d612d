//! What the settings were at the last start, so that a change of them is in the audit trail: by name, never by value.

use std::collections::BTreeMap;

use super::audit::AuditEvent;
use super::error::cannot;
use super::{Store, StoreError, text};

/// A server that starts.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// The machine, as its settings are its own.
    pub node: &'a str,
    /// Of tieline.
    pub version: &'a str,
    /// The settings that are set, with their values. Secrets too: nothing of them is kept but a keyed hash.
    pub settings: &'a [(&'a str, &'a str)],
}

impl Store {
    /// Writes down that a server starts, with which key, and which of its settings are others than at its last start; gives their names.
    pub async fn note_start(&self, start: &Start<'_>) -> Result<Vec<String>, StoreError> {
        let node = text::required(start.node, "node")?;
        let mut tx = self.begin(WHAT).await?;
        let kek_id: String = sqlx::query_scalar("SELECT kek_id FROM data_keys WHERE id = 'index'")
            .fetch_one(&mut *tx)
            .await
            .map_err(cannot(WHAT))?;
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT name, value_hash FROM seen_settings WHERE node = $1")
            .bind(node)
            .fetch_all(&mut *tx)
            .await
            .map_err(cannot(WHAT))?;
        let seen: BTreeMap<String, String> = rows.into_iter().collect();
        let now: BTreeMap<String, String> = start
            .settings
            .iter()
            .map(|(name, value)| {
                (
                    (*name).to_owned(),
                    self.vault.hash("seen_settings", &format!("{name}={value}")),
                )
            })
            .collect();
        let changed = changes(&seen, &now);
        for name in seen.keys().filter(|name| !now.contains_key(*name)) {
            sqlx::query("DELETE FROM seen_settings WHERE node = $1 AND name = $2")
                .bind(node)
                .bind(name)
                .execute(&mut *tx)
                .await
                .map_err(cannot(WHAT))?;
        }
        for (name, hash) in now.iter().filter(|(name, hash)| seen.get(*name) != Some(hash)) {
            sqlx::query(SEEN)
                .bind(node)
                .bind(name)
                .bind(hash)
                .execute(&mut *tx)
                .await
                .map_err(cannot(WHAT))?;
        }
        let event = |action, subject, outcome, detail| AuditEvent {
            actor: "server",
            action,
            subject,
            outcome,
            detail,
            origin: node,
        };
        let version = format!("tieline {}", start.version);
        self.append(&mut tx, &event("start", "", "done", &version)).await?;
        self.append(&mut tx, &event("kek", &kek_id, "loaded", "")).await?;
        if !changed.is_empty() {
            let outcome = if seen.is_empty() { "first" } else { "changed" };
            self.append(&mut tx, &event("settings", "", outcome, &changed.join(" ")))
                .await?;
        }
        tx.commit().await.map_err(cannot(WHAT))?;
        Ok(changed)
    }
}

/// The names of what is there now and was not, with +; of what is not there any more, with -; and of what has another value.
fn changes(seen: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let there = now.iter().filter_map(|(name, hash)| match seen.get(name) {
        None => Some(format!("+{name}")),
        Some(before) if before != hash => Some(name.clone()),
        Some(_) => None,
    });
    let gone = seen.keys().filter(|name| !now.contains_key(*name));
    there.chain(gone.map(|name| format!("-{name}"))).collect()
}

const WHAT: &str = "note the settings of a server";
const SEEN: &str = "INSERT INTO seen_settings (node, name, value_hash) VALUES ($1, $2, $3) \
     ON CONFLICT (node, name) DO UPDATE SET value_hash = excluded.value_hash";
