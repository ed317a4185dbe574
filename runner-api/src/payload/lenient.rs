//! Decoding that gives up as little as possible.
//!
//! Objects are split into the raw texts of their fields, and each field is decoded alone: what cannot be understood
//! costs that field and leaves a warning. `null` is the same as absent, unknown keys are noted, keys match in any letter
//! case (the exact one first), numbers and texts stand in for each other, and one text for a list of it. Nothing here
//! recurses deeper than the types do, however deep the values are.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::notes::Notes;
use super::text::Text;

/// A type that can be decoded from any one JSON value, or be given up with a warning.
pub(crate) trait Lenient: Sized {
    /// Whether a text is the usual form. One text then stands for a list of one.
    const IS_TEXT: bool = false;

    /// Decodes `raw`, which is not `null`. `None` means that a warning was added.
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self>;
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
    taken: Vec<&'static str>,
    notes: &'w mut Notes,
}

impl<'a, 'w> Fields<'a, 'w> {
    /// Splits an object. `None` means that `raw` is no object, and a warning was added.
    pub(crate) fn split(raw: &'a RawValue, path: &'a str, notes: &'w mut Notes) -> Option<Self> {
        match serde_json::from_str::<Entries<'a>>(raw.get()) {
            Ok(Entries(entries)) => Some(Self { path, entries, taken: Vec::new(), notes }),
            Err(error) => {
                notes.warn(path, expected("an object", raw, &error));
                None
            }
        }
    }

    /// The field, or its default when it is absent or not to be understood.
    pub(crate) fn take<T: Lenient + Default>(&mut self, key: &'static str) -> T {
        self.take_optional(key).unwrap_or_default()
    }

    /// The field, or `None` when it is absent or not to be understood.
    pub(crate) fn take_optional<T: Lenient>(&mut self, key: &'static str) -> Option<T> {
        self.taken.push(key);
        let raw = self.get(key)?;
        T::decode(raw, &format!("{}.{key}", self.path), self.notes)
    }

    /// The keys that are not among `known`.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let unknown = |key: &&String| !known.iter().any(|known| known.eq_ignore_ascii_case(key));
        self.entries.iter().map(|(key, _)| key).filter(unknown).cloned().collect()
    }

    /// Notes the fields that nobody took.
    pub(crate) fn finish(self) {
        for (key, raw) in self.entries {
            let known =
                raw.get() == "null" || self.taken.iter().any(|taken| taken.eq_ignore_ascii_case(&key));
            if !known {
                self.notes.unknown(format!("{}.{key}", self.path), raw);
            }
        }
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
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::split(raw, path, notes)?;
        let value = T::read(&mut fields);
        fields.finish();
        Some(value)
    }
}

impl<T: Lenient> Lenient for Vec<T> {
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        if T::IS_TEXT && raw.get().starts_with('"') {
            let alone = if raw.get() == "\"\"" { None } else { Some(T::decode(raw, path, notes)?) };
            return Some(alone.into_iter().collect());
        }
        let items: Vec<&RawValue> = parse(raw, path, "a list", notes)?;
        let decode = |(index, raw): (usize, &RawValue)| {
            if raw.get() == "null" {
                return None;
            }
            T::decode(raw, &format!("{path}[{index}]"), notes)
        };
        Some(items.into_iter().enumerate().filter_map(decode).collect())
    }
}

impl<T: Lenient> Lenient for BTreeMap<String, T> {
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        let Fields { entries, notes, .. } = Fields::split(raw, path, notes)?;
        let decode = |(key, raw): (String, &RawValue)| {
            if raw.get() == "null" {
                return None;
            }
            let value = T::decode(raw, &format!("{path}.{key}"), notes)?;
            Some((key, value))
        };
        Some(entries.into_iter().filter_map(decode).collect())
    }
}

