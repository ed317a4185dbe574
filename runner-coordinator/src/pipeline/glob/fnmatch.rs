//! Ruby's `File.fnmatch` with `FNM_PATHNAME`, `FNM_DOTMATCH` and `FNM_EXTGLOB`, by way of a regular expression: linear
//! time whatever the glob is.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// Most globs that the braces of one glob stand for.
const MAX_ALTERNATIVES: usize = 1000;
/// Length in bytes of all of them together.
const MAX_LENGTH: usize = 64 * 1024;
/// Limit for the compiled form of one glob, in bytes.
const MAX_COMPILED: usize = 4 * 1024 * 1024;

/// A compiled glob.
#[derive(Debug)]
pub(super) enum Glob {
    Regex(Regex),
    /// One that no path can match, such as `[`.
    Nothing,
    /// One whose braces multiply beyond the limits: like too many comparisons it counts as a match.
    TooMuch,
}

impl Glob {
    pub(super) fn new(glob: &str) -> Self {
        let Some(alternatives) = expand_braces(glob) else { return Self::TooMuch };
        let alternatives: Vec<String> =
            alternatives.iter().filter_map(|alternative| translate(alternative)).collect();
        if alternatives.is_empty() {
            return Self::Nothing;
        }
        let text = format!(r"\A(?:{})\z", alternatives.join("|"));
        match RegexBuilder::new(&text).dot_matches_new_line(true).size_limit(MAX_COMPILED).build() {
            Ok(regex) => Self::Regex(regex),
            Err(_) => Self::TooMuch,
        }
    }

    pub(super) fn is_match(&self, path: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(path),
            Self::Nothing => false,
            Self::TooMuch => true,
        }
    }
}

/// All globs that `{a,b}` stands for; none for one that is never closed. `None` beyond the limits.
fn expand_braces(glob: &str) -> Option<Vec<String>> {
    let mut open = vec![glob.to_owned()];
    let mut done = Vec::new();
    let mut length = 0_usize;
    while let Some(glob) = open.pop() {
        length = length.saturating_add(glob.len());
        if done.len() + open.len() >= MAX_ALTERNATIVES || length > MAX_LENGTH {
            return None;
        }
        match Braces::find(&glob) {
            Braces::None => done.push(glob),
            Braces::Unclosed => {}
            Braces::Pair { before, inside, after } => {
                open.extend(split(inside).map(|choice| format!("{before}{choice}{after}")));
            }
        }
    }
    Some(done)
}

/// The first outermost pair of braces.
enum Braces<'g> {
    None,
    Unclosed,
    Pair { before: &'g str, inside: &'g str, after: &'g str },
}

impl<'g> Braces<'g> {
    fn find(glob: &'g str) -> Self {
        let mut opened = None;
        let mut depth = 0_usize;
        let mut chars = glob.char_indices();
        while let Some((at, c)) = chars.next() {
            match (c, opened) {
                ('\\', _) => {
                    chars.next();
                }
                ('{', None) => (opened, depth) = (Some(at), 1),
                ('{', Some(_)) => depth += 1,
                ('}', Some(start)) => {
                    depth -= 1;
                    if depth == 0 {
                        let part = |range: Option<&'g str>| range.unwrap_or_default();
                        return Self::Pair {
                            before: part(glob.get(..start)),
                            inside: part(glob.get(start + 1..at)),
                            after: part(glob.get(at + 1..)),
                        };
                    }
                }
                _ => {}
            }
        }
        if opened.is_some() { Self::Unclosed } else { Self::None }
    }
}

/// Cuts at the commas outside of inner braces.
fn split(inside: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut escaped = false;
    inside.split(move |c: char| {
        match c {
            _ if escaped => {
                escaped = false;
                return false;
            }
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// The regular expression of a glob without braces; `None` if nothing can match it.
fn translate(glob: &str) -> Option<String> {
    let mut out = String::with_capacity(glob.len() * 2);
    let mut rest = glob;
    loop {
        // Only in front of a slash, and as a whole part of the path, do two stars cross folders.
        while let Some(after) = rest.strip_prefix("**/") {
            out.push_str("(?:[^/]*/)*");
            rest = after;
        }
        let mut chars = rest.chars().peekable();
        loop {
            match chars.next() {
                None => return Some(out),
                Some('/') => break,
                Some('*') => {
                    while chars.next_if_eq(&'*').is_some() {}
                    out.push_str("[^/]*");
                }
                Some('?') => out.push_str("[^/]"),
                Some('[') => out.push_str(&class(&mut chars)?),
                Some('\\') => match chars.next() {
                    Some('/') => break,
                    next => push(&mut out, next.unwrap_or('\\')),
                },
                Some(c) => push(&mut out, c),
            }
        }
        out.push('/');
        let left = chars.map(char::len_utf8).sum::<usize>();
        rest = rest.get(rest.len() - left..).unwrap_or_default();
    }
}

/// What stands between brackets. `None` if it is never closed, or if it is empty.
fn class(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let negated = chars.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut members = String::new();
    loop {
        let low = match chars.next()? {
            ']' => break,
            '\\' => chars.next()?,
            c => c,
        };
        push(&mut members, low);
        let mut ahead = chars.clone();
        if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
            chars.next();
            let high = match chars.next()? {
                '\\' => chars.next()?,
                c => c,
            };
            push(&mut members, high);
            if low < high {
                members.push_str(&format!("{}-{}", escaped(low), escaped(high)));
            }
        }
    }
    match (negated, members.is_empty()) {
        (false, true) => None,
        (true, true) => Some("[^/]".to_owned()),
        (false, false) => Some(format!("[[{members}]--[/]]")),
        (true, false) => Some(format!("[^/{members}]")),
    }
}

fn push(out: &mut String, c: char) {
    out.push_str(&escaped(c));
}

/// A character that means itself, inside of a class and outside.
fn escaped(c: char) -> String {
    if c.is_alphanumeric() { c.to_string() } else { format!(r"\x{{{:x}}}", u32::from(c)) }
}
