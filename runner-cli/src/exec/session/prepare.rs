//! From files and arguments to a session that can begin.

use std::collections::HashMap;
use std::time::SystemTime;

use runner_coordinator::http::Server;
use runner_coordinator::run::PipelineRun;
use runner_core::manager::ManagerHandle;
use secrecy::SecretSlice;

use super::settings::selection;
use super::{Plan, Run, Session, images, job_tokens, play, settings};
use crate::exec::host::LocalHost;
use crate::exec::outside::Outside;
use crate::exec::resources::Resources;
use crate::exec::supplied::Supplied;
use crate::exec::variables::{self, Given};
use crate::exec::{ExecError, compile, terminal};

impl<'a> Session<'a> {
    pub(super) fn prepare(
        plan: &'a Plan<'a>,
        server: &Server,
        runner: ManagerHandle,
    ) -> Result<Self, ExecError> {
        let Plan { arguments, project, folder, sources, files, .. } = plan;
        let given = Given::read(arguments, &plan.surroundings.here)?;
        let facts = sources.facts(arguments, project, folder.pipeline, server.url());
        let root_inputs = variables::inputs(arguments)?;
        let inputs = sources.inputs(arguments, &facts, &given, &root_inputs);
        let config = compile::compile(files, &inputs)?;
        let pipeline = compile::evaluate(&config, &inputs)?;

        let mut notes = sources.notes.clone();
        notes.extend(files.outside().map(Outside::take_notes).unwrap_or_default());
        if files.mentions_changes() {
            notes.push(format!("changes are compared with {}", sources.changes.base));
        }
        let message = facts.message.to_lowercase();
        if message.contains("[skip ci]") || message.contains("[ci skip]") {
            notes.push(
                "the commit message asks GitLab to skip the pipeline; it is run all the same".to_owned(),
            );
        }
        notes.extend(pipeline.notes.iter().cloned());
        let (Some(git), Some(served), Ok(checkout)) = (&sources.git, &sources.served, &project.checkout)
        else {
            return Err(ExecError::Runner("there are no sources".to_owned()));
        };
        served.publish(checkout, &[folder.pipeline], &sources.commit.ref_path(), &facts.sha)?;
        let key =
            uuid::Uuid::new_v4().as_bytes().iter().chain(uuid::Uuid::new_v4().as_bytes()).copied().collect();
        let path = facts.remote.as_ref().map(|remote| remote.path.clone());
        let supplied = &arguments.artifacts;
        let here = &plan.surroundings.here;
        let host = LocalHost {
            supplied: Supplied::new(supplied, here, path.as_deref(), folder, &server.handle())?,
            path,
            archives: HashMap::new(),
            resources: Resources::new(folder.project()),
            coordinator: server.handle(),
            git: git.clone(),
            sha: facts.sha.clone(),
            key: SecretSlice::new(key),
        };

        let mut settings = settings(facts.clone(), arguments, &given);
        settings.selection = selection(arguments);
        settings.play = play(arguments, "");
        let pipeline = PipelineRun::new(pipeline, settings)?;
        notes.extend(images(&pipeline, arguments.strict_image)?);
        notes.extend(job_tokens(&pipeline, &given));
        let screen = terminal::screen(arguments, pipeline.jobs().map(|view| view.job.name.as_str()));
        Ok(Self {
            plan,
            coordinator: server.handle(),
            runner,
            host,
            runs: vec![Run::new(pipeline, facts)],
            given,
            screen,
            asks: terminal::asks(arguments),
            shown: HashMap::new(),
            names: HashMap::new(),
            coverage: HashMap::new(),
            notes,
            begun: SystemTime::now(),
        })
    }
}
