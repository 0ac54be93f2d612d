//! The token table: from the printable spelling of byte-pair tokens back to bytes.

use super::ConvertError;

/// The tokens whisper.cpp reads from the file: the ordinary ones, in id order. It makes up the special ones itself.
///
/// The official English-only files list `<|endoftext|>` too and the multilingual ones do not; so do we.
pub(super) fn ordinary_tokens(vocabulary: &[u8], size: usize) -> Result<Vec<Vec<u8>>, ConvertError> {
    let text = std::str::from_utf8(vocabulary).map_err(|error| ConvertError::Vocabulary(error.to_string()))?;
    let spellings: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| ConvertError::Vocabulary(error.to_string()))?
    } else {
        text.strip_suffix('\n')
            .unwrap_or(text)
            .split('\n')
            .map(str::to_owned)
            .collect()
    };
    if spellings.len() != size {
        let found = spellings.len();
        return Err(ConvertError::Vocabulary(format!(
            "{found} tokens, but the model has embeddings for {size}"
        )));
    }
    let Some(end) = spellings.iter().position(|spelling| spelling == END_OF_TEXT) else {
        return Err(ConvertError::Vocabulary(format!("no {END_OF_TEXT} token")));
    };
    let mut tokens = spellings[..end]
        .iter()
        .map(|spelling| bytes_of(spelling))
        .collect::<Result<Vec<_>, _>>()?;
    if size < MULTILINGUAL_SIZE {
        tokens.push(END_OF_TEXT.as_bytes().to_vec());
    }
    Ok(tokens)
}

fn bytes_of(spelling: &str) -> Result<Vec<u8>, ConvertError> {
    let bytes: Option<Vec<u8>> = spelling.chars().map(byte_of).collect();
    bytes.ok_or_else(|| ConvertError::Vocabulary(format!("`{spelling}` is not a byte-pair token")))
}

/// GPT-2 spells printable bytes as themselves and the other 68, in order, as U+0100 onwards.
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    match u8::try_from(code) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => (0..=u8::MAX)
            .filter(|byte| !is_printable(*byte))
            .nth(usize::try_from(code - 0x100).ok()?),
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

const END_OF_TEXT: &str = "<|endoftext|>";
/// whisper.cpp tells the two kinds apart by the same number.
const MULTILINGUAL_SIZE: usize = 51_865;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_spelling() {
        let mut bytes: Vec<u8> = (0..0x144).filter_map(char::from_u32).filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of('ń'), None);
        assert_eq!(byte_of('字'), None);
    }

    #[test]
    fn text_and_json_read_alike() {
        let text = ordinary_tokens("a\nĠb\n<|endoftext|>\n".as_bytes(), 3).unwrap();
        let json = ordinary_tokens(r#"["a", "Ġb", "<|endoftext|>"]"#.as_bytes(), 3).unwrap();
        assert_eq!(text, json);
        assert_eq!(text[1], b" b");
    }

    #[test]
    fn faults_are_told() {
        let fault = |text: &str, size| ordinary_tokens(text.as_bytes(), size).unwrap_err().to_string();
        assert_eq!(fault("a\nb\n", 2), "vocabulary: no <|endoftext|> token");
        assert_eq!(
            fault("a\n", 2),
            "vocabulary: 1 tokens, but the model has embeddings for 2"
        );
        assert_eq!(
            fault("字\n<|endoftext|>", 2),
            "vocabulary: `字` is not a byte-pair token"
        );
    }
}
