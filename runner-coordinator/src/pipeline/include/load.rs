//! Loading the root file and everything that it includes.

use super::super::context::Context;
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::files::Listing;
use super::super::glob::{is_wildcard, wildcard_matches};
use super::super::merge::{check_size, deep_merge};
use super::super::span::Span;
use super::super::yaml::{self, Map};
use super::entry::{Include, Kind, entries};
use super::inputs::{self, Given};
use super::interpolate::interpolate;
use super::rules;

/// Most files in the tree of includes.
const MAX_INCLUDES: usize = 150;
/// Deepest nesting of includes.
const MAX_NESTING: usize = 50;

/// The configuration with all includes merged.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) root: Map,
    /// The first line of the root file.
    pub(crate) span: Span,
    pub(crate) notes: Vec<String>,
    /// Includes that were left out.
    pub(crate) left_out: Vec<String>,
}

/// Loads the root file, follows its includes depth first and merges them: the later include wins over earlier ones, the
/// including file over all that it includes.
pub(crate) fn load(path: &str, files: &Listing<'_>, context: &Context) -> Result<Loaded, CompileError> {
    let start = Span { file: path.into(), line: 1, column: 1 };
    let mut loader = Loader::new(files, context, &start)?;
    let text = loader.read(path, &start)?.ok_or_else(|| {
        CompileError::new(&start, format!("configuration file `{path}` does not exist"))
            .help("write one, or name another file with --file")
    })?;
    let root = loader.file(path, &text, &start, Given::Texts(&context.inputs), &mut vec![path.to_owned()])?;
    Ok(loader.loaded(root, start))
}

/// Loads several files as if one file included them.
pub(crate) fn load_all(
    paths: &[String],
    asked_by: &Span,
    files: &Listing<'_>,
    context: &Context,
) -> Result<Loaded, CompileError> {
    let mut loader = Loader::new(files, context, asked_by)?;
    let mut root = Map::default();
    for path in paths {
        let kind = Kind::Local(loader.scope.expand(path));
        let include = Include { kind, rules: None, inputs: None, span: asked_by.clone() };
        loader.include(include, &mut root, &mut Vec::new())?;
    }
    Ok(loader.loaded(root, asked_by.clone()))
}

struct Loader<'a> {
    files: &'a Listing<'a>,
    context: &'a Context,
    scope: Scope,
    count: usize,
    notes: Vec<String>,
    left_out: Vec<String>,
}

impl<'a> Loader<'a> {
    fn new(files: &'a Listing<'a>, context: &'a Context, start: &Span) -> Result<Self, CompileError> {
        let scope =
            Scope::new(&context.variables).map_err(|error| CompileError::new(start, error.to_string()))?;
        Ok(Self { files, context, scope, count: 0, notes: Vec::new(), left_out: Vec::new() })
    }

    fn loaded(self, root: Map, span: Span) -> Loaded {
        Loaded { root, span, notes: self.notes, left_out: self.left_out }
    }

    /// Parses one file and expands its includes. `ancestors` ends with the file itself.
    fn file(
        &mut self,
        path: &str,
        text: &str,
        span: &Span,
        given: Given<'_>,
        ancestors: &mut Vec<String>,
    ) -> Result<Map, CompileError> {
        let is_root = ancestors.len() == 1;
        let document = yaml::parse(path, text)?;
        self.notes.extend(document.notes);
        let content = match document.content {
            Some(content) if !content.is_null() => content,
            _ if is_root => return Err(CompileError::new(span, "Please provide content of .gitlab-ci.yml")),
            _ => return Err(CompileError::new(span, format!("Local file `{path}` is empty!"))),
        };
        let content = match &document.header {
            Some(header) => interpolate(&content, &inputs::values(header, given, span)?, &self.scope)?,
            None => {
                given.refuse(span)?;
                content
            }
        };
        let Some(own) = content.as_map() else {
            let message = if is_root {
                "Invalid configuration format".to_owned()
            } else {
                format!("Included file `{path}` does not have valid YAML syntax!")
            };
            return Err(CompileError::new(&content.span, message)
                .help("the file must be a hash of jobs and keywords"));
        };
        let Some(include) = own.entry("include") else { return Ok(own.clone()) };
        let mut base = Map::default();
        if !include.value.is_null() {
            for entry in entries(&include.value, &self.scope)? {
                self.include(entry, &mut base, ancestors)?;
            }
        }
        let mut own = own.entries().clone();
        own.shift_remove("include");
        let merged = deep_merge(&base, &Map::new(own));
        check_size(&merged, span)?;
        Ok(merged)
    }

