//! What `exec` does, from arguments to exit code.

use std::path::{Path, PathBuf};

use runner_api::transport::ProxySettings;
use runner_coordinator::run::{Facts, GitRef};
use tokio::runtime::Runtime;

use super::compile::{self, Inputs, Leniency, Session as SessionFacts};
use super::outside::{self, Outside};
use super::project::Project;
use super::session::{self, Plan};
use super::source::{Changes, Choice, CommitFacts, Served, Snapshot, compare, gather, redirection, take};
use super::state::{RunFolder, default_folder};
use super::stop::Stop;
use super::variables::Given;
use super::{ExecError, clean, look, watch};
use crate::args::{ExecArgs, ExecCommand};
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
    /// Proxies for what is fetched.
    pub(crate) proxy: ProxySettings,
}

/// Lists the jobs, explains one, or runs them.
pub(crate) fn run(arguments: &ExecArgs, surroundings: &Surroundings) -> Result<Exit, ExecError> {
    if let Some(ExecCommand::Clean(arguments)) = &arguments.command {
        return clean::run(arguments, surroundings);
    }
    let looks = arguments.explain.is_some() || arguments.explain_variables.is_some();
    if arguments.list || looks || arguments.graph.is_some() || arguments.job_payload.is_some() {
        let project = Project::find(arguments, &surroundings.here)?;
        let state = state_folder(arguments.state_dir.as_deref(), surroundings);
        return look::run(arguments, surroundings, &project, state);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| ExecError::System { what: "cannot start the runtime", source })?;
    let exit = match arguments.watch {
        Some(mode) => watch::run(arguments, mode, surroundings, &runtime),
        None => once(arguments, surroundings, &runtime, None),
    };
    // Blocking work that is left, such as a read of standard input, must not keep the process.
    runtime.shutdown_background();
    exit
}

/// Runs the pipeline once. Without `stop`, signals end the process until everything is prepared.
pub(super) fn once(
    arguments: &ExecArgs,
    surroundings: &Surroundings,
    runtime: &Runtime,
    stop: Option<&mut Stop>,
) -> Result<Exit, ExecError> {
    let project = Project::find(arguments, &surroundings.here)?;
    let Ok(checkout) = project.checkout.as_ref() else { return Err(project.into_error()) };
    let state = state_folder(arguments.state_dir.as_deref(), surroundings)
        .ok_or_else(|| ExecError::Usage("HOME is not set; name a folder with --state-dir".to_owned()))?;
    let folder = RunFolder::create(&state, &checkout.root, arguments.keep_state)?;
    let sources = Sources::take(arguments, surroundings, &project, &folder.path().join("sources.git"))?;
    let outside = outside(arguments, surroundings, &sources, Some(state))?;
    let files = project.files(arguments.committed).with_outside(outside);
    let plan = Plan {
        arguments,
        surroundings,
        project: &project,
        folder: &folder,
        sources: &sources,
        files: &files,
    };
    runtime.block_on(async {
        match stop {
            Some(stop) => session::run(&plan, stop).await,
            None => session::run(&plan, &mut Stop::new()?).await,
        }
    })
}

/// Where state goes; `None` when nobody says.
pub(super) fn state_folder(named: Option<&Path>, surroundings: &Surroundings) -> Option<PathBuf> {
    match named {
        Some(folder) => Some(surroundings.here.join(folder)),
        None => default_folder(surroundings.state_home.as_deref(), surroundings.home.as_deref()),
    }
}

