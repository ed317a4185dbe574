//! A new `[[runners]]` entry, put together from flags and a template.

use std::path::Path;
use std::time::SystemTime;

use toml_edit::{Array, Item, Table, Value};

use super::check::RUNNER;
use super::date;
use super::edit::Edit;
use super::error::ConfigError;

/// Where docker keeps caches.
const CACHE_VOLUME: &str = "/cache";

/// A `[[runners]]` entry that is being put together.
#[derive(Debug, Default)]
pub(crate) struct NewEntry {
    table: Table,
}

impl NewEntry {
    /// Sets a key; tables on the way are made.
    pub(crate) fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        let Some((key, parents)) = path.split_last() else { return };
        let mut table = &mut self.table;
        for parent in parents {
            let item = table.entry(parent).or_insert_with(|| Item::Table(Table::new()));
            let Some(next) = item.as_table_mut() else { return };
            table = next;
        }
        table.insert(key, Item::Value(value.into()));
    }

    /// Text of a key of the entry itself; empty when it is not set.
    pub(crate) fn text(&self, path: &[&str]) -> &str {
        let Some((key, parents)) = path.split_last() else { return "" };
        let mut table = &self.table;
        for parent in parents {
            let Some(next) = table.get(parent).and_then(Item::as_table) else { return "" };
            table = next;
        }
        table.get(key).and_then(Item::as_str).unwrap_or_default()
    }

    /// Number under a key of the entry itself; 0 when it is not set.
    pub(crate) fn integer(&self, key: &str) -> i64 {
        self.table.get(key).and_then(Item::as_integer).unwrap_or_default()
    }

    /// Removes a key or table of the entry itself.
    pub(crate) fn remove(&mut self, key: &str) {
        self.table.remove(key);
    }

    /// Sets a date.
    pub(crate) fn set_time(&mut self, key: &str, time: SystemTime) {
        self.set(&[key], date::of(time));
    }

    /// Sets when the token expires, as the server said it.
    pub(crate) fn set_expiry(&mut self, expires: Option<&str>) {
        self.set(&["token_expires_at"], date::parse(expires));
    }

    /// Gives docker a volume for caches, unless that is switched off or there is one.
    pub(crate) fn add_cache_volume(&mut self) {
        let Some(docker) = self.table.get_mut("docker").and_then(Item::as_table_mut) else { return };
        if docker.get("disable_cache").and_then(Item::as_bool) == Some(true) {
            return;
        }
        let volumes = docker.entry("volumes").or_insert_with(|| Item::Value(Array::new().into()));
        let Some(volumes) = volumes.as_array_mut() else { return };
        let has_one = volumes.iter().filter_map(Value::as_str).any(|volume| volume.ends_with(CACHE_VOLUME));
        if !has_one {
            volumes.push(CACHE_VOLUME);
        }
    }

    /// Fills what is not set, or zero, or empty, from the one entry of a template file. Lists are taken only when there is
    /// none; tables are merged key by key. The template's token does not count.
    ///
    /// # Errors
    /// When the text is not TOML or has not exactly one `[[runners]]` entry.
    pub(crate) fn fill_from_template(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let mut template = Edit::parse(path, text)?;
        let count = template.runners()?.len();
        let error =
            template.error(format!("a template has exactly one [[runners]] entry, this one has {count}"));
        let runners = template.runners()?;
        match (runners.get_mut(0), count) {
            (Some(entry), 1) => {
                entry.remove("token");
                fill(&mut self.table, entry);
                Ok(())
            }
            _ => Err(error),
        }
    }

    pub(super) fn into_table(mut self) -> Table {
        self.table.sort_values_by(|left, _, right, _| rank(left.get()).cmp(&rank(right.get())));
        tidy(&mut self.table, 1);
        self.table
    }
}

/// Where a key stands in the official file.
fn rank(key: &str) -> usize {
    RUNNER.iter().position(|known| *known == key).unwrap_or(RUNNER.len())
}

fn fill(target: &mut Table, template: &Table) {
    for (key, value) in template {
        match (target.get_mut(key), value) {
            (Some(Item::Table(inner)), Item::Table(template)) => fill(inner, template),
            (Some(old), _) if !is_zero(old) => {}
            _ => {
                target.insert(key, value.clone());
            }
        }
    }
}

fn is_zero(item: &Item) -> bool {
    match item {
        Item::None => true,
        Item::Table(table) => table.is_empty(),
        Item::ArrayOfTables(tables) => tables.is_empty(),
        Item::Value(Value::String(text)) => text.value().is_empty(),
        Item::Value(Value::Integer(number)) => *number.value() == 0,
        Item::Value(Value::Boolean(set)) => !*set.value(),
        Item::Value(Value::Array(values)) => values.is_empty(),
        Item::Value(Value::InlineTable(table)) => table.is_empty(),
        Item::Value(Value::Float(_) | Value::Datetime(_)) => false,
    }
}

/// Indents as the official runner does: two blanks for each table below the entry. Values copied from a template lose its
/// spacing, which belonged to another place.
fn tidy(table: &mut Table, depth: usize) {
    let prefix = "  ".repeat(depth);
    for (mut key, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => {
                inner.set_position(None);
                inner.decor_mut().set_prefix(format!("\n{prefix}"));
                tidy(inner, depth + 1);
            }
            Item::ArrayOfTables(tables) => {
                for inner in tables.iter_mut() {
                    inner.set_position(None);
                    inner.decor_mut().set_prefix(format!("\n{prefix}"));
                    tidy(inner, depth + 1);
                }
            }
            Item::Value(value) => {
                value.decor_mut().clear();
                key.leaf_decor_mut().clear();
                key.leaf_decor_mut().set_prefix(prefix.clone());
            }
            Item::None => {}
        }
    }
    if depth == 1 {
        table.decor_mut().set_prefix("\n");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::NewEntry;
    use crate::config::edit::Edit;

    #[test]
    fn a_template_fills_what_is_empty() {
        let template = r#"
concurrent = 9
[[runners]]
token = "never taken"
limit = 7
name = "from template"
environment = ["A=1"]
[runners.kubernetes]
namespace = "ci"
image = "alpine"
[runners.kubernetes.node_selector]
arch = "amd64"
[[runners.kubernetes.volumes.empty_dir]]
name = "tmp"
"#;
        let mut entry = NewEntry::default();
        entry.set(&["name"], "given");
        entry.set(&["limit"], 0);
        entry.set(&["kubernetes", "namespace"], "mine");
        entry.set(&["kubernetes", "node_selector", "disk"], "ssd");
        entry.fill_from_template(Path::new("t.toml"), template).unwrap();
        let mut file = Edit::parse(Path::new("config.toml"), "").unwrap();
        file.append(entry).unwrap();
        assert_eq!(
            file.text(),
            r#"
[[runners]]
  name = "given"
  limit = 7
  environment = ["A=1"]

  [runners.kubernetes]
    namespace = "mine"
    image = "alpine"

    [runners.kubernetes.node_selector]
      disk = "ssd"
      arch = "amd64"

      [[runners.kubernetes.volumes.empty_dir]]
        name = "tmp"
"#
        );
    }

    #[test]
    fn a_template_has_one_entry() {
        let error =
            NewEntry::default().fill_from_template(Path::new("t.toml"), "concurrent = 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot change t.toml: a template has exactly one [[runners]] entry, this one has 0"
        );
    }
}
