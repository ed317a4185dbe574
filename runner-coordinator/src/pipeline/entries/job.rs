//! One job. <https://docs.gitlab.com/ci/yaml/#job-keywords>

use super::super::check::{Check, not_strings, strings};
use super::super::error::{Code, CompileError};
use super::super::expression::Pattern;
use super::super::job::{
    AllowFailure, Artifacts, Forward, Job, Trigger, TriggerTarget, Variable, When, Work,
};
use super::super::rules::{Rule, RuleWhen, RulesOf, parse_rules};
use super::super::span::Span;
use super::super::suggest::closest_of;
use super::super::yaml::{Entry, Map, Node};
use super::default::Inheritable;
use super::environment::environment;
use super::inherit::{Inherit, inherit};
use super::kind::nothing_to_do;
use super::needs::{NeedSpec, Needs, needs};
use super::parallel::{Parallel, parallel};
use super::policy::Policy;
use super::retry::allow_failure;
use super::server;
use super::start::{policies, start_in, when};
use super::trigger::trigger;
use super::variables::job_variables;

/// Keys of jobs that run a script.
pub(super) const JOB_KEYS: [&str; 37] = [
    "script",
    "run",
    "before_script",
    "after_script",
    "stage",
    "extends",
    "image",
    "services",
    "tags",
    "variables",
    "rules",
    "only",
    "except",
    "when",
    "start_in",
    "allow_failure",
    "needs",
    "dependencies",
    "artifacts",
    "cache",
    "retry",
    "timeout",
    "parallel",
    "interruptible",
    "resource_group",
    "environment",
    "coverage",
    "inherit",
    "release",
    "secrets",
    "id_tokens",
    "identity",
    "hooks",
    "pages",
    "publish",
    "manual_confirmation",
    "inputs",
];
/// Keys of jobs that trigger a pipeline.
const TRIGGER_KEYS: [&str; 16] = [
    "trigger",
    "stage",
    "extends",
    "variables",
    "rules",
    "only",
    "except",
    "when",
    "allow_failure",
    "needs",
    "parallel",
    "interruptible",
    "resource_group",
    "environment",
    "inherit",
    "manual_confirmation",
];
/// Keys that mean the same to everybody and nothing here.
const SILENT_KEYS: [&str; 1] = ["dast_configuration"];
/// The old name of `stage`.
const OLD_STAGE: &str = "type";

const MAX_NAME: usize = 255;

/// A job as written, names of other jobs not yet resolved.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The job without instances, needs, dependencies and variables.
    pub(crate) job: Job,
    pub(crate) variables: Vec<Variable>,
    pub(crate) inherit_variables: Inherit,
    pub(crate) parallel: Option<Parallel>,
    pub(crate) needs: Option<Vec<NeedSpec>>,
    pub(crate) dependencies: Option<(Vec<String>, Span)>,
    pub(crate) rules: Option<Vec<Rule>>,
    pub(crate) only: Option<Policy>,
    pub(crate) except: Option<Policy>,
    /// Where `stage` stands, or the job if there is none.
    pub(crate) stage_span: Span,
    /// Keywords that cannot be honoured here.
    pub(crate) unsupported: Vec<CompileError>,
}

/// What jobs need to know of the rest of the configuration.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) default: Inheritable,
    pub(crate) has_workflow_rules: bool,
}

