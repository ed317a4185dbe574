//! The line that a mistake is in, and which part of it.

/// Longest part of a line that is shown, in characters.
const WIDTH: usize = 160;
/// How much of a long line is shown in front of the mistake.
const BEFORE: usize = 40;

/// A line of a file with the key or value in question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excerpt {
    /// The line, or the part of a long one around the mistake; tabs are shown as blanks.
    pub text: String,
    /// Characters of `text` in front of the mistake.
    pub before: usize,
    /// How many characters the key or value has in this line, at least 1.
    pub length: usize,
}

impl Excerpt {
    /// The place at `line` and `column`, both from 1, of a file's text; `None` when the text has no such line.
    pub(super) fn of(text: &str, line: u32, column: u32) -> Option<Self> {
        // YAML counts a carriage return that stands alone as the end of a line, too.
        let mut lines = text.lines().flat_map(|line| line.split('\r'));
        let line = lines.nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(column).ok()?.saturating_sub(1);
        let start = column.saturating_sub(if column > WIDTH - BEFORE { BEFORE } else { column });
        // A part of a line that is longer is not looked at.
        let token: String = line.chars().skip(column).take(WIDTH).collect();
        let in_brackets = is_in_brackets(line.chars().take(column.min(10 * WIDTH)));
        let length = length(&token, in_brackets).max(1);
        let shown: String = line.chars().skip(start).take(WIDTH).collect();
        let shown = shown.trim_end().replace(|c: char| c.is_control(), " ");
        Some(Self { text: shown, before: column - start, length: length.min(WIDTH) })
    }

    /// The line below `text`: blanks, then a caret for each character.
    #[must_use]
    pub fn carets(&self) -> String {
        format!("{}{}", " ".repeat(self.before), "^".repeat(self.length))
    }
}

/// Length in characters of the key or value with which `rest` begins.
fn length(rest: &str, in_brackets: bool) -> usize {
    let chars: Vec<char> = rest.chars().collect();
    let plain = || {
        let mut end = chars.len();
        for (at, c) in chars.iter().enumerate() {
            let next = chars.get(at + 1);
            let ends = match c {
                ':' => next.is_none_or(|next| next.is_whitespace()),
                ' ' => next == Some(&'#'),
                ',' | ']' | '}' => in_brackets,
                _ => false,
            };
            if ends {
                end = at;
                break;
            }
        }
        chars
            .get(..end)
            .unwrap_or_default()
            .iter()
            .rposition(|c| !c.is_whitespace())
            .map_or(0, |last| last + 1)
    };
    match chars.first() {
        Some(quote @ ('"' | '\'')) => {
            chars.iter().skip(1).position(|c| c == quote).map_or_else(plain, |end| end + 2)
        }
        Some('[' | '{') => bracketed(&chars).unwrap_or_else(plain),
        Some('!') => match chars.iter().position(|c| *c == '[') {
            Some(open) => bracketed(&chars[open..]).map_or_else(plain, |length| open + length),
            None => plain(),
        },
        Some('|' | '>') => 1,
        _ => plain(),
    }
}

/// Length of a list or hash in brackets that ends in this line.
fn bracketed(chars: &[char]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in chars.iter().enumerate() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_in_brackets(before: impl Iterator<Item = char>) -> bool {
    let depth = before.fold(0_i64, |depth, c| match c {
        '[' | '{' => depth + 1,
        ']' | '}' => (depth - 1).max(0),
        _ => depth,
    });
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::Excerpt;

    fn marked(line: &str, column: u32) -> String {
        let excerpt = Excerpt::of(line, 1, column).unwrap();
        excerpt.text.chars().skip(excerpt.before).take(excerpt.length).collect()
    }

    #[test]
    fn keys_and_values_are_marked_whole() {
        for (line, column, expected) in [
            ("  need: [a]", 3, "need"),
            ("  need: [a, [b]] # why", 9, "[a, [b]]"),
            ("a: {foo: 1, bar: x}", 5, "foo"),
            ("a: {foo: 1, bar: x}", 18, "x"),
            ("a: plain, text # why", 4, "plain, text"),
            ("a: 'it: is' # x", 4, "'it: is'"),
            ("a: !reference [.b, c] ", 4, "!reference [.b, c]"),
            ("a: |", 4, "|"),
            ("a: http://x", 4, "http://x"),
        ] {
            assert_eq!(marked(line, column), expected, "{line}");
        }
    }

    #[test]
    fn long_lines_are_cut() {
        let line = format!("{}needle: x", " ".repeat(10_000));
        let excerpt = Excerpt::of(&line, 1, 10_001).unwrap();
        assert_eq!(
            (excerpt.text.as_str(), excerpt.before, excerpt.length),
            (format!("{}needle: x", " ".repeat(40)).as_str(), 40, 6)
        );
        assert_eq!(Excerpt::of(&line, 2, 1), None);
        assert_eq!(Excerpt::of("", 1, 1), None);
        assert_eq!(Excerpt::of("a\r\nb\rc", 3, 1).unwrap().text, "c");
        assert_eq!(Excerpt::of("\tä: x", 1, 2).unwrap().carets(), " ^");
    }
}
