//! What texts may go into a row. PostgreSQL refuses NUL and SQLite takes it, so both are spared it here.

use super::StoreError;

/// A text as it is stored: trimmed, not empty.
pub(super) fn required<'a>(text: &'a str, field: &'static str) -> Result<&'a str, StoreError> {
    let text = any(text, field)?.trim();
    if text.is_empty() {
        return Err(StoreError::BadText { field });
    }
    Ok(text)
}

/// The same, where being empty counts as being absent.
pub(super) fn optional<'a>(text: Option<&'a str>, field: &'static str) -> Result<Option<&'a str>, StoreError> {
    let text = text.map(|text| any(text, field)).transpose()?.map(str::trim);
    Ok(text.filter(|text| !text.is_empty()))
}

/// Any text, empty too, as it is.
pub(super) fn any<'a>(text: &'a str, field: &'static str) -> Result<&'a str, StoreError> {
    if text.len() > MAX_BYTES || text.contains('\0') {
        return Err(StoreError::BadText { field });
    }
    Ok(text)
}

/// A customer number or member id as it is stored: in capitals, so that "mb123456" finds MB123456.
pub(super) fn id(text: &str, field: &'static str) -> Result<String, StoreError> {
    Ok(required(text, field)?.to_uppercase())
}

/// A telephone number in E.164 form, `+` and 7 to 15 digits. Spaces, dashes, dots and brackets within are dropped.
pub fn phone(text: &str) -> Option<String> {
    let plain: String = text
        .trim()
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
        .collect();
    let digits = plain.strip_prefix('+')?;
    let good =
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    good.then_some(plain)
}

/// For fields where a phone number may be absent.
pub(super) fn optional_phone(text: Option<&str>) -> Result<Option<String>, StoreError> {
    let field = "phone";
    optional(text, field)?
        .map(|text| phone(text).ok_or(StoreError::BadText { field }))
        .transpose()
}

/// Far more than anybody says in one turn.
pub(super) const MAX_BYTES: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones() {
        for (text, expected) in [
            ("+15550100", Some("+15550100")),
            (" +1 (555) 010-0123 ", Some("+15550100123")),
            ("5550100", None),
            ("+012345678", None),
            ("+1555o100", None),
            ("+1234567890123456", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(phone(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn nul_and_length() {
        assert!(any("", "x").is_ok());
        assert!(required(" \t", "x").is_err());
        assert!(any("a\0b", "x").is_err());
        assert!(any(&"é".repeat(MAX_BYTES), "x").is_err());
        assert_eq!(optional(Some("  "), "x").unwrap(), None);
        assert_eq!(id(" mb1 ", "x").unwrap(), "MB1");
    }
}
