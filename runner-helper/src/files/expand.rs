//! Expansion of names and paths in the way of a shell's double quotes.
//!
//! `$X`, `${X}` and the parameter forms of POSIX (`:-`, `:=`, `:?`, `:+`, `#`, `%`, length) work; a variable that is empty
//! counts as unset. A backslash makes `$`, `` ` ``, `"` and itself ordinary. What would run a command, and what only some
//! shells know, is refused: the caller then keeps the text as it is.

use globset::GlobBuilder;

/// Why a text is not expanded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("command substitution is not allowed")]
    Command,
    #[error("arithmetic expansion is not supported")]
    Arithmetic,
    #[error("`${{` has no closing brace")]
    Unclosed,
    #[error("`${{{0}}}` is not supported")]
    Form(String),
    #[error("{0}")]
    Required(String),
}

/// Where values come from: `None` for unset and empty variables.
pub(crate) type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// Expands `text`.
pub(crate) fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, Refused> {
    let mut rest = text;
    let mut result = String::new();
    while let Some(position) = rest.find(['$', '`', '\\']) {
        let (plain, special) = rest.split_at(position);
        result.push_str(plain);
        let after = special.get(1..).unwrap_or_default();
        if special.starts_with('`') {
            return Err(Refused::Command);
        }
        rest = if special.starts_with('\\') {
            escaped(after, &mut result)
        } else {
            dollar(after, lookup, &mut result)?
        };
    }
    result.push_str(rest);
    Ok(result)
}

/// What follows a backslash.
fn escaped<'t>(after: &'t str, result: &mut String) -> &'t str {
    match after.chars().next() {
        Some(special @ ('$' | '`' | '"' | '\\')) => {
            result.push(special);
            after.get(1..).unwrap_or_default()
        }
        _ => {
            result.push('\\');
            after
        }
    }
}

/// What follows a dollar sign.
fn dollar<'t>(after: &'t str, lookup: Lookup<'_>, result: &mut String) -> Result<&'t str, Refused> {
    if after.starts_with("((") {
        return Err(Refused::Arithmetic);
    }
    if after.starts_with('(') {
        return Err(Refused::Command);
    }
    if let Some(inner) = after.strip_prefix('{') {
        let end = closing_brace(inner).ok_or(Refused::Unclosed)?;
        let (inner, rest) = inner.split_at(end);
        result.push_str(&parameter(inner, lookup)?);
        return Ok(rest.get(1..).unwrap_or_default());
    }
    let name_length = name_length(after);
    if name_length > 0 {
        let (name, rest) = after.split_at(name_length);
        result.push_str(&lookup(name).unwrap_or_default());
        return Ok(rest);
    }
    match after.chars().next() {
        // Special and positional parameters: there are none here.
        Some('*' | '@' | '#' | '?' | '-' | '$' | '!' | '0'..='9') => Ok(after.get(1..).unwrap_or_default()),
        _ => {
            result.push('$');
            Ok(after)
        }
    }
}

/// The text between `${` and `}`.
fn parameter(inner: &str, lookup: Lookup<'_>) -> Result<String, Refused> {
    let form = || Refused::Form(inner.to_owned());
    if let Some(name) =
        inner.strip_prefix('#').filter(|name| !name.is_empty() && name_length(name) == name.len())
    {
        return Ok(lookup(name).unwrap_or_default().chars().count().to_string());
    }
    let (name, operation) = inner.split_at(name_length(inner));
    if name.is_empty() {
        return Err(form());
    }
    let value = lookup(name);
    // Empty counts as unset, so the forms with and without a colon are the same.
    let operation = match operation.strip_prefix(':') {
        Some(after) if after.starts_with(['-', '=', '?', '+']) => after,
        Some(_) => return Err(form()),
        None => operation,
    };
    let word = |skip: usize| expand(operation.get(skip..).unwrap_or_default(), lookup);
    match operation.chars().next() {
        None => Ok(value.unwrap_or_default()),
        Some('-' | '=') => value.map_or_else(|| word(1), Ok),
        Some('+') if value.is_some() => word(1),
        Some('+') => Ok(String::new()),
        Some('?') => match value {
            Some(value) => Ok(value),
            None => Err(Refused::Required(format!("{name}: {}", word(1)?))),
        },
        Some(end @ ('#' | '%')) => {
            let longest = operation.chars().nth(1) == Some(end);
            let pattern = word(if longest { 2 } else { 1 })?;
            without(&value.unwrap_or_default(), &pattern, end == '#', longest).ok_or_else(form)
        }
        Some(_) => Err(form()),
    }
}

