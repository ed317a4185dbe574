//! How settings are read from the texts of variables.

/// Exactly the spellings that GitLab's runner documents for booleans; anything else is not one.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Words between white space; there is no quoting. The single word `none` means no words.
pub(crate) fn words(text: &str) -> Vec<String> {
    if text.trim() == "none" {
        return Vec::new();
    }
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{boolean, words};

    #[test]
    fn booleans() {
        assert_eq!(["1", "t", "T", "TRUE", "true", "True"].map(boolean), [Some(true); 6]);
        assert_eq!(["0", "f", "F", "FALSE", "false", "False"].map(boolean), [Some(false); 6]);
        assert_eq!(["", "yes", "no", "on", "tRUE", " true"].map(boolean), [None; 6]);
    }

    #[test]
    fn word_lists() {
        assert_eq!(words(" -ffdx  -e\tcache/ "), ["-ffdx", "-e", "cache/"]);
        assert!(words("none").is_empty());
        assert!(words("").is_empty());
        assert_eq!(words("none at all"), ["none", "at", "all"]);
    }
}
