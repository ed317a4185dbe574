//! Masks the values of URL parameters that are known to carry credentials.

use memchr::{memchr2, memrchr2};
use serde::{Deserialize, Serialize};

use super::MASK;

/// Parameters whose value is masked, in lower case; a text may write them in any case.
const PARAMETERS: [&[u8]; 6] = [
    b"private_token",
    b"authenticity_token",
    b"rss_token",
    b"x-amz-signature",
    b"x-amz-credential",
    b"x-amz-security-token",
];

/// A text that ends within a parameter has its beginning in so many last bytes.
const LONGEST: usize = 1 + b"x-amz-security-token".len();

/// What is looked for to find parameters, in lower case: each of them, with what stands before it, holds one.
const LANDMARKS: [&[u8; 4]; 3] = [b"_tok", b"?x-a", b"&x-a"];

/// How far before a landmark a parameter may begin: `?` or `&` and the longest name before `_tok`.
pub(super) const BEFORE_LANDMARK: usize = 1 + b"authenticity".len();

/// The landmarks in all cases: where there is none, there is no whole parameter.
pub(super) fn landmarks() -> Vec<Vec<u8>> {
    let cases = |byte: u8| {
        let upper = byte.to_ascii_uppercase();
        [byte].into_iter().chain((upper != byte).then_some(upper))
    };
    let all_cases = |landmark: &[u8; 4]| {
        landmark.iter().fold(vec![Vec::new()], |begun: Vec<Vec<u8>>, &byte| {
            begun
                .iter()
                .flat_map(|begun| cases(byte).map(move |case| [&begun[..], &[case]].concat()))
                .collect()
        })
    };
    LANDMARKS.iter().flat_map(|landmark| all_cases(landmark)).collect()
}

/// Masks URL parameters in one stream of text. Holds nothing back: the name of a parameter is let out as it comes, the
/// mark with the value's first byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum UrlMasker {
    /// Not within a parameter.
    #[default]
    Outside,
    /// Behind `?` or `&`; what came since, in lower case, may become the name of a parameter.
    Name(Vec<u8>),
    /// Right behind the `=` of a parameter to mask.
    Value,
    /// Within its value; the mark is out.
    Masked,
}

impl UrlMasker {
    /// Reads a piece of text and lets all of it out, masked.
    pub(super) fn push(&mut self, input: &[u8], out: &mut impl FnMut(&[u8])) {
        // What is read and not let out lies between `from` and `at`.
        let (mut from, mut at) = (0, 0);
        while let Some(&byte) = input.get(at) {
            match self {
                Self::Outside => match memchr2(b'?', b'&', &input[at..]) {
                    Some(found) => {
                        at += found + 1;
                        *self = Self::Name(Vec::new());
                    }
                    None => at = input.len(),
                },
                Self::Name(name) => {
                    at += 1;
                    match byte {
                        b'?' | b'&' => name.clear(),
                        b'=' if PARAMETERS.contains(&name.as_slice()) => *self = Self::Value,
                        _ => {
                            name.push(byte.to_ascii_lowercase());
                            if !PARAMETERS.iter().any(|parameter| parameter.starts_with(name)) {
                                *self = Self::Outside;
                            }
                        }
                    }
                }
                Self::Value | Self::Masked if ends_value(byte) => {
                    *self = Self::Outside;
                }
                Self::Value => {
                    if at > from {
                        out(&input[from..at]);
                    }
                    out(MASK);
                    *self = Self::Masked;
                    from = at;
                }
                Self::Masked => {
                    at += input[at..].iter().position(|&byte| ends_value(byte)).unwrap_or(input.len() - at);
                    from = at;
                }
            }
        }
        if at > from {
            out(&input[from..at]);
        }
    }

    /// The same for a piece that lies outside and holds no whole parameter; it is let out as it is.
    pub(super) fn pass(&mut self, input: &[u8]) {
        let end = &input[input.len().saturating_sub(LONGEST)..];
        *self = Self::Outside;
        if let Some(start) = memrchr2(b'?', b'&', end) {
            self.push(&end[start..], &mut |_| {});
        }
    }

    /// The text ends here.
    pub(super) fn flush(&mut self) {
        *self = Self::Outside;
    }
}

fn ends_value(byte: u8) -> bool {
    matches!(byte, b'?' | b'&' | b' ') || byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut masker = UrlMasker::default();
            let mut all = Vec::new();
            for piece in pieces {
                masker.push(piece, &mut |bytes| {
                    assert!(!bytes.is_empty());
                    all.extend_from_slice(bytes);
                });
                let state = serde_json::to_string(&masker).unwrap();
                masker = serde_json::from_str(&state).unwrap();
            }
            String::from_utf8(all).unwrap()
        };
        assert_eq!(run(&mut std::iter::once(text.as_bytes())), expected);
        assert_eq!(run(&mut text.as_bytes().chunks(1)), expected, "byte by byte");
        for at in 0..text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(run(&mut [a, b].into_iter()), expected, "cut at {at}");
        }
    }

    #[test]
    fn every_parameter_has_its_landmark() {
        for parameter in PARAMETERS {
            for before in ["?", "&"] {
                let whole = [before.as_bytes(), parameter].concat();
                let found = LANDMARKS.iter().find_map(|mark| memchr::memmem::find(&whole, &mark[..]));
                assert!(found.is_some_and(|at| at <= BEFORE_LANDMARK), "{}", whole.escape_ascii());
            }
        }
        assert_eq!(landmarks().len(), 16);
        assert!(landmarks().iter().any(|mark| mark == b"_ToK"));
    }

    #[test]
    fn values_are_masked_up_to_the_next_parameter_or_blank() {
        check("GET /x?private_token=abc&y=1 ok", "GET /x?private_token=[MASKED]&y=1 ok");
        check("?a=1&rss_token=abc\nnext", "?a=1&rss_token=[MASKED]\nnext");
        check("?authenticity_token=a?private_token=b", "?authenticity_token=[MASKED]?private_token=[MASKED]");
    }

    #[test]
    fn names_are_compared_in_any_case() {
        check(
            "?X-Amz-Signature=1&X-AMZ-Credential=2&x-amz-Security-Token=3 ",
            "?X-Amz-Signature=[MASKED]&X-AMZ-Credential=[MASKED]&x-amz-Security-Token=[MASKED] ",
        );
    }

    #[test]
    fn other_parameters_and_empty_values_are_left_alone() {
        check("?private_tokens=a&xprivate_token=b&token=c", "?private_tokens=a&xprivate_token=b&token=c");
        check("?private_token=&a=b private_token=c", "?private_token=&a=b private_token=c");
        check("??&private_token=x", "??&private_token=[MASKED]");
    }

    #[test]
    fn a_value_at_the_end_of_the_text_is_masked() {
        check("?private_token=abc", "?private_token=[MASKED]");
    }

    #[test]
    fn a_value_that_holds_a_mark_is_masked_as_a_whole() {
        check("?private_token=x[MASKED]y z", "?private_token=[MASKED] z");
    }
}
