//! Lists page by page: an opaque cursor says where the next page begins.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::store::After;

/// How many items one page has when it is not said.
pub(super) const DEFAULT_LIMIT: u32 = 50;
/// And at most.
pub(super) const MAX_LIMIT: u32 = 200;

/// How many and from where.
pub(super) fn bounds(limit: Option<u32>, cursor: Option<&str>) -> Result<(u32, Option<After>), Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let remedy = format!("Ask for 1 to {MAX_LIMIT} items");
        return Err(Problem::bad_request("limit", "limit is out of bounds", remedy));
    }
    let after = cursor.map(|cursor| {
        decode(cursor).ok_or_else(|| {
            let remedy = "Use next_cursor of the page before, as it is, or leave cursor out";
            Problem::bad_request("cursor", "cursor is not one of ours", remedy)
        })
    });
    Ok((limit, after.transpose()?))
}

/// A cursor as the client sees it.
pub(super) fn encode(after: &After) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", after.at_ms, after.id))
}

fn decode(cursor: &str) -> Option<After> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (at, id) = text.split_once(':')?;
    Some(After {
        at_ms: at.parse().ok()?,
        id: id.to_owned(),
    })
}

/// A time of a query.
pub(super) fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| {
        text.parse().map_err(|_| {
            Problem::bad_request(
                field,
                format!("{field} is not a time"),
                "Write it as RFC 3339 has it: 2026-11-21T13:00:00Z",
            )
        })
    })
    .transpose()
}

/// A word that rows are searched for.
pub(super) fn word(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let good = |text: &str| {
        (1..=200).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'))
    };
    match text {
        Some(text) if !good(&text) => Err(Problem::bad_request(
            field,
            format!("{field} is not 1 to 200 letters, digits, -, _ or :"),
            "Write it as the answers have it",
        )),
        text => Ok(text),
    }
}

/// What is asked of a list.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Items of one page.
    #[param(minimum = 1, maximum = 200, default = 50, nullable = false)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    pub(super) cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_nonsense_is_refused() {
        let after = After {
            at_ms: -5,
            id: "CA:1".to_owned(),
        };
        let decoded = decode(&encode(&after)).expect("ours");
        assert!(decoded == after);
        for text in ["", "?", "AAAA", "eA", "x:y"] {
            assert!(decode(text).is_none(), "{text}");
        }
        assert!(bounds(Some(0), None).is_err() && bounds(Some(201), None).is_err());
        assert!(bounds(None, Some("AAAA")).is_err() && bounds(None, None).is_ok());
    }
}
