//! `parallel`. <https://docs.gitlab.com/ci/yaml/#parallel>

use indexmap::IndexMap;

use super::super::check::Check;
use super::super::error::CompileError;
use super::super::yaml::{Node, Value};

/// Most instances of one job.
const MAX_INSTANCES: usize = 200;

/// How many instances of a job there are.
#[derive(Debug, Clone)]
pub(crate) enum Parallel {
    Count(u32),
    /// The variables of each instance, in the order of keys.
    Matrix(Vec<IndexMap<String, String>>),
}

/// Reads `parallel`: a number, or a hash with `matrix`.
pub(crate) fn parallel(check: &mut Check, node: &Node, location: &str) -> Option<Parallel> {
    match &node.value {
        Value::Int(count) => match u32::try_from(*count).ok().filter(|count| (1..=200).contains(count)) {
            Some(count) => Some(Parallel::Count(count)),
            None => {
                let bound =
                    if *count < 1 { "greater than or equal to 1" } else { "less than or equal to 200" };
                check.error(&node.span, format!("{location} parallel must be {bound}"));
                None
            }
        },
        Value::Map(_) => {
            let map = check.hash(node, location, &["matrix"])?;
            match map.get("matrix") {
                Some(matrix) => {
                    matrix_entries(check, matrix, &format!("{location}:matrix")).map(Parallel::Matrix)
                }
                None => {
                    check.error(&node.span, format!("{location} config missing required keys: matrix"));
                    None
                }
            }
        }
        _ => {
            let message = format!("{location} config must be an integer or a hash with matrix");
            let is_number = node.as_text().is_some_and(|text| text.parse::<u32>().is_ok());
            let help = if is_number {
                "write the number without quotes"
            } else {
                "for example: 5, or {matrix: [{A: [x, y]}]}"
            };
            check.push(CompileError::new(&node.span, message).help(help));
            None
        }
    }
}

/// Reads a matrix: for each entry the product of its values, the last key varying fastest.
pub(crate) fn matrix_entries(
    check: &mut Check,
    node: &Node,
    location: &str,
) -> Option<Vec<IndexMap<String, String>>> {
    let items = match node.as_list() {
        Some(items) if !items.is_empty() => items,
        Some(_) => {
            check.error(&node.span, format!("{location} config can't be blank"));
            return None;
        }
        None => {
            let message = format!("{location} config should be an array of hashes");
            let help = "begin each combination with a dash: - NAME: [values]";
            check.push(CompileError::new(&node.span, message).help(help));
            return None;
        }
    };
    let mut all = Vec::new();
    for item in items {
        let axes = axes(check, item, location)?;
        let mut product: Vec<IndexMap<String, String>> = vec![IndexMap::new()];
        for (key, values) in &axes {
            if product.len().saturating_mul(values.len()) > MAX_INSTANCES {
                return too_many(check, node, location);
            }
            product = product
                .iter()
                .flat_map(|instance| {
                    values.iter().map(|value| {
                        let mut instance = instance.clone();
                        instance.insert(key.clone(), value.clone());
                        instance
                    })
                })
                .collect();
        }
        all.extend(product);
        if all.len() > MAX_INSTANCES {
            return too_many(check, node, location);
        }
    }
    Some(all)
}

fn too_many<T>(check: &mut Check, node: &Node, location: &str) -> Option<T> {
    check
        .error(&node.span, format!("{location} config generates too many jobs (maximum is {MAX_INSTANCES})"));
    None
}

/// The variables of one entry, each with its values.
fn axes(check: &mut Check, item: &Node, location: &str) -> Option<Vec<(String, Vec<String>)>> {
    let Some(map) = item.as_map() else {
        check.error(&item.span, format!("{location} config should be an array of hashes"));
        return None;
    };
    if map.is_empty() {
        check.error(&item.span, format!("{location}:variables config can't be blank"));
        return None;
    }
    let mut axes = Vec::new();
    for (key, entry) in map.iter() {
        let values: Option<Vec<String>> = match entry.value.as_list() {
            Some(values) => values.iter().map(Node::scalar_text).collect(),
            None => entry.value.scalar_text().map(|value| vec![value]),
        };
        match values.filter(|values| !values.is_empty()) {
            Some(values) => axes.push((key.to_string(), values)),
            None => {
                let message = format!(
                    "{location}:variables config should be a hash of key value pairs, value can be an array"
                );
                check.error(&entry.value.span, message);
                return None;
            }
        }
    }
    Some(axes)
}
