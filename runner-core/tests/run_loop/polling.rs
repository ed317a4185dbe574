//! When job requests are sent and how many jobs run, under virtual time.

use std::time::Duration;

use runner_coordinator::core::{Endpoint, EventKind, JobState, Options};
use runner_core::executor::StageEnd;
use runner_core::manager::{Manager, ManagerBuilder};

use crate::support::{Act, Fake, Payload, Rig};

/// Long enough for everything that is due at once.
const MOMENT: Duration = Duration::from_millis(1);

/// Lets this time pass, and everything that is due then happen.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds) + MOMENT).await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_without_jobs_asks_once_per_interval() {
    let rig = Rig::in_process();
    let running = rig.start(Fake::new());
    pass(10).await;
    assert_eq!(rig.gitlab.times(Endpoint::RequestJob), [0, 3, 6, 9]);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_is_waited_for() {
    let rig = Rig::in_process_with(Options::default());
    let running = rig.start(Fake::new());
    pass(150).await;
    // The first one learns the queue's value; the others are held for 50 s each.
    assert_eq!(rig.gitlab.times(Endpoint::RequestJob), [0, 3, 56, 109]);
    running.drain().await;
    rig.end().await;
}

/// Two runners, of which GitLab tells the tags, with room for one job.
fn two_runners(rig: &Rig) -> ManagerBuilder {
    let entry = |tag| rig.entry(&rig.gitlab.create_tagged_runner(tag), Fake::new());
    Manager::builder().runner(entry("one")).runner(entry("two")).concurrent(1)
}

