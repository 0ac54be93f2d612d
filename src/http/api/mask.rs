//! Numbers as those see them who may not see them.

/// Every digit but the last two becomes `*`, so that the shape stays visible.
pub(super) fn masked(number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let mut seen = 0;
    let mask = |c: char| {
        if !c.is_ascii_digit() {
            return c;
        }
        seen += 1;
        if seen + 2 <= digits { '*' } else { c }
    };
    number.chars().map(mask).collect()
}

/// The number itself, or what is left of it for those without the scope `phi`.
pub(super) fn number(number: Option<String>, phi: bool) -> Option<String> {
    number.map(|number| if phi { number } else { masked(&number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_left() {
        assert_eq!(masked("+15551234567"), "+*********67");
        assert_eq!(masked("7"), "7");
        assert_eq!(number(Some("+4930123".to_owned()), true).as_deref(), Some("+4930123"));
        assert_eq!(number(None, false), None);
    }
}
