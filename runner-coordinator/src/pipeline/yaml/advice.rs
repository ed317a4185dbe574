//! What can be done about a text that is no YAML. A parser says what it expected; people want to know what they forgot.

use super::super::suggest;

/// What the parser stumbled over.
#[derive(Debug)]
pub(super) struct Stumble<'s> {
    /// The parser's message.
    pub(super) info: &'s str,
    /// The line in question.
    pub(super) line: &'s str,
    /// The place in the line, in characters from 0.
    pub(super) column: usize,
    /// The bracket that is open there, and its line.
    pub(super) bracket: Option<(char, u32)>,
}

impl Stumble<'_> {
    /// What can be done about it, if that is known.
    pub(super) fn advice(&self) -> Option<String> {
        let says = |part: &str| self.info.contains(part);
        let value = value_of(self.line);
        let begins_with = |marks: &[char]| value.starts_with(marks);
        if let Some((bracket, line)) = self.bracket.filter(|_| !says("quoted scalar")) {
            let close = if bracket == '[' { ']' } else { '}' };
            return Some(format!(
                "perhaps the `{bracket}` of line {line} is not closed with `{close}`, or a comma is missing"
            ));
        }
        if says("mapping values are not allowed") {
            return Some(if value.contains('\'') || begins_with(&['"']) {
                "`: ` makes a key of what stands before it; put the whole value in quotes, or write it as a block with |"
                    .to_owned()
            } else {
                format!("`: ` makes a key of what stands before it; put the whole value in quotes: '{value}'")
            });
        }
        if says("end of stream") || says("indentation in quoted scalar") || says("document indicator") {
            return Some("the quote that is opened here is not closed".to_owned());
        }
        let first_of_line = self.line.chars().take(self.column).all(char::is_whitespace);
        if first_of_line
            && (says("did not find expected") || says("not allowed in this context") || says("indentation"))
        {
            return Some(
                "look at the indentation: the keys of one hash, and the dashes of one list, begin in the same column"
                    .to_owned(),
            );
        }
        if says("trailing content after double-quoted")
            || begins_with(&['"', '\'']) && says("did not find expected")
        {
            return Some(
                "a value that begins with a quote ends with it; put quotes of the other kind around all of it, or write it as a block with |"
                    .to_owned(),
            );
        }
        if says("did not find expected") && begins_with(&['[', '{']) {
            let first = value.chars().next().unwrap_or('[');
            let what = if first == '[' { "list" } else { "hash" };
            return Some(format!(
                "a value that begins with `{first}` is a {what} and ends with its bracket; put quotes around all of it if it is a text"
            ));
        }
        if says("unknown escape character") {
            return Some(
                "a backslash in double quotes needs another one; single quotes take it as it is".to_owned(),
            );
        }
        if let (true, Some(first)) = (says("unexpected character"), self.line.chars().nth(self.column)) {
            return Some(format!("a value cannot begin with `{first}`; put quotes around it"));
        }
        None
    }
}

/// What can be done about an alias that is not known.
pub(super) fn of_alias(name: &str, known: &[String]) -> String {
    if let Some(near) = suggest::closest(name, known.iter().map(String::as_str)) {
        return format!("did you mean `*{near}`?");
    }
    if name.is_empty() || name.starts_with(['.', '*', '/']) || name.contains(['*', '/', '(']) {
        return format!("a text that begins with `*` must be in quotes: \"*{name}\"");
    }
    "an anchor is known only in the file that holds it, and only below it; `extends` and `!reference` know all files"
        .to_owned()
}

/// The value in a line: what follows the dash or the first key.
fn value_of(line: &str) -> &str {
    let mut rest = line.trim();
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    match rest.split_once(": ") {
        Some((key, value)) if !key.starts_with(['"', '\'', '[', '{']) => value.trim(),
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::{of_alias, value_of};

    #[test]
    fn values_of_lines() {
        for (line, value) in [
            ("  script: echo a: b", "echo a: b"),
            ("    - \"x\" && y", "\"x\" && y"),
            ("  - if: \"$A\" == 1", "\"$A\" == 1"),
            ("    - [ -f x ] && y: z", "[ -f x ] && y: z"),
            ("  plain", "plain"),
        ] {
            assert_eq!(value_of(line), value, "{line}");
        }
    }

    #[test]
    fn aliases() {
        let known = ["base".to_owned()];
        assert_eq!(of_alias("bsae", &known), "did you mean `*base`?");
        assert_eq!(of_alias(".log", &known), "a text that begins with `*` must be in quotes: \"*.log\"");
        assert!(of_alias("elsewhere", &known).contains("only in the file"));
    }
}
