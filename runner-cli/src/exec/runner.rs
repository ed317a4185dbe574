//! The runner inside: the core's manager with the shell executor, talking to the coordinator over HTTP.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runner_api::transport::HttpTransport;
use runner_api::{ClientBuilder, RunnerToken};
use runner_coordinator::core::{CreatedRunner, NewRunner};
use runner_coordinator::http::Server;
use runner_core::journal::{Journal, MemoryJournal};
use runner_core::manager::{Manager, RunnerEntry};
use runner_core::observe::Observer;
use runner_core::settings::{JobSettings, PollSettings, RunnerIdentity};
use runner_core::variables::TlsFiles;
use runner_executor_shell::{ShellConfig, ShellProvider};
use secrecy::ExposeSecret;

use super::ExecError;
use super::state::RunFolder;
use crate::config::SystemId;

/// Bytes of its own output that a job's log may hold: much more than GitLab's default, because nobody pays for it.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;

/// Pause between two looks of the screen at a job's output: nobody sees it, and a request costs little here.
const TRACE_INTERVAL: Duration = Duration::from_millis(50);

/// Name of the runner, as jobs see it.
pub(super) const NAME: &str = "local";

/// Makes a manager that takes `concurrent` jobs at a time from `server`, with variables for each of them, and tells `observer`
/// what happens to them.
pub(super) fn manager(
    server: &Server,
    folder: &RunFolder,
    program: &Path,
    concurrent: usize,
    grace: Duration,
    environment: Vec<(String, String)>,
    observer: Arc<dyn Observer>,
) -> Result<Manager, ExecError> {
    let wrong =
        |error: &dyn std::fmt::Display| ExecError::Runner(format!("cannot start the runner: {error}"));
    let mut new = NewRunner::default();
    NAME.clone_into(&mut new.description);
    let CreatedRunner { token, .. } = server.handle().create_runner(new);
    let transport = HttpTransport::builder().build().map_err(|error| wrong(&error))?;
    let url = server.url();
    let client = ClientBuilder::new(&url)
        .and_then(|builder| builder.transport(transport).build())
        .map_err(|error| wrong(&error))?;
    let identity = RunnerIdentity {
        name: NAME.to_owned(),
        url: url.parse().map_err(|error: url::ParseError| wrong(&error))?,
        token: RunnerToken::new(token.expose_secret()),
        system_id: SystemId::new(None).as_str().to_owned(),
    };
    let helper = vec![program.display().to_string()];
    let mut config =
        ShellConfig::new(folder.folder("shell")?, folder.folder("builds")?, folder.cache()?, helper);
    config.grace = grace;
    // Jobs find what the user has at hand: a profile would set the search path anew and hide, say, a virtual environment.
    config.login = false;
    let entry = RunnerEntry {
        identity,
        // Requests are held until there is a job; the pause only matters when one is answered without.
        poll: PollSettings { check_interval: Duration::from_millis(10), ..PollSettings::default() },
        job: JobSettings {
            output_limit: OUTPUT_LIMIT,
            trace_interval: TRACE_INTERVAL,
            // Jobs fetch from a snapshot.
            sources_stay: true,
            grace,
            environment,
            // The screen has its own idea of a line's beginning.
            feature_flags: BTreeMap::from([("FF_TIMESTAMPS".to_owned(), false)]),
            ..JobSettings::default()
        },
        provider: Arc::new(ShellProvider::new(config)),
        client,
        tls: TlsFiles::default(),
    };
    // Nobody goes on with the jobs of a run: nothing of them has to be found by another process.
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::with_logs_in(folder.folder("logs")?));
    let builder = Manager::builder().runner(entry).concurrent(concurrent).observer(observer);
    Ok(builder.build(&journal, &crate::host::program()))
}