#[tokio::test(start_paused = true)]
async fn scenario_29_a_request_that_is_held_does_not_keep_another_runner_from_asking() {
    for tag in ["one", "two"] {
        for idle in 0..25 {
            let rig = Rig::in_process_with(Options::default());
            let running = rig.start_with(two_runners(&rig));
            pass(100 + idle).await;
            let job = rig.gitlab.enqueue_tagged(Payload::new(["true"]), tag);
            pass(7).await;
            assert_eq!(rig.gitlab.state(job), JobState::Success, "{tag} after {idle}");
            running.drain().await;
            rig.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_only_slow_is_not_given_up() {
    let rig = Rig::in_process_with(Options::default());
    // The job is assigned at once; the answer that hands it out takes its time.
    rig.gitlab.fault("request_job:1:delay=15s");
    let running = rig.start_with(two_runners(&rig));
    let job = rig.gitlab.enqueue_tagged(Payload::new(["true"]), "one");
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_makes_room_when_there_is_less_of_it() {
    let rig = Rig::in_process_with(Options::default());
    let fake = Fake::new().on("step_script", Act::held());
    let tokens = ["busy", "idle"].map(|tag| rig.gitlab.create_tagged_runner(tag));
    let entries = (rig.entry(&tokens[0], fake.clone()), rig.entry(&tokens[1], Fake::new()));
    let running = rig.start_with(Manager::builder().runner(entries.0).runner(entries.1).concurrent(2));
    // Both are held; then one of them has a job and wants to ask again, but the other one has the last share.
    pass(30).await;
    let held = rig.gitlab.requests(Endpoint::RequestJob);
    rig.gitlab.enqueue_tagged(Payload::new(["true"]), "busy");
    fake.called("start step_script").await;
    let second = rig.gitlab.enqueue_tagged(Payload::new(["true"]), "busy");
    pass(14).await;
    assert_eq!(rig.gitlab.state(second), JobState::Running, "asked {held} times at first");
    fake.end("step_script", StageEnd::Exit(0));
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_91_a_job_is_followed_by_the_next_request_at_once() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    for number in 0..3 {
        rig.gitlab.enqueue(Payload::new(["true"]).name(&number.to_string()));
    }
    let running = rig.start(fake.clone());
    pass(1).await;
    // Three jobs and one answer without.
    assert_eq!(rig.gitlab.times(Endpoint::RequestJob), [0, 0, 0, 0]);
    assert_eq!(running.handle.jobs().len(), 3);
    fake.end("step_script", StageEnd::Exit(0));
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_is_followed_by_a_request_at_once() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.poll.check_interval = Duration::from_secs(1000);
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(5));
    let first = rig.gitlab.enqueue(Payload::new(["true"]));
    fake.called("start step_script").await;
    pass(10).await;
    let second = rig.gitlab.enqueue(Payload::new(["true"]));
    pass(10).await;
    assert_eq!(rig.gitlab.state(second), JobState::Pending);
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(first).await;
    pass(0).await;
    assert_eq!(rig.gitlab.state(second), JobState::Running);
    fake.end("step_script", StageEnd::Exit(0));
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_is_not_woken_by_jobs_of_others() {
    let rig = Rig::in_process();
    let (busy, idle) = (Fake::new(), Fake::new());
    let tokens = [rig.gitlab.create_tagged_runner("busy"), rig.gitlab.create_tagged_runner("idle")];
    let entries = (rig.entry(&tokens[0], busy), rig.entry(&tokens[1], idle.clone()));
    let running = rig.start_with(Manager::builder().runner(entries.0).runner(entries.1).concurrent(5));
    pass(0).await;
    for _ in 0..10 {
        rig.gitlab.enqueue_tagged(Payload::new(["true"]), "busy");
    }
    pass(7).await;
    assert_eq!(idle.calls_of(&["acquire"]).len(), 3, "{:?}", idle.calls());
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_89_a_limit_keeps_a_runner_from_asking() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.poll.limit = 1;
    entry.poll.request_concurrency = 3;
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(5));
    let (first, second) =
        (rig.gitlab.enqueue(Payload::new(["true"])), rig.gitlab.enqueue(Payload::new(["true"])));
    fake.called("start step_script").await;
    let asked = rig.gitlab.requests(Endpoint::RequestJob);
    pass(100).await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), asked);
    assert_eq!((rig.gitlab.state(first), rig.gitlab.state(second)), (JobState::Running, JobState::Pending));
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.started(second).await;
    fake.end("step_script", StageEnd::Exit(0));
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn runners_share_what_may_run_at_once() {
    let rig = Rig::in_process();
    let (one, two) = (Fake::new().on("step_script", Act::held()), Fake::new().on("step_script", Act::held()));
    let tokens = [rig.gitlab.create_runner(), rig.gitlab.create_runner()];
    let entries = (rig.entry(&tokens[0], one.clone()), rig.entry(&tokens[1], two.clone()));
    for _ in 0..5 {
        rig.gitlab.enqueue(Payload::new(["true"]));
    }
    let running = rig.start_with(Manager::builder().runner(entries.0).runner(entries.1).concurrent(3));
    pass(100).await;
    assert_eq!(running.handle.jobs().len(), 3);
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 3);
    for fake in [&one, &two] {
        fake.end("step_script", StageEnd::Exit(0));
    }
    pass(0).await;
    assert_eq!(running.handle.jobs().len(), 2);
    for fake in [&one, &two] {
        fake.end("step_script", StageEnd::Exit(0));
    }
    running.drain().await;
    rig.end().await;
}

/// With room for one job and two runners that always have work, both get their turns.
#[tokio::test(start_paused = true)]
async fn no_runner_starves() {
    let rig = Rig::in_process();
    let tokens = [rig.gitlab.create_tagged_runner("a"), rig.gitlab.create_tagged_runner("b")];
    let mut entries = [rig.entry(&tokens[0], Fake::new()), rig.entry(&tokens[1], Fake::new())];
    // The first one has four times as many askers.
    entries[0].poll.request_concurrency = 4;
    let [first, second] = entries;
    for _ in 0..20 {
        rig.gitlab.enqueue_tagged(Payload::new(["true"]), "a");
    }
    let rare: Vec<_> = (0..3).map(|_| rig.gitlab.enqueue_tagged(Payload::new(["true"]), "b")).collect();
    let running = rig.start_with(Manager::builder().runner(first).runner(second));
    for job in rare {
        rig.gitlab.finished(job).await;
    }
    let waiting = rig.gitlab.with(|gitlab, _| {
        gitlab.jobs().filter(|job| job.state == JobState::Pending && job.runner.is_none()).count()
    });
    assert!(waiting >= 3, "the three jobs of the second runner came after {} of the first", 20 - waiting);
    running.drain().await;
    rig.end().await;
}

/// With room for one job, a request that the server holds keeps the other runner waiting, but only for its own time.
#[tokio::test(start_paused = true)]
async fn a_held_request_delays_others_by_its_own_time_at_most() {
    let rig = Rig::in_process_with(Options::default());
    let tokens = [rig.gitlab.create_tagged_runner("a"), rig.gitlab.create_tagged_runner("b")];
    let entries = (rig.entry(&tokens[0], Fake::new()), rig.entry(&tokens[1], Fake::new()));
    let running = rig.start_with(Manager::builder().runner(entries.0).runner(entries.1));
    pass(200).await;
    let jobs = [
        rig.gitlab.enqueue_tagged(Payload::new(["true"]), "a"),
        rig.gitlab.enqueue_tagged(Payload::new(["true"]), "b"),
    ];
    let begun = tokio::time::Instant::now();
    for job in jobs {
        rig.gitlab.finished(job).await;
    }
    assert!(begun.elapsed().as_secs() <= 60, "{:?}", begun.elapsed());
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn idle_runners_ask_with_one_request_at_a_time() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, Fake::new());
    entry.poll.request_concurrency = 4;
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(10));
    pass(31).await;
    let asked = rig.gitlab.requests(Endpoint::RequestJob);
    assert!(asked <= 12, "{asked} requests in 31 s");
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_grow_with_the_work() {
    let rig = Rig::in_process();
    rig.gitlab.fault("request_job:*:delay=2s");
    let fake = Fake::new().on("step_script", Act::held());
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.poll.request_concurrency = 4;
    for _ in 0..40 {
        rig.gitlab.enqueue(Payload::new(["true"]));
    }
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(100));
    pass(60).await;
    let times = rig.gitlab.times(Endpoint::RequestJob);
    let at_once = times.iter().map(|time| times.iter().filter(|other| *other == time).count()).max();
    assert!(at_once > Some(1) && at_once <= Some(4), "{times:?}");
    assert_eq!(running.handle.jobs().len(), 40);
    fake.end("step_script", StageEnd::Exit(0));
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_is_refused_pauses() {
    let rig = Rig::in_process();
    rig.gitlab.fault("request_job:1-3:403");
    let fake = Fake::new();
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake);
    entry.poll.request_concurrency = 2;
    let running = rig.start_with(Manager::builder().runner(entry).concurrent(2));
    pass(3700).await;
    let times = rig.gitlab.times(Endpoint::RequestJob);
    assert_eq!(times[..3], [0, 3, 6]);
    assert!(times[3] >= 3606, "{:?}", &times[..5]);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_does_not_cut_the_pause_of_a_refused_runner_short() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    rig.gitlab.fault("request_job:2-4:403");
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    let running = rig.start(fake.clone());
    pass(100).await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 4);
    fake.end("step_script", StageEnd::Exit(0));
    rig.gitlab.finished(job).await;
    fake.capacity_changes();
    pass(100).await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 4);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_asked_again_and_again() {
    let rig = Rig::in_process();
    rig.gitlab.set_down(true);
    let running = rig.start(Fake::new());
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    pass(3600).await;
    rig.gitlab.set_down(false);
    let begun = tokio::time::Instant::now();
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    assert!(begun.elapsed().as_secs() <= 3, "{:?}", begun.elapsed());
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_31_a_server_in_trouble_is_asked_in_the_usual_rhythm() {
    let rig = Rig::in_process();
    rig.gitlab.fault("request_job:*:500");
    let running = rig.start(Fake::new());
    pass(60).await;
    // Each call is repeated by the client; none of them makes the runner unhealthy.
    assert!(rig.gitlab.requests(Endpoint::RequestJob) > 50);
    rig.gitlab.clear_faults();
    let job = rig.gitlab.enqueue(Payload::new(["true"]));
    assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_patience_gets_it() {
    let rig = Rig::in_process();
    rig.gitlab.fault("request_job:1-5:429,header=Retry-After=40");
    let running = rig.start(Fake::new());
    pass(201).await;
    assert_eq!(rig.gitlab.times(Endpoint::RequestJob), [0, 40, 80, 120, 160, 200]);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_provider_is_asked_again_when_its_capacity_changes() {
    let rig = Rig::in_process();
    let fake = Fake::new().acquire_full();
    let token = rig.gitlab.create_runner();
    let mut entry = rig.entry(&token, fake.clone());
    entry.poll.check_interval = Duration::from_secs(1000);
    let running = rig.start_with(Manager::builder().runner(entry));
    pass(100).await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 0);
    fake.capacity_changes();
    pass(0).await;
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 1);
    assert_eq!(fake.calls(), ["acquire", "acquire", "release"]);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_used_makes_the_runner_unhealthy() {
    let rig = Rig::in_process();
    let fake = Fake::new().acquire_broken().acquire_broken().acquire_broken();
    let running = rig.start(fake.clone());
    pass(3000).await;
    assert_eq!(fake.calls(), ["acquire"; 3]);
    assert_eq!(rig.gitlab.requests(Endpoint::RequestJob), 0);
    pass(700).await;
    assert!(rig.gitlab.requests(Endpoint::RequestJob) > 0);
    running.drain().await;
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn every_reservation_is_given_back() {
    let rig = Rig::in_process();
    let fake = Fake::new();
    rig.gitlab.fault("request_job:3:403");
    rig.gitlab.fault("request_job:4:reset");
    rig.gitlab.enqueue(Payload::new(["true"]));
    let running = rig.start(fake.clone());
    pass(20).await;
    running.drain().await;
    let (acquired, released) = (fake.calls_of(&["acquire"]), fake.calls_of(&["release"]));
    assert!(acquired.len() >= 5, "{acquired:?}");
    assert_eq!(acquired.len(), released.len());
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn scenario_97_jobs_get_the_lowest_free_numbers() {
    let rig = Rig::in_process();
    let fake = Fake::new().on("step_script", Act::held());
    let running = rig.start(fake.clone());
    let numbers = |fake: &Fake| {
        let script = fake.script("step_script");
        let value = |key: &str| {
            let at = script.find(&format!("export {key}=")).unwrap_or_else(|| panic!("{key}: {script}"));
            script[at..].lines().next().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned()
        };
        format!("{} {}", value("CI_CONCURRENT_ID"), value("CI_CONCURRENT_PROJECT_ID"))
    };
    let mut jobs = Vec::new();
    let mut seen = Vec::new();
    for project in [7, 7, 8] {
        let job = rig.gitlab.enqueue(Payload::new(["true"]).project(project));
        rig.gitlab.shows(job, "step_script").await;
        pass(0).await;
        seen.push(numbers(&fake));
        jobs.push(job);
    }
    assert_eq!(seen, ["0 0", "1 1", "2 0"]);
    rig.gitlab.cancel(jobs[0], true);
    pass(100).await;
    assert_eq!(running.handle.jobs().len(), 2);
    let job = rig.gitlab.enqueue(Payload::new(["true"]).project(7));
    rig.gitlab.shows(job, "step_script").await;
    assert_eq!(numbers(&fake), "0 0");
    fake.end("step_script", StageEnd::Exit(0));
    running.drain().await;
    rig.end().await;
}

/// GitLab gives out the next job with the news of an end: it finds the folders of the job before it, and whatever names them.
#[tokio::test(start_paused = true)]
async fn numbers_are_free_before_the_end_is_told() {
    let rig = Rig::in_process();
    rig.gitlab.fault("update_job:2-9:500");
    let fake = Fake::new();
    let running = rig.start(fake.clone());
    let first = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.shows(first, "Job succeeded").await;
    let second = rig.gitlab.enqueue(Payload::new(["true"]));
    rig.gitlab.shows(second, "step_script").await;
    assert_eq!(rig.gitlab.state(first), JobState::Running);
    assert!(fake.script("step_script").contains("CI_CONCURRENT_ID=0"), "{}", fake.script("step_script"));
    rig.gitlab.finished(first).await;
    rig.gitlab.finished(second).await;
    running.drain().await;
    rig.end().await;
}

/// The order of what GitLab sees: with room for one job the next one is taken after the end of the first one.
#[tokio::test(start_paused = true)]
async fn one_place_is_used_by_one_job_at_a_time() {
    let rig = Rig::in_process();
    let token = rig.gitlab.create_runner();
    let entry = rig.entry(&token, Fake::new());
    let jobs: Vec<_> = (0..3).map(|_| rig.gitlab.enqueue(Payload::new(["true"]))).collect();
    let begun = tokio::time::Instant::now();
    let running = rig.start_with(Manager::builder().runner(entry));
    let mut order = Vec::new();
    for job in &jobs {
        rig.gitlab.finished(*job).await;
    }
    running.drain().await;
    rig.gitlab.with(|gitlab, _| {
        while let Some(event) = gitlab.next_event() {
            match event.kind {
                EventKind::JobAssigned { job, .. } => order.push(format!("assigned {job}")),
                EventKind::JobFinished { job, .. } => order.push(format!("finished {job}")),
                _ => {}
            }
        }
    });
    let expected: Vec<String> =
        jobs.iter().flat_map(|job| [format!("assigned {job}"), format!("finished {job}")]).collect();
    assert_eq!(order, expected);
    assert!(begun.elapsed().as_secs() < 3, "{:?}", begun.elapsed());
    rig.end().await;
}
