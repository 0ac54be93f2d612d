//! `tieline data`: records in and out.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::config::Database;
use crate::privacy::egress::Egress;
use crate::store::Store;

/// Brings records into the database.
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
}

/// Runs `tieline data` on the configured database.
pub(super) async fn run(args: DataArgs, database: &Database, egress: &Egress) -> anyhow::Result<()> {
    let DataCommand::Import { files } = args.command;
    let store = Store::open_within(database, egress).await?;
    for file in &files {
        let name = file.display();
        let csv = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
        let imported = store.import(&csv).await.with_context(|| name.to_string())?;
        writeln!(std::io::stdout(), "{name}: {imported}").context("standard output is closed")?;
    }
    store.close().await;
    Ok(())
}
