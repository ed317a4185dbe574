//! `rules` of jobs, of `workflow` and of `include`. <https://docs.gitlab.com/ci/yaml/#rules>

mod clauses;
mod parse;

pub(crate) use clauses::{Changes, Clauses, Exists, ForeignFiles, World, changes};
pub(crate) use parse::{Rule, RuleWhen, RulesOf, parse_rules};
