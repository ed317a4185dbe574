//! Flags of `register` for the keys of executors and caches: one per key, made from the tables of keys.

use clap::{Arg, ArgAction, ArgMatches, Command};
use toml_edit::{Array, Value};

use crate::config::{Kind, NewEntry, SECTIONS, Section};

/// Keys of `[runners.cache]` itself, whose stores are sections.
const CACHE: [(&str, &str, Kind); 4] = [
    ("type", "Type", Kind::Text),
    ("path", "Path", Kind::Text),
    ("shared", "Shared", Kind::Bool),
    ("max-uploaded-archive-size", "MaxUploadedArchiveSize", Kind::Integer),
];

/// A flag and the key that it sets.
struct Flag {
    name: String,
    path: Vec<&'static str>,
    kind: Kind,
}

/// Adds the flags. They are many and alike, so they are left out of the short help.
pub(super) fn add_flags(mut command: Command) -> Command {
    for flag in flags() {
        let help = format!("{} of [runners.{}]", flag.path.last().unwrap_or(&""), parents(&flag).join("."));
        let argument = Arg::new(flag.name.clone())
            .long(flag.name.clone())
            .env(flag.name.to_uppercase().replace('-', "_"))
            .hide_env_values(true)
            .hide_short_help(true)
            .help_heading("Executors and caches")
            .help(help);
        command = command.arg(match flag.kind {
            Kind::Bool => argument
                .value_parser(super::flag())
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .hide_possible_values(true),
            Kind::Integer => argument.value_parser(clap::value_parser!(i64)),
            Kind::List => argument.action(ArgAction::Append),
            Kind::Map => argument.action(ArgAction::Append).value_name("KEY:VALUE"),
            Kind::Text | Kind::Nested => argument,
        });
    }
    command
}

/// Puts what was given into an entry.
///
/// # Errors
/// When a value of a map is not written as `KEY:VALUE` or a JSON object.
pub(crate) fn fill(matches: &ArgMatches, entry: &mut NewEntry) -> Result<(), String> {
    for flag in flags().filter(|flag| matches.contains_id(&flag.name)) {
        match flag.kind {
            Kind::Text => {
                if let Some(text) = matches.get_one::<String>(&flag.name) {
                    entry.set(&flag.path, text.as_str());
                }
            }
            Kind::Bool => {
                if let Some(set) = matches.get_one::<bool>(&flag.name) {
                    entry.set(&flag.path, *set);
                }
            }
            Kind::Integer => {
                if let Some(number) = matches.get_one::<i64>(&flag.name) {
                    entry.set(&flag.path, *number);
                }
            }
            Kind::List => {
                let values: Array = matches.get_many::<String>(&flag.name).into_iter().flatten().collect();
                entry.set(&flag.path, values);
            }
            Kind::Map => {
                for text in matches.get_many::<String>(&flag.name).into_iter().flatten() {
                    for (key, value) in pairs(text).ok_or_else(|| map_error(&flag.name))? {
                        let path: Vec<&str> = flag.path.iter().copied().chain([key.as_str()]).collect();
                        entry.set(&path, value);
                    }
                }
            }
            Kind::Nested => {}
        }
    }
    Ok(())
}

/// Reads `KEY:VALUE` or a JSON object of texts and booleans.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, Value)>> {
    if !text.trim_start().starts_with('{') {
        let (key, value) = text.split_once(':').or_else(|| text.split_once('='))?;
        return Some(vec![(key.trim().to_owned(), Value::from(value.trim()))]);
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let value = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(Value::from(text)),
        serde_json::Value::Bool(set) => Some(Value::from(set)),
        serde_json::Value::Number(number) => number.as_i64().map(Value::from),
        _ => None,
    };
    object.into_iter().map(|(key, item)| Some((key, value(item)?))).collect()
}

/// What to say when a map is not written as one.
pub(crate) fn map_error(flag: &str) -> String {
    format!("--{flag} takes KEY:VALUE or a JSON object")
}

fn flags() -> impl Iterator<Item = Flag> {
    let sections = SECTIONS.iter().filter(|section| section.flags).flat_map(section_flags);
    let cache = CACHE.iter().map(|(name, key, kind)| Flag {
        name: format!("cache-{name}"),
        path: vec!["cache", key],
        kind: *kind,
    });
    sections.chain(cache)
}

fn section_flags(section: &'static Section) -> impl Iterator<Item = Flag> {
    section.keys().filter(|(_, kind)| *kind != Kind::Nested).map(|(key, kind)| {
        let mut path = section.path.to_vec();
        path.push(key);
        Flag { name: format!("{}-{}", section.path.join("-"), kebab(key)), path, kind }
    })
}

/// `pull_policy` and `ServerSideEncryptionKeyID` as `pull-policy` and `server-side-encryption-key-id`.
fn kebab(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    let mut before_is_lower = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && before_is_lower {
            name.push('-');
        }
        before_is_lower = c.is_ascii_lowercase();
        name.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    name
}

fn parents(flag: &Flag) -> Vec<&'static str> {
    flag.path.split_last().map(|(_, parents)| parents.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{flags, kebab, pairs};

    #[test]
    fn names() {
        assert_eq!(kebab("pull_policy"), "pull-policy");
        assert_eq!(kebab("ServerSideEncryptionKeyID"), "server-side-encryption-key-id");
        assert_eq!(kebab("RoleARN"), "role-arn");
        let names: Vec<String> = flags().map(|flag| flag.name).collect();
        for name in ["docker-image", "kubernetes-namespace", "cache-s3-bucket-name", "cache-type", "ssh-host"]
        {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn maps() {
        let texts = |text| {
            pairs(text).map(|all| {
                all.into_iter().map(|(k, v)| format!("{k}={}", v.to_string().trim())).collect::<Vec<_>>()
            })
        };
        assert_eq!(texts("a:b:c"), Some(vec!["a=\"b:c\"".to_owned()]));
        assert_eq!(
            texts("{\"a\": true, \"b\": \"x\"}"),
            Some(vec!["a=true".to_owned(), "b=\"x\"".to_owned()])
        );
        assert_eq!(texts("nothing"), None);
    }
}
