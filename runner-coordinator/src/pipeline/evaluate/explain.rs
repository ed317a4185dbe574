//! Why a job takes part in a pipeline, or does not: rule by rule, with the values that decide.

use super::super::config::Config;
use super::super::context::Facts;
use super::super::entries::policy::Policy;
use super::super::entries::variables::merge;
use super::super::expand::Scope;
use super::super::expression::Lookup;
use super::super::graph::Planned;
use super::super::job::When;
use super::super::rules::{Clauses, Rule, RuleWhen, World};
use super::super::span::Span;
use super::decide::Evaluation;
use super::pipeline::EvaluateError;
use super::policy;

/// How one job was decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Full name of the job.
    pub job: String,
    /// Where the job is written.
    pub span: Span,
    /// `workflow:rules` as far as they were looked at.
    pub workflow: Vec<RuleTrace>,
    /// The job's `rules` as far as they were looked at; `only` and `except` as one entry for each of their keys.
    pub rules: Vec<RuleTrace>,
    /// What came out.
    pub verdict: Verdict,
}

/// Whether a job takes part, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It takes part.
    In {
        /// When it starts once its predecessors are done.
        when: When,
    },
    /// Its rules leave it out.
    Out,
    /// `workflow:rules` leave the whole pipeline out.
    NoPipeline,
    /// It cannot be decided.
    Invalid(String),
}

/// One rule and whether it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleTrace {
    /// Where the rule is written.
    pub span: Span,
    /// Its conditions; without any it always matches.
    pub clauses: Vec<ClauseTrace>,
    /// Whether all of them hold.
    pub matches: bool,
    /// What follows if it matches: `never`, `manual`, …; `None` leaves it to the job.
    pub when: Option<String>,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClauseTrace {
    /// The condition as written: `if $CI_COMMIT_TAG`, `changes docs/*`.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// The variables in it with the values that they have for this job; `None` for one that is not defined.
    pub variables: Vec<(String, Option<String>)>,
    /// What decided, where that does not show in the variables: the first file that matches, or that none does.
    pub reason: Option<String>,
}

impl Config {
    /// Explains why a job is in or out, rule by rule, with the values of the variables in the rules.
    ///
    /// `name` is a full name, or the name of a `parallel` job for all its instances. Empty when no job is called so.
    ///
    /// ```
    /// use runner_coordinator::pipeline::{Context, Facts, ProjectFiles, Verdict, compile};
    ///
    /// struct OneFile;
    ///
    /// impl ProjectFiles for OneFile {
    ///     fn read(&self, _path: &str) -> std::io::Result<Option<String>> {
    ///         Ok(Some("deploy: {script: [x], rules: [{if: '$WHERE == \"live\"'}]}".to_owned()))
    ///     }
    ///
    ///     fn list(&self) -> std::io::Result<Vec<String>> {
    ///         Ok(Vec::new())
    ///     }
    /// }
    ///
    /// let config = compile(".gitlab-ci.yml", &OneFile, &Context::default())?;
    /// let why = &config.explain(&Facts::push("main"), "deploy")[0];
    /// assert_eq!(why.verdict, Verdict::Out);
    /// assert_eq!(why.rules[0].clauses[0].text, "if $WHERE == \"live\"");
    /// assert_eq!(why.rules[0].clauses[0].variables, [("WHERE".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn explain(&self, facts: &Facts, name: &str) -> Vec<Explanation> {
        let mut world = World::new(&self.tracked, facts.changed_files.as_deref(), &facts.changed_since);
        world.foreign = Some(&self.foreign);
        let meant = |planned: &&Planned| planned.job.name == name || planned.job.base == name;
        let workflow = self.workflow_trace(facts, &world);
        let explain = |planned| self.explain_job(facts, &world, planned, &workflow);
        self.planned.iter().filter(meant).map(explain).collect()
    }

    fn workflow_trace(&self, facts: &Facts, world: &World<'_>) -> Vec<RuleTrace> {
        let (Some(rules), Ok(scope)) = (&self.workflow.rules, self.pipeline_scope(facts, &self.variables))
        else {
            return Vec::new();
        };
        traces(rules, &scope, world)
    }

    fn explain_job(
        &self,
        facts: &Facts,
        world: &World<'_>,
        planned: &Planned,
        workflow: &[RuleTrace],
    ) -> Explanation {
        let explained = |rules, verdict| Explanation {
            job: planned.job.name.clone(),
            span: planned.job.span.clone(),
            workflow: workflow.to_vec(),
            rules,
            verdict,
        };
        let rule = match self.workflow_rule(facts, world) {
            Ok(rule) => rule,
            Err(EvaluateError::Invalid(errors)) => {
                return explained(Vec::new(), Verdict::Invalid(errors.to_string()));
            }
            Err(_) => return explained(Vec::new(), Verdict::NoPipeline),
        };
        let root_variables = merge(&self.variables, rule.map_or(&[], |rule| &rule.variables));
        let evaluation = Evaluation::new(facts, world, &self.instances, &root_variables);
        let scope = match evaluation.scope_of(planned) {
            Ok(scope) => scope,
            Err(error) => return explained(Vec::new(), Verdict::Invalid(error.to_string())),
        };
        let rules = match &planned.draft.rules {
            Some(rules) => traces(rules, &scope, world),
            None => {
                let mut all =
                    policy_traces("only", planned.draft.only.as_ref(), facts, &scope, world, planned);
                all.extend(policy_traces(
                    "except",
                    planned.draft.except.as_ref(),
                    facts,
                    &scope,
                    world,
                    planned,
                ));
                all
            }
        };
        let verdict = match evaluation.decide(planned) {
            Ok(Some(job)) => Verdict::In { when: job.when },
            Ok(None) => Verdict::Out,
            Err(error) => Verdict::Invalid(error.to_string()),
        };
        explained(rules, verdict)
    }
}

