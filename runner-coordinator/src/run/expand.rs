//! What the server does to references between variables before it sends them.
//!
//! Values are expanded with each other in the order of their dependencies. What the server leaves alone, the runner
//! expands: unknown names, a variable's own name, `$$`, and references to file and raw variables.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::variable::JobVariable;

/// All values together after expansion, in bytes.
const MAX_TOTAL: usize = 16 * 1024 * 1024;

/// Why variables cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// Variables that refer to each other in a circle.
    #[error("circular variable reference detected: {names:?}")]
    Circular {
        /// The names in the circle, in the order in which they refer to each other.
        names: Vec<String>,
    },
    /// References that multiply: all values together would take more than 16 MiB.
    #[error("variable {name} becomes too long when it is expanded")]
    TooLong {
        /// The variable at which the limit was passed.
        name: String,
    },
}

/// Sorts variables so that each comes after those it refers to, and expands their values.
///
/// Independent ones keep their order. Of several definitions of a name the last counts; all are kept, the last one
/// last.
///
/// # Errors
/// When variables refer to each other in a circle, or grow without end. One that refers to itself is no error.
pub fn sort_and_expand(variables: &[JobVariable]) -> Result<Vec<JobVariable>, ExpandError> {
    let order = Sorter::new(variables).sorted()?;
    let mut values = Values::default();
    let mut total = 0;
    let mut expanded = |variable: &JobVariable, values: &Values| {
        let mut expanded = variable.clone();
        if !variable.raw {
            expanded.value = values.expand(&variable.value, Some(&variable.key));
        }
        total += expanded.value.len();
        if total > MAX_TOTAL { Err(ExpandError::TooLong { name: expanded.key }) } else { Ok(expanded) }
    };
    let mut effective = HashMap::new();
    for index in order.effective {
        let variable = expanded(&variables[index], &values)?;
        values.add(&variable);
        effective.insert(index, variable);
    }
    let take = |index: usize| match effective.remove(&index) {
        Some(variable) => Ok(variable),
        None => expanded(&variables[index], &values),
    };
    order.all.into_iter().map(take).collect()
}

/// The text with all references replaced by the values of `variables`, which are expanded already; unknown names stay.
pub(super) fn expand(text: &str, variables: &[JobVariable]) -> String {
    let mut values = Values::default();
    for variable in variables {
        values.add(variable);
    }
    values.expand(text, None)
}

/// The last value of a name.
pub(super) fn lookup<'a>(variables: &'a [JobVariable], key: &str) -> Option<&'a str> {
    variables.iter().rev().find(|variable| variable.key == key).map(|variable| variable.value.as_str())
}

static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\$\$|%%|\$(?P<a>[A-Za-z_][A-Za-z0-9_]*)|\$\{(?P<b>[A-Za-z_][A-Za-z0-9_]*)\}|%(?P<c>[A-Za-z_][A-Za-z0-9_]*)%")
        .ok()
});

fn name_of<'a>(captures: &Captures<'a>) -> Option<&'a str> {
    ["a", "b", "c"].iter().find_map(|group| captures.name(group)).map(|name| name.as_str())
}

fn references(text: &str) -> Vec<&str> {
    match &*REFERENCE {
        Some(regex) if text.contains(['$', '%']) => {
            regex.captures_iter(text).filter_map(|captures| name_of(&captures)).collect()
        }
        _ => Vec::new(),
    }
}

/// Values that references may be replaced by.
#[derive(Default)]
struct Values(HashMap<String, Option<String>>);

impl Values {
    fn add(&mut self, variable: &JobVariable) {
        let value = (!variable.raw && !variable.file).then(|| variable.value.clone());
        self.0.insert(variable.key.clone(), value);
    }

    fn expand(&self, text: &str, own_name: Option<&str>) -> String {
        let Some(regex) = REFERENCE.as_ref().filter(|_| text.contains(['$', '%'])) else {
            return text.to_owned();
        };
        let replaced = regex.replace_all(text, |captures: &Captures<'_>| {
            let value = name_of(captures)
                .filter(|name| Some(*name) != own_name)
                .and_then(|name| self.0.get(name))
                .and_then(Option::as_ref);
            value.cloned().unwrap_or_else(|| captures[0].to_owned())
        });
        replaced.into_owned()
    }
}

struct Order {
    all: Vec<usize>,
    /// The last definition of each name, in the order of dependencies.
    effective: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Depth-first topological sort. Only last definitions have dependencies: a definition that is overridden changes
/// nothing, it merely has to stay before the one that overrides it.
struct Sorter<'a> {
    variables: &'a [JobVariable],
    definitions: HashMap<&'a str, Vec<usize>>,
    marks: Vec<Mark>,
    order: Order,
}

