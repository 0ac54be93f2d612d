//! The database: reachable, writable, its tables of this version. Nothing in it is changed.

use super::page::Line;
use crate::config::Database;
use crate::store::{Condition, OpenError};

pub(super) fn judge(database: &Database, examined: Result<Condition, OpenError>) -> Line {
    let location = &database.location;
    match examined {
        Ok(Condition::New) => Line::ok(
            TOPIC,
            format!(
                "{location} is new, and is made at the first start{}",
                seed(database.seed)
            ),
        ),
        Ok(Condition::Older) => Line::ok(
            TOPIC,
            format!("{location} can be used; the next start brings its tables up to date"),
        ),
        Ok(Condition::Current) => Line::ok(
            TOPIC,
            format!("{location} can be written to, and its tables are up to date"),
        ),
        Err(error) => Line::fail(
            TOPIC,
            format!("{} cannot be used: {}", error.location, error.reason),
            error.remedy,
        ),
    }
}

fn seed(seed: bool) -> &'static str {
    if seed {
        ", with example customers (SEED_DATA=off for a real site)"
    } else {
        ""
    }
}

const TOPIC: &str = "database";
