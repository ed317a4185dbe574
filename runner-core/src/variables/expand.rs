//! References to variables inside of texts: `$NAME` and `${NAME}`.
//!
//! Deliberately less than a shell does: no defaults, no substitutions. Scripts export the results quoted, so the shell does
//! not look at them again.

/// Replaces every reference in `text` by what `lookup` says for its name; `None` is the empty text.
///
/// * Names are ASCII letters, digits and underscores. Between braces anything is a name, so `${X:-d}` is a variable that
///   nobody has.
/// * `$$` is a dollar sign. `$*`, `$#`, `$@`, `$!`, `$?` and `$0` to `$9` are empty; `$-` is looked up.
/// * A `$` before anything else, or at the end, stays. `${}` vanishes, and so does a `${` that is never closed.
pub(crate) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        result.push_str(before);
        match reference(after) {
            Reference::None => {
                result.push('$');
                rest = after;
            }
            Reference::Broken(length) => rest = &after[length..],
            Reference::Name(name, length) => {
                match name {
                    "$" => result.push('$'),
                    "*" | "#" | "@" | "!" | "?" => {}
                    name if name.len() == 1 && name.as_bytes()[0].is_ascii_digit() => {}
                    name => result.push_str(&lookup(name).unwrap_or_default()),
                }
                rest = &after[length..];
            }
        }
    }
    result.push_str(rest);
    result
}

enum Reference<'a> {
    /// The dollar sign is just that.
    None,
    /// Not a reference; so many bytes after the dollar sign vanish with it.
    Broken(usize),
    /// A name, and how many bytes after the dollar sign belong to it.
    Name(&'a str, usize),
}

/// What follows a dollar sign. All cuts are at ASCII characters.
fn reference(after: &str) -> Reference<'_> {
    let bytes = after.as_bytes();
    match bytes {
        [b'{', ..] => match after[1..].find('}') {
            Some(0) => Reference::Broken(2),
            Some(length) => Reference::Name(&after[1..=length], length + 2),
            None => Reference::Broken(1),
        },
        [b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9', ..] => Reference::Name(&after[..1], 1),
        _ => match bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count() {
            0 => Reference::None,
            length => Reference::Name(&after[..length], length),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::expand;

    proptest! {
        #[test]
        fn any_text_is_expanded(text in "[$a-c{}*1 é:-]{0,30}") {
            let expanded = expand(&text, |name| Some(format!("<{}>", name.len())));
            prop_assert_eq!(text.contains('$') || expanded == text, true);
        }
    }

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("x".to_owned()),
            "LONG_name1" => Some("long".to_owned()),
            "-" => Some("dash".to_owned()),
            "LOOP" => Some("$A".to_owned()),
            "*" | "1" | "$" => Some("never".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn follows_the_table() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "x"),
            ("${A}", "x"),
            ("a${A}b$A-$LONG_name1.", "axbx-long."),
            ("$NOPE|${NOPE}z", "|z"),
            ("x$$y", "x$y"),
            ("$$A", "$A"),
            ("$*$#$@$!$?", ""),
            ("$1abc", "abc"),
            ("${1}${*}${$}", "$"),
            ("${12}", ""),
            ("$-", "dash"),
            ("$", "$"),
            ("a $ b", "a $ b"),
            ("$é", "$é"),
            ("é$A", "éx"),
            ("$(date)", "$(date)"),
            ("${}", ""),
            ("a${}b", "ab"),
            ("${A", "A"),
            ("a${é", "aé"),
            ("${X:-d}", ""),
            ("${A%x}", ""),
            ("${A}}", "x}"),
            ("%A%", "%A%"),
            ("$LOOP", "$A"),
            ("\\$A", "\\x"),
        ] {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }
}
