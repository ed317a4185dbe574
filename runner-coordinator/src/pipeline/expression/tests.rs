use std::collections::HashMap;

use rstest::rstest;

use super::{Expression, Lookup};

struct Variables(HashMap<String, String>);

impl Lookup for Variables {
    fn variable(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn variables() -> Variables {
    let pairs = [
        ("CI", "true"),
        ("A", "abc"),
        ("EMPTY", ""),
        ("BLANK", "  "),
        ("ZERO", "0"),
        ("FALSE", "false"),
        ("P", "/^ab/"),
        ("PLAIN", "xabcx"),
        ("REF", "release/1.2"),
    ];
    Variables(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

#[rstest]
#[case("$A", true)]
#[case("$U", false)]
#[case("$EMPTY", false)]
#[case("$BLANK", false)]
#[case("$ZERO", true)]
#[case("$FALSE", true)]
#[case("false", false)]
#[case("true", true)]
#[case("null", false)]
#[case("$A == \"abc\"", true)]
#[case("$A == 'abc'", true)]
#[case("\"abc\" == $A", true)]
#[case("$A != 'abc'", false)]
#[case("$A==\"abc\"&&$CI==\"true\"", true)]
#[case("$U == \"\"", false)]
#[case("$U == null", true)]
#[case("$EMPTY == null", false)]
#[case("$EMPTY == \"\"", true)]
#[case("$EMPTY && $CI", true)]
#[case("$EMPTY || $CI", false)]
#[case("$U || $CI", true)]
#[case("$U && $CI", false)]
#[case("$U || $U || $A", true)]
#[case("$A == 'x' || $A == 'abc' && $U", false)]
#[case("($A == 'x' || $A == 'abc') && $CI", true)]
#[case("$A =~ /^ab/", true)]
#[case("$A =~ /^AB/", false)]
#[case("$A =~ /^AB/i", true)]
#[case("$A !~ /^ab/", false)]
#[case("$A =~ $P", true)]
#[case("$REF =~ $P", false)]
#[case("$REF =~ /^release\\/\\d+\\.\\d+$/", true)]
#[case("$U =~ /^$|x/", true)]
#[case("$A =~ $U", false)]
#[case("$A !~ $U", true)]
#[case("$A =~ $PLAIN", true)]
#[case("$A =~ 'zz'", false)]
#[case("($A == 'x') == ($A == 'y')", true)]
fn evaluates(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(Expression::parse(text).unwrap().holds(&variables()), expected, "{text}");
}

#[rstest]
#[case("")]
#[case("   ")]
#[case("${A} == 'x'")]
#[case("$A = 'x'")]
#[case("$A == ")]
#[case("== 'x'")]
#[case("$A $B")]
#[case("($A")]
#[case("$A)")]
#[case("!$A")]
#[case("$A =~ /(/")]
#[case("$A =~ /(?=a)b/")]
#[case("$A == 'x")]
#[case("$A < '3'")]
#[case("foo")]
fn refuses(#[case] text: &str) {
    assert!(Expression::parse(text).is_err(), "{text}");
}

#[test]
fn length_is_limited() {
    let long = vec!["$A"; 50].join(" && ");
    assert!(Expression::parse(&long).is_ok());
    let too_long = vec!["$A"; 51].join(" && ");
    assert!(Expression::parse(&too_long).is_err());
    assert!(Expression::parse(&"(".repeat(10_000)).is_err());
}
