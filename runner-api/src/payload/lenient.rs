//! Decoding that gives up as little as possible.
//!
//! Objects are split into the raw texts of their fields, and each field is decoded alone: what cannot be understood
//! costs that field and leaves a warning. `null` is the same as absent, unknown keys are passed over, keys match in any
//! letter case (the exact one first), and numbers and texts stand in for each other.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Warning;

/// A type that can be decoded from any one JSON value, or be given up with a warning.
pub(crate) trait Lenient: Sized {
    /// Decodes `raw`, which is not `null`. `None` means that a warning was added.
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self>;
}

/// A type that is decoded from the fields of an object.
pub(crate) trait Object: Sized {
    /// Takes what it knows. Missing fields have defaults.
    fn read(fields: &mut Fields<'_, '_>) -> Self;
}

/// The fields of one object.
pub(crate) struct Fields<'a, 'w> {
    path: &'a str,
    entries: Vec<(String, &'a RawValue)>,
    warnings: &'w mut Vec<Warning>,
}

impl<'a, 'w> Fields<'a, 'w> {
    /// Splits an object. `None` means that `raw` is no object, and a warning was added.
    pub(crate) fn split(raw: &'a RawValue, path: &'a str, warnings: &'w mut Vec<Warning>) -> Option<Self> {
        match serde_json::from_str::<Entries<'a>>(raw.get()) {
            Ok(Entries(entries)) => Some(Self { path, entries, warnings }),
            Err(error) => {
                warnings.push(Warning::new(path, expected("an object", raw, &error)));
                None
            }
        }
    }

    /// The field, or its default when it is absent or not to be understood.
    pub(crate) fn take<T: Lenient + Default>(&mut self, key: &str) -> T {
        self.take_optional(key).unwrap_or_default()
    }

    /// The field, or `None` when it is absent or not to be understood.
    pub(crate) fn take_optional<T: Lenient>(&mut self, key: &str) -> Option<T> {
        let raw = self.get(key)?;
        T::decode(raw, &format!("{}.{key}", self.path), self.warnings)
    }

    /// The keys that are not among `known`.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let unknown = |key: &&String| !known.iter().any(|known| known.eq_ignore_ascii_case(key));
        self.entries.iter().map(|(key, _)| key).filter(unknown).cloned().collect()
    }

    /// The last value under this key that is not `null`.
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        let last = |matches: &dyn Fn(&str) -> bool| {
            self.entries.iter().rev().find(|(name, raw)| matches(name) && raw.get() != "null")
        };
        last(&|name| name == key)
            .or_else(|| last(&|name| name.eq_ignore_ascii_case(key)))
            .map(|(_, raw)| *raw)
    }
}

impl<T: Object> Lenient for T {
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
        Fields::split(raw, path, warnings).map(|mut fields| T::read(&mut fields))
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
        let items: Vec<&RawValue> = parse(raw, path, "a list", warnings)?;
        let decode = |(index, raw): (usize, &RawValue)| {
            if raw.get() == "null" {
                return None;
            }
            T::decode(raw, &format!("{path}[{index}]"), warnings)
        };
        Some(items.into_iter().enumerate().filter_map(decode).collect())
    }
}

impl<T: Lenient> Lenient for BTreeMap<String, T> {
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
        let Fields { entries, warnings, .. } = Fields::split(raw, path, warnings)?;
        let decode = |(key, raw): (String, &RawValue)| {
            if raw.get() == "null" {
                return None;
            }
            let value = T::decode(raw, &format!("{path}.{key}"), warnings)?;
            Some((key, value))
        };
        Some(entries.into_iter().filter_map(decode).collect())
    }
}

impl Lenient for String {
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
        match raw.get().as_bytes().first() {
            // Numbers and booleans have the text they are written with.
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => Some(raw.get().to_owned()),
            _ => parse(raw, path, "a text", warnings),
        }
    }
}

impl Lenient for bool {
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
        match raw.get().trim_matches('"') {
            "true" | "1" => Some(true),
            "false" | "0" | "" => Some(false),
            _ => parse(raw, path, "true or false", warnings),
        }
    }
}

macro_rules! lenient_number {
    ($($number:ty => $expected:literal),+) => {$(
        impl Lenient for $number {
            fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
                let text = raw.get().trim_matches('"').trim();
                match text.parse() {
                    Ok(number) => Some(number),
                    // `3.0` is a whole number, too.
                    Err(_) => match text.trim_end_matches('0').strip_suffix('.').and_then(|whole| whole.parse().ok()) {
                        Some(number) => Some(number),
                        None => parse(raw, path, $expected, warnings),
                    },
                }
            }
        }
    )+};
}

