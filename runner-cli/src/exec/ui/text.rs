//! Text that has to fit.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// At most so many columns of a text; the end of a longer one is left out.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    format!("{}…", head(text.chars(), room))
}

/// At most so many columns of a name. A long one keeps its end: there instances of a job differ. Nothing in it moves the cursor.
pub(super) fn shortened(name: &str, columns: usize) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.width() <= columns {
        return name;
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let tail: String = head(name.chars().rev(), room.div_ceil(2)).chars().rev().collect();
    format!("{}…{tail}", head(name.chars(), room / 2))
}

/// As many of these characters as have room.
fn head(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    chars
        .take_while(|c| {
            let width = c.width().unwrap_or(0);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::{fitted, shortened};

    #[test]
    fn long_names_keep_their_end() {
        let name = format!("{}: [a, b]", "x".repeat(60));
        let short = shortened(&name, 36);
        assert_eq!(short.width(), 36);
        assert!(short.ends_with(": [a, b]") && short.starts_with("xxxxxxxxxxxxxxxxx…x"), "{short}");
        assert_eq!(shortened("short", 36), "short");
        assert_eq!(shortened("a\u{1b}[2J\nb", 36), "a\u{fffd}[2J\u{fffd}b");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(shortened("構建構建構建", 7), "構…建");
        assert_eq!(fitted("構建", 4), "構建");
        assert_eq!(fitted("構建構", 4), "構…");
        assert_eq!(fitted("text", 0), "");
    }
}
