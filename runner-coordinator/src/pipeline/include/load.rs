//! Loading the root file and everything that it includes.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::context::Context;
use super::super::error::{Code, CompileError};
use super::super::expand::Scope;
use super::super::files::Listing;
use super::super::foreign::Home;
use super::super::merge::{check_size, deep_merge};
use super::super::span::Span;
use super::super::yaml::{self, Map, Node};
use super::entry::{Include, Kind, entries};
use super::inputs::{self, Given};
use super::interpolate::{Values, interpolate};
use super::project::{Project, Source};
use super::rules;

/// Most files in the tree of includes.
const MAX_INCLUDES: usize = 150;
/// Deepest nesting of includes.
const MAX_NESTING: usize = 50;
/// All texts of the tree together, in bytes.
const MAX_TEXT: usize = 32 * 1024 * 1024;

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

/// The files of a configuration: their texts, and where each was included first. They outlive a failure, because messages
/// show lines of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) texts: HashMap<Arc<str>, Arc<str>>,
    pub(crate) included_at: HashMap<Arc<str>, Span>,
}

/// Loads the root file, follows its includes depth first and merges them: the later include wins over earlier ones, the
/// including file over all that it includes.
pub(crate) fn load(
    path: &str,
    files: &Listing<'_>,
    context: &Context,
    sources: &mut Sources,
) -> Result<Loaded, Vec<CompileError>> {
    let start = Span { file: path.into(), line: 1, column: 1 };
    let mut loader = Loader::new(files, context, &start, sources)?;
    let text = files
        .read(path)
        .map_err(|error| CompileError::new(&start, format!("cannot read `{path}`: {error}")))
        .and_then(|text| {
            text.ok_or_else(|| {
                CompileError::new(&start, format!("configuration file `{path}` does not exist"))
                    .help("write one, or name another file with --file")
            })
        })?;
    let source = Source { name: path.to_owned(), text, home: Home::Own, component: None };
    let root = loader.file(&source, &start, Given::Texts(&context.inputs), &mut vec![path.to_owned()]);
    loader.loaded(root, start)
}

/// Loads several files as if one file included them.
pub(crate) fn load_all(
    includes: &[Include],
    asked_by: &Span,
    files: &Listing<'_>,
    context: &Context,
    sources: &mut Sources,
) -> Result<Loaded, Vec<CompileError>> {
    let mut loader = Loader::new(files, context, asked_by, sources)?;
    loader.in_trigger = true;
    let mut root = Map::default();
    for include in includes {
        if let Err(error) = loader.include(include, &Home::Own, &mut root, &mut Vec::new()) {
            loader.errors.push(error);
        }
    }
    loader.loaded(Ok(root), asked_by.clone())
}

struct Loader<'a> {
    files: &'a Listing<'a>,
    context: &'a Context,
    scope: Scope,
    /// Whether the entries are those of a trigger job.
    in_trigger: bool,
    count: usize,
    bytes: usize,
    notes: Vec<String>,
    left_out: Vec<String>,
    /// What is wrong with includes; the others are looked at all the same.
    errors: Vec<CompileError>,
    sources: &'a mut Sources,
}

impl<'a> Loader<'a> {
    fn new(
        files: &'a Listing<'a>,
        context: &'a Context,
        start: &Span,
        sources: &'a mut Sources,
    ) -> Result<Self, CompileError> {
        let scope =
            Scope::new(&context.variables).map_err(|error| CompileError::new(start, error.to_string()))?;
        Ok(Self {
            files,
            context,
            scope,
            in_trigger: false,
            count: 0,
            bytes: 0,
            notes: Vec::new(),
            left_out: Vec::new(),
            errors: Vec::new(),
            sources,
        })
    }

    fn loaded(mut self, root: Result<Map, CompileError>, span: Span) -> Result<Loaded, Vec<CompileError>> {
        match root {
            Ok(root) if self.errors.is_empty() => {
                Ok(Loaded { root, span, notes: self.notes, left_out: self.left_out })
            }
            Ok(_) => Err(self.errors),
            Err(error) => {
                self.errors.push(error);
                Err(self.errors)
            }
        }
    }

