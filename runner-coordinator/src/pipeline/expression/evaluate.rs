//! From a tree to true or false.

use super::lexer::Comparison;
use super::parser::{Expression, Term};
use super::pattern::Pattern;

/// Where an expression finds variables.
pub(crate) trait Lookup {
    /// Value of a variable; `None` when it is not defined.
    fn variable(&self, name: &str) -> Option<&str>;

    /// Text of an input; only the rules of inputs know any.
    fn input(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }
}

/// What a part of an expression is worth.
#[derive(Debug, Clone)]
enum Worth {
    Null,
    Bool(bool),
    Text(String),
    Pattern(Pattern),
}

impl Expression {
    /// Whether the expression holds: its worth is a text that is not blank, or true.
    pub(crate) fn holds(&self, variables: &dyn Lookup) -> bool {
        match self.root.worth(variables) {
            Worth::Null => false,
            Worth::Bool(flag) => flag,
            Worth::Text(text) => !text.trim().is_empty(),
            Worth::Pattern(_) => true,
        }
    }
}

impl Term {
    fn worth(&self, variables: &dyn Lookup) -> Worth {
        match self {
            Self::Variable(name) => {
                variables.variable(name).map_or(Worth::Null, |value| Worth::Text(value.to_owned()))
            }
            Self::Input(name) => {
                variables.input(name).map_or(Worth::Null, |value| Worth::Text(value.to_owned()))
            }
            Self::Text(text) => Worth::Text(text.clone()),
            Self::Pattern(pattern) => Worth::Pattern(pattern.clone()),
            Self::Null => Worth::Null,
            Self::Bool(flag) => Worth::Bool(*flag),
            Self::Compare(comparison, left, right) => {
                let (left, right) = (left.worth(variables), right.worth(variables));
                Worth::Bool(match comparison {
                    Comparison::Equal => equal(&left, &right),
                    Comparison::NotEqual => !equal(&left, &right),
                    Comparison::Match => found(&left, &right),
                    Comparison::NoMatch => !found(&left, &right),
                })
            }
            // The operators return an operand, as in Ruby: an empty text counts as true inside.
            Self::And(left, right) => {
                let left = left.worth(variables);
                if left.is_truthy() { right.worth(variables) } else { left }
            }
            Self::Or(left, right) => {
                let left = left.worth(variables);
                if left.is_truthy() { left } else { right.worth(variables) }
            }
        }
    }
}

impl Worth {
    fn is_truthy(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }
}

fn equal(left: &Worth, right: &Worth) -> bool {
    match (left, right) {
        (Worth::Null, Worth::Null) => true,
        (Worth::Bool(left), Worth::Bool(right)) => left == right,
        (Worth::Text(left), Worth::Text(right)) => left == right,
        (Worth::Pattern(left), Worth::Pattern(right)) => left == right,
        _ => false,
    }
}

/// `=~`: nothing is found with a missing pattern.
fn found(left: &Worth, right: &Worth) -> bool {
    let text = match left {
        Worth::Text(text) => text.as_str(),
        Worth::Bool(true) => "true",
        Worth::Bool(false) => "false",
        Worth::Null | Worth::Pattern(_) => "",
    };
    match right {
        Worth::Pattern(pattern) => pattern.is_match(text),
        // A variable may hold a pattern. Any other text is searched for the left side: an old accident of the server
        // that configurations may depend on.
        Worth::Text(right) => match Pattern::parse(right) {
            Ok(pattern) => pattern.is_match(text),
            Err(_) => right.contains(text),
        },
        Worth::Null | Worth::Bool(_) => false,
    }
}
