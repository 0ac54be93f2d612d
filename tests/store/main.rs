//! The store and the tools on it, each test on SQLite and on a real PostgreSQL.

mod audit;
mod calls;
mod chain;
mod commands;
mod fresh;
mod glass;
mod imports;
mod keys;
mod killed;
mod opening;
mod plain;
mod private;
mod properties;
mod reach;
mod records;
mod rotation;
mod status;
mod tools;
mod vault;
mod voicemails;

use jiff::civil::{Date, date};
use tieline::store::{Because, Item, Retired, Store, Who};

/// When tests ask.
const TODAY: Date = date(2026, 11, 21);

/// Deletes something for good; whether it was there.
async fn shred(store: &Store, item: Item) -> bool {
    let because = Because {
        who: Who {
            actor: "test",
            origin: "",
        },
        action: "delete",
        detail: "",
    };
    let retired = store.retire(&[item], because).await.expect("answered");
    store.forget_deleted().await.expect("forgotten");
    retired == [Retired::Gone]
}
