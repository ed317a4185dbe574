//! From tokens to a tree.

use super::lexer::{Comparison, Token, tokens};
use super::pattern::Pattern;

/// A valid expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub(super) root: Term,
    text: Box<str>,
}

#[derive(Debug, Clone)]
pub(super) enum Term {
    Variable(String),
    Input(String),
    Text(String),
    Pattern(Pattern),
    Null,
    Bool(bool),
    Compare(Comparison, Box<Term>, Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
}

impl Expression {
    /// Parses an expression; on failure says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::of(text, tokens(text, false)?)
    }

    /// The same for the rules of inputs, which may refer to other inputs.
    pub(crate) fn parse_with_inputs(text: &str) -> Result<Self, String> {
        Self::of(text, tokens(text, true)?)
    }

    /// The expression as written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether somewhere a text stands on the right of `=~` or `!~` that is no pattern.
    pub(crate) fn searches_in_text(&self) -> bool {
        self.root.searches_in_text()
    }

    /// Names of the variables in it, each once, in order.
    pub(crate) fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.collect(&mut names);
        names
    }

    fn of(text: &str, tokens: Vec<Token>) -> Result<Self, String> {
        let mut parser = Parser { tokens, at: 0 };
        let root = parser.or()?;
        match parser.peek() {
            None => Ok(Self { root, text: text.into() }),
            Some(_) => Err("an operator such as && is missing".to_owned()),
        }
    }
}

impl Term {
    fn searches_in_text(&self) -> bool {
        match self {
            Self::Compare(Comparison::Match | Comparison::NoMatch, _, right) if matches!(&**right, Self::Text(text) if Pattern::parse(text).is_err()) => {
                true
            }
            Self::Compare(_, left, right) | Self::And(left, right) | Self::Or(left, right) => {
                left.searches_in_text() || right.searches_in_text()
            }
            _ => false,
        }
    }

    fn collect<'t>(&'t self, names: &mut Vec<&'t str>) {
        match self {
            Self::Variable(name) if !names.contains(&name.as_str()) => names.push(name),
            Self::Compare(_, left, right) | Self::And(left, right) | Self::Or(left, right) => {
                left.collect(names);
                right.collect(names);
            }
            _ => {}
        }
    }
}

/// Recursive descent; the lexer's limit of tokens also limits the depth.
struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn or(&mut self) -> Result<Term, String> {
        let mut left = self.and()?;
        while matches!(self.peek(), Some(Token::Or)) {
            self.at += 1;
            left = Term::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Term, String> {
        let mut left = self.comparison()?;
        while matches!(self.peek(), Some(Token::And)) {
            self.at += 1;
            left = Term::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Term, String> {
        let mut left = self.value()?;
        while let Some(Token::Compare(comparison)) = self.peek() {
            let comparison = *comparison;
            self.at += 1;
            left = Term::Compare(comparison, Box::new(left), Box::new(self.value()?));
        }
        Ok(left)
    }

    fn value(&mut self) -> Result<Term, String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Open) => {
                let inner = self.or()?;
                match self.tokens.get(self.at) {
                    Some(Token::Close) => {
                        self.at += 1;
                        Ok(inner)
                    }
                    _ => Err("a `)` is missing".to_owned()),
                }
            }
            Some(Token::Variable(name)) => Ok(Term::Variable(name)),
            Some(Token::Input(name)) => Ok(Term::Input(name)),
            Some(Token::Text(text)) => Ok(Term::Text(text)),
            Some(Token::Pattern(pattern)) => Ok(Term::Pattern(pattern)),
            Some(Token::Null) => Ok(Term::Null),
            Some(Token::Bool(flag)) => Ok(Term::Bool(flag)),
            Some(Token::Close | Token::Compare(_) | Token::And | Token::Or) | None => {
                Err("a variable, a string or a pattern is missing".to_owned())
            }
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }
}