/// Reads one visible job.
pub(crate) fn job(check: &mut Check, name: &str, entry: &Entry, around: &Surroundings) -> Option<Draft> {
    let location = format!("jobs:{name}");
    check_name(check, name, entry);
    let Some(map) = entry.value.as_map() else {
        check.push(nothing_to_do(name, entry));
        return None;
    };
    let needs = map.get("needs").and_then(|node| needs(check, node, &format!("{location}:needs")));
    let is_bridge = needs.as_ref().is_some_and(|needs| needs.bridge) && map.entry("script").is_none();
    if map.get("trigger").is_some() || is_bridge {
        return trigger_job(check, name, entry, map, needs, around);
    }
    check_work(check, name, entry, map, &location);
    check.known_keys(map, &location, &[&JOB_KEYS[..], &SILENT_KEYS[..], &[OLD_STAGE][..]].concat());
    let script = map.get("script").and_then(|node| {
        let script = check.commands(node, &format!("{location}:script"))?;
        if script.is_empty() || node.as_text().is_some_and(|text| text.trim().is_empty()) {
            check.error(&node.span, format!("{location} script can't be blank"));
        }
        Some(script)
    });
    let own = Inheritable::parse(check, map, &location);
    let (inherit_default, inherit_variables) = inherited_names(check, map, &location);
    let inherited = own.inherit(&around.default, &inherit_default);
    let unsupported = server::unsupported(map, name);
    note_ignored(check, &inherited);
    let work = Work::Script {
        before_script: inherited.before_script.clone().unwrap_or_default(),
        script: script.unwrap_or_default(),
        after_script: inherited.after_script.clone().unwrap_or_default(),
    };
    let mut draft = common(check, name, entry, map, needs, work, around);
    draft.inherit_variables = inherit_variables;
    draft.unsupported = unsupported;
    fill(check, name, map, &location, inherited, &mut draft);
    Some(draft)
}

/// Keywords of script jobs only.
fn fill(check: &mut Check, name: &str, map: &Map, location: &str, inherited: Inheritable, draft: &mut Draft) {
    let job = &mut draft.job;
    job.image = inherited.image;
    job.services = inherited.services.unwrap_or_default();
    job.cache = inherited.cache.unwrap_or_default();
    job.artifacts = inherited.artifacts;
    job.retry = inherited.retry.unwrap_or_default();
    job.timeout = inherited.timeout;
    job.tags = inherited.tags.unwrap_or_default();
    job.interruptible = inherited.interruptible.unwrap_or_default();
    job.pre_get_sources_script = inherited.hooks.unwrap_or_default();
    job.coverage = coverage(check, map, location);
    job.id_tokens = inherited.id_tokens.unwrap_or_default();
    if let Some(node) = map.get("secrets") {
        job.secrets = server::secrets(check, node, &format!("{location}:secrets"));
    }
    if let Some(node) = map.get("inputs") {
        job.inputs = server::inputs(check, node, &format!("{location}:inputs"));
    }
    if let Some(node) = map.get("release") {
        job.release = server::release(check, node, &format!("{location}:release"));
    }
    if let Some(publish) = server::pages(check, name, map, location) {
        job.pages = Some(publish.clone());
        let artifacts = job.artifacts.get_or_insert_with(Artifacts::default);
        if !artifacts.paths.contains(&publish) {
            artifacts.paths.push(publish);
        }
    }
    if let Some(node) = map.get("dependencies") {
        let names = check.strings(node, &format!("{location} dependencies"));
        draft.dependencies = names.map(|names| (names, node.span.clone()));
    }
}

fn trigger_job(
    check: &mut Check,
    name: &str,
    entry: &Entry,
    map: &Map,
    needs: Option<Needs>,
    around: &Surroundings,
) -> Option<Draft> {
    let location = format!("jobs:{name}");
    let together: Vec<&str> = ["script", "run"].into_iter().filter(|key| map.get(key).is_some()).collect();
    if !together.is_empty() {
        let message =
            format!("{location} config these keys cannot be used together: {}, trigger", together.join(", "));
        check.error(&entry.key_span, message);
        return None;
    }
    trigger_keys(check, map, &location);
    let work = match map.get("trigger") {
        Some(node) => Work::Trigger(trigger(check, node, &format!("{location}:trigger"))?),
        // Only a bridge `needs: {pipeline: …}`: it mirrors the status of another project's pipeline, which is not known here.
        None => {
            let project = needs.as_ref().and_then(|needs| needs.upstream.clone()).unwrap_or_default();
            Work::Trigger(Trigger {
                target: TriggerTarget::Project { project, branch: None },
                depend: false,
                forward: Forward::default(),
            })
        }
    };
    let own = check.flag(map, "interruptible", &location);
    let (inherit_default, inherit_variables) = inherited_names(check, map, &location);
    let inherited = inherit_default.allows("interruptible").then_some(around.default.interruptible).flatten();
    let mut draft = common(check, name, entry, map, needs, work, around);
    draft.inherit_variables = inherit_variables;
    draft.job.interruptible = own.or(inherited).unwrap_or_default();
    trigger_limits(check, map, &location, &draft);
    Some(draft)
}

