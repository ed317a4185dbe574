//! What the targets share: files, facts, and the limits that every compiled and every running pipeline keeps.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, SystemTime};

use runner_coordinator::core::{Coordinator, JobTicket, Options};
use runner_coordinator::pipeline::{
    CompileErrors, Config, Context, EvaluateError, Facts, Foreign, Found, Pipeline, ProjectFiles,
    TriggerTarget, Variable, Work, compile, compile_child,
};
use runner_coordinator::run::{self, Action, End, Finished, GitRef, Host, PipelineRun, Play, Settings, User};
use serde_json::Value;

pub(crate) const ROOT: &str = ".gitlab-ci.yml";
/// Most visible jobs, and most instances of one.
const MAX_JOBS: usize = 10_000;
const MAX_INSTANCES: usize = 200;
/// Text in all compiled jobs together, and in all variables of one job.
const MAX_WEIGHT: usize = 256 << 20;
const MAX_EXPANDED: usize = 16 << 20;
/// Mistakes that are collected.
const MAX_ERRORS: usize = 100;

/// The project. Whatever does not lie in it is found, and is one of the files.
pub(crate) struct Files(pub(crate) BTreeMap<String, String>);

impl ProjectFiles for Files {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().chain(["src/a.rs".to_owned()]).collect())
    }

    fn foreign(&self, wanted: &Foreign<'_>) -> io::Result<Option<Found>> {
        let name = match wanted {
            Foreign::Project { file, .. } => file,
            Foreign::Component { name, .. } | Foreign::Template { name } => name,
            Foreign::Remote { url } => url,
            Foreign::Artifact { path, .. } => path,
            _ => return Ok(None),
        };
        Ok(self.0.get(*name).cloned().map(Found::from))
    }

    fn list_foreign(&self, _project: &str, _git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        self.list().map(Some)
    }
}

fn variable(key: &str, value: &str) -> Variable {
    Variable { key: key.to_owned(), value: value.to_owned(), raw: false }
}

fn run_facts() -> run::Facts {
    run::Facts {
        remote: None,
        directory: "p".to_owned(),
        git_ref: GitRef::Branch("main".to_owned()),
        sha: "1".repeat(40),
        before_sha: "0".repeat(40),
        message: "m".to_owned(),
        author: "a".to_owned(),
        timestamp: String::new(),
        default_branch: "main".to_owned(),
        config_path: ROOT.to_owned(),
        protected: false,
        source: "push".to_owned(),
        pipeline_id: 1,
        pipeline_iid: 1,
        created_at: SystemTime::UNIX_EPOCH,
        server_url: "http://localhost:1".to_owned(),
        repository_url: "http://localhost:1/p.git".to_owned(),
        object_format: "sha1".to_owned(),
        registry: None,
        user: User::default(),
    }
}

/// Compiles, explains and evaluates; `length` is that of all files together.
pub(crate) fn pipeline(files: &Files, length: usize, lenient: bool) -> Option<Pipeline> {
    let mut context = Context::from(&run_facts());
    context.variables.extend([variable("A", "x"), variable("P", "/x|y/")]);
    context.skip_missing_includes = lenient;
    let config = match compile(ROOT, files, &context) {
        Ok(config) => config,
        Err(errors) => {
            check_errors(&errors, length);
            return None;
        }
    };
    check_config(&config);
    let mut facts = Facts::from(&run_facts());
    facts.pipeline_variables = vec![variable("P", "/x|y/")];
    facts.changed_files = lenient.then(|| vec!["src/a.rs".to_owned(), "README.md".to_owned()]);
    if let Some(job) = config.jobs().next() {
        assert!(!config.explain(&facts, &job.name).is_empty());
    }
    let pipeline = match config.evaluate(&facts) {
        Ok(pipeline) => pipeline,
        Err(EvaluateError::Invalid(errors)) => {
            check_errors(&errors, length);
            return None;
        }
        Err(_) => return None,
    };
    assert!(!pipeline.jobs.is_empty() && pipeline.jobs.len() <= config.jobs().count());
    for job in pipeline.jobs.iter().take(3) {
        if let Work::Trigger(trigger) = &job.work
            && let TriggerTarget::Include(includes) = &trigger.target
        {
            match compile_child(includes, &job.span, files, &context) {
                Ok(child) => check_config(&child),
                Err(errors) => check_errors(&errors, length),
            }
        }
    }
    Some(pipeline)
}