/// Rules up to the one that matches.
fn traces(rules: &[Rule], scope: &Scope, world: &World<'_>) -> Vec<RuleTrace> {
    let mut traces = Vec::new();
    for rule in rules {
        let clauses = clauses(&rule.clauses, scope, world);
        let matches = clauses.iter().all(|clause| clause.holds);
        let when = rule.when.map(|when| match when {
            RuleWhen::Never => "never".to_owned(),
            RuleWhen::Start(when) => when.as_str().to_owned(),
        });
        traces.push(RuleTrace { span: rule.span.clone(), clauses, matches, when });
        if matches {
            break;
        }
    }
    traces
}

fn clauses(clauses: &Clauses, scope: &Scope, world: &World<'_>) -> Vec<ClauseTrace> {
    let mut traces = Vec::new();
    if let Some(condition) = &clauses.condition {
        traces.push(ClauseTrace {
            text: format!("if {}", condition.text()),
            holds: condition.holds(scope),
            variables: values(condition.variables(), scope),
            reason: None,
        });
    }
    if let Some(changes) = &clauses.changes {
        let (holds, reason) = match changes.hold(scope, world) {
            Ok(holds) => (holds, changes.reason(scope, world)),
            Err(error) => (false, error.message),
        };
        let compare_to = changes.compare_to.as_ref().map_or(String::new(), |to| format!(" compared to {to}"));
        traces.push(ClauseTrace {
            text: format!("changes {}{compare_to}", changes.paths.join(", ")),
            holds,
            variables: Vec::new(),
            reason: Some(reason),
        });
    }
    if let Some(exists) = &clauses.exists {
        let project = exists.project.as_ref().map_or(String::new(), |project| format!(" in {project}"));
        traces.push(ClauseTrace {
            text: format!("exists {}{project}", exists.paths.join(", ")),
            holds: exists.hold(scope, world),
            variables: Vec::new(),
            reason: Some(exists.reason(scope, world)),
        });
    }
    traces
}

fn values(names: Vec<&str>, scope: &Scope) -> Vec<(String, Option<String>)> {
    names.into_iter().map(|name| (name.to_owned(), scope.variable(name).map(str::to_owned))).collect()
}

/// One entry for each key of `only` or `except`; `matches` says whether it speaks for the job.
fn policy_traces(
    keyword: &str,
    given: Option<&Policy>,
    facts: &Facts,
    scope: &Scope,
    world: &World<'_>,
    planned: &Planned,
) -> Vec<RuleTrace> {
    let Some(given) = given else { return Vec::new() };
    let verdicts = policy::clauses(given, facts, scope, world).unwrap_or_default();
    let trace = |(text, holds): (String, bool)| RuleTrace {
        span: planned.job.span.clone(),
        clauses: vec![ClauseTrace {
            text: format!("{keyword} {text}"),
            holds,
            variables: given
                .variables
                .iter()
                .flatten()
                .filter(|_| text.starts_with("variables"))
                .flat_map(|condition| values(condition.variables(), scope))
                .collect(),
            reason: None,
        }],
        matches: holds == (keyword == "only"),
        when: None,
    };
    verdicts.into_iter().map(trace).collect()
}
