//! The conditions of one rule, and whether they hold.

use std::cell::RefCell;
use std::collections::HashMap;

use indexmap::IndexMap;

use super::super::check::{Check, strings};
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::expression::Expression;
use super::super::glob::Globs;
use super::super::span::Span;
use super::super::yaml::{Map, Node};

/// Most patterns of one `changes` or `exists`.
const MAX_PATTERNS: usize = 50;

/// `if`, `changes` and `exists`: all that are given must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clauses {
    pub(crate) condition: Option<Expression>,
    pub(crate) changes: Option<Changes>,
    pub(crate) exists: Option<Exists>,
}

/// `rules:changes`.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    pub(crate) paths: Vec<String>,
    pub(crate) compare_to: Option<String>,
    pub(crate) span: Span,
}

/// `rules:exists`.
#[derive(Debug, Clone)]
pub(crate) struct Exists {
    pub(crate) paths: Vec<String>,
    /// Another project, and its ref.
    pub(crate) project: Option<String>,
    pub(crate) git_ref: Option<String>,
    pub(crate) span: Span,
}

/// Files of other projects by path and ref of the project.
pub(crate) type ForeignFiles = HashMap<(String, Option<String>), Vec<String>>;

/// What clauses are compared with.
#[derive(Debug)]
pub(crate) struct World<'w> {
    /// Files of the commit.
    pub(crate) tracked: &'w [String],
    /// Files that changed; `None` when there is nothing to compare with.
    pub(crate) changed: Option<&'w [String]>,
    /// Files that changed since other refs.
    pub(crate) changed_since: &'w IndexMap<String, Vec<String>>,
    /// Files of other projects.
    pub(crate) foreign: Option<&'w ForeignFiles>,
    globs: RefCell<Globs>,
    notes: RefCell<Vec<String>>,
}

