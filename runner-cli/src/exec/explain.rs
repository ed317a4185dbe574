//! `exec --explain` and `--explain-variables`: why a job is in or out, and where its variables come from.

use std::collections::BTreeMap;
use std::io::Write;

use runner_coordinator::pipeline::{Explanation, RuleTrace, Verdict};
use runner_coordinator::run::{Definition, Level};

use super::compile::Inputs;

/// Longest value that is shown.
const LONGEST: usize = 100;

/// Prints what decided about jobs.
pub(super) fn print(
    out: &mut dyn Write,
    explanations: &[Explanation],
    inputs: &Inputs<'_>,
) -> std::io::Result<()> {
    let given = inputs.variables;
    // Other variables may hold them, too.
    let hidden: Vec<&str> = given
        .project
        .iter()
        .chain(&given.pipeline)
        .filter(|variable| (variable.masked || variable.file) && !variable.value.is_empty())
        .map(|variable| variable.value.as_str())
        .collect();
    for (position, why) in explanations.iter().enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{} ({})", why.job, why.span)?;
        if position == 0 || matches!(why.verdict, Verdict::NoPipeline) {
            rules(out, "workflow rule", &why.workflow, &hidden)?;
        }
        rules(out, "rule", &why.rules, &hidden)?;
        let verdict = match &why.verdict {
            Verdict::In { when } => format!("takes part, when: {}", when.as_str()),
            Verdict::Out if why.rules.iter().any(|rule| rule.matches && rule.when.is_some()) => {
                "is left out: the rule that matches says never".to_owned()
            }
            Verdict::Out => "is left out: nothing lets it in".to_owned(),
            Verdict::NoPipeline => "is left out with the whole pipeline, by the workflow rules".to_owned(),
            Verdict::Invalid(error) => format!("cannot be decided: {error}"),
            _ => "is decided in a way that this program does not know".to_owned(),
        };
        writeln!(out, "  => {verdict}")?;
    }
    Ok(())
}

/// Prints the variables of jobs by name, with where they come from and what they win over.
pub(super) fn print_variables<'a>(
    out: &mut dyn Write,
    jobs: impl Iterator<Item = (&'a str, Vec<Definition>)>,
) -> std::io::Result<()> {
    for (position, (job, definitions)) in jobs.enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{job}")?;
        let secrets: Vec<&str> = definitions
            .iter()
            .filter(|definition| is_secret(definition) && !definition.variable.value.is_empty())
            .map(|definition| definition.variable.value.as_str())
            .collect();
        let mut by_name: BTreeMap<&str, Vec<&Definition>> = BTreeMap::new();
        for definition in &definitions {
            by_name.entry(&definition.variable.key).or_default().push(definition);
        }
        for (name, mut of_name) in by_name {
            let Some(last) = of_name.pop() else { continue };
            writeln!(out, "  {name} = {}  ({})", shown(last, &secrets), level(last.level))?;
            for lost in of_name.iter().rev() {
                writeln!(out, "    over {}  ({})", shown(lost, &secrets), level(lost.level))?;
            }
        }
    }
    Ok(())
}

fn shown(definition: &Definition, secrets: &[&str]) -> String {
    if is_secret(definition) {
        return "[MASKED]".to_owned();
    }
    let value = definition.variable.value.clone();
    format!("{:?}", secrets.iter().fold(value, |value, secret| value.replace(secret, "[MASKED]")))
}

fn is_secret(definition: &Definition) -> bool {
    definition.variable.masked || definition.variable.file
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Predefined => "predefined",
        Level::File => "the pipeline's file",
        Level::User => "git's user",
        Level::Dotenv => "a dotenv report",
        Level::Project => "--variables-file",
        Level::Pipeline => "--variable",
        Level::Environment => "the environment",
    }
}

fn rules(out: &mut dyn Write, what: &str, rules: &[RuleTrace], hidden: &[&str]) -> std::io::Result<()> {
    for rule in rules {
        let verdict = if rule.matches { "matches" } else { "does not match" };
        let when = rule.when.as_ref().map_or(String::new(), |when| format!(", when: {when}"));
        writeln!(out, "  {}: {what} {verdict}{when}", rule.span)?;
        for clause in &rule.clauses {
            let verdict = if clause.holds { "true " } else { "false" };
            let reason = clause.reason.as_ref().map_or(String::new(), |reason| format!("  ({reason})"));
            writeln!(out, "    {verdict} {}{reason}", clause.text)?;
            for (name, value) in &clause.variables {
                let value = value.as_ref().map(|value| {
                    hidden.iter().fold(value.clone(), |value, secret| value.replace(secret, "[MASKED]"))
                });
                let value = match value {
                    None => "is not defined".to_owned(),
                    Some(value) if value.chars().count() > LONGEST => {
                        format!("= {:?}…", value.chars().take(LONGEST).collect::<String>())
                    }
                    Some(value) => format!("= {value:?}"),
                };
                writeln!(out, "            ${name} {value}")?;
            }
        }
    }
    Ok(())
}