    /// Parses one file and expands its includes. `ancestors` ends with the file itself.
    fn file(
        &mut self,
        source: &Source,
        span: &Span,
        given: Given<'_>,
        ancestors: &mut Vec<String>,
    ) -> Result<Map, CompileError> {
        let is_root = ancestors.len() == 1 && !self.in_trigger;
        let path = source.name.as_str();
        self.known_text(source, span)?;
        if !is_root {
            self.sources.included_at.entry(Arc::from(path)).or_insert_with(|| span.clone());
        }
        let document = yaml::parse(path, &source.text).map_err(|error| error.code(Code::Yaml))?;
        self.notes.extend(document.notes);
        let content = match document.content {
            Some(content) if !content.is_null() => content,
            _ if is_root => return Err(CompileError::new(span, "Please provide content of .gitlab-ci.yml")),
            _ => return Err(CompileError::new(span, format!("Local file `{path}` is empty!"))),
        };
        let content = match &document.header {
            Some(header) => {
                let spec = inputs::spec(header)?;
                let external = match spec.include {
                    Some(include) => self.external_inputs(include, &source.home)?,
                    None => Map::default(),
                };
                let values = Values {
                    inputs: inputs::values(&spec, &external, given, &self.scope, span)?,
                    component: source.component.as_ref().filter(|_| spec.knows_component()),
                };
                interpolate(&content, &values, &self.scope)?
            }
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
                let trusted = ancestors.len();
                if let Err(error) = self.include(&entry, &source.home, &mut base, ancestors) {
                    ancestors.truncate(trusted);
                    self.errors.push(error);
                    if self.errors.len() >= MAX_ERRORS || self.count > MAX_INCLUDES {
                        break;
                    }
                }
            }
        }
        let mut own = own.entries().clone();
        own.shift_remove("include");
        let merged = deep_merge(&base, &Map::new(own));
        check_size(&merged, span)?;
        Ok(merged)
    }

    /// The inputs of the files in `spec:include`, later files over earlier ones.
    /// <https://docs.gitlab.com/ci/yaml/#specinclude>
    fn external_inputs(&mut self, include: &Node, home: &Home) -> Result<Map, CompileError> {
        let mut all = Map::default();
        for entry in entries(include, &self.scope)? {
            if !matches!(entry.kind, Kind::Local(_) | Kind::Remote { .. } | Kind::Project { .. }) {
                let message = format!(
                    "{}: inputs come from local, project and remote files only",
                    entry.kind.describe()
                );
                return Err(CompileError::new(&entry.span, message));
            }
            let Some(sources) = self.found(&entry, home)? else {
                self.left_out.push(format!("{}: {}: left out", entry.span, entry.kind.describe()));
                continue;
            };
            for source in sources {
                self.count += 1;
                if self.count > MAX_INCLUDES {
                    let message = format!("Maximum of {MAX_INCLUDES} nested includes are allowed!");
                    return Err(CompileError::new(&entry.span, message));
                }
                self.known_text(&source, &entry.span)?;
                self.sources
                    .included_at
                    .entry(Arc::from(source.name.as_str()))
                    .or_insert_with(|| entry.span.clone());
                let document =
                    yaml::parse(&source.name, &source.text).map_err(|error| error.code(Code::Yaml))?;
                let Some(content) = document.content.filter(|content| !content.is_null()) else {
                    return Err(CompileError::new(
                        &entry.span,
                        format!("Local file `{}` is empty!", source.name),
                    ));
                };
                let inputs = inputs::of_external_file(&content)?;
                let mut entries = all.entries().clone();
                entries.extend(inputs.iter().map(|(name, entry)| (name.clone(), entry.clone())));
                all = Map::new(entries);
            }
        }
        Ok(all)
    }

    /// Remembers the text of a file for messages, as long as all texts together are not too long.
    fn known_text(&mut self, source: &Source, span: &Span) -> Result<(), CompileError> {
        self.bytes = self.bytes.saturating_add(source.text.len());
        if self.bytes > MAX_TEXT {
            return Err(CompileError::new(span, "The parsed YAML is too big")
                .help("all files of a configuration together may have 32 MiB"));
        }
        self.sources.texts.insert(Arc::from(source.name.as_str()), Arc::from(source.text.as_str()));
        Ok(())
    }

    fn include(
        &mut self,
        entry: &Include,
        home: &Home,
        base: &mut Map,
        ancestors: &mut Vec<String>,
    ) -> Result<(), CompileError> {
        if let Some(rules) = &entry.rules
            && !rules::included(rules, &self.scope, self.files, self.context)?
        {
            return Ok(());
        }
        if matches!(entry.kind, Kind::Artifact { .. }) && !(self.in_trigger && ancestors.is_empty()) {
            let message = format!("{}: not available without a server", entry.kind.describe());
            return Err(CompileError::new(&entry.span, message).help(entry.kind.how_to_get()));
        }
        let Some(sources) = self.found(entry, home)? else {
            self.left_out.push(format!("{}: {}", entry.span, entry.kind.describe()));
            return Ok(());
        };
        let given = match &entry.inputs {
            Some(inputs) if !inputs.value.is_null() => Given::Include(inputs),
            _ => Given::Nothing,
        };
        for source in sources {
            self.count += 1;
            if self.count > MAX_INCLUDES {
                let message = format!("Maximum of {MAX_INCLUDES} nested includes are allowed!");
                return Err(CompileError::new(&entry.span, message));
            }
            if ancestors.len() > MAX_NESTING {
                return Err(CompileError::new(&entry.span, "includes are nested too deep"));
            }
            if ancestors.contains(&source.name) {
                let (chain, name) = (ancestors.join(" → "), &source.name);
                let message = format!("`{name}` includes itself: {chain} → {name}");
                return Err(CompileError::new(&entry.span, message));
            }
            ancestors.push(source.name.clone());
            let included = self.file(&source, &entry.span, given, ancestors)?;
            ancestors.pop();
            *base = deep_merge(base, &included);
            check_size(base, &entry.span)?;
        }
        Ok(())
    }

    /// The files that an entry names; `None` if they are to be left out.
    fn found(&mut self, entry: &Include, home: &Home) -> Result<Option<Vec<Source>>, CompileError> {
        let project = Project { files: self.files, scope: &self.scope };
        let skip = self.context.skip_missing_includes && !matches!(entry.kind, Kind::Local(_));
        let sources = match project.sources(&entry.kind, home, &entry.span) {
            // Looked for in vain: the message says more than that it was left out.
            Err(error) if skip => {
                self.notes.push(error.to_string());
                return Ok(None);
            }
            other => other?,
        };
        match sources {
            Some(sources) => {
                if sources.is_empty() {
                    let note = format!("{}: {} matches no file", entry.span, entry.kind.describe());
                    self.notes.push(note);
                }
                Ok(Some(sources))
            }
            None if self.context.skip_missing_includes => Ok(None),
            None => {
                let message = format!("{}: not available without a server", entry.kind.describe());
                Err(CompileError::new(&entry.span, message).help(entry.kind.how_to_get()))
            }
        }
    }
}

/// More mistakes than this are not collected.
const MAX_ERRORS: usize = 100;
