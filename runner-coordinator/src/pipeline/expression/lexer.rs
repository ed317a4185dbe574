//! From text to tokens.

use super::pattern::Pattern;

/// Most tokens of one expression.
const MAX_TOKENS: usize = 100;

#[derive(Debug, Clone)]
pub(super) enum Token {
    Open,
    Close,
    Variable(String),
    Input(String),
    Text(String),
    Pattern(Pattern),
    Null,
    Bool(bool),
    Compare(Comparison),
    And,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Match,
    NoMatch,
}

/// All tokens, or what cannot be read. `inputs`: whether `$[[ inputs.x ]]` may occur.
pub(super) fn tokens(text: &str, inputs: bool) -> Result<Vec<Token>, String> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while !rest.is_empty() {
        let (token, length) = next(rest, inputs)?;
        tokens.push(token);
        if tokens.len() > MAX_TOKENS {
            return Err(format!("more than {MAX_TOKENS} tokens"));
        }
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn next(rest: &str, inputs: bool) -> Result<(Token, usize), String> {
    const FIXED: [(&str, Token); 11] = [
        ("(", Token::Open),
        (")", Token::Close),
        ("null", Token::Null),
        ("true", Token::Bool(true)),
        ("false", Token::Bool(false)),
        ("==", Token::Compare(Comparison::Equal)),
        ("!=", Token::Compare(Comparison::NotEqual)),
        ("=~", Token::Compare(Comparison::Match)),
        ("!~", Token::Compare(Comparison::NoMatch)),
        ("&&", Token::And),
        ("||", Token::Or),
    ];
    for (text, token) in FIXED {
        if rest.starts_with(text) {
            return Ok((token, text.len()));
        }
    }
    let token = match rest.chars().next() {
        Some('$') if inputs && rest.starts_with("$[[") => input(rest),
        Some('$') => variable(rest),
        Some(quote @ ('"' | '\'')) => quoted(rest, quote),
        Some('/') => match Pattern::prefix(rest) {
            Some(length) => {
                let text = rest.get(..length).unwrap_or_default();
                return Ok((Token::Pattern(Pattern::parse(text)?), length));
            }
            None => None,
        },
        _ => None,
    };
    token.ok_or_else(|| unexpected(rest))
}

/// What cannot be read, and what was probably meant.
fn unexpected(rest: &str) -> String {
    const NO_NEGATION: &str = "there is no negation; compare with `== null`, or use `!=` or `!~`";
    let in_name = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let word: String = rest.chars().take_while(in_name).collect();
    let meant = match (rest.chars().next(), word.as_str()) {
        (Some('$'), _) if rest.starts_with("${") => {
            let name: String = rest.chars().skip(2).take_while(in_name).collect();
            format!("conditions know no braces, write ${name}")
        }
        (Some('='), _) => "compare with `==`".to_owned(),
        (Some('!'), _) | (_, "not") => NO_NEGATION.to_owned(),
        (Some('&'), _) | (_, "and") => "write `&&`".to_owned(),
        (Some('|'), _) | (_, "or") => "write `||`".to_owned(),
        (Some('<' | '>'), _) => "numbers cannot be compared".to_owned(),
        (Some('\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}'), _) => {
            "use plain quotes: \" or '".to_owned()
        }
        (Some('"' | '\''), _) => "the quote is not closed".to_owned(),
        (Some('/'), _) => {
            r"a pattern has two characters or more between slashes, and a slash in it is \/".to_owned()
        }
        (Some('^'), _) => "a pattern stands between slashes: /^…/".to_owned(),
        (_, "") => String::new(),
        (_, word) => format!("texts stand in quotes: \"{word}\""),
    };
    let shown: String = rest.chars().take(20).collect();
    let colon = if meant.is_empty() { "" } else { ": " };
    format!("unexpected `{shown}`{colon}{meant}")
}

fn variable(rest: &str) -> Option<(Token, usize)> {
    let name: String = rest.chars().skip(1).take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let length = name.len() + 1;
    (!name.is_empty()).then_some((Token::Variable(name), length))
}

fn input(rest: &str) -> Option<(Token, usize)> {
    let end = rest.find("]]")?;
    let name = rest.get(3..end)?.trim().strip_prefix("inputs.")?;
    Some((Token::Input(name.to_owned()), end + 2))
}

fn quoted(rest: &str, quote: char) -> Option<(Token, usize)> {
    let inner = rest.get(1..)?;
    let end = inner.find(quote)?;
    Some((Token::Text(inner.get(..end)?.to_owned()), end + 2))
}