/// `value` without the shortest or longest beginning or end that matches; `None` when the pattern is none.
fn without(value: &str, pattern: &str, front: bool, longest: bool) -> Option<String> {
    let glob = GlobBuilder::new(pattern).literal_separator(false).build().ok()?.compile_matcher();
    let mut cuts = value.char_indices().map(|(index, _)| index).chain([value.len()]);
    let fits = |cut: &usize| {
        let (head, tail) = value.split_at(*cut);
        glob.is_match(if front { head } else { tail })
    };
    // For a beginning, a later cut removes more; for an end, an earlier one.
    let cut = if front == longest { cuts.rfind(fits) } else { cuts.find(fits) };
    let (head, tail) = value.split_at(cut.unwrap_or(if front { 0 } else { value.len() }));
    Some(if front { tail } else { head }.to_owned())
}

/// How long the name at the beginning of `text` is.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Where the brace is that closes an opened `${`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut characters = text.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '$' if characters.peek().is_some_and(|(_, next)| *next == '{') => {
                characters.next();
                depth += 1;
            }
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "CI_JOB_NAME" => Some("test".to_owned()),
            "FILE" => Some("a/b/c.tar.gz".to_owned()),
            "UMLAUT" => Some("äö".to_owned()),
            "Y" => Some("CI_JOB_NAME".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn expands_like_double_quotes() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$CI_JOB_NAME-${X:-y}", "test-y"),
            ("${CI_JOB_NAME}x$CI_JOB_NAMEx", "testx"),
            ("a$Xb${X}c", "ac"),
            ("${X-d}${X=e}${CI_JOB_NAME-f}", "detest"),
            ("${X:+no}${CI_JOB_NAME:+yes}", "yes"),
            ("${X:-${Z:-$CI_JOB_NAME}}", "test"),
            ("${CI_JOB_NAME:?must}", "test"),
            ("${#CI_JOB_NAME}${#UMLAUT}${#X}", "420"),
            ("${FILE#*/}|${FILE##*/}|${FILE%.*}|${FILE%%.*}", "b/c.tar.gz|c.tar.gz|a/b/c.tar|a/b/c"),
            ("${FILE#x}${X%y}", "a/b/c.tar.gz"),
            ("${UMLAUT#ä}", "ö"),
            (r"\$X \` \\ \a ", r"$X ` \ \a "),
            ("\"'$CI_JOB_NAME'\"", "\"'test'\""),
            ("$", "$"),
            ("$/x$.", "$/x$."),
            ("$1a$@$$b", "ab"),
            ("${Y}", "CI_JOB_NAME"),
            ("ä$CI_JOB_NAMEö", "ätestö"),
            ("*.{a,b}", "*.{a,b}"),
        ] {
            assert_eq!(expand(text, &lookup).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_would_run_or_is_unknown() {
        for (text, expected) in [
            ("$(rm -rf /)", Refused::Command),
            ("a`id`", Refused::Command),
            ("${X:-$(id)}", Refused::Command),
            ("$((1+1))", Refused::Arithmetic),
            ("${X", Refused::Unclosed),
            ("${X:-${Y}", Refused::Unclosed),
            ("${}", Refused::Form(String::new())),
            ("${FILE/a/b}", Refused::Form("FILE/a/b".into())),
            ("${FILE:1:2}", Refused::Form("FILE:1:2".into())),
            ("${!Y}", Refused::Form("!Y".into())),
            ("${X:?is missing}", Refused::Required("X: is missing".into())),
        ] {
            assert_eq!(expand(text, &lookup), Err(expected), "{text}");
        }
    }
}
