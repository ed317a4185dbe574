//! The machine's clock is set while jobs run.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use runner_coordinator::core::{Endpoint, JobState};
use runner_core::journal::{FileJournal, Journal};
use runner_core::manager::Manager;
use runner_core::time::{Clock, TokioClock};
use tokio::time::{Instant, sleep};

use crate::support::{Act, Fake, Payload, Rig, Running};

const START: u64 = 1_800_000_000;
const HOUR: i64 = 3600;

/// A clock that goes with tokio's, except when it is set.
#[derive(Debug, Clone)]
struct SetClock {
    true_time: TokioClock,
    ahead: Arc<AtomicI64>,
}

impl SetClock {
    fn new() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
        Self { true_time: TokioClock::starting_at(start), ahead: Arc::default() }
    }

    /// Makes it show so much more than it should.
    fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        let (now, ahead) = (self.true_time.now(), self.ahead.load(Ordering::SeqCst));
        let length = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { now - length } else { now + length }
    }
}

fn start(rig: &Rig, fake: &Fake, clock: &SetClock) -> Running {
    start_as(rig, &rig.gitlab.create_runner(), fake, clock)
}

fn start_as(rig: &Rig, token: &str, fake: &Fake, clock: &SetClock) -> Running {
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(rig.state()).unwrap());
    let entry = rig.entry(token, fake.clone());
    let builder = Manager::builder().runner(entry);
    let manager = rig.build_with(builder, &journal, Arc::new(clock.clone()));
    Running { handle: manager.handle(), task: tokio::spawn(manager.run()) }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_moves_no_limit_and_no_keep_alive() {
    for jumps in [[5 * HOUR, 9 * HOUR], [-9 * HOUR, -5 * HOUR], [5 * HOUR, -9 * HOUR], [-9 * HOUR, 24 * HOUR]]
    {
        let rig = Rig::in_process();
        let (fake, clock) = (Fake::new().on("step_script", Act::held()), SetClock::new());
        let running = start(&rig, &fake, &clock);
        let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(600));
        fake.called("start step_script").await;
        let begun = Instant::now();
        for jump in jumps {
            sleep(Duration::from_secs(150)).await;
            clock.set_ahead(jump);
        }
        rig.gitlab.finished(job).await;
        let took = begun.elapsed().as_secs();
        assert!((590..=640).contains(&took), "{jumps:?}: {took} s");
        assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("job_execution_timeout"), "{jumps:?}");
        let mut heard = rig.gitlab.times(Endpoint::UpdateJob);
        heard.extend(rig.gitlab.times(Endpoint::PatchTrace));
        heard.sort_unstable();
        let silence = heard.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(silence <= 35, "{jumps:?}: GitLab heard nothing for {silence} s");
        assert!(heard.len() < 100, "{jumps:?}: {heard:?}");
        running.drain().await;
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn lines_keep_their_order_when_the_clock_is_set_back() {
    let rig = Rig::in_process();
    let (fake, clock) = (Fake::new().on("step_script", Act::held().prints("printed\n")), SetClock::new());
    let running = start(&rig, &fake, &clock);
    let payload = Payload::new(["true"]).variable("FF_TIMESTAMPS", "true");
    let job = rig.gitlab.enqueue(payload);
    rig.gitlab.shows(job, "printed").await;
    clock.set_ahead(-9 * HOUR);
    fake.end("step_script", runner_core::executor::StageEnd::Exit(0));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    let trace = rig.gitlab.trace(job);
    let place = |text: &str| trace.find(text).unwrap_or_else(|| panic!("no {text:?}: {trace}"));
    assert!(place("Running with") < place("printed") && place("printed") < place("Job succeeded"));
    let stamp = |text: &str| {
        let line = trace.lines().find(|line| line.contains(text)).unwrap();
        line.get(..19).unwrap().to_owned()
    };
    assert!(stamp("Job succeeded") < stamp("Running with"), "{trace}");
    // The step's section ends before it began, by the clock.
    let marks = |which: &str| -> Vec<u64> {
        let parts = trace.split(which).skip(1);
        parts.map(|part| part.split(':').next().unwrap().parse().unwrap()).collect()
    };
    let (starts, ends) = (marks("section_start:"), marks("section_end:"));
    assert_eq!(starts.len(), ends.len());
    let (begun, ended) =
        (starts.iter().rposition(|time| *time >= START), ends.iter().position(|time| *time < START));
    assert_eq!(begun.unwrap(), ended.unwrap(), "{trace}");
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn odd_times_harm_no_job() {
    let begin = i64::try_from(START).unwrap();
    // In 1970, and in a year that no calendar has room for.
    for ahead in [-begin, 1 << 40] {
        let rig = Rig::in_process();
        let (fake, clock) = (Fake::new(), SetClock::new());
        clock.set_ahead(ahead);
        let running = start(&rig, &fake, &clock);
        let job = rig.gitlab.enqueue(Payload::new(["true"]).variable("FF_TIMESTAMPS", "true"));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
        running.drain().await;
        assert!(rig.gitlab.trace(job).contains("1970-01-01T00:0"), "{}", rig.gitlab.trace(job));
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_between_two_starts_gives_no_more_than_the_whole_time() {
    for (ahead, least, most) in [(0, 490, 540), (-5 * HOUR, 590, 640), (5 * HOUR, 0, 40)] {
        let rig = Rig::in_process();
        let (fake, clock) = (Fake::new().adoptable().on("step_script", Act::held()), SetClock::new());
        let token = rig.gitlab.create_runner();
        let running = start_as(&rig, &token, &fake, &clock);
        let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(600));
        fake.called("start step_script").await;
        sleep(Duration::from_secs(100)).await;
        running.handle.detach();
        running.ended().await;
        assert_eq!(rig.gitlab.state(job), JobState::Running);

        clock.set_ahead(ahead);
        let begun = Instant::now();
        let running = start_as(&rig, &token, &fake, &clock);
        rig.gitlab.finished(job).await;
        let took = begun.elapsed().as_secs();
        assert!((least..=most).contains(&took), "{ahead}: {took} s");
        assert_eq!(rig.gitlab.end(job).1.as_deref(), Some("job_execution_timeout"), "{ahead}");
        running.drain().await;
        rig.end().await;
    }
}