/// A trigger runs nothing itself, so that much has no meaning for it.
fn trigger_keys(check: &mut Check, map: &Map, location: &str) {
    let known = |key: &&str| TRIGGER_KEYS.contains(key) || *key == OLD_STAGE;
    let unknown: Vec<&str> = map.iter().map(|(key, _)| &**key).filter(|key| !known(key)).collect();
    let Some(entry) = unknown.first().and_then(|key| map.entry(key)) else { return };
    let message = format!("{location} config contains unknown keys: {}", unknown.join(", "));
    let help = match unknown.iter().find(|key| JOB_KEYS.contains(key)) {
        Some(key) => format!("a job with `trigger` runs nothing itself: `{key}` has no meaning for it"),
        None => closest_of(
            &unknown,
            &TRIGGER_KEYS,
            &format!("a job with `trigger` knows {}", TRIGGER_KEYS.join(", ")),
        ),
    };
    check.push(CompileError::new(&entry.key_span, message).code(Code::UnknownKey).help(help));
}

/// What jobs with a script may say and triggers may not.
fn trigger_limits(check: &mut Check, map: &Map, location: &str, draft: &Draft) {
    if let (Some(Parallel::Count(_)), Some(node)) = (&draft.parallel, map.get("parallel")) {
        check.error(&node.span, format!("{location}:parallel config should be a hash"));
    }
    if let (When::Delayed, Some(node)) = (draft.job.when, map.get("when")) {
        let message = format!("{location} when should be one of: on_success, on_failure, always, manual");
        check.error(&node.span, message);
    }
    if let (AllowFailure::ExitCodes(_), Some(node)) = (&draft.job.allow_failure, map.get("allow_failure")) {
        check.error(&node.span, format!("{location} allow failure should be a boolean value"));
    }
}

/// Keywords of both kinds of jobs.
fn common(
    check: &mut Check,
    name: &str,
    entry: &Entry,
    map: &Map,
    needs: Option<Needs>,
    work: Work,
    around: &Surroundings,
) -> Draft {
    let location = format!("jobs:{name}");
    extends(check, map, &location);
    let when = when(check, map, &location);
    let failure = map
        .get("allow_failure")
        .and_then(|node| allow_failure(check, node, &format!("{location}:allow_failure")));
    let rules =
        map.get("rules").map(|node| parse_rules(check, node, &format!("{location}:rules"), RulesOf::Job));
    let (only, except) = policies(check, map, &location, rules.is_some(), around);
    let environment =
        map.get("environment").and_then(|node| environment(check, node, &format!("{location}:environment")));
    if environment.is_some() {
        check.ignore("environment");
    }
    let start_in = start_in(check, map, &location, when, rules.is_some());
    let stage_key =
        if map.get("stage").is_none() && map.get(OLD_STAGE).is_some() { OLD_STAGE } else { "stage" };
    if let Some(entry) = map.entry(OLD_STAGE).filter(|_| stage_key == OLD_STAGE) {
        check.warn(&entry.key_span, format!("{location} `type` is the old name of `stage`"));
    }
    if let Some(rules) = rules.as_ref().filter(|_| !around.has_workflow_rules) {
        warn_of_several_pipelines(check, rules, &location);
    }
    let default_failure = if when == Some(When::Manual) { AllowFailure::Yes } else { AllowFailure::No };
    Draft {
        job: Job {
            when: when.unwrap_or(When::OnSuccess),
            start_in,
            allow_failure: failure.unwrap_or(default_failure),
            resource_group: check.text(map, "resource_group", &location),
            environment,
            manual_confirmation: check.text(map, "manual_confirmation", &location),
            foreign_needs: needs.as_ref().map(|needs| needs.foreign.clone()).unwrap_or_default(),
            span: entry.key_span.clone(),
            ..Job::new(name, check.text(map, stage_key, &location).unwrap_or_else(|| "test".to_owned()), work)
        },
        variables: map
            .get("variables")
            .map(|node| job_variables(check, node, &format!("{location}:variables")))
            .unwrap_or_default(),
        inherit_variables: Inherit::All,
        parallel: map.get("parallel").and_then(|node| parallel(check, node, &format!("{location}:parallel"))),
        needs: needs.map(|needs| needs.jobs),
        dependencies: None,
        rules,
        only,
        except,
        stage_span: map.entry(stage_key).map_or(&entry.key_span, |stage| &stage.value.span).clone(),
        unsupported: Vec::new(),
    }
}