impl Lenient for String {
    const IS_TEXT: bool = true;

    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        match raw.get().as_bytes().first() {
            // Numbers and booleans have the text they are written with.
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => Some(raw.get().to_owned()),
            _ => parse(raw, path, "a text", notes).map(|Text(text)| text),
        }
    }
}

impl Lenient for bool {
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        match scalar(raw).map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("true" | "1") => Some(true),
            Some("false" | "0" | "") => Some(false),
            _ => unexpected(raw, path, "true or false", notes),
        }
    }
}

macro_rules! lenient_whole_number {
    ($($number:ty => $expected:literal),+) => {$(
        impl Lenient for $number {
            fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
                let number = scalar(raw).and_then(|text| whole(&text)?.try_into().ok());
                number.or_else(|| unexpected(raw, path, $expected, notes))
            }
        }
    )+};
}

lenient_whole_number! { u64 => "a whole number from 0", i64 => "a whole number" }

impl Lenient for f64 {
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        // `"NaN"` and `1e999` are no numbers to count with.
        let number = scalar(raw).and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite());
        number.or_else(|| unexpected(raw, path, "a number", notes))
    }
}

impl Lenient for serde_json::Value {
    fn decode(raw: &RawValue, path: &str, notes: &mut Notes) -> Option<Self> {
        parse(raw, path, "a value", notes)
    }
}

/// Makes a type that is built from text decodable.
macro_rules! lenient_text {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::payload::lenient::Lenient for $name {
            const IS_TEXT: bool = true;

            fn decode(
                raw: &serde_json::value::RawValue,
                path: &str,
                notes: &mut $crate::payload::notes::Notes,
            ) -> Option<Self> {
                String::decode(raw, path, notes).map(Self::from)
            }
        }
    )+};
}

pub(crate) use lenient_text;

lenient_text!(crate::secret::JobToken, crate::secret::SecretText, crate::failure::FailureReason);

/// The text of a number, a boolean or a text, without blanks around it.
fn scalar(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first() {
        Some(b'{' | b'[') => None,
        Some(b'"') => serde_json::from_str(raw.get()).ok().map(|Text(text)| text.trim().to_owned()),
        _ => Some(raw.get().to_owned()),
    }
}

/// `7`, but also `7.0` and `7e2`.
fn whole(text: &str) -> Option<i128> {
    /// From here on not every whole number is a floating-point number.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    let without_fraction = || text.trim_end_matches('0').strip_suffix('.')?.parse().ok();
    let with_exponent = || {
        let number: f64 = text.parse().ok()?;
        let whole = number.fract() == 0.0 && number.abs() < EXACT;
        whole.then_some(number as i128)
    };
    text.parse().ok().or_else(without_fraction).or_else(with_exponent)
}

/// Decodes strictly, or leaves a warning. The warning never quotes the value: it may be a secret.
fn parse<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    path: &str,
    wanted: &str,
    notes: &mut Notes,
) -> Option<T> {
    match serde_json::from_str(raw.get()) {
        Ok(value) => Some(value),
        Err(error) => {
            notes.warn(path, expected(wanted, raw, &error));
            None
        }
    }
}

/// Leaves a warning about a value of the wrong kind.
fn unexpected<T>(raw: &RawValue, path: &str, wanted: &str, notes: &mut Notes) -> Option<T> {
    notes.warn(path, format!("expected {wanted}, found {}", kind(raw)));
    None
}

fn expected(wanted: &str, raw: &RawValue, error: &serde_json::Error) -> String {
    let unreadable = if error.is_data() { "" } else { " that cannot be read" };
    format!("expected {wanted}, found {}{unreadable}", kind(raw))
}

fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
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
                while let Some((Text(key), value)) = map.next_entry()? {
                    entries.push((key, value));
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
        let mut notes = Notes::default();
        let value = T::decode(raw, "$", &mut notes);
        (value, notes.into_parts().0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn numbers_and_texts_stand_in_for_each_other() {
        for (json, number) in [
            ("7", 7),
            ("\"7\"", 7),
            ("7.0", 7),
            ("\" 7 \"", 7),
            ("-3", -3),
            ("\"-3\"", -3),
            ("7e2", 700),
            ("\"\\u0037\"", 7),
            ("9007199254740993.0", 9_007_199_254_740_993),
        ] {
            assert_eq!(decode::<i64>(json), (Some(number), vec![]), "{json}");
        }
        for (json, text) in [("7", "7"), ("1.50", "1.50"), ("true", "true"), ("\"a\\nb\"", "a\nb")] {
            assert_eq!(decode::<String>(json), (Some(text.to_owned()), vec![]), "{json}");
        }
        for (json, flag) in [
            ("true", true),
            ("\"true\"", true),
            ("0", false),
            ("\"\"", false),
            ("1", true),
            ("\"False\"", false),
        ] {
            assert_eq!(decode::<bool>(json), (Some(flag), vec![]), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_without_being_quoted() {
        for (json, found) in [
            ("{\"a\":\"s3cret\"}", "an object"),
            ("\"s3cret\"", "a text"),
            ("7.5", "a number"),
            ("-1", "a number"),
            ("18446744073709551616", "a number"),
            ("1e999", "a number"),
            ("9007199254740993e0", "a number"),
        ] {
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
    fn one_text_stands_for_a_list_of_it() {
        assert_eq!(decode::<Vec<String>>("\"make\""), (Some(vec!["make".to_owned()]), vec![]));
        assert_eq!(decode::<Vec<String>>("\"\""), (Some(vec![]), vec![]));
        let (list, warnings) = decode::<Vec<i64>>("\"make\"");
        assert_eq!((list, warnings), (None, vec!["$: expected a list, found a text".to_owned()]));
    }

    #[test]
    fn no_number_is_none() {
        for json in ["\"NaN\"", "\"inf\"", "1e999", "\"-infinity\""] {
            let (number, warnings) = decode::<f64>(json);
            assert_eq!((number, warnings.len()), (None, 1), "{json}");
        }
        assert_eq!(decode::<f64>("\"1.5\""), (Some(1.5), vec![]));
    }

    #[test]
    fn warnings_do_not_drown_a_log() {
        let (list, warnings) = decode::<Vec<String>>(&format!("[{}]", vec!["{}"; 250].join(",")));
        assert_eq!(list.unwrap().len(), 0);
        assert_eq!(warnings.len(), 101);
        assert_eq!(warnings[100], "$: 150 more fields are not understood");
    }

    #[test]
    fn the_last_value_wins_and_letter_case_does_not_matter() {
        let raw: &RawValue = serde_json::from_str(r#"{"a": 1, "A": 5, "a": 2, "B": 3, "a": null}"#).unwrap();
        let mut notes = Notes::default();
        let mut fields = Fields::split(raw, "$", &mut notes).unwrap();
        assert_eq!(fields.take::<i64>("a"), 2);
        assert_eq!(fields.take::<i64>("b"), 3);
        assert_eq!(fields.take_optional::<i64>("c"), None);
        assert_eq!(fields.unknown(&["a"]), ["B"]);
        fields.finish();
        assert_eq!(notes.into_parts(), (vec![], vec![]));
    }

    #[test]
    fn depth_and_huge_numbers_cost_one_field_only() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let json = format!(r#"{{"deep": {deep}, "huge": 1e999, "fine": 1}}"#);
        let raw: &RawValue = serde_json::from_str(&json).unwrap();
        let mut notes = Notes::default();
        let mut fields = Fields::split(raw, "$", &mut notes).unwrap();
        assert_eq!(fields.take_optional::<serde_json::Value>("deep"), None);
        assert_eq!(fields.take_optional::<i64>("huge"), None);
        assert_eq!(fields.take::<i64>("fine"), 1);
        let (warnings, _) = notes.into_parts();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
}
