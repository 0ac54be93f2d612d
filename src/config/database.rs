//! Where records are kept.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use super::parse::{self, Bad, Reader};
use super::secret::Secret;
use crate::privacy::kek::KekSource;

/// The database and what a new one begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Default: `tieline.db` in `DATA_DIR`, which needs no server.
    pub location: Location,
    /// Whether a database that is created gets the example customers and test patients. Default yes, so that the demo has
    /// somebody to talk about.
    pub seed: bool,
    /// Where the keys are that it is encrypted with.
    pub kek: KekSource,
}

impl Location {
    /// A database as `DATABASE_URL` names it; what is expected there otherwise.
    pub fn of(url: &str) -> Result<Self, String> {
        location(url).map_err(|bad| bad.expected().to_owned())
    }
}

/// One database. `Display` and `Debug` show no password.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, taken literally: no escapes, no parameters.
    Sqlite(PathBuf),
    /// A `postgres://` URL, which may hold a password.
    Postgres(Secret),
}

impl Database {
    pub(super) fn parse(reader: &mut Reader<'_>, data_dir: &Path) -> Self {
        let default = || Location::Sqlite(data_dir.join("tieline.db"));
        Self {
            location: reader.optional("DATABASE_URL", location).unwrap_or_else(default),
            seed: reader.or_default("SEED_DATA", parse::on_or_off),
            kek: kek(reader, data_dir),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        lines.extend([
            ("DATABASE_URL", self.location.to_string()),
            ("SEED_DATA", if self.seed { "on" } else { "off" }.to_owned()),
        ]);
        describe_kek(&self.kek, lines);
    }
}

fn kek(reader: &mut Reader<'_>, data_dir: &Path) -> KekSource {
    let given = reader.optional("KEK", parse::secret);
    let file = reader.optional("KEK_FILE", parse::text);
    let credentials = reader.optional("CREDENTIALS_DIRECTORY", parse::text);
    if given.is_some() && file.is_some() {
        reader.conflict(
            "KEK and KEK_FILE are both set, and only one of them can hold the key of the database. Unset the other"
                .to_owned(),
        );
    }
    let default = || data_dir.join("kek.key");
    match (given, file, credentials) {
        (Some(keys), ..) => KekSource::Given(keys.expose().into()),
        (None, Some(path), _) => KekSource::File(path.into()),
        (None, None, Some(directory)) => KekSource::Credential {
            directory: directory.into(),
            otherwise: default(),
        },
        (None, None, None) => KekSource::File(default()),
    }
}

fn describe_kek(kek: &KekSource, lines: &mut Vec<(&'static str, String)>) {
    let (given, file, credentials) = match kek {
        KekSource::Given(_) => ("set", None, None),
        KekSource::File(path) => ("not set", Some(path), None),
        KekSource::Credential { directory, otherwise } => ("not set", Some(otherwise), Some(directory)),
    };
    let shown = |path: Option<&PathBuf>| super::or_unset(path.map(|path| path.display()).as_ref(), "not set");
    lines.extend([
        ("KEK", given.to_owned()),
        ("KEK_FILE", shown(file)),
        ("CREDENTIALS_DIRECTORY", shown(credentials)),
    ]);
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match Url::parse(url.expose()) {
                Ok(url) => f.write_str(&without_password(url)),
                Err(_) => f.write_str("postgres://***"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parameters go as a whole: `?password=` is one of them.
fn without_password(mut url: Url) -> String {
    let parameters = if url.query().is_some() { "?***" } else { "" };
    url.set_query(None);
    url.set_fragment(None);
    if url.password().is_some() {
        // Cannot fail: a URL with a password has a host.
        let _ = url.set_password(Some("***"));
    }
    format!("{url}{parameters}")
}

fn location(value: &str) -> Result<Location, Bad> {
    let bad = |expected: &str, example: &str| {
        Bad::new(expected)
            .example(example)
            .shown_as("a URL not shown, as it may hold a password")
    };
    if let Some(path) = value.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        // In memory it would be a database of its own for every connection, and gone with the process.
        if path.is_empty() || path == ":memory:" || path.contains(['?', '\0']) {
            let expected = "sqlite: and the path of a file, without ? parameters";
            return Err(bad(expected, "sqlite:./data/tieline.db"));
        }
        return Ok(Location::Sqlite(path.into()));
    }
    let url = Url::parse(value).ok().filter(|url| {
        let named = url.path().len() > 1 || url.query_pairs().any(|(key, _)| key == "dbname");
        matches!(url.scheme(), "postgres" | "postgresql") && url.has_host() && named
    });
    match url {
        // The driver would log an unknown one with its value.
        Some(url) if !url.query_pairs().all(|(key, _)| PARAMETERS.contains(&&*key)) => Err(bad(
            &format!("no parameters but {}", PARAMETERS.join(", ")),
            "postgres://tieline@127.0.0.1/tieline?sslmode=require",
        )),
        Some(_) => Ok(Location::Postgres(Secret::new(value))),
        None => Err(bad(
            "sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE (signs in the password as %XX)",
            "postgres://tieline@127.0.0.1/tieline",
        )),
    }
}

/// What may follow the ? of a PostgreSQL URL.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (text, shown) in [
            ("sqlite:./a b.db", "sqlite:./a b.db"),
            ("sqlite:///var/lib/tieline.db", "sqlite:/var/lib/tieline.db"),
            ("sqlite://rel.db", "sqlite:rel.db"),
            (
                "postgres://u:hid%40den@db:5433/tieline",
                "postgres://u:***@db:5433/tieline",
            ),
            (
                "postgresql://u@db/tieline?password=hidden",
                "postgresql://u@db/tieline?***",
            ),
            ("postgres://u@%2Frun%2Fpg/tieline", "postgres://u@%2Frun%2Fpg/tieline"),
        ] {
            let parsed = location(text).expect(text);
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), shown);
        }
        for text in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "mysql://u@h/d",
            "postgres://u:hidden@h",
            "postgres:///d",
            "postgres://u@h/d?pasword=hidden",
            "tieline.db",
        ] {
            assert!(location(text).is_err(), "{text}");
        }
    }
}
