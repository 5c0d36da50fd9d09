//! Bounds the length of texts that are shown.

use std::borrow::Cow;

/// At most the first `max_chars` characters of a text.
pub fn prefix(text: &str, max_chars: usize) -> &str {
    let end = text.char_indices().nth(max_chars);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// A text of at most `max_chars` characters, or its prefix of that length and an ellipsis.
pub fn truncated(text: &str, max_chars: usize) -> Cow<'_, str> {
    let prefix = prefix(text, max_chars);
    if prefix.len() == text.len() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{prefix}…"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (text, expected) in [
            ("", ""),
            ("éé", "éé"),
            ("ééé", "éé…"),
            ("a\u{1f600}b", "a\u{1f600}…"),
        ] {
            assert_eq!(truncated(text, 2), expected);
            assert_eq!(prefix(text, 2), expected.trim_end_matches('…'));
        }
        assert_eq!(truncated("a", 0), "…");
    }
}
