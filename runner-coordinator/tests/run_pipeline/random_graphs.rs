//! Every graph ends: whatever jobs there are and however they end, nothing waits for ever.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use runner_coordinator::pipeline::{AllowFailure, Job, When};
use runner_coordinator::run::{Action, Finished, Outcome, PipelineRun, Status};

use crate::status::{by_the_table, needs_by_the_table};
use crate::support::{TestHost, job, need, now, pipeline, settings};

const STAGES: [&str; 5] = [".pre", "build", "test", "deploy", ".post"];

#[derive(Debug, Clone)]
struct Shape {
    stage: usize,
    when: When,
    allow_failure: AllowFailure,
    /// Seeds of needs: each picks one of the jobs before this one.
    needs: Option<Vec<usize>>,
    retries: u8,
    group: Option<u8>,
    /// How each of its tries ends.
    ends: Vec<bool>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let when = prop::sample::select(vec![
        When::OnSuccess,
        When::OnSuccess,
        When::OnFailure,
        When::Always,
        When::Manual,
        When::Delayed,
    ]);
    let allow_failure = prop::sample::select(vec![
        AllowFailure::No,
        AllowFailure::No,
        AllowFailure::Yes,
        AllowFailure::ExitCodes(vec![1]),
        AllowFailure::ExitCodes(vec![2]),
    ]);
    let needs = prop::option::of(prop::collection::vec(any::<usize>(), 0..4));
    let group = prop::option::of(0_u8..2);
    let ends = prop::collection::vec(any::<bool>(), 3);
    (0..STAGES.len(), when, allow_failure, needs, 0_u8..3, group, ends).prop_map(
        |(stage, when, allow_failure, needs, retries, group, ends)| Shape {
            stage,
            when,
            allow_failure,
            needs,
            retries,
            group,
            ends,
        },
    )
}

/// The jobs that one needs.
fn needs_of(shapes: &[Shape], index: usize) -> Option<Vec<usize>> {
    let candidates: Vec<usize> =
        (0..index).filter(|other| shapes[*other].stage <= shapes[index].stage).collect();
    let seeds = shapes[index].needs.as_ref()?;
    Some(seeds.iter().filter_map(|seed| candidates.get(seed % candidates.len().max(1)).copied()).collect())
}

/// How each job ends while nobody plays one, job by job from the first stage on: what it counts as for others.
fn expected(shapes: &[Shape]) -> Vec<&'static str> {
    let mut order: Vec<usize> = (0..shapes.len()).collect();
    order.sort_by_key(|index| (shapes[*index].stage, *index));
    let mut kinds = vec![""; shapes.len()];
    for index in order {
        let shape = &shapes[index];
        let needs = needs_of(shapes, index);
        let before: Vec<&str> = match &needs {
            Some(needs) => needs.iter().map(|other| kinds[*other]).collect(),
            None => {
                let earlier = (0..shapes.len()).filter(|other| shapes[*other].stage < shape.stage);
                earlier.map(|other| kinds[other]).collect()
            }
        };
        let combined = match &needs {
            _ if before.is_empty() => "success",
            Some(_) => needs_by_the_table(&before),
            None => by_the_table(&before),
        };
        let starts = match shape.when {
            When::OnFailure => combined == "failed",
            When::Always => combined != "canceled",
            _ => combined == "success" || (combined == "skipped" && needs.is_none()),
        };
        kinds[index] = match combined {
            "success" | "failed" | "canceled" | "skipped" if !starts => "skipped",
            "success" | "failed" | "canceled" | "skipped" => ended(shape),
            _ => "created",
        };
    }
    kinds
}

/// What a job that starts counts as in the end.
fn ended(shape: &Shape) -> &'static str {
    if shape.when == When::Manual {
        return if shape.allow_failure == AllowFailure::Yes { "ignored" } else { "manual" };
    }
    let tries = (0..=usize::from(shape.retries)).map(|number| shape.ends[number % shape.ends.len()]);
    match (tries.into_iter().any(|ok| ok), &shape.allow_failure) {
        (true, _) => "success",
        (false, AllowFailure::Yes) => "warning",
        (false, AllowFailure::ExitCodes(codes)) if codes.contains(&1) => "warning",
        (false, _) => "failed",
    }
}

/// Jobs in a random order of stages; needs point to any job of the same or an earlier stage that was made before.
fn jobs(shapes: &[Shape]) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        let mut made = job(&format!("j{index}"), STAGES[shape.stage]);
        made.when = shape.when;
        made.start_in = (shape.when == When::Delayed).then(|| std::time::Duration::from_secs(5));
        made.allow_failure = shape.allow_failure.clone();
        made.retry.max = shape.retries;
        made.resource_group = shape.group.map(|group| format!("g{group}"));
        made.needs = needs_of(shapes, index)
            .map(|needs| needs.into_iter().map(|other| need(&format!("j{other}"))).collect());
        jobs.push(made);
    }
    // Reversed, so that the order in which jobs are written says nothing about what they need.
    jobs.reverse();
    jobs
}