lenient_number! { u64 => "a whole number from 0", i64 => "a whole number", f64 => "a number" }

impl Lenient for serde_json::Value {
    fn decode(raw: &RawValue, path: &str, warnings: &mut Vec<Warning>) -> Option<Self> {
        parse(raw, path, "a value", warnings)
    }
}

/// Makes a type that is built from text decodable.
macro_rules! lenient_text {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::payload::lenient::Lenient for $name {
            fn decode(
                raw: &serde_json::value::RawValue,
                path: &str,
                warnings: &mut Vec<$crate::payload::Warning>,
            ) -> Option<Self> {
                String::decode(raw, path, warnings).map(Self::from)
            }
        }
    )+};
}

pub(crate) use lenient_text;

lenient_text!(crate::secret::JobToken, crate::secret::SecretText, crate::failure::FailureReason);

/// Decodes strictly, or leaves a warning. The warning never quotes the value: it may be a secret.
fn parse<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    path: &str,
    wanted: &str,
    warnings: &mut Vec<Warning>,
) -> Option<T> {
    match serde_json::from_str(raw.get()) {
        Ok(value) => Some(value),
        Err(error) => {
            warnings.push(Warning::new(path, expected(wanted, raw, &error)));
            None
        }
    }
}

fn expected(wanted: &str, raw: &RawValue, error: &serde_json::Error) -> String {
    let found = match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    };
    if error.is_data() {
        format!("expected {wanted}, found {found}")
    } else {
        format!("expected {wanted}, found {found} that cannot be read")
    }
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<T: Lenient>(json: &str) -> (Option<T>, Vec<String>) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut warnings = Vec::new();
        let value = T::decode(raw, "$", &mut warnings);
        (value, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn numbers_and_texts_stand_in_for_each_other() {
        for (json, number) in [("7", 7), ("\"7\"", 7), ("7.0", 7), ("\" 7 \"", 7), ("-3", -3), ("\"-3\"", -3)]
        {
            assert_eq!(decode::<i64>(json), (Some(number), vec![]), "{json}");
        }
        for (json, text) in [("7", "7"), ("1.50", "1.50"), ("true", "true"), ("\"a\\nb\"", "a\nb")] {
            assert_eq!(decode::<String>(json), (Some(text.to_owned()), vec![]), "{json}");
        }
        for (json, flag) in [("true", true), ("\"true\"", true), ("0", false), ("\"\"", false), ("1", true)] {
            assert_eq!(decode::<bool>(json), (Some(flag), vec![]), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_without_being_quoted() {
        for (json, found) in
            [("{\"a\":\"s3cret\"}", "an object"), ("\"s3cret\"", "a text"), ("7.5", "a number")]
        {
            let (value, warnings) = decode::<u64>(json);
            assert_eq!(value, None);
            assert_eq!(warnings, [format!("$: expected a whole number from 0, found {found}")]);
        }
    }

    #[test]
    fn one_bad_item_costs_that_item() {
        let (list, warnings) = decode::<Vec<String>>("[\"a\", {}, null, 3]");
        assert_eq!(list.unwrap(), ["a", "3"]);
        assert_eq!(warnings, ["$[1]: expected a text, found an object"]);

        let (map, warnings) = decode::<BTreeMap<String, i64>>(r#"{"a": 1, "b": [], "c": null}"#);
        assert_eq!(map.unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
        assert_eq!(warnings, ["$.b: expected a whole number, found a list"]);
    }

    #[test]
    fn the_last_value_wins_and_letter_case_does_not_matter() {
        let raw: &RawValue = serde_json::from_str(r#"{"a": 1, "A": 5, "a": 2, "B": 3, "a": null}"#).unwrap();
        let mut warnings = Vec::new();
        let mut fields = Fields::split(raw, "$", &mut warnings).unwrap();
        assert_eq!(fields.take::<i64>("a"), 2);
        assert_eq!(fields.take::<i64>("b"), 3);
        assert_eq!(fields.take_optional::<i64>("c"), None);
        assert_eq!(fields.unknown(&["a"]), ["B"]);
    }

    #[test]
    fn depth_and_huge_numbers_cost_one_field_only() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let json = format!(r#"{{"deep": {deep}, "huge": 1e999, "fine": 1}}"#);
        let raw: &RawValue = serde_json::from_str(&json).unwrap();
        let mut warnings = Vec::new();
        let mut fields = Fields::split(raw, "$", &mut warnings).unwrap();
        assert_eq!(fields.take_optional::<serde_json::Value>("deep"), None);
        assert_eq!(fields.take_optional::<i64>("huge"), None);
        assert_eq!(fields.take::<i64>("fine"), 1);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
}