/// Where files that do not lie in the project are looked for.
pub(super) fn outside(
    arguments: &ExecArgs,
    surroundings: &Surroundings,
    sources: &Sources,
    state: Option<PathBuf>,
) -> Result<Outside, ExecError> {
    let project = |text: &String| match text.split_once('=') {
        Some((path, folder)) if !path.is_empty() && !folder.is_empty() => {
            Ok((path.trim_matches('/').to_owned(), surroundings.here.join(folder)))
        }
        _ => Err(ExecError::Usage(format!("--project takes PATH=DIR, not {text}"))),
    };
    Ok(Outside::new(outside::Choice {
        projects: arguments.includes.projects.iter().map(project).collect::<Result<_, _>>()?,
        templates: arguments.includes.templates.iter().map(|folder| surroundings.here.join(folder)).collect(),
        offline: arguments.includes.offline,
        refresh: arguments.includes.refresh_includes,
        folder: state.map(|state| state.join("includes")),
        origin: sources.commit.remote_url.clone(),
        proxy: surroundings.proxy.clone(),
    }))
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
    pub(super) fn take(
        arguments: &ExecArgs,
        surroundings: &Surroundings,
        project: &Project,
        folder: &Path,
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
        let commit =
            gather(checkout, &git, &snapshot, &choice, surroundings.uid).map_err(ExecError::Usage)?;
        let branch = match &commit.git_ref {
            GitRef::Branch(name) => Some(name.as_str()),
            _ => None,
        };
        let since = arguments.changes_since.as_deref().or(match &commit.git_ref {
            GitRef::MergeRequest(request) => Some(request.target_sha.as_str()),
            _ => None,
        });
        let source = arguments.source.as_deref().unwrap_or("push");
        let changes = match (since, &commit.git_ref) {
            (None, GitRef::Tag { .. }) => Changes::nothing("a tag has nothing to compare with"),
            (None, _) if source != "push" => Changes::nothing("only a push has something to compare with"),
            _ => compare(checkout, &git, &snapshot.sha, since, branch, &commit.default_branch)
                .map_err(ExecError::Usage)?,
        };
        let mut notes = commit.notes.clone();
        if snapshot.dirty {
            notes.push("uncommitted changes are part of the run; --committed leaves them out".to_owned());
        }
        if !snapshot.nested.is_empty() {
            notes.push(format!("left out, repositories of their own: {}", snapshot.nested.join(", ")));
        }
        Ok(Self { commit, changes, git: Some(git), served: Some(served), notes })
    }

    pub(super) fn without_git(arguments: &ExecArgs, surroundings: &Surroundings, project: &Project) -> Self {
        let commit = CommitFacts::without_git(&project.root, &choice(arguments), surroundings.uid);
        let changes = Changes { files: None, base: String::new() };
        Self { commit, changes, git: None, served: None, notes: Vec::new() }
    }

    /// Variables for all jobs that make up for the place in which the sources are.
    pub(super) fn environment(&self, project: &Project) -> Vec<(String, String)> {
        match (&self.served, &project.checkout) {
            (Some(served), Ok(checkout)) => {
                redirection(checkout, &served.url(), self.commit.remote_url.as_deref())
            }
            _ => Vec::new(),
        }
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
            source: arguments.source.clone().unwrap_or_else(|| {
                let is_request = arguments.merge_request.is_some();
                if is_request { "merge_request_event" } else { "push" }.to_owned()
            }),
            config_path: project.config_path.clone(),
            pipeline,
            server_url,
            repository_url: self.served.as_ref().map(Served::url).unwrap_or_default(),
        };
        compile::facts(&self.commit, session)
    }

    /// What the compiler needs beside the files, for a pipeline with these facts and variables; `inputs` are for `spec:inputs`.
    pub(super) fn inputs<'a>(
        &'a self,
        arguments: &ExecArgs,
        facts: &'a Facts,
        variables: &'a Given,
        inputs: &'a [(String, String)],
    ) -> Inputs<'a> {
        let includes = &arguments.includes;
        let leniency =
            Leniency { missing_includes: includes.skip_missing_includes, needs: includes.needs_limit };
        Inputs { facts, changes: &self.changes, variables, inputs, git: self.git.as_ref(), leniency }
    }
}

fn choice(arguments: &ExecArgs) -> Choice {
    Choice {
        tag: arguments.tag.clone(),
        branch: arguments.branch.clone(),
        merge_request: arguments.merge_request.clone(),
        protected: arguments.protected,
    }
}
