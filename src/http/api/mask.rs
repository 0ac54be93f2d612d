//! Numbers as those see them who may not see them.

use crate::config::mask_digits;

/// The number itself, or what is left of it for those without the scope `phi`.
pub(super) fn number(number: Option<String>, phi: bool) -> Option<String> {
    number.map(|number| if phi { number } else { mask_digits(&number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_left() {
        assert_eq!(
            number(Some("+15551234567".to_owned()), false).as_deref(),
            Some("+*********67")
        );
        assert_eq!(number(Some("+4930123".to_owned()), true).as_deref(), Some("+4930123"));
        assert_eq!(number(None, false), None);
    }
}
