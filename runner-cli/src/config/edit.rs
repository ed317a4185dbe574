//! Changing the file without losing what a person wrote: comments, order and spelling of everything else stay.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Value};

use super::entry::NewEntry;
use super::error::ConfigError;
use super::{date, store};

/// What a new file begins with.
const NEW_FILE: &str = "concurrent = 1\ncheck_interval = 0\n\n[session_server]\n  session_timeout = 1800\n";

/// A file that is being changed. Nothing is written before [`Edit::save`].
#[derive(Debug)]
pub(crate) struct Edit {
    path: PathBuf,
    document: DocumentMut,
}

impl Edit {
    /// Opens the file, or starts a new one if there is none.
    ///
    /// # Errors
    /// When it cannot be read or is not TOML.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let text = match fs_err::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => NEW_FILE.to_owned(),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        Self::parse(path, &text)
    }

    /// Takes a text as the content of the file.
    ///
    /// # Errors
    /// When it is not TOML.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            ConfigError::Edit { path: path.to_owned(), what: error.message().to_owned() }
        })?;
        Ok(Self { path: path.to_owned(), document })
    }

    /// Value of the global key `concurrent`.
    pub(crate) fn concurrent(&self) -> i64 {
        self.document.get("concurrent").and_then(Item::as_integer).unwrap_or(1)
    }

    /// Adds an entry at the end of the file.
    ///
    /// # Errors
    /// When `runners` is not a list of tables.
    pub(crate) fn append(&mut self, entry: NewEntry) -> Result<(), ConfigError> {
        self.runners()?.push(entry.into_table());
        Ok(())
    }

    /// Removes the entries at these positions, counted from 0 before the change.
    ///
    /// # Errors
    /// When `runners` is not a list of tables.
    pub(crate) fn remove(&mut self, positions: &[usize]) -> Result<(), ConfigError> {
        let mut position = 0;
        self.runners()?.retain(|_| {
            position += 1;
            !positions.contains(&(position - 1))
        });
        Ok(())
    }

    /// Gives a key of the entry at `position` a new value, keeping the comments around the old one.
    ///
    /// # Errors
    /// When there is no such entry.
    pub(crate) fn set(
        &mut self,
        position: usize,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), ConfigError> {
        let missing = self.error(format!("there is no [[runners]] entry number {}", position + 1));
        let table = self.runners()?.get_mut(position).ok_or(missing)?;
        let mut value = value.into();
        match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                *value.decor_mut() = old.decor().clone();
                *old = value;
            }
            None => {
                table.insert(key, Item::Value(value));
                indent(table, key);
            }
        }
        Ok(())
    }

    /// Sets a date of the entry at `position`.
    ///
    /// # Errors
    /// When there is no such entry.
    pub(crate) fn set_time(
        &mut self,
        position: usize,
        key: &str,
        time: SystemTime,
    ) -> Result<(), ConfigError> {
        self.set(position, key, date::of(time))
    }

    /// Sets when the token of the entry at `position` expires, as the server said it.
    ///
    /// # Errors
    /// When there is no such entry.
    pub(crate) fn set_expiry(&mut self, position: usize, expires: Option<&str>) -> Result<(), ConfigError> {
        self.set(position, "token_expires_at", date::parse(expires))
    }

    /// Whether an entry has this token.
    pub(crate) fn has_token(&self, token: &str) -> bool {
        let runners = self.document.get("runners").and_then(Item::as_array_of_tables);
        runners.is_some_and(|all| {
            all.iter().any(|entry| entry.get("token").and_then(Item::as_str) == Some(token))
        })
    }

    /// The text as it would be written.
    pub(crate) fn text(&self) -> String {
        self.document.to_string()
    }

    /// Writes the file, readable for its owner only, at once or not at all.
    ///
    /// # Errors
    /// When it could not be written; then the old file is still there.
    pub(crate) fn save(&self) -> Result<(), ConfigError> {
        store::write(&self.path, &self.text())
    }

    pub(super) fn runners(&mut self) -> Result<&mut ArrayOfTables, ConfigError> {
        let error = self.error("`runners` is not written as [[runners]] tables; write it so".to_owned());
        self.document
            .entry("runners")
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
            .as_array_of_tables_mut()
            .ok_or(error)
    }

    pub(super) fn error(&self, what: String) -> ConfigError {
        ConfigError::Edit { path: self.path.clone(), what }
    }
}

fn indent(table: &mut toml_edit::Table, key: &str) {
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix("  ");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Edit;
    use crate::config::entry::NewEntry;

    const HAND_WRITTEN: &str = r#"# my runners
check_interval = 5 # slow
concurrent = 3

# the first
[[runners]]
  url = "https://one.example.org"
  token = "aaa" # keep me
  name = "one"

  [runners.docker]
    image = "alpine"

# the second
[[runners]]
  name = "two"
  url = "https://two.example.org"
  token = "bbb"
"#;

    fn edit(text: &str) -> Edit {
        Edit::parse(Path::new("config.toml"), text).unwrap()
    }

    #[test]
    fn what_is_not_changed_stays() {
        assert_eq!(edit(HAND_WRITTEN).text(), HAND_WRITTEN);
        let mut changed = edit(HAND_WRITTEN);
        changed.set(0, "token", "ccc").unwrap();
        assert_eq!(changed.text(), HAND_WRITTEN.replace("aaa", "ccc"));
    }

    #[test]
    fn entries_are_removed_whole() {
        let mut changed = edit(HAND_WRITTEN);
        changed.remove(&[0]).unwrap();
        let (head, second) = HAND_WRITTEN.split_once("\n# the first").unwrap();
        let (_, second) = second.split_once("\n# the second").unwrap();
        assert_eq!(changed.text(), format!("{head}\n# the second{second}"));
        changed.remove(&[0]).unwrap();
        assert_eq!(changed.text(), format!("{head}"));
    }

    #[test]
    fn an_entry_is_added_at_the_end() {
        let mut entry = NewEntry::default();
        entry.set(&["executor"], "docker");
        entry.set(&["docker", "image"], "alpine");
        entry.set(&["name"], "three");
        entry.set(&["token"], "ccc");
        let mut changed = edit(HAND_WRITTEN);
        changed.append(entry).unwrap();
        let added = "\n[[runners]]\n  name = \"three\"\n  token = \"ccc\"\n  executor = \"docker\"\n\n  [runners.docker]\n    image = \"alpine\"\n";
        assert_eq!(changed.text(), format!("{HAND_WRITTEN}{added}"));
    }
}
