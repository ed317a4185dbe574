//! Quoted texts come back from real shells as they were.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

mod script_support;

use std::process::Command;

use proptest::prelude::*;
use runner_core::script::quote;
use script_support::{PATH, shells};

/// What a shell makes of quoted words: each one followed by a mark that no text contains.
fn read_back(shell: &[&str], texts: &[String]) -> Vec<u8> {
    let words: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    let script = format!("printf '%s\\001\\n' {}", words.join(" "));
    // Twice, as in a script: a body is one quoted word for `eval`.
    let script = format!("eval {}", quote(&script));
    let mut command = Command::new(shell[0]);
    let output =
        command.args(&shell[1..]).args(["-c", &script]).env_clear().env("PATH", PATH).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[track_caller]
fn assert_round_trip(texts: &[String]) {
    let expected: String = texts.iter().map(|text| format!("{text}\u{1}\n")).collect();
    for shell in shells() {
        assert_eq!(read_back(&shell, texts), expected.as_bytes(), "{shell:?}");
    }
}

#[test]
fn every_character_of_ascii() {
    let texts: Vec<String> = (2_u8..128).map(|byte| format!("{0}a{0}{0}", char::from(byte))).collect();
    assert_round_trip(&texts);
}

#[test]
fn texts_that_shells_stumble_over() {
    let texts = [
        "",
        "-n",
        "-e a",
        "~",
        "~root",
        "a;b",
        "a&b",
        "$(id)",
        "`id`",
        "${X}",
        "!!",
        "{a,b}",
        "[a]*?",
        "#",
        "a#b",
        "\\",
        "\\n",
        "'",
        "''",
        "a'b",
        "\"",
        "'\"'",
        "\r\n",
        "\n",
        "a\n",
        "=",
        "a=b",
        "ä€😀",
        "\u{85}",
        "(",
        "|",
        "<",
        "%s",
        "\\001",
    ];
    assert_round_trip(&texts.map(str::to_owned));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text(texts in prop::collection::vec("[^\0\u{1}]{0,40}", 1..20)) {
        assert_round_trip(&texts);
    }

    #[test]
    fn texts_of_special_characters(texts in prop::collection::vec("[ '\"\\\\$`!#&|;<>()\\[\\]{}*?~=\n\t\r%a-]{0,30}", 1..20)) {
        assert_round_trip(&texts);
    }
}