impl<'a> Sorter<'a> {
    fn new(variables: &'a [JobVariable]) -> Self {
        let mut definitions: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, variable) in variables.iter().enumerate() {
            definitions.entry(&variable.key).or_default().push(index);
        }
        let order = Order { all: Vec::new(), effective: Vec::new() };
        Self { variables, definitions, marks: vec![Mark::New; variables.len()], order }
    }

    fn sorted(mut self) -> Result<Order, ExpandError> {
        for index in 0..self.variables.len() {
            if self.is_effective(index) {
                self.visit(index)?;
            } else if self.marks[index] == Mark::New {
                self.emit(index);
            }
        }
        Ok(self.order)
    }

    /// Visits one last definition and all it depends on, with an explicit stack: a chain of references may be as long
    /// as the list.
    fn visit(&mut self, root: usize) -> Result<(), ExpandError> {
        if self.marks[root] != Mark::New {
            return Ok(());
        }
        self.marks[root] = Mark::Open;
        let mut stack = vec![(root, self.dependencies(root))];
        while let Some((index, dependencies)) = stack.last_mut() {
            let index = *index;
            let Some(next) = dependencies.pop() else {
                self.finish(index);
                stack.pop();
                continue;
            };
            match self.marks[next] {
                Mark::Done => {}
                Mark::New => {
                    self.marks[next] = Mark::Open;
                    stack.push((next, self.dependencies(next)));
                }
                Mark::Open => {
                    let circle = stack.iter().map(|(index, _)| *index).skip_while(|index| *index != next);
                    let names = circle.map(|index| self.variables[index].key.clone()).collect();
                    return Err(ExpandError::Circular { names });
                }
            }
        }
        Ok(())
    }

    /// Last definitions that a value refers to, in reverse order of their appearance.
    fn dependencies(&self, index: usize) -> Vec<usize> {
        let variable = &self.variables[index];
        if variable.raw {
            return Vec::new();
        }
        let names = references(&variable.value).into_iter().rev().filter(|name| *name != variable.key);
        names.filter_map(|name| self.definitions.get(name)?.last().copied()).collect()
    }

    fn finish(&mut self, index: usize) {
        let earlier = self.definitions.get(self.variables[index].key.as_str()).cloned().unwrap_or_default();
        for index in earlier {
            if self.marks[index] == Mark::New {
                self.emit(index);
            }
        }
        self.order.effective.push(index);
        self.emit(index);
    }

    fn emit(&mut self, index: usize) {
        self.marks[index] = Mark::Done;
        self.order.all.push(index);
    }

    fn is_effective(&self, index: usize) -> bool {
        let key = self.variables[index].key.as_str();
        self.definitions.get(key).and_then(|definitions| definitions.last()) == Some(&index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<JobVariable> {
        pairs.iter().map(|(key, value)| JobVariable::new(*key, *value)).collect()
    }

    fn expanded(pairs: &[(&str, &str)]) -> Vec<String> {
        let all = sort_and_expand(&variables(pairs)).unwrap();
        all.iter().map(|variable| format!("{}={}", variable.key, variable.value)).collect()
    }

    // Conformance scenario 31, the server's half.
    #[test]
    fn unknown_names_stay_and_order_follows_dependencies() {
        assert_eq!(expanded(&[("B", "$A-$C"), ("A", "x")]), ["A=x", "B=x-$C"]);
        assert_eq!(expanded(&[("C", "${B}%A%"), ("B", "[$A]"), ("A", "1")]), ["A=1", "B=[1]", "C=[1]1"]);
        assert_eq!(expanded(&[("X", "$$A %% 50%"), ("A", "1")]), ["X=$$A %% 50%", "A=1"]);
    }

    #[test]
    fn a_reference_to_itself_is_left_to_the_runner() {
        assert_eq!(expanded(&[("PATH", "$PATH:/x"), ("A", "$PATH")]), ["PATH=$PATH:/x", "A=$PATH:/x"]);
    }

    #[test]
    fn the_last_definition_counts_and_stays_last() {
        assert_eq!(expanded(&[("A", "$B"), ("B", "1"), ("B", "2")]), ["B=1", "B=2", "A=2"]);
        // The overridden `A` would close a circle; the one that counts does not.
        assert_eq!(expanded(&[("A", "$B"), ("B", "$A"), ("A", "x")]), ["A=x", "A=x", "B=x"]);
    }

    // Conformance scenario 33.
    #[test]
    fn raw_and_file_variables_are_neither_expanded_nor_inserted() {
        let mut all = variables(&[("A", "$B"), ("B", "b"), ("C", "$A"), ("F", "text"), ("G", "$F")]);
        all[0].raw = true;
        all[3].file = true;
        let all = sort_and_expand(&all).unwrap();
        let value = |key| lookup(&all, key).unwrap();
        assert_eq!((value("A"), value("C"), value("G")), ("$B", "$A", "$F"));
        assert!(all.iter().any(|variable| variable.key == "A" && variable.raw));
    }

    #[test]
    fn circles_are_named() {
        let error = sort_and_expand(&variables(&[("X", "$A"), ("A", "$B"), ("B", "$A")])).unwrap_err();
        assert_eq!(error.to_string(), r#"circular variable reference detected: ["A", "B"]"#);
    }

    #[test]
    fn values_that_multiply_are_refused() {
        let mut all = variables(&[("V0", "0123456789")]);
        for level in 1..30 {
            all.push(JobVariable::new(format!("V{level}"), format!("$V{}", level - 1).repeat(10)));
        }
        assert!(matches!(sort_and_expand(&all), Err(ExpandError::TooLong { .. })));
    }

    #[test]
    fn long_chains_do_not_need_a_deep_stack() {
        let keys: Vec<String> = (0..20_000).map(|n| format!("V{n}")).collect();
        let mut all: Vec<JobVariable> =
            keys.windows(2).map(|pair| JobVariable::new(&pair[0], format!("${}", pair[1]))).collect();
        all.push(JobVariable::new(keys.last().unwrap(), "end"));
        assert_eq!(lookup(&sort_and_expand(&all).unwrap(), "V0"), Some("end"));
    }
}