    fn include(
        &mut self,
        entry: Include,
        base: &mut Map,
        ancestors: &mut Vec<String>,
    ) -> Result<(), CompileError> {
        if let Some(rules) = &entry.rules
            && !rules::included(rules, &self.scope, self.files, self.context)?
        {
            return Ok(());
        }
        let path = match entry.kind {
            Kind::Local(path) => path,
            Kind::Elsewhere { key, what } if self.context.skip_missing_includes => {
                self.left_out.push(format!("{}: include:{key} {what}: left out", entry.span));
                return Ok(());
            }
            Kind::Elsewhere { key, what } => return Err(elsewhere(key, &what, &entry.span)),
        };
        let given = match &entry.inputs {
            Some(inputs) if !inputs.value.is_null() => Given::Include(inputs),
            _ => Given::Nothing,
        };
        for path in self.local_paths(&path, &entry.span)? {
            self.count += 1;
            if self.count > MAX_INCLUDES {
                let message = format!("Maximum of {MAX_INCLUDES} nested includes are allowed!");
                return Err(CompileError::new(&entry.span, message));
            }
            if ancestors.contains(&path) || ancestors.len() > MAX_NESTING {
                let chain = ancestors.join(" → ");
                let message = format!("`{path}` includes itself: {chain} → {path}");
                return Err(CompileError::new(&entry.span, message));
            }
            let text = self.read(&path, &entry.span)?.ok_or_else(|| {
                CompileError::new(&entry.span, format!("Local file `{path}` does not exist!"))
                    .help("the path starts at the root of the repository, and the file must be part of it")
            })?;
            ancestors.push(path.clone());
            let included = self.file(&path, &text, &entry.span, given, ancestors)?;
            ancestors.pop();
            *base = deep_merge(base, &included);
            check_size(base, &entry.span)?;
        }
        Ok(())
    }

    /// The files that `include:local` names: one, or those that match a wildcard.
    fn local_paths(&mut self, path: &str, span: &Span) -> Result<Vec<String>, CompileError> {
        let trimmed = path.trim_start_matches('/');
        let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
        if trimmed.split('/').any(|part| part == "..") {
            let message = format!("Local file `{path}` is outside of the repository");
            return Err(CompileError::new(span, message));
        }
        if !trimmed.ends_with(".yml") && !trimmed.ends_with(".yaml") {
            return Err(CompileError::new(
                span,
                format!("Included file `{path}` does not have YAML extension!"),
            ));
        }
        if !is_wildcard(trimmed) {
            return Ok(vec![trimmed.to_owned()]);
        }
        let found = wildcard_matches(trimmed, self.files.tracked(span)?);
        if found.is_empty() {
            self.notes.push(format!("{span}: include:local `{path}` matches no file"));
        }
        Ok(found)
    }

    fn read(&self, path: &str, span: &Span) -> Result<Option<String>, CompileError> {
        self.files
            .read(path)
            .map_err(|error| CompileError::new(span, format!("cannot read `{path}`: {error}")))
    }
}

fn elsewhere(key: &str, what: &str, span: &Span) -> CompileError {
    let help = match key {
        "artifact" => "include:artifact is only allowed in trigger:include",
        "remote" => "download the file into this repository and use include:local",
        _ => "copy the file into this repository and use include:local",
    };
    CompileError::new(span, format!("include:{key} {what}: not available without a server")).help(help)
}
