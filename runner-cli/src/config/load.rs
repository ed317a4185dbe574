//! Reading the file: text to raw values, with errors that point and everything worth a warning collected.

use std::path::Path;

use super::check;
use super::document::{Complaint, Document, Step};
use super::error::ConfigError;
use super::raw::Config;

/// A file that was read: what it says and where it says it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The values as written.
    pub(crate) config: Config,
    /// Positions, for errors found later.
    pub(crate) document: Document,
    unknown: Vec<Complaint>,
}

impl Loaded {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, cannot be read, is not TOML, or a key has a value of the wrong type.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        match fs_err::read_to_string(path) {
            Ok(text) => Self::parse(Document::new(path, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(ConfigError::Missing { path: path.to_owned() })
            }
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Understands a text.
    ///
    /// # Errors
    /// When it is not TOML, or a key has a value of the wrong type.
    pub(crate) fn parse(document: Document) -> Result<Self, ConfigError> {
        let syntax = |error: &toml::de::Error| document.complain_at(error.span(), &[], error.message());
        let deserializer = toml::Deserializer::parse(document.text()).map_err(|error| syntax(&error))?;
        let mut track = serde_path_to_error::Track::new();
        let mut unknown = Vec::new();
        let result = serde_ignored::deserialize(
            serde_path_to_error::Deserializer::new(deserializer, &mut track),
            |path| unknown.push(ignored_steps(&path)),
        );
        let config: Config = result.map_err(|error: toml::de::Error| {
            document.complain_at(error.span(), &error_steps(&track.path()), error.message())
        })?;
        let unknown = unknown.iter().map(|steps| check::unknown_key(&document, steps)).collect();
        Ok(Self { config, document, unknown })
    }

    /// Unknown keys and flags, as they should be said once, in the order of the file.
    pub(crate) fn unknown(&self) -> Vec<Complaint> {
        let mut all = self.unknown.clone();
        all.extend(check::unknown_in_sections(&self.document, &self.config));
        all.sort_by_key(Complaint::position);
        all
    }

    /// Keys that are set and have no effect in this build, in the order of the file.
    pub(crate) fn unsupported(&self) -> Vec<Complaint> {
        let mut all = check::unsupported(&self.document, &self.config);
        all.sort_by_key(Complaint::position);
        all
    }

    /// The wish to run jobs as somebody else, if the file has it.
    pub(crate) fn other_user(&self) -> Option<Complaint> {
        self.config.user.as_deref().filter(|user| !user.is_empty())?;
        Some(self.document.complain_of_key(&[Step::Key("user".to_owned())], "not supported"))
    }
}

fn ignored_steps(path: &serde_ignored::Path<'_>) -> Vec<Step> {
    use serde_ignored::Path;
    match path {
        Path::Root => Vec::new(),
        Path::Seq { parent, index } => with(ignored_steps(parent), Step::Index(*index)),
        Path::Map { parent, key } => with(ignored_steps(parent), Step::Key(key.clone())),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            ignored_steps(parent)
        }
    }
}

fn error_steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn with(mut steps: Vec<Step>, step: Step) -> Vec<Step> {
    steps.push(step);
    steps
}
