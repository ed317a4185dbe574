//! What a plain scalar means: the types of YAML 1.1 in the reading of Ruby's library, which GitLab uses.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::node::Value;

#[expect(clippy::expect_used, reason = "the patterns are constants")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}

static DATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[0-9]{4}-(1[012]|0[0-9]|[0-9])-([12][0-9]|3[01]|0[0-9]|[0-9])$"));
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^-?[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|\s+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?(\s*(Z|[-+][0-9]{1,2}:?([0-9]{2})?))?$",
    )
});
static CLOCK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}(\.[0-9_]*)?$"));
static FLOAT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[-+]?([0-9][0-9_,]*)?\.[0-9]*([eE][-+][0-9]+)?$"));
static BINARY: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?0b[01_,]*[01][01_,]*$"));
static OCTAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?0o?[0-7_,]*[0-7][0-7_,]*$"));
static HEX: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?0x[0-9a-fA-F_,]*[0-9a-fA-F][0-9a-fA-F_,]*$"));
static DECIMAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?(0|[1-9]([0-9]|,[0-9]|_[0-9])*)$"));

/// A plain scalar whose type GitLab refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Date,
    Time,
}

/// The value of a plain (unquoted) scalar.
pub(super) fn resolve(text: &str) -> Result<Value, Refused> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "" | "~" | "null" => return Ok(Value::Null),
        "true" | "yes" | "on" => return Ok(Value::Bool(true)),
        "false" | "no" | "off" => return Ok(Value::Bool(false)),
        ".inf" | "+.inf" => return Ok(Value::Float(f64::INFINITY)),
        "-.inf" => return Ok(Value::Float(f64::NEG_INFINITY)),
        ".nan" => return Ok(Value::Float(f64::NAN)),
        _ => {}
    }
    if let Some(symbol) = text.strip_prefix(':').filter(|rest| !rest.is_empty()) {
        return Ok(Value::Text(unquoted_symbol(symbol).into()));
    }
    // Most scalars are words: look closer only at what can be a number or a date.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) || text.contains('\n')
    {
        return Ok(Value::Text(text.into()));
    }
    if TIME.is_match(text) {
        return Err(Refused::Time);
    }
    if DATE.is_match(text) {
        return Err(Refused::Date);
    }
    Ok(number(text).unwrap_or_else(|| Value::Text(Arc::from(text))))
}

fn unquoted_symbol(symbol: &str) -> &str {
    match symbol.strip_prefix(['"', '\'']) {
        Some(inner) => inner.strip_suffix(['"', '\'']).unwrap_or(inner),
        None => symbol,
    }
}

fn number(text: &str) -> Option<Value> {
    if CLOCK.is_match(text) {
        return clock(text);
    }
    if FLOAT.is_match(text) {
        return float(text);
    }
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | ',' | '+' | '-')).collect();
    let magnitude = if BINARY.is_match(text) {
        i128::from_str_radix(digits.get(2..)?, 2).ok()?
    } else if HEX.is_match(text) {
        i128::from_str_radix(digits.get(2..)?, 16).ok()?
    } else if DECIMAL.is_match(text) {
        digits.parse().ok()?
    } else if OCTAL.is_match(text) {
        i128::from_str_radix(digits.trim_start_matches('0').trim_start_matches('o'), 8).ok().or(Some(0))?
    } else {
        return None;
    };
    Some(Value::Int(if text.starts_with('-') { -magnitude } else { magnitude }))
}

/// Hours, minutes and seconds; two parts are hours and minutes.
fn clock(text: &str) -> Option<Value> {
    let mut weight = 3600;
    if text.contains('.') {
        let mut sum = 0.0;
        for part in text.split(':') {
            let part: f64 = part.replace('_', "").trim_end_matches('.').parse().ok()?;
            sum += part * f64::from(weight);
            weight /= 60;
        }
        return Some(Value::Float(sum));
    }
    let mut sum: i128 = 0;
    for part in text.split(':') {
        let part: i128 = part.replace('_', "").parse().ok()?;
        sum = sum.checked_add(part.checked_mul(i128::from(weight))?)?;
        weight /= 60;
    }
    Some(Value::Int(sum))
}

fn float(text: &str) -> Option<Value> {
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    if digits.trim_start_matches(['-', '+']).starts_with(['.', 'e', 'E'])
        && !digits.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    digits.parse().ok().map(Value::Float)
}

/// A float as Ruby prints it: `1.1`, `1.0`, `1.0e+20`.
pub(super) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
        let dot = if mantissa.contains('.') { "" } else { ".0" };
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}{dot}e{sign}{digits:0>2}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}
