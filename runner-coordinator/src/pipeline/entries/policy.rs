//! `only` and `except`. <https://docs.gitlab.com/ci/yaml/deprecated_keywords/#only--except>

use super::super::check::{Check, in_quotes, not_strings};
use super::super::error::CompileError;
use super::super::expression::{Expression, Pattern};
use super::super::rules::{Changes, changes};
use super::super::yaml::{Map, Node};

const KEYS: [&str; 4] = ["refs", "variables", "changes", "kubernetes"];

/// Conditions of `only` or `except`; `None` where a key is not given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) refs: Option<Vec<RefPattern>>,
    pub(crate) variables: Option<Vec<Expression>>,
    pub(crate) changes: Option<Changes>,
    pub(crate) kubernetes: bool,
}

/// One entry of `refs`.
#[derive(Debug, Clone)]
pub(crate) struct RefPattern {
    /// A keyword such as `branches`, or the name of a branch or tag.
    pub(crate) name: String,
    /// Compiled `name`, if it is a pattern.
    pub(crate) pattern: Option<Pattern>,
    /// Project to which the entry is limited.
    pub(crate) project: Option<String>,
}

impl Policy {
    /// What holds for jobs with neither `only` nor `rules`: no merge requests.
    pub(crate) fn default_only() -> Self {
        Self { refs: Some(vec![RefPattern::word("branches"), RefPattern::word("tags")]), ..Self::default() }
    }
}

/// Reads `only` or `except`.
pub(crate) fn policy(check: &mut Check, node: &Node, location: &str, key: &str) -> Option<Policy> {
    let location = format!("{location}:{key}");
    if node.as_list().is_some() {
        let refs = refs(check, node, &location)?;
        return Some(Policy { refs: Some(refs), ..Policy::default() });
    }
    if node.as_map().is_none() {
        let message = format!("{location} has to be either an array of conditions or a hash");
        let error = CompileError::new(&node.span, message);
        check.push(match node.scalar_text() {
            Some(text) => error.help(format!("write a list: [{text}]")),
            None => error,
        });
        return None;
    }
    let map = check.hash(node, &location, &KEYS)?;
    Some(Policy {
        refs: map.get("refs").and_then(|node| refs(check, node, &location)),
        variables: variables(check, map, &location),
        changes: map.get("changes").and_then(|node| changed(check, node, &location)),
        kubernetes: check.one_of(map, "kubernetes", &location, &["active"]).is_some(),
    })
}

impl RefPattern {
    fn word(name: &str) -> Self {
        Self { name: name.to_owned(), pattern: None, project: None }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (name, project) = match text.split_once('@') {
            Some((name, project)) => (name, Some(project.to_owned())),
            None => (text, None),
        };
        let pattern = if is_pattern(name) { Some(Pattern::parse(name)?) } else { None };
        Ok(Self { name: name.to_owned(), pattern, project })
    }
}

fn is_pattern(name: &str) -> bool {
    name.len() > 2
        && name
            .strip_prefix('/')
            .and_then(|rest| rest.rsplit_once('/'))
            .is_some_and(|(_, flags)| flags.chars().all(|flag| "ismU".contains(flag)))
}

fn refs(check: &mut Check, node: &Node, location: &str) -> Option<Vec<RefPattern>> {
    let message =
        format!("{location} config should be an array of strings or regular expressions using re2 syntax");
    let Some(items) = node.as_list() else {
        check.push(not_strings(node, message));
        return None;
    };
    let mut refs = Vec::new();
    for item in items {
        let Some(text) = item.as_text() else {
            check.push(in_quotes(CompileError::new(&item.span, message), item));
            return None;
        };
        match RefPattern::parse(text) {
            Ok(pattern) => refs.push(pattern),
            // GitLab looks only at entries that end with a slash. What follows the slash hides from it that an entry is no
            // regular expression for RE2: then it is the name of a ref that no ref has.
            Err(why) if !text.ends_with('/') => {
                check.warn(&item.span, format!("{location}: `{text}` matches nothing: {why}"));
                refs.push(RefPattern::word(text));
            }
            Err(why) => {
                check.push(CompileError::new(&item.span, message).help(why));
                return None;
            }
        }
    }
    Some(refs)
}

/// `changes`: unlike that of rules only a list.
fn changed(check: &mut Check, node: &Node, location: &str) -> Option<Changes> {
    if node.as_map().is_some() {
        check.error(&node.span, format!("{location} changes should be an array of strings"));
        return None;
    }
    changes(check, node, location)
}

fn variables(check: &mut Check, map: &Map, location: &str) -> Option<Vec<Expression>> {
    let node = map.get("variables")?;
    let texts = check.texts(map, "variables", location)?;
    let expressions: Result<Vec<Expression>, String> =
        texts.iter().map(|text| Expression::parse(text)).collect();
    match expressions {
        Ok(expressions) => Some(expressions),
        Err(reason) => {
            let message = format!("{location} variables invalid expression syntax");
            check.push(CompileError::new(&node.span, message).help(reason));
            None
        }
    }
}
