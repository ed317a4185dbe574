//! What `exec` does, from arguments to exit code.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use runner_coordinator::run::Facts;

use super::compile::{self, Inputs, Leniency, Session as SessionFacts};
use super::project::Project;
use super::session::{self, Plan};
use super::source::{Changes, Choice, CommitFacts, Served, Snapshot, compare, gather, take};
use super::state::{RunFolder, default_folder};
use super::ui::Styles;
use super::{ExecError, list, variables};
use crate::args::{Color, ExecArgs};
use crate::error::Exit;
use crate::exec::git::Git;

/// What the process is told by its surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The current folder.
    pub(crate) here: PathBuf,
    /// This program, for commands that run beside jobs.
    pub(crate) program: PathBuf,
    /// The user's folder.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub(crate) state_home: Option<String>,
    /// Number of the user.
    pub(crate) uid: u32,
}

/// Lists the jobs, or runs them.
pub(crate) fn run(arguments: &ExecArgs, surroundings: &Surroundings) -> Result<Exit, ExecError> {
    let project = Project::find(arguments, &surroundings.here)?;
    if arguments.list {
        return list_jobs(arguments, surroundings, &project);
    }
    let Ok(checkout) = project.checkout.as_ref() else { return Err(project.into_error()) };
    let state = match &arguments.state_dir {
        Some(folder) => surroundings.here.join(folder),
        None => default_folder(surroundings.state_home.as_deref(), surroundings.home.as_deref())
            .ok_or_else(|| ExecError::Usage("HOME is not set; name a folder with --state-dir".to_owned()))?,
    };
    let folder = RunFolder::create(&state, &checkout.root, arguments.keep_state)?;
    let sources = Sources::take(arguments, surroundings, &project, &folder.path().join("sources.git"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| ExecError::System { what: "cannot start the runtime", source })?;
    let plan = Plan { arguments, surroundings, project: &project, folder: &folder, sources: &sources };
    let exit = runtime.block_on(session::run(&plan));
    // Blocking work that is left, such as a read of standard input, must not keep the process.
    runtime.shutdown_background();
    exit
}

/// Prints the jobs; nothing of it depends on the job's rules, and without git it works as well.
fn list_jobs(
    arguments: &ExecArgs,
    surroundings: &Surroundings,
    project: &Project,
) -> Result<Exit, ExecError> {
    let scratch = tempfile::tempdir()
        .map_err(|source| ExecError::System { what: "cannot make a temporary folder", source })?;
    let sources = match &project.checkout {
        Ok(_) => Sources::take(arguments, surroundings, project, &scratch.path().join("sources.git"))?,
        Err(_) => Sources::without_git(arguments, surroundings, project),
    };
    let variables = variables::given(arguments)?;
    let facts = sources.facts(arguments, project, 1, "http://localhost".to_owned());
    let inputs = Inputs {
        facts: &facts,
        changes: &sources.changes,
        variables: &variables,
        git: sources.git.as_ref(),
        leniency: leniency(arguments),
    };
    let files = project.files(arguments.committed);
    let config = compile::compile(&files, &inputs)?;
    let in_pipeline: Option<BTreeSet<String>> = match compile::evaluate(&config, &inputs) {
        Ok(pipeline) => Some(pipeline.jobs.into_iter().map(|job| job.name).collect()),
        Err(error) => {
            tracing::debug!("no pipeline: {error}");
            None
        }
    };
    let mut out = std::io::stdout().lock();
    match list::print(&mut out, arguments.format, &config, in_pipeline.as_ref()).and_then(|()| out.flush()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ExecError::System { what: "cannot print the list", source: error })
        }
        _ => Ok(Exit::Success),
    }
}

/// The sources of a run: the commit, what is known about it, and where jobs fetch it from.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) commit: CommitFacts,
    pub(super) changes: Changes,
    /// Git that sees the commit; `None` outside of a repository.
    pub(super) git: Option<Git>,
    pub(super) served: Option<Served>,
    /// Things worth telling the user.
    pub(super) notes: Vec<String>,
}

impl Sources {
    /// Takes a snapshot of the checkout into a bare repository at `folder`.
    fn take(
        arguments: &ExecArgs,
        surroundings: &Surroundings,
        project: &Project,
        folder: &std::path::Path,
    ) -> Result<Self, ExecError> {
        let Ok(checkout) = &project.checkout else {
            return Ok(Self::without_git(arguments, surroundings, project));
        };
        let served = Served::create(folder, checkout)?;
        let snapshot = if arguments.committed {
            Snapshot { sha: checkout.head.clone(), dirty: false, nested: Vec::new() }
        } else {
            take(checkout, &served)?
        };
        let git = served.reading_git(checkout);
        let choice = choice(arguments);
        let commit = gather(checkout, &git, &snapshot, &choice, surroundings.uid);
        let branch = match &commit.git_ref {
            runner_coordinator::run::GitRef::Branch(name) => Some(name.as_str()),
            _ => None,
        };
        let since = arguments.changes_since.as_deref();
        let changes = compare(checkout, &git, &snapshot.sha, since, branch, &commit.default_branch)
            .map_err(ExecError::Usage)?;
        let mut notes = commit.notes.clone();
        if snapshot.dirty {
            notes.push("uncommitted changes are part of the run; --committed leaves them out".to_owned());
        }
        if !snapshot.nested.is_empty() {
            notes.push(format!("left out, repositories of their own: {}", snapshot.nested.join(", ")));
        }
        Ok(Self { commit, changes, git: Some(git), served: Some(served), notes })
    }

    fn without_git(arguments: &ExecArgs, surroundings: &Surroundings, project: &Project) -> Self {
        let commit = CommitFacts::without_git(&project.root, &choice(arguments), surroundings.uid);
        let changes = Changes { files: None, base: String::new() };
        Self { commit, changes, git: None, served: None, notes: Vec::new() }
    }

    /// The facts of the pipeline with this number.
    pub(super) fn facts(
        &self,
        arguments: &ExecArgs,
        project: &Project,
        pipeline: u64,
        server_url: String,
    ) -> Facts {
        let session = SessionFacts {
            source: arguments.source.clone(),
            config_path: project.config_path.clone(),
            pipeline,
            server_url,
            repository_url: self.served.as_ref().map(Served::url).unwrap_or_default(),
        };
        compile::facts(&self.commit, session)
    }
}

/// Colours, as far as they are wanted and possible.
pub(super) fn styles(color: Color) -> Styles {
    let colour = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never,
    };
    Styles { colour }
}

pub(super) fn leniency(arguments: &ExecArgs) -> Leniency {
    Leniency { missing_includes: arguments.skip_missing_includes, unsupported: arguments.ignore_unsupported }
}

fn choice(arguments: &ExecArgs) -> Choice {
    Choice { tag: arguments.tag.clone(), branch: arguments.branch.clone() }
}
