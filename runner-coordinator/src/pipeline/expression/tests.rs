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
#[case("$A =~ /b/")]
#[case("$A =~ //")]
#[case("$A =~ /ab/x")]
#[case("$A =~ /ab")]
#[case("$A > null")]
#[case("'a''b'")]
#[case("$A && || $CI")]
#[case("()")]
#[case("$-A")]
#[case("$[[ inputs.x ]]")]
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

#[rstest]
#[case("$A =~ /A.C/i", true)]
#[case("'a\nc' =~ /a.c/", false)]
#[case("'a\nc' =~ /a.c/s", true)]
#[case("'x\nab' =~ /^ab/", false)]
#[case("'x\nab' =~ /^ab/m", true)]
#[case("'ab\nx' =~ /ab$/", false)]
#[case("'X\nAB' =~ /^ab$/im", true)]
#[case("/ab/ == /ab/", true)]
#[case("/ab/ == /ab/i", false)]
#[case("/ab/ == 'ab'", false)]
#[case("$P == '/^ab/'", true)]
#[case("null == false", false)]
#[case("null == null", true)]
#[case("'true' == true", false)]
#[case("$CI == 'true'", true)]
#[case("'' == ''", true)]
#[case("'' =~ /^$|x/", true)]
#[case("$A =~ /$CI/", false)]
#[case("$A =~ ''", false)]
#[case("'' =~ $A", true)]
#[case("$A == 'abc' == true", true)]
#[case("true == $A == 'abc'", false)]
#[case("'it\"s' == 'it\"s'", true)]
#[case("$A=~/ab/&&$REF=~/xx/||$U", false)]
#[case("/ab/", true)]
#[case("$U || null || '' || $A", false)]
fn more_that_evaluates(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(Expression::parse(text).unwrap().holds(&variables()), expected, "{text}");
}

/// The language once more, in the plainest way: a tree, its text, and what it is worth.
mod again {
    use proptest::prelude::*;

    use super::super::Expression;
    use super::{Variables, variables};

    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(&'static str),
        Both(&'static str, Box<Tree>, Box<Tree>),
    }

    type Looks = fn(&str) -> bool;

    /// Patterns, and whether a text has what they look for.
    const PATTERNS: [(&str, Looks); 5] = [
        ("/^ab/", |text| text.starts_with("ab")),
        ("/C$|RE/i", |text| text.to_lowercase().ends_with('c') || text.to_lowercase().contains("re")),
        ("/a..x?|0/U", |text| {
            text.contains('0') || text.find('a').is_some_and(|at| text[at..].chars().count() > 2)
        }),
        (r"/\/\d\.\d/", |text| text.contains("/1.2")),
        ("/^ *$/", |text| text.chars().all(|c| c == ' ')),
    ];

    const LEAVES: [&str; 20] = [
        "$A", "$U", "$EMPTY", "$BLANK", "$ZERO", "$FALSE", "$P", "$PLAIN", "$REF", "$CI", "null", "true",
        "false", "\"\"", "'abc'", "\"a'b\"", "'/^ab/'", "'true'", "$1_X", "' '",
    ];

    #[derive(Debug, Clone, PartialEq)]
    enum Worth {
        Nothing,
        Flag(bool),
        Text(String),
        Pattern(usize),
    }

    impl Tree {
        fn worth(&self, variables: &Variables) -> Worth {
            match self {
                Self::Leaf(leaf) => match leaf.chars().next() {
                    Some('$') => {
                        variables.0.get(&leaf[1..]).map_or(Worth::Nothing, |value| Worth::Text(value.clone()))
                    }
                    Some('/') => Worth::Pattern(PATTERNS.iter().position(|(text, _)| text == leaf).unwrap()),
                    Some('"' | '\'') => Worth::Text(leaf[1..leaf.len() - 1].to_owned()),
                    _ if *leaf == "null" => Worth::Nothing,
                    _ => Worth::Flag(*leaf == "true"),
                },
                Self::Both(operator, left, right) => {
                    let (left, right) = (left.worth(variables), right.worth(variables));
                    let stops = matches!(left, Worth::Nothing | Worth::Flag(false));
                    match *operator {
                        "&&" if stops => left,
                        "&&" => right,
                        "||" if stops => right,
                        "||" => left,
                        "==" => Worth::Flag(left == right),
                        "!=" => Worth::Flag(left != right),
                        "=~" => Worth::Flag(left.has(&right)),
                        _ => Worth::Flag(!left.has(&right)),
                    }
                }
            }
        }

        /// How tightly it binds.
        fn rank(&self) -> u8 {
            match self {
                Self::Leaf(_) => 4,
                Self::Both("||", ..) => 1,
                Self::Both("&&", ..) => 2,
                Self::Both(..) => 3,
            }
        }

        /// The text, with parentheses where they are needed, and where `more` says so.
        fn text(&self, least: u8, more: &mut dyn FnMut() -> bool) -> String {
            let text = match self {
                Self::Leaf(leaf) => (*leaf).to_owned(),
                Self::Both(operator, left, right) => {
                    let rank = self.rank();
                    let blank = if more() { "" } else { " " };
                    let (left, right) = (left.text(rank, more), right.text(rank + 1, more));
                    format!("{left}{blank}{operator}{blank}{right}")
                }
            };
            if self.rank() < least || more() { format!("({text})") } else { text }
        }
    }

    impl Worth {
        fn has(&self, pattern: &Self) -> bool {
            let text = match self {
                Self::Text(text) => text.clone(),
                Self::Flag(flag) => flag.to_string(),
                Self::Nothing | Self::Pattern(_) => String::new(),
            };
            match pattern {
                Self::Nothing | Self::Flag(_) => false,
                Self::Pattern(index) => PATTERNS[*index].1(&text),
                Self::Text(pattern) => match PATTERNS.iter().find(|(text, _)| text == pattern) {
                    Some((_, matches)) => matches(&text),
                    None => pattern.contains(&text),
                },
            }
        }

        fn holds(&self) -> bool {
            match self {
                Self::Nothing => false,
                Self::Flag(flag) => *flag,
                Self::Text(text) => text.chars().any(|c| c != ' '),
                Self::Pattern(_) => true,
            }
        }
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let patterns: Vec<&str> = PATTERNS.iter().map(|(text, _)| *text).collect();
        let leaf = prop_oneof![
            4 => proptest::sample::select(&LEAVES[..]),
            1 => proptest::sample::select(patterns),
        ];
        let operator = proptest::sample::select(vec!["&&", "||", "==", "!=", "=~", "!~", "=~"]);
        leaf.prop_map(Tree::Leaf).prop_recursive(5, 40, 2, move |inner| {
            (operator.clone(), inner.clone(), inner)
                .prop_map(|(operator, left, right)| Tree::Both(operator, Box::new(left), Box::new(right)))
        })
    }

    proptest! {
        #[test]
        fn any_expression_is_worth_the_same(tree in tree(), seed in proptest::collection::vec(0_u8..4, 200)) {
            let mut seed = seed.into_iter();
            let text = tree.text(0, &mut || seed.next() == Some(0));
            prop_assume!(text.len() < 400);
            if let Ok(expression) = Expression::parse(&text) {
                prop_assert_eq!(expression.holds(&variables()), tree.worth(&variables()).holds(), "{}", text);
            } else {
                prop_assert!(text.matches(['$', '(', ')', '&', '=', '|', '~', '/', '\'', '"', 'n']).count() > 50, "{}", text);
            }
        }
    }
}