fn check_errors(errors: &CompileErrors, length: usize) {
    assert!((1..=MAX_ERRORS).contains(&errors.iter().count()), "{} mistakes", errors.iter().count());
    for error in errors.iter() {
        assert!(error.span.line >= 1 && error.span.column >= 1 && !error.message.is_empty());
        let (text, _) = (format!("{error:#}"), error.code.as_str());
        assert!(text.len() <= 20 * length + 100_000, "a message of {} bytes", text.len());
    }
}

fn check_config(config: &Config) {
    let mut instances: HashMap<&str, usize> = HashMap::new();
    let mut weight = 0;
    for job in config.jobs() {
        assert!(config.stages().contains(&job.stage));
        *instances.entry(&job.base).or_default() += 1;
        if let Work::Script { before_script, script, after_script } = &job.work {
            weight +=
                [before_script, script, after_script].into_iter().flatten().map(String::len).sum::<usize>();
        }
        weight +=
            job.variables.iter().map(|variable| variable.key.len() + variable.value.len()).sum::<usize>();
        weight += job.needs.iter().flatten().map(|need| need.job.len()).sum::<usize>();
    }
    assert!(instances.len() <= MAX_JOBS);
    assert!(instances.values().all(|count| (1..=MAX_INSTANCES).contains(count)));
    assert!(weight <= MAX_WEIGHT + (1 << 20), "{weight} bytes of text");
}

struct Tickets(Coordinator);

impl Host for Tickets {
    fn ticket(&mut self) -> JobTicket {
        self.0.reserve_job()
    }

    fn object_ids(&self, globs: &[String], _last_commits: bool) -> Vec<String> {
        globs.iter().map(|glob| format!("{:040}", glob.len())).collect()
    }

    fn id_token(&self, claims: &Value) -> Option<String> {
        Some(claims.to_string())
    }
}

/// Runs a pipeline to its end; `choose` picks a number up to the given one.
pub(crate) fn run(pipeline: Pipeline, choose: &mut dyn FnMut(usize) -> usize) {
    let mut settings = Settings::new(run_facts());
    settings.play = if choose(1) == 0 { Play::None } else { Play::All };
    settings.release = choose(1) == 0;
    let jobs = pipeline.jobs.len();
    let Ok(mut run) = PipelineRun::new(pipeline, settings) else { return };
    let mut host = Tickets(Coordinator::new(Options::default()));
    let mut now = SystemTime::UNIX_EPOCH;
    let mut queue = Vec::new();
    for step in 0.. {
        // A job has at most three tries, and is played at most once for each.
        assert!(step <= 8 * jobs + 8, "{jobs} jobs do not end");
        for action in run.advance(now, &mut host) {
            match action {
                Action::Enqueue { job, new_job, .. } => {
                    check_payload(&new_job.payload);
                    queue.push(job);
                }
                Action::StartChild { job, .. } => queue.push(job),
                Action::Cancel { job } => {
                    queue.retain(|queued| *queued != job);
                    run.finished(job, Finished::canceled(), now);
                }
                Action::WakeAt(at) => now = now.max(at),
                Action::Note(_) => {}
            }
        }
        if queue.is_empty() {
            if run.outcome().is_some() {
                break;
            }
            now += Duration::from_secs(1);
            continue;
        }
        let job = queue.remove(choose(queue.len() - 1));
        run.started(job, now);
        let end = match choose(7) {
            0..=4 => End::Success,
            5 => End::Failed { reason: "script_failure".to_owned() },
            6 => End::Failed { reason: "runner_system_failure".to_owned() },
            _ => End::Canceled,
        };
        let dotenv = vec![("A".to_owned(), "$B!".to_owned()), ("D".to_owned(), "d".to_owned())];
        run.finished(job, Finished { end, exit_code: Some(1), archive: None, dotenv }, now);
    }
    for view in run.jobs() {
        assert!(view.tries.len() <= 3, "{} tries", view.tries.len());
        assert!(
            view.status.is_complete() || !view.status.is_active(),
            "{} is {}",
            view.job.name,
            view.status
        );
    }
}

fn check_payload(payload: &Value) {
    let variables = payload["variables"].as_array().expect("variables");
    let length: usize =
        variables.iter().filter_map(|variable| variable["value"].as_str()).map(str::len).sum();
    assert!(length <= MAX_EXPANDED + (1 << 20), "{length} bytes of variables");
    assert!(!payload["steps"][0]["script"].as_array().expect("a script").is_empty());
}
