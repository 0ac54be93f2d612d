//! How long records live: purge, holds, requests of people, backups. Each test on SQLite and on a real PostgreSQL.

mod backups;
#[path = "../store/fresh.rs"]
#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "not all of it is used by each target"
)]
mod fresh;
mod heard;
mod holds;
mod people;
#[path = "../store/private.rs"]
mod private;
mod proof;
mod purge;
mod recordings;
mod site;
