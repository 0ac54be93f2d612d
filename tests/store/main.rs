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
