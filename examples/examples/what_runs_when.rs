//! The compiler alone: which jobs of a `.gitlab-ci.yml` take part in which pipelines, and why one does not.
//!
//! `cargo run --example what_runs_when -- examples/pipelines/release.gitlab-ci.yml [JOB]`

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runner_coordinator::pipeline::{self, Config, Context, ProjectFiles, RuleTrace, Verdict, compile};
use runner_coordinator::run::{Facts, GitRef, MergeRequest, Remote, User};

/// A folder of this machine as the project.
struct Folder(PathBuf);

impl ProjectFiles for Folder {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.0.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    // Only asked for when an include has a wildcard or a rule looks for files: a tool would list the commit's files.
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// The pipelines that people ask about.
pub fn situations() -> Vec<(&'static str, Facts)> {
    let of_a_merge_request = GitRef::MergeRequest(MergeRequest {
        source_branch: "feature".to_owned(),
        target_branch: "main".to_owned(),
        source_sha: "2".repeat(40),
        target_sha: "1".repeat(40),
        base_sha: "1".repeat(40),
        title: "A feature".to_owned(),
    });
    let tag = GitRef::Tag { name: "v1.0".to_owned(), message: None };
    let branch = |name: &str| GitRef::Branch(name.to_owned());
    vec![
        ("branch", facts(branch("feature"), "push")),
        ("merge", facts(of_a_merge_request, "merge_request_event")),
        ("main", facts(branch("main"), "push")),
        ("tag", facts(tag, "push")),
        ("nightly", facts(branch("main"), "schedule")),
    ]
}

/// What git and the server would say; a real tool asks them.
fn facts(git_ref: GitRef, source: &str) -> Facts {
    Facts {
        remote: Remote::parse("https://gitlab.example.org/group/project.git"),
        directory: "project".to_owned(),
        git_ref,
        sha: "2".repeat(40),
        before_sha: "1".repeat(40),
        message: "A change".to_owned(),
        author: "Somebody <somebody@example.org>".to_owned(),
        timestamp: "2026-01-01T00:00:00Z".to_owned(),
        default_branch: "main".to_owned(),
        config_path: ".gitlab-ci.yml".to_owned(),
        protected: false,
        source: source.to_owned(),
        pipeline_id: 1,
        pipeline_iid: 1,
        created_at: SystemTime::UNIX_EPOCH,
        server_url: "https://gitlab.example.org".to_owned(),
        repository_url: "https://gitlab.example.org/group/project.git".to_owned(),
        object_format: "sha1".to_owned(),
        registry: None,
        user: User::default(),
    }
}

/// One pipeline of a file. Variables decide about includes, so the file is compiled for each pipeline anew.
pub fn compiled(file: &Path, facts: &Facts) -> Result<Config, String> {
    let folder = Folder(file.parent().unwrap_or(Path::new(".")).to_owned());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // `{:#}` shows each mistake with its line, a caret and the way it came to take part.
    compile(&name, &folder, &Context::from(facts)).map_err(|mistakes| format!("{mistakes:#}"))
}

/// A table: a row for each job, a column for each pipeline.
pub fn table(file: &Path) -> Result<String, String> {
    let situations = situations();
    let configs: Vec<Config> =
        situations.iter().map(|(_, facts)| compiled(file, facts)).collect::<Result<_, _>>()?;
    let mut jobs: Vec<&str> = Vec::new();
    for job in configs.iter().flat_map(Config::jobs) {
        if !jobs.contains(&job.name.as_str()) {
            jobs.push(&job.name);
        }
    }
    let width = jobs.iter().map(|job| job.chars().count()).max().unwrap_or_default();
    let mut lines = format!("{:width$}", "");
    for (title, _) in &situations {
        lines += &format!("  {title:10}");
    }
    for job in jobs {
        lines += &format!("\n{job:width$}");
        for ((_, facts), config) in situations.iter().zip(&configs) {
            let why = config.explain(&pipeline::Facts::from(facts), job);
            let cell = match why.first().map(|explanation| &explanation.verdict) {
                Some(Verdict::In { when }) => when.as_str().to_owned(),
                Some(Verdict::Invalid(why)) => why.clone(),
                _ => "-".to_owned(),
            };
            lines += &format!("  {cell:10}");
        }
    }
    Ok(lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// The rules of one job as far as they were looked at, for each pipeline.
pub fn reasons(file: &Path, job: &str) -> Result<String, String> {
    let mut lines = Vec::new();
    for (title, facts) in situations() {
        let config = compiled(file, &facts)?;
        for explanation in config.explain(&pipeline::Facts::from(&facts), job) {
            lines.push(format!("{title}: {}", explanation.job));
            lines.extend(explanation.workflow.iter().chain(&explanation.rules).map(rule));
        }
    }
    Ok(lines.join("\n"))
}

fn rule(rule: &RuleTrace) -> String {
    let conditions: Vec<String> =
        rule.clauses.iter().map(|clause| format!("{} is {}", clause.text, clause.holds)).collect();
    let conditions = if conditions.is_empty() { "no condition".to_owned() } else { conditions.join(", ") };
    let matches = if rule.matches { "matches" } else { "does not match" };
    format!("  line {}: {conditions}: {matches}", rule.span.line)
}

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().ok_or("which file?")?);
    println!("{}", table(&file)?);
    if let Some(job) = arguments.next() {
        println!("\n{}", reasons(&file, &job)?);
    }
    Ok(())
}
