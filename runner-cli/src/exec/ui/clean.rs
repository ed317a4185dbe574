//! One line of a job's log as it can be shown between lines of other jobs.

/// A marker of a section in a log.
///
/// Source: GitLab documentation, "Custom collapsible sections".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marker {
    /// A section begins; `time` in seconds since 1970.
    Start { time: u64, name: String, collapsed: bool },
    /// It ends.
    End { time: u64, name: String },
}

/// The markers in a line, in order.
pub(crate) fn markers(line: &str) -> Vec<Marker> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, marker, after)) = next_marker(rest) {
        found.push(marker);
        rest = after;
    }
    found
}

/// What a line becomes: without section markers, without what was overwritten by a carriage return, without control sequences
/// that would move the cursor. Colours stay if they may. `None` for a line that was nothing but markers.
pub(crate) fn clean(line: &str, colour: bool) -> Option<String> {
    let (line, had_marker) = without_markers(line);
    let mut shown = String::new();
    for part in line.split('\r') {
        let part = without_control(part, colour);
        if !visible(&part).is_empty() || shown.is_empty() {
            shown = part;
        }
    }
    if had_marker && visible(&shown).trim().is_empty() {
        return None;
    }
    // Text in colour that does not end its colour would dye the next job's line.
    if shown.contains('\u{1b}') && !shown.ends_with("\u{1b}[0m") && !shown.ends_with("\u{1b}[0;m") {
        shown.push_str("\u{1b}[0m");
    }
    Some(shown)
}

/// Removes `section_start:TIME:NAME[OPTIONS]` and `section_end:TIME:NAME` with the sequence that hides them.
///
/// Source: GitLab documentation, "Custom collapsible sections".
fn without_markers(line: &str) -> (String, bool) {
    let mut result = String::with_capacity(line.len());
    let mut rest = line;
    let mut found = false;
    while let Some((before, _, after)) = next_marker(rest) {
        result.push_str(before);
        rest = after;
        found = true;
    }
    result.push_str(rest);
    (result, found)
}

/// The first marker, with what stands before and behind it.
fn next_marker(text: &str) -> Option<(&str, Marker, &str)> {
    let (at, word) = ["section_start:", "section_end:"]
        .iter()
        .filter_map(|word| text.find(word).map(|at| (at, *word)))
        .min()?;
    let after = text.get(at + word.len()..)?;
    let digits = after.find(|c: char| !c.is_ascii_digit())?;
    let name = after.get(digits..)?.strip_prefix(':').filter(|_| digits > 0)?;
    let time = after.get(..digits)?.parse().unwrap_or_default();
    // The name ends with the carriage return that hides the marker, or with the line.
    let end = name.find(['\r', '\u{1b}']).unwrap_or(name.len());
    let mut rest = name.get(end..)?;
    rest = rest.strip_prefix('\r').unwrap_or(rest);
    while let Some(shorter) = rest.strip_prefix("\u{1b}[0K") {
        rest = shorter;
    }
    let (name, options) = name.get(..end)?.split_once('[').unwrap_or((name.get(..end)?, ""));
    let name = name.to_owned();
    let marker = if word == "section_end:" {
        Marker::End { time, name }
    } else {
        Marker::Start { time, name, collapsed: options.contains("collapsed=true") }
    };
    Some((text.get(..at)?, marker, rest))
}

/// Drops control characters and sequences; with `colour`, sequences that only select colours stay.
fn without_control(text: &str, colour: bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                let sequence = take_sequence(&mut rest);
                if colour && sequence.starts_with('[') && sequence.ends_with('m') {
                    result.push('\u{1b}');
                    result.push_str(&sequence);
                }
            }
            '\t' => result.push(c),
            c if c.is_control() => {}
            c => result.push(c),
        }
    }
    result
}

/// The rest of an escape sequence.
fn take_sequence(rest: &mut std::str::Chars<'_>) -> String {
    let mut sequence = String::new();
    let Some(kind) = rest.next() else { return sequence };
    sequence.push(kind);
    match kind {
        // Control sequence: parameters, then one letter.
        '[' => {
            for c in rest.by_ref() {
                sequence.push(c);
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    break;
                }
            }
        }
        // Operating system command: until BEL or ESC \.
        ']' => {
            let mut before = ' ';
            for c in rest.by_ref() {
                if c == '\u{7}' || (before == '\u{1b}' && c == '\\') {
                    break;
                }
                before = c;
            }
        }
        // A character set and the like: one more character. Terminals are often reset with `ESC ( B`.
        '(' | ')' | '*' | '+' | '-' | '.' | '/' | '#' | '%' | ' ' => sequence.extend(rest.next()),
        _ => {}
    }
    sequence
}

/// The text without any sequence.
fn visible(text: &str) -> String {
    without_control(text, false)
}

#[cfg(test)]
mod tests {
    use super::{Marker, clean, markers};

    #[test]
    fn markers_disappear() {
        for (line, expected) in [
            ("plain", Some("plain")),
            ("section_start:1700000000:build_script\r\u{1b}[0KBuilding", Some("Building")),
            ("section_start:1700000000:x[collapsed=true]\r\u{1b}[0K\u{1b}[0KBuilding", Some("Building")),
            ("section_end:1700000000:build_script\r\u{1b}[0K", None),
            ("section_end:1:a\r\u{1b}[0Ksection_start:2:b\r\u{1b}[0KNext", Some("Next")),
            ("section_end:1700000000:last", None),
            ("about section_start: markers", Some("about section_start: markers")),
            ("", Some("")),
        ] {
            assert_eq!(clean(line, false).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn markers_say_where_sections_are() {
        let start = |time, name: &str, collapsed| Marker::Start { time, name: name.to_owned(), collapsed };
        let end = |time, name: &str| Marker::End { time, name: name.to_owned() };
        assert_eq!(
            markers(
                "section_end:1:a\r\u{1b}[0Ksection_start:2:b[hide_duration=true,collapsed=true]\r\u{1b}[0KNext"
            ),
            [end(1, "a"), start(2, "b", true)]
        );
        assert_eq!(markers("section_start:3:c\r\u{1b}[0K"), [start(3, "c", false)]);
        assert_eq!(markers("about section_start: markers"), []);
    }

    #[test]
    fn what_was_overwritten_is_not_shown() {
        assert_eq!(clean("10%\r50%\r100%", false).as_deref(), Some("100%"));
        assert_eq!(clean("done\r", false).as_deref(), Some("done"));
        assert_eq!(clean("done\r\u{1b}[0K", false).as_deref(), Some("done"));
    }

    #[test]
    fn colours_stay_if_they_may() {
        let line = "\u{1b}[31mred\u{1b}[0;m \u{1b}[2Jtext\u{1b}]0;title\u{7}";
        assert_eq!(clean(line, false).as_deref(), Some("red text"));
        assert_eq!(clean(line, true).as_deref(), Some("\u{1b}[31mred\u{1b}[0;m text\u{1b}[0m"));
        assert_eq!(
            clean("\u{1b}[31m-old\u{1b}(B\u{1b}[m\u{1b})0 \u{1b}7new", false).as_deref(),
            Some("-old new")
        );
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m", true).as_deref(), Some("\u{1b}[31mred\u{1b}[0m"));
    }
}
