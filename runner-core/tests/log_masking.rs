//! The masker against its definition: what is masked of a text is what three plain passes over the whole text mask, however it
//! is cut, and whichever search the rules get.

use std::time::SystemTime;

use proptest::prelude::*;
use runner_core::executor::OutputStream;
use runner_core::log::{Filter, FilterSettings, MASK, MaskRules, Masker};

const PARAMETERS: [&str; 6] = [
    "private_token",
    "authenticity_token",
    "rss_token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

/// Replaces every stretch that is covered by occurrences of values, joined where they overlap.
fn without_values(values: &[String], text: &[u8]) -> Vec<u8> {
    let values: Vec<&[u8]> =
        values.iter().map(|value| value.trim().as_bytes()).filter(|v| !v.is_empty()).collect();
    let longest_at = |at: usize| values.iter().filter(|v| text[at..].starts_with(v)).map(|v| v.len()).max();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let Some(len) = longest_at(at) else {
            out.push(text[at]);
            at += 1;
            continue;
        };
        let mut end = at + len;
        let mut inside = at + 1;
        while inside < end {
            end = end.max(longest_at(inside).map_or(0, |len| inside + len));
            inside += 1;
        }
        out.extend_from_slice(MASK);
        at = end;
    }
    out
}

/// Replaces the values of known parameters.
fn without_parameters(text: &[u8]) -> Vec<u8> {
    let ends = |byte: &u8| matches!(byte, b'?' | b'&' | b' ') || byte.is_ascii_control();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let rest = &text[at + 1..];
        let name = PARAMETERS.iter().map(|name| format!("{name}=")).find(|name| {
            rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        });
        let skip = name.filter(|_| matches!(text[at], b'?' | b'&')).map_or(0, |name| name.len());
        out.extend_from_slice(&text[at..=at + skip]);
        at += 1 + skip;
        if skip > 0 {
            let len = text[at..].iter().position(ends).unwrap_or(text.len() - at);
            if len > 0 {
                out.extend_from_slice(MASK);
            }
            at += len;
        }
    }
    out
}

/// Replaces what follows a prefix; of several the one that ends first.
fn without_tokens(prefixes: &[&str], text: &[u8]) -> Vec<u8> {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.=-".contains(byte);
    let (mut out, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        out.push(text[at]);
        at += 1;
        if prefixes.iter().any(|prefix| text[begin..at].ends_with(prefix.as_bytes())) {
            let len = text[at..].iter().position(|byte| !belongs(byte)).unwrap_or(text.len() - at);
            if len > 0 {
                out.extend_from_slice(MASK);
            }
            at += len;
            begin = at;
        }
    }
    out
}

/// The definition.
fn masked(values: &[String], prefixes: &[&str], text: &[u8]) -> Vec<u8> {
    let prefixes: Vec<&str> = prefixes.iter().copied().chain(["glpat-"]).collect();
    without_tokens(&prefixes, &without_parameters(&without_values(values, text)))
}

fn pieces<'a>(text: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}

/// Values that touch, hold and prefix each other, and the beginnings of other rules.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{4,8}",
        "[ab?\n]{4,8}",
        "secret[0-3]{1,2}",
        "[0-3]secret",
        "sec",
        Just("glpat-secret".to_owned()),
        Just("t-secret".to_owned()),
        Just("?private_token=ab".to_owned()),
        Just("one\ntwo\nthree".to_owned()),
        Just("two\nthree\nfour".to_owned()),
        Just("MASKED".to_owned()),
    ]
}

fn prefix() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["corp-", "corp-x-", "glsoat-", "abab", "ab", "]abab", "MASKED", "D]"])
}

/// What texts are made of, near to everything that rules look for.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let parameter = (prop::sample::select(PARAMETERS.to_vec()), any::<u32>(), 0usize..24).prop_map(
        |(name, upper, len)| {
            let letter = |(i, c): (usize, char)| if upper >> i & 1 == 1 { c.to_ascii_uppercase() } else { c };
            let name: String = name.char_indices().map(letter).collect();
            format!("?{name}=").chars().take(len).collect()
        },
    );
    let text = prop_oneof![
        value(),
        prefix().prop_map(str::to_owned),
        parameter,
        "[ab]{1,6}",
        "[ab&?= \n-]{1,4}",
        "glpat-|glpa|gl|secret|secre|et1",
        "words of a build, nothing to hide in them\n",
    ];
    prop_oneof![
        8 => text.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..4),
        1 => prop::sample::select(vec!["€", "é", "😀"]).prop_map(|c| c.as_bytes()[..c.len() - 1].to_vec()),
        1 => Just("€".as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_masker_is_its_definition(
        values in prop::collection::vec(value(), 0..6),
        prefixes in prop::collection::vec(prefix(), 0..2),
        parts in prop::collection::vec(part(), 0..14),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
        restart in any::<bool>(),
    ) {
        let text = parts.concat();
        let rules = MaskRules::new(values.iter().map(String::as_str), prefixes.iter().copied(), false);
        let expected = masked(&values, &prefixes, &text);
        let (mut masker, mut found) = (Masker::new(&rules), Vec::new());
        for piece in pieces(&text, &cuts) {
            masker.push(piece, &mut |bytes| found.extend_from_slice(bytes));
            if restart {
                let state = serde_json::to_string(&masker.state()).unwrap();
                masker = Masker::restore(&rules, serde_json::from_str(&state).unwrap());
            }
        }
        masker.flush(&mut |bytes| found.extend_from_slice(bytes));
        prop_assert_eq!(found.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn a_log_without_timestamps_is_the_definition_made_valid(
        values in prop::collection::vec(value(), 0..6),
        parts in prop::collection::vec(part(), 0..14),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
        restart in any::<bool>(),
    ) {
        let text = parts.concat();
        let rules = MaskRules::new(values.iter().map(String::as_str), [], false);
        let settings = FilterSettings { rules, output_limit: 1 << 20, timestamps: false, sections: true };
        let expected = masked(&values, &[], &text);
        let (mut filter, mut log) = (Filter::new(settings.clone()), Vec::new());
        for piece in pieces(&text, &cuts) {
            filter.push(OutputStream::Stdout, SystemTime::UNIX_EPOCH, piece, &mut log);
            filter.end_frame(OutputStream::Stdout, &mut log);
            if restart {
                let state = serde_json::to_string(&filter.state()).unwrap();
                filter = Filter::restore(settings.clone(), serde_json::from_str(&state).unwrap());
            }
        }
        filter.finish(&mut log);
        prop_assert_eq!(String::from_utf8(log).unwrap(), String::from_utf8_lossy(&expected));
    }
}

#[test]
fn many_values_get_another_search_and_the_same_result() {
    for count in [0, 1, 20, 40, 60, 100, 300] {
        let values: Vec<String> = (0..count).map(|i| format!("{i:03}-value-{}", i * 7919)).collect();
        let rules = MaskRules::new(values.iter().map(String::as_str), ["corp-"], true);
        let mut text = b"GET /?Private_Token=x corp-abc glcbt-1 ".to_vec();
        for value in &values {
            text.extend_from_slice(format!("some words {value}, {value}{value}\n").as_bytes());
        }
        let expected = masked(&values, &["corp-", "glcbt-"], &text);
        for size in [1, 7, 100, text.len()] {
            let (mut masker, mut found) = (Masker::new(&rules), Vec::new());
            text.chunks(size)
                .for_each(|piece| masker.push(piece, &mut |bytes| found.extend_from_slice(bytes)));
            masker.flush(&mut |bytes| found.extend_from_slice(bytes));
            assert_eq!(
                found.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{count} values"
            );
        }
    }
}
