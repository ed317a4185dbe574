//! Words that a shell reads back as they were.

/// Writes a text as one word for any POSIX shell.
///
/// Texts of harmless characters stay as they are, everything else goes between single quotes, between which shells interpret
/// nothing. NUL characters are left out: no shell, argument or environment can hold them.
pub fn quote(text: &str) -> String {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b',' | b'-' | b'.' | b'/' | b'@' | b'_');
    if !text.is_empty() && text.bytes().all(harmless) {
        return text.to_owned();
    }
    let mut word = String::with_capacity(text.len() + 2);
    word.push('\'');
    for c in text.chars() {
        match c {
            '\'' => word.push_str(r"'\''"),
            '\0' => {}
            c => word.push(c),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words() {
        for (text, expected) in [
            ("", "''"),
            ("a-b_c.d/e@f,1", "a-b_c.d/e@f,1"),
            ("a b", "'a b'"),
            ("a;b", "'a;b'"),
            ("$HOME `x` \\ \"", "'$HOME `x` \\ \"'"),
            ("'", r"''\'''"),
            ("a=b", "'a=b'"),
            ("~", "'~'"),
            ("line\nline", "'line\nline'"),
            ("ä", "'ä'"),
            ("a\0b c", "'ab c'"),
        ] {
            assert_eq!(quote(text), expected, "{text:?}");
        }
    }
}
