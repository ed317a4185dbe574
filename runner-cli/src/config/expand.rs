//! `$VAR` and `${VAR}` in `url` and `token`, from an environment that is passed in.

use std::collections::BTreeMap;

/// The environment of the process, read once by `main`.
pub(crate) type Environment = BTreeMap<String, String>;

/// Replaces references; a name that is not set is an error, because an empty URL or token helps nobody.
pub(crate) fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, tail) = rest.split_at(at);
        result.push_str(before);
        let tail = tail.strip_prefix('$').unwrap_or(tail);
        let (name, after) = match tail.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(found) => found,
            None => tail.split_at(tail.find(|c: char| !is_name(c)).unwrap_or(tail.len())),
        };
        if name.is_empty() {
            result.push('$');
        } else {
            let value = environment.get(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it or write the value")
            })?;
            result.push_str(value);
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{Environment, expand};

    #[test]
    fn replaces_both_forms() {
        let environment =
            Environment::from([("HOST".to_owned(), "h".to_owned()), ("P".to_owned(), "80".to_owned())]);
        for (text, expected) in [
            ("https://gitlab.com", "https://gitlab.com"),
            ("https://$HOST:${P}/x", "https://h:80/x"),
            ("$HOST-$P", "h-80"),
            ("a$", "a$"),
            ("$-", "$-"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(
            expand("x$NONE", &environment),
            Err("the environment variable NONE is not set; set it or write the value".to_owned())
        );
    }
}
