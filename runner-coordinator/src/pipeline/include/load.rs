//! Loading the root file and everything that it includes.

use super::super::context::Context;
use super::super::error::CompileError;
use super::super::expand::Scope;
use super::super::files::Listing;
use super::super::merge::{check_size, deep_merge};
use super::super::span::Span;
use super::super::yaml::{self, Map};
use super::entry::{Include, Kind, entries};
use super::inputs::{self, Given};
use super::interpolate::interpolate;
use super::project::Project;
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
        loader.include(&include, &mut root, &mut Vec::new())?;
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
                self.include(&entry, &mut base, ancestors)?;
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
        entry: &Include,
        base: &mut Map,
        ancestors: &mut Vec<String>,
    ) -> Result<(), CompileError> {
        if let Some(rules) = &entry.rules
            && !rules::included(rules, &self.scope, self.files, self.context)?
        {
            return Ok(());
        }
        let Some(paths) = self.paths(entry)? else {
            self.left_out.push(format!("{}: {}: left out", entry.span, entry.kind.describe()));
            return Ok(());
        };
        let given = match &entry.inputs {
            Some(inputs) if !inputs.value.is_null() => Given::Include(inputs),
            _ => Given::Nothing,
        };
        for path in paths {
            self.count += 1;
            if self.count > MAX_INCLUDES {
                let message = format!("Maximum of {MAX_INCLUDES} nested includes are allowed!");
                return Err(CompileError::new(&entry.span, message));
            }
            if ancestors.len() > MAX_NESTING {
                return Err(CompileError::new(&entry.span, "includes are nested too deep"));
            }
            if ancestors.contains(&path) {
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

    /// The files of this project that an entry names; `None` if it names something else and is to be left out.
    fn paths(&mut self, entry: &Include) -> Result<Option<Vec<String>>, CompileError> {
        let own = Project { files: self.files, scope: &self.scope };
        match own.paths(&entry.kind, &entry.span)? {
            Some(paths) => {
                if paths.is_empty() {
                    let note = format!("{}: {} matches no file", entry.span, entry.kind.describe());
                    self.notes.push(note);
                }
                Ok(Some(paths))
            }
            None if self.context.skip_missing_includes => Ok(None),
            None => Err(elsewhere(&entry.kind, &entry.span)),
        }
    }

    fn read(&self, path: &str, span: &Span) -> Result<Option<String>, CompileError> {
        self.files
            .read(path)
            .map_err(|error| CompileError::new(span, format!("cannot read `{path}`: {error}")))
    }
}

fn elsewhere(kind: &Kind, span: &Span) -> CompileError {
    let help = match kind {
        Kind::Artifact { .. } => "include:artifact is only allowed in trigger:include",
        Kind::Remote(_) => "download the file into this repository and use include:local",
        _ => "copy the file into this repository and use include:local",
    };
    CompileError::new(span, format!("{}: not available without a server", kind.describe())).help(help)
}
