//! A place where stages are played, without a process.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use runner_core::executor::{
    EnvironmentError, Executor, ExecutorFactory, JobContext, Notices, Output, OutputStream, Place,
    PrepareRequest, ProviderInfo, Shell, StageEnd, StageInput, StageKey,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Lines of the usual script, and the pause before each: not quite six seconds, so that the end meets no interval.
const LINES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(149);

/// What the steps of a job do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Prints 40 lines in not quite six seconds.
    Lines,
    /// Prints 40 lines in not quite six seconds, says nothing more and does not end.
    Endless,
    /// Prints so many bytes at once, and a line six seconds later.
    Burst(usize),
    /// Prints 40 dots in six seconds, without a line end.
    Dots,
}

/// A stage that was started.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) script: String,
}

/// What happens at the places, for a test to wait for. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Talker {
    script: Option<Script>,
    happened: watch::Sender<Happened>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Happened {
    /// Jobs that were taken.
    pub(crate) jobs: u32,
    pub(crate) stages: Vec<Stage>,
    /// When a step was told to end.
    pub(crate) told_to_end: Option<Instant>,
}

impl Talker {
    pub(crate) fn new(script: Script) -> Self {
        Self { script: Some(script), ..Self::default() }
    }

    pub(crate) fn happened(&self) -> Happened {
        self.happened.borrow().clone()
    }

    /// Waits until something has happened.
    pub(crate) async fn until(&self, what: impl FnMut(&Happened) -> bool) {
        self.happened.subscribe().wait_for(what).await.unwrap();
    }
}

impl ExecutorFactory for Talker {
    type Executor = Talk;

    fn info(&self) -> ProviderInfo {
        let mut features = runner_api::Features::default();
        features.variables = true;
        let capabilities = runner_core::executor::Capabilities::default();
        ProviderInfo { executor: "talker".into(), shell: "sh".into(), features, capabilities }
    }

    fn executor(&self, _: &JobContext) -> Result<Talk, EnvironmentError> {
        self.happened.send_modify(|happened| happened.jobs += 1);
        Ok(Talk(self.clone()))
    }
}

/// The place of one job.
pub(crate) struct Talk(Talker);

#[async_trait]
impl Executor for Talk {
    async fn prepare(&mut self, _: PrepareRequest, notices: Notices) -> Result<Place, EnvironmentError> {
        notices.plain("Using nothing...").await;
        Ok(Place {
            builds_dir: "/builds".into(),
            cache_dir: "/cache".into(),
            shared: false,
            shell: Shell::Sh,
            helper: vec!["helper".into()],
            os: "linux".into(),
            hostname: None,
        })
    }

    async fn run(
        &mut self,
        key: &StageKey,
        input: StageInput,
        output: &mut Output,
        cancel: CancellationToken,
    ) -> Result<StageEnd, EnvironmentError> {
        let stage = Stage { name: key.name.clone(), script: input.script };
        self.0.happened.send_modify(|happened| happened.stages.push(stage));
        if key.name != "step_script" {
            return Ok(StageEnd::Exit(0));
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                self.0.happened.send_modify(|happened| happened.told_to_end = Some(Instant::now()));
                Ok(StageEnd::Signal(15))
            }
            () = talk(self.0.script, output) => Ok(StageEnd::Exit(0)),
        }
    }
}

async fn talk(script: Option<Script>, output: &mut Output) {
    let stdout = OutputStream::Stdout;
    match script {
        None => {}
        Some(Script::Dots) => {
            for _ in 0..LINES {
                sleep(PAUSE).await;
                output.write(stdout, ".").await;
            }
        }
        Some(Script::Burst(size)) => {
            let line = "x".repeat(99) + "\n";
            output.write(stdout, line.repeat(size / line.len())).await;
            sleep(PAUSE * LINES).await;
            output.write(stdout, "and the end\n").await;
        }
        Some(script) => {
            for number in 1..=LINES {
                sleep(PAUSE).await;
                output.write(stdout, line(number)).await;
            }
            if script == Script::Endless {
                std::future::pending::<()>().await;
            }
        }
    }
}

fn line(number: u32) -> String {
    format!("line {number} of {LINES}\n")
}

/// What the usual script has printed after this time.
pub(crate) fn lines_until(time: Duration) -> String {
    let count = u32::try_from(time.as_millis() / PAUSE.as_millis()).unwrap();
    (1..=count.min(LINES)).fold(String::new(), |mut text, number| {
        let _ = write!(text, "{}", line(number));
        text
    })
}
