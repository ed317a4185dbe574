//! Making JSON of a text that breaks off, or that is almost JSON.

use serde::de::IgnoredAny;

/// The object that begins in `text`, up to where it stops making sense, with everything closed that is open there. What
/// is not complete at that place, such as a number that might have gone on, is left out.
///
/// Nothing recurses: a text of brackets only is no danger to the stack.
pub(super) fn mended(text: &str) -> String {
    let begin = text.find('{').unwrap_or(text.len());
    let mut mender = Mender::default();
    let mut rest = text.get(begin..).unwrap_or_default();
    while let Some(after) = mender.step(rest) {
        rest = after;
    }
    mender.finish()
}

#[derive(Default)]
struct Mender {
    out: String,
    /// The closing brackets that are missing.
    open: Vec<char>,
    /// How much of `out` makes sense once that is closed which is open now.
    sound: usize,
    next: Next,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Value,
    Key,
    Colon,
    Comma,
}

impl Mender {
    /// Takes over one token. `None`: this is the end of what makes sense.
    fn step<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let first = rest.chars().next()?;
        let after = rest.get(first.len_utf8()..)?;
        match (self.next, first) {
            (Next::Value, '{' | '[') => {
                self.out.push(first);
                self.open.push(if first == '{' { '}' } else { ']' });
                self.next = if first == '{' { Next::Key } else { Next::Value };
                self.sound = self.out.len();
                Some(after)
            }
            (_, '}' | ']') => {
                if self.open.pop()? != first {
                    // What is missing is closed by `finish`.
                    self.open.push(if first == '}' { ']' } else { '}' });
                    return None;
                }
                self.out.truncate(self.sound);
                self.out.push(first);
                self.value_ended(after)
            }
            (Next::Value, '"') => {
                let after = self.text(after)?;
                self.value_ended(after)
            }
            (Next::Key, '"') => {
                self.next = Next::Colon;
                self.text(after)
            }
            (Next::Colon, ':') => {
                self.out.push(':');
                self.next = Next::Value;
                Some(after)
            }
            (Next::Comma, ',') => {
                self.out.push(',');
                self.next = if self.open.last() == Some(&'}') { Next::Key } else { Next::Value };
                Some(after)
            }
            (Next::Value, _) => {
                let end = rest.find([',', ':', '{', '}', '[', ']', '"', ' ', '\t', '\r', '\n'])?;
                let (scalar, after) = rest.split_at(end);
                let known = serde_json::from_str::<IgnoredAny>(scalar).is_ok();
                self.out.push_str(if known { scalar } else { "null" });
                if end == 0 { None } else { self.value_ended(after) }
            }
            _ => None,
        }
    }

    fn value_ended<'t>(&mut self, after: &'t str) -> Option<&'t str> {
        self.sound = self.out.len();
        self.next = Next::Comma;
        (!self.open.is_empty()).then_some(after)
    }

    /// The rest of a text whose first quote was taken, with escapes for what must not be in it.
    fn text<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        self.out.push('"');
        let mut chars = rest.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.out.push('"');
                    return rest.get(at + 1..);
                }
                '\\' => {
                    let escape = rest.get(at..).map(escape_length)?;
                    match escape {
                        0 => self.out.push_str("\\\\"),
                        length => {
                            self.out.push_str(rest.get(at..at + length)?);
                            chars.nth(length - 2);
                        }
                    }
                }
                '\0'..='\x1f' => self.out.push_str(&format!("\\u{:04x}", u32::from(char))),
                _ => self.out.push(char),
            }
        }
        None
    }

    fn finish(mut self) -> String {
        self.out.truncate(self.sound);
        self.out.extend(self.open.iter().rev());
        self.out
    }
}

/// How many bytes the escape takes with which `text` begins; 0 when it is none.
fn escape_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
        Some(b'u') if bytes.get(2..6).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => 6,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn closes_what_is_open() {
        for (text, expected) in [
            ("", ""),
            ("<p>", ""),
            ("{", "{}"),
            (r#"{"a"#, "{}"),
            (r#"{"a": "#, "{}"),
            (r#"{"a": 1"#, "{}"),
            (r#"{"a": 1,"#, r#"{"a":1}"#),
            (r#"{"a": "x", "b": [1, {"c": tr"#, r#"{"a":"x","b":[1,{}]}"#),
            (r#"{"a": [1, 2], "b"}"#, r#"{"a":[1,2]}"#),
            (r#"{"a": [1}, "b": 2}"#, r#"{"a":[1]}"#),
            (r#"{"a": {"b": 1]}"#, r#"{"a":{"b":1}}"#),
            (r#"{"a": 1} {"b": 2}"#, r#"{"a":1}"#),
            (r#"{"a": [1,], "b": {"c": 2,},}"#, r#"{"a":[1],"b":{"c":2}}"#),
            (r#"{"a": NaN, "b": undefined, "c": 'x'}"#, r#"{"a":null,"b":null,"c":null}"#),
            ("{\"a\": \"x\ny\\q\\u12\\u0041\", \"b\": 1}", r#"{"a":"x\u000ay\\q\\u12\u0041","b":1}"#),
            ("log{\u{feff}}", "{}"),
        ] {
            let mended = mended(text);
            assert_eq!(mended, expected, "{text}");
            assert!(
                mended.is_empty() || serde_json::from_str::<serde_json::Value>(&mended).is_ok(),
                "{mended}"
            );
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let text = format!("{{\"id\": 1, \"x\": {}", "[".repeat(500_000));
        assert_eq!(mended(&text).len(), text.len() - 3 + 500_000 + 1);
    }
}