/// Runs a pipeline to its end, finishing the queued job that `pick` chooses; plays manual jobs when `play` says so.
fn run_to_end(
    shapes: &[Shape],
    picks: &[usize],
    play: bool,
    cancel_after: Option<usize>,
) -> (PipelineRun, Outcome) {
    let mut run = PipelineRun::new(pipeline(jobs(shapes)), settings()).unwrap();
    let mut host = TestHost::new();
    let mut at = now();
    let mut queue = Vec::new();
    let mut wake = None;
    for step in 0.. {
        assert!(step < 40 * (shapes.len() + 1), "does not end: {run:?}");
        if cancel_after == Some(step) {
            run.cancel(at);
        }
        for action in run.advance(at, &mut host) {
            match action {
                Action::Enqueue { job, .. } => queue.push(job),
                Action::WakeAt(next) => wake = Some(next),
                Action::Cancel { job } => {
                    queue.retain(|queued| *queued != job);
                    run.finished(job, Finished::canceled(), at);
                }
                Action::Note(_) | Action::StartChild { .. } => {}
            }
        }
        if let Some(outcome) = run.outcome() {
            let waiting = run.jobs().find(|job| job.status == Status::Manual).map(|job| job.job.name.clone());
            match waiting.filter(|_| play && outcome != Outcome::Canceled) {
                Some(name) => run.play(&name).unwrap(),
                None => return (run, outcome),
            }
            continue;
        }
        if queue.is_empty() {
            // Nothing to finish: then it is a delay or the end of a cancel that is waited for.
            at = wake.take().unwrap_or(at);
            continue;
        }
        let pick = picks.get(step % picks.len().max(1)).copied().unwrap_or_default();
        let id = queue.remove(pick % queue.len());
        let view = run.job_of(id).unwrap();
        let index: usize = view.job.name[1..].parse().unwrap();
        let ok = shapes[index].ends[(view.tries.len() - 1) % shapes[index].ends.len()];
        run.started(id, at);
        run.finished(id, if ok { Finished::success() } else { Finished::script_failed(1) }, at);
    }
    unreachable!()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn every_graph_ends(
        shapes in prop::collection::vec(shape(), 0..14),
        picks in prop::collection::vec(any::<usize>(), 1..8),
        play in any::<bool>(),
        cancel_after in prop::option::of(0_usize..12),
    ) {
        let (run, outcome) = run_to_end(&shapes, &picks, play, cancel_after);
        let left: Vec<_> = run.jobs().filter(|job| !job.status.is_complete()).collect();
        match &outcome {
            Outcome::Blocked { manual } => prop_assert!(!manual.is_empty() && !play),
            Outcome::Canceled => prop_assert!(left.iter().all(|job| job.status == Status::Manual)),
            Outcome::Failed => prop_assert!(run.jobs().any(|job| job.status == Status::Failed)),
            _ => prop_assert!(left.iter().all(|job| job.status == Status::Manual && job.failure_allowed)),
        }
        if play && outcome != Outcome::Canceled {
            prop_assert!(left.is_empty(), "left: {:?}", left);
        }
        for job in run.jobs() {
            prop_assert!(job.tries.len() <= usize::from(job.job.retry.max) + 1);
        }
    }

    /// Who runs and who does not, and what the pipeline is in the end.
    #[test]
    fn every_job_ends_as_the_tables_say(
        shapes in prop::collection::vec(shape(), 0..14),
        picks in prop::collection::vec(any::<usize>(), 1..8),
    ) {
        let (run, _) = run_to_end(&shapes, &picks, false, None);
        let expected = expected(&shapes);
        for view in run.jobs() {
            let kind = match (view.status, view.failure_allowed) {
                (Status::Failed, true) => "warning",
                (Status::Manual, true) => "ignored",
                (status, _) => status.as_str(),
            };
            let index: usize = view.job.name[1..].parse().unwrap();
            prop_assert_eq!(kind, expected[index], "{} of {:?}", view.job.name, shapes);
        }
        let status = if expected.is_empty() { "skipped" } else { by_the_table(&expected) };
        prop_assert_eq!(run.status().as_str(), status);
    }

    /// The order in which jobs end changes nothing about who ran, unless a resource group is involved.
    #[test]
    fn order_of_ends_does_not_matter(
        shapes in prop::collection::vec(shape(), 0..12),
        picks in prop::collection::vec(any::<usize>(), 1..8),
    ) {
        let statuses = |picks: &[usize]| {
            let (run, outcome) = run_to_end(&shapes, picks, false, None);
            (run.jobs().map(|job| job.status).collect::<Vec<_>>(), outcome)
        };
        prop_assert_eq!(statuses(&[0]), statuses(&picks));
    }
}