/// A last rule that always matches lets the job into the pipelines of branch and merge request alike.
fn warn_of_several_pipelines(check: &mut Check, rules: &[Rule], location: &str) {
    let Some(last) = rules.last() else { return };
    if last.clauses.is_empty() && last.when.is_some_and(|when| when != RuleWhen::Never) {
        let message = format!(
            "{location} may allow multiple pipelines to run for a single action due to `rules:when` clause with no \
             `workflow:rules`"
        );
        check.warn(&last.span, message);
    }
}

fn check_name(check: &mut Check, name: &str, entry: &Entry) {
    if name.trim().is_empty() {
        check.error(&entry.key_span, "jobs config contains an empty job name");
    }
    if name.chars().count() > MAX_NAME {
        check.error(
            &entry.key_span,
            format!("jobs:{name} name is too long (maximum is {MAX_NAME} characters)"),
        );
    }
    if matches!(name, "true" | "false" | "nil") {
        check.error(&entry.key_span, format!("jobs:{name} name is not allowed"));
    }
}

/// A job needs exactly one thing to do.
fn check_work(check: &mut Check, name: &str, entry: &Entry, map: &Map, location: &str) {
    match (map.entry("script"), map.get("run")) {
        (None, None) => check.push(nothing_to_do(name, entry)),
        (Some(script), None) if script.value.is_null() => {
            check.error(&script.key_span, format!("{location} script can't be blank"));
        }
        (_, Some(run)) => {
            let together: Vec<&str> = ["script", "before_script", "after_script"]
                .into_iter()
                .filter(|key| map.get(key).is_some())
                .collect();
            if !together.is_empty() {
                let keys = together.join(", ");
                let message = format!("{location} config these keys cannot be used together: run, {keys}");
                check.error(&run.span, message);
            }
        }
        (Some(_), None) => {}
    }
}

fn note_ignored(check: &mut Check, inherited: &Inheritable) {
    if inherited.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        check.ignore("tags");
    }
    if inherited.identity.is_some() {
        check.ignore("identity");
    }
}

/// What of `default` and which variables of the top level the job inherits.
fn inherited_names(check: &mut Check, map: &Map, location: &str) -> (Inherit, Inherit) {
    match map.get("inherit") {
        Some(node) => inherit(check, node, &format!("{location}:inherit")),
        None => <_>::default(),
    }
}

fn extends(check: &mut Check, map: &Map, location: &str) {
    let wrong = |node: &&Node| node.as_text().is_none() && strings(node).is_none();
    if let Some(node) = map.get("extends").filter(wrong) {
        check
            .push(not_strings(node, format!("{location} extends should be an array of strings or a string")));
    }
}

/// The expression between the slashes. With flags after it the server looks for the whole text, slashes included.
fn coverage(check: &mut Check, map: &Map, location: &str) -> Option<String> {
    let node = map.get("coverage")?;
    let source = node.as_text().filter(|text| Pattern::parse(text).is_ok());
    let Some(text) = source else {
        let message = format!("{location}:coverage config must be a regular expression with re2 syntax");
        check.push(CompileError::new(&node.span, message).help("write it between slashes: /Total: (\\d+)%/"));
        return None;
    };
    let between = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    if between.is_none() {
        check.warn(
            &node.span,
            format!(
                "{location}:coverage has flags, so that its slashes are looked for as well; write (?i) inside"
            ),
        );
    }
    Some(between.unwrap_or(text).to_owned())
}
