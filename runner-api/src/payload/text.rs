//! JSON texts, including those that are no valid Unicode.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A JSON text. A lone half of a surrogate pair (`"\ud800"`), which valid UTF-8 cannot hold, becomes U+FFFD, as in the
/// decoder of the official runner, instead of making everything around it unreadable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, because serde_json checks surrogates only of texts.
        deserializer.deserialize_bytes(Bytes)
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Text(text.to_owned())),
            Err(_) => Ok(Text(String::from_utf8_lossy(&without_surrogates(bytes.to_owned())).into_owned())),
        }
    }
}

/// Replaces encoded surrogates, which take three bytes, by U+FFFD, which takes three bytes too.
fn without_surrogates(mut bytes: Vec<u8>) -> Vec<u8> {
    const REPLACEMENT: [u8; 3] = [0xef, 0xbf, 0xbd];
    let mut at = 0;
    while let Some(three) = bytes.get_mut(at..at + 3) {
        // ED followed by A0..BF occurs nowhere else in UTF-8.
        if matches!(three, [0xed, 0xa0..=0xbf, _]) {
            three.copy_from_slice(&REPLACEMENT);
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn surrogates() {
        for (json, text) in [
            (r#""plain""#, "plain"),
            (r#""\u00e9 é \ud83d\ude00""#, "é é 😀"),
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\udc00\ud800""#, "\u{fffd}\u{fffd}"),
            (r#""\ud800\n""#, "\u{fffd}\n"),
            (r#""힣\ud800""#, "힣\u{fffd}"),
        ] {
            assert_eq!(serde_json::from_str::<Text>(json).unwrap(), Text(text.to_owned()), "{json}");
        }
        assert!(
            serde_json::from_str::<Text>("[1]").is_err()
                && serde_json::from_str::<Text>(r#""\u00""#).is_err()
        );
    }
}