impl<'w> World<'w> {
    pub(crate) fn new(
        tracked: &'w [String],
        changed: Option<&'w [String]>,
        changed_since: &'w IndexMap<String, Vec<String>>,
    ) -> Self {
        Self {
            tracked,
            changed,
            changed_since,
            foreign: None,
            globs: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// What the user should be told about the clauses evaluated so far.
    pub(crate) fn into_notes(self) -> Vec<String> {
        self.notes.into_inner()
    }

    /// Tells the user something, once.
    pub(crate) fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

impl Clauses {
    /// Reads the clauses of a rule; mistakes go to `check`.
    pub(crate) fn parse(check: &mut Check, map: &Map, location: &str) -> Self {
        Self {
            condition: condition(check, map, location),
            changes: map.get("changes").and_then(|node| changes(check, node, &format!("{location}:changes"))),
            exists: map.get("exists").and_then(|node| exists(check, node, &format!("{location}:exists"))),
        }
    }

    /// Whether there are none, so that they always hold.
    pub(crate) fn is_empty(&self) -> bool {
        self.condition.is_none() && self.changes.is_none() && self.exists.is_none()
    }

    /// Whether all clauses hold.
    pub(crate) fn hold(&self, scope: &Scope, world: &World<'_>) -> Result<bool, CompileError> {
        Ok(self.condition.as_ref().is_none_or(|condition| condition.holds(scope))
            && match &self.changes {
                Some(changes) => changes.hold(scope, world)?,
                None => true,
            }
            && self.exists.as_ref().is_none_or(|exists| exists.hold(scope, world)))
    }
}

impl Changes {
    pub(crate) fn hold(&self, scope: &Scope, world: &World<'_>) -> Result<bool, CompileError> {
        let changed = match &self.compare_to {
            None => world.changed,
            Some(compare_to) => {
                let base = scope.expand(compare_to);
                let changed = world.changed_since.get(&base).ok_or_else(|| {
                    CompileError::new(&self.span, "rules:changes:compare_to is not a valid ref")
                        .help(format!("the files that changed since `{base}` are not known"))
                })?;
                Some(changed.as_slice())
            }
        };
        let Some(changed) = changed else { return Ok(true) };
        Ok(world.globs.borrow_mut().any(&expanded(&self.paths, scope), changed))
    }
}

impl Changes {
    /// What decided, in words.
    pub(crate) fn reason(&self, scope: &Scope, world: &World<'_>) -> String {
        let changed = match &self.compare_to {
            None => world.changed,
            Some(to) => world.changed_since.get(&scope.expand(to)).map(Vec::as_slice),
        };
        match changed {
            None => "there is nothing to compare with".to_owned(),
            Some(changed) => {
                let what = format!("of {} changed files", changed.len());
                first_match(&self.paths, changed, &what, scope, world)
            }
        }
    }
}

impl Exists {
    /// What decided, in words.
    pub(crate) fn reason(&self, scope: &Scope, world: &World<'_>) -> String {
        if self.project.is_some() {
            return "files of another project".to_owned();
        }
        let what = format!("of {} files", world.tracked.len());
        first_match(&self.paths, world.tracked, &what, scope, world)
    }

    pub(crate) fn hold(&self, scope: &Scope, world: &World<'_>) -> bool {
        if let Some(project) = &self.project {
            let git_ref = self.git_ref.as_ref().map(|git_ref| scope.expand(git_ref));
            let key = (scope.expand(project), git_ref);
            if let Some(files) = world.foreign.and_then(|foreign| foreign.get(&key)) {
                return world.globs.borrow_mut().exist(&expanded(&self.paths, scope), files);
            }
            world.note(format!(
                "{}: rules:exists:project {}: not available here, taken as false; name a checkout of it with \
                 --project {}=DIR",
                self.span, key.0, key.0
            ));
            return false;
        }
        world.globs.borrow_mut().exist(&expanded(&self.paths, scope), world.tracked)
    }
}

/// The first file that a pattern matches, in words.
fn first_match(paths: &[String], files: &[String], what: &str, scope: &Scope, world: &World<'_>) -> String {
    let globs = expanded(paths, scope);
    let mut matcher = world.globs.borrow_mut();
    match files.iter().find(|file| matcher.any(&globs, std::slice::from_ref(file))) {
        Some(file) => format!("{file} matches"),
        None => format!("none {what} matches"),
    }
}

fn expanded(paths: &[String], scope: &Scope) -> Vec<String> {
    paths.iter().map(|path| scope.expand(path)).collect()
}

fn condition(check: &mut Check, map: &Map, location: &str) -> Option<Expression> {
    let node = map.get("if")?;
    let parsed = match node.as_text() {
        Some(text) => Expression::parse(text),
        None => Err("an expression is a string such as $CI_COMMIT_BRANCH == \"main\"".to_owned()),
    };
    match parsed {
        Ok(expression) => {
            if expression.searches_in_text() {
                let message =
                    format!("{location} if compares with a text by `=~`: it looks for the left side in it");
                check.warn(&node.span, message);
            }
            Some(expression)
        }
        Err(reason) => {
            let error = CompileError::new(&node.span, format!("{location} if invalid expression syntax"));
            check.push(error.help(reason));
            None
        }
    }
}

/// Reads `changes`: a list of patterns, or a hash with `paths` and `compare_to`.
pub(crate) fn changes(check: &mut Check, node: &Node, location: &str) -> Option<Changes> {
    if node.as_map().is_none() {
        let paths = patterns(check, node, location)?;
        return Some(Changes { paths, compare_to: None, span: node.span.clone() });
    }
    let map = check.hash(node, location, &["paths", "compare_to"])?;
    let compare_to = check.text(map, "compare_to", location);
    match map.get("paths") {
        Some(paths) => {
            let paths = patterns(check, paths, location)?;
            Some(Changes { paths, compare_to, span: node.span.clone() })
        }
        None => {
            check.error(&node.span, format!("{location} config missing required keys: paths"));
            None
        }
    }
}

fn exists(check: &mut Check, node: &Node, location: &str) -> Option<Exists> {
    if node.as_map().is_none() {
        let paths = patterns(check, node, location)?;
        return Some(Exists { paths, project: None, git_ref: None, span: node.span.clone() });
    }
    let map = check.hash(node, location, &["paths", "project", "ref"])?;
    let project = check.text(map, "project", location);
    let git_ref = check.text(map, "ref", location);
    match map.get("paths") {
        Some(paths) => {
            let paths = patterns(check, paths, location)?;
            Some(Exists { paths, project, git_ref, span: node.span.clone() })
        }
        None => {
            check.error(&node.span, format!("{location} config missing required keys: paths"));
            None
        }
    }
}

fn patterns(check: &mut Check, node: &Node, location: &str) -> Option<Vec<String>> {
    match strings(node) {
        Some(paths) if paths.len() > MAX_PATTERNS => {
            check.error(
                &node.span,
                format!("{location} config has too many entries (maximum {MAX_PATTERNS})"),
            );
            None
        }
        Some(paths) => Some(paths),
        None => check.strings(node, &format!("{location} config")),
    }
}
