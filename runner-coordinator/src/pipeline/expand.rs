//! Variables in texts, as the server expands them. <https://docs.gitlab.com/ci/variables/where_variables_can_be_used/>

use std::collections::HashMap;
use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::{Captures, Regex};

use super::expression::Lookup;
use super::job::Variable;

/// Longest value after expansion, in bytes.
const MAX_VALUE: usize = 1024 * 1024;
/// All values together after expansion, in bytes.
const MAX_TOTAL: usize = 16 * MAX_VALUE;

#[expect(clippy::expect_used, reason = "the pattern is a constant")]
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\$|%%|\$(?<plain>[a-zA-Z_][a-zA-Z0-9_]*)|\$\{(?<braced>[a-zA-Z_][a-zA-Z0-9_]*)\}|%(?<percent>[a-zA-Z_][a-zA-Z0-9_]*)%")
        .expect("constant pattern")
});

/// Variables by name, the later of two definitions winning, values expanded with each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    values: IndexMap<String, String>,
    weight: usize,
}

/// Why variables cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// Variables that refer to each other.
    Circular(Vec<String>),
    /// A value that grows too long.
    TooLong(String),
}

impl std::fmt::Display for ExpandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Circular(names) => write!(f, "circular variable reference detected: {names:?}"),
            Self::TooLong(name) => write!(f, "variable {name} becomes too long when it is expanded"),
        }
    }
}

impl Scope {
    /// A scope of variables in order of precedence, lowest first.
    pub(crate) fn new<'v>(variables: impl IntoIterator<Item = &'v Variable>) -> Result<Self, ExpandError> {
        let mut last: IndexMap<&str, &Variable> = IndexMap::new();
        for variable in variables {
            last.insert(&variable.key, variable);
        }
        let mut expander = Expander { variables: &last, done: HashMap::new(), open: Vec::new(), total: 0 };
        let mut values = IndexMap::with_capacity(last.len());
        for name in last.keys() {
            let value = expander.value(name)?;
            values.insert((*name).to_owned(), value);
        }
        Ok(Self { values, weight: expander.total })
    }

    /// Length in bytes of the values that were made by expanding.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// `text` with the variables of this scope; unknown names stay as written.
    pub(crate) fn expand(&self, text: &str) -> String {
        if !text.contains(['$', '%']) {
            return text.to_owned();
        }
        let expanded = REFERENCE.replace_all(text, |captures: &Captures<'_>| {
            let whole = captures.get(0).map_or("", |found| found.as_str());
            name(captures).and_then(|name| self.values.get(name)).map_or(whole, String::as_str).to_owned()
        });
        expanded.into_owned()
    }
}

impl Lookup for Scope {
    fn variable(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

struct Expander<'v> {
    variables: &'v IndexMap<&'v str, &'v Variable>,
    done: HashMap<&'v str, String>,
    open: Vec<&'v str>,
    total: usize,
}

/// Deepest chain of variables that refer to each other.
const MAX_CHAIN: usize = 100;

impl<'v> Expander<'v> {
    fn value(&mut self, name: &'v str) -> Result<String, ExpandError> {
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        let Some(variable) = self.variables.get(name).copied() else { return Ok(String::new()) };
        if variable.raw || !variable.value.contains(['$', '%']) {
            self.done.insert(name, variable.value.clone());
            return Ok(variable.value.clone());
        }
        if let Some(start) = self.open.iter().position(|open| *open == name) {
            return Err(ExpandError::Circular(
                self.open[start..].iter().map(|open| (*open).to_owned()).collect(),
            ));
        }
        if self.open.len() >= MAX_CHAIN {
            return Err(ExpandError::TooLong(name.to_owned()));
        }
        self.open.push(name);
        let mut value = String::with_capacity(variable.value.len());
        let mut at = 0;
        for captures in REFERENCE.captures_iter(&variable.value) {
            let Some(whole) = captures.get(0) else { continue };
            value.push_str(variable.value.get(at..whole.start()).unwrap_or_default());
            at = whole.end();
            value.push_str(&self.replacement(name, &captures, whole.as_str())?);
            if value.len() > MAX_VALUE {
                return Err(ExpandError::TooLong(name.to_owned()));
            }
        }
        value.push_str(variable.value.get(at..).unwrap_or_default());
        self.total = self.total.saturating_add(value.len());
        if self.total > MAX_TOTAL {
            return Err(ExpandError::TooLong(name.to_owned()));
        }
        self.open.pop();
        self.done.insert(name, value.clone());
        Ok(value)
    }

    /// References to itself, to unknown and to raw variables are left for the runner.
    fn replacement(
        &mut self,
        own: &str,
        captures: &Captures<'_>,
        whole: &str,
    ) -> Result<String, ExpandError> {
        let Some(reference) = name(captures).filter(|reference| *reference != own) else {
            return Ok(whole.to_owned());
        };
        match self.variables.get_key_value(reference) {
            Some((key, variable)) if !variable.raw => self.value(key),
            _ => Ok(whole.to_owned()),
        }
    }
}

fn name<'t>(captures: &Captures<'t>) -> Option<&'t str> {
    ["plain", "braced", "percent"].iter().find_map(|group| captures.name(group)).map(|found| found.as_str())
}

#[cfg(test)]
mod tests {
    use super::{ExpandError, Lookup, Scope, Variable};

    fn variables(pairs: &[(&str, &str)]) -> Vec<Variable> {
        pairs
            .iter()
            .map(|(key, value)| Variable { key: (*key).to_owned(), value: (*value).to_owned(), raw: false })
            .collect()
    }

    fn value(pairs: &[(&str, &str)], name: &str) -> String {
        Scope::new(&variables(pairs)).unwrap().variable(name).unwrap().to_owned()
    }

    #[test]
    fn scenario_31_unknown_names_stay() {
        assert_eq!(value(&[("B", "$A-$C"), ("A", "x")], "B"), "x-$C");
    }

    #[test]
    fn nested_overridden_and_self_references() {
        assert_eq!(value(&[("A", "$B"), ("B", "${C}!"), ("C", "%D%"), ("D", "d")], "A"), "d!");
        assert_eq!(value(&[("A", "$B"), ("B", "1"), ("B", "2")], "A"), "2");
        assert_eq!(value(&[("PATH", "$PATH:/x")], "PATH"), "$PATH:/x");
        assert_eq!(value(&[("A", "$$B"), ("B", "1")], "A"), "$$B");
    }

    #[test]
    fn raw_values_stay_raw() {
        let mut list = variables(&[("A", "$B"), ("B", "b"), ("C", "$A")]);
        list[0].raw = true;
        let scope = Scope::new(&list).unwrap();
        assert_eq!(scope.variable("A"), Some("$B"));
        assert_eq!(scope.variable("C"), Some("$A"));
    }

    #[test]
    fn loops_and_explosions_are_errors() {
        let error = Scope::new(&variables(&[("A", "$B"), ("B", "$A")])).unwrap_err();
        assert_eq!(error, ExpandError::Circular(vec!["A".to_owned(), "B".to_owned()]));
        let mut pairs = vec![("V0".to_owned(), "0123456789".to_owned())];
        for level in 1..30 {
            pairs.push((format!("V{level}"), format!("$V{}", level - 1).repeat(10)));
        }
        let list: Vec<Variable> =
            pairs.into_iter().map(|(key, value)| Variable { key, value, raw: false }).collect();
        assert!(matches!(Scope::new(&list), Err(ExpandError::TooLong(_))));
    }
}
