//! When what a job prints arrives.

use std::time::{Duration, SystemTime};

use runner_coordinator::core::{EventKind, JobId, JobState};

use crate::figure::{Figure, Samples, Target};
use crate::gitlab::{GitLab, job};
use crate::log::moment;
use crate::runner::{Config, Runner};
use crate::{Context, Error};

pub async fn measure(context: &Context) -> Result<Vec<Figure>, Error> {
    let own = Duration::ZERO;
    let mut figures = Vec::new();
    let lines = Printed { name: "a line each 100 ms", word: "\\n", interval: own };
    figures.extend(one(context, &lines, true, ["1.33", "2.86", "2.97"]).await?);
    let parts = Printed { name: "the same without line ends", word: " ", interval: own };
    figures.extend(one(context, &parts, true, ["5.2", "", "10.2"]).await?);
    let watched =
        Printed { name: "lines, GitLab asks for 3 s", word: "\\n", interval: Duration::from_secs(3) };
    figures.extend(one(context, &watched, false, ["1.33", "2.86", "2.97"]).await?);
    Ok(figures)
}

/// What the job prints, and how often the server wants to hear of it; zero: it does not say.
struct Printed {
    name: &'static str,
    word: &'static str,
    interval: Duration,
}

async fn one(
    context: &Context,
    printed: &Printed,
    judged: bool,
    official: [&'static str; 3],
) -> Result<Vec<Figure>, Error> {
    let interval = printed.interval;
    let mut gitlab = GitLab::with(|options| options.watched_interval = interval).await?;
    let runner = Runner::start(context, &gitlab, &Config { concurrent: 1, check_interval: 1, entries: 1 })?;
    let (mut any, mut first) = (Samples::default(), Samples::default());
    let [mut median, mut p95, mut most]: [Samples; 3] = Default::default();
    for _ in 0..context.repetitions(4) {
        let count = if context.quick { 40 } else { 150 };
        let script = format!(
            "for i in $(seq {count}); do printf 'at %s{}' $EPOCHREALTIME; sleep 0.1; done",
            printed.word
        );
        let (head, late) = run(&mut gitlab, &script, count).await?;
        any.push(head);
        first.push(late.first().copied().unwrap_or(f64::NAN));
        let late: Samples = late.into_iter().skip(1).collect();
        median.push(late.median());
        p95.push(late.quantile(0.95));
        most.push(late.range().1);
    }
    runner.drain().await?;
    gitlab.stop().await;

    let name = printed.name;
    let mut head =
        Figure::new(format!("{name}: handed out → first byte of the log"), "ms", any).official("3000");
    let mut middle =
        Figure::new(format!("{name}: printed → arrived, median"), "s", median).official(official[0]);
    if judged {
        head = head.target(Target::AtMost(150.0));
        middle = middle.target(Target::AtMost(0.5));
    }
    Ok(vec![
        head,
        Figure::new(format!("{name}: the script's first"), "s", first),
        middle,
        Figure::new(format!("{name}: p95"), "s", p95).official(official[1]),
        Figure::new(format!("{name}: longest"), "s", most).official(official[2]),
    ])
}

/// Milliseconds until the log began, and for each print the seconds until it had arrived.
async fn run(gitlab: &mut GitLab, script: &str, count: usize) -> Result<(f64, Vec<f64>), Error> {
    let id = gitlab.handle().enqueue(job(&[script]));
    let mut assigned = None;
    let mut arrivals = Vec::new();
    loop {
        let event = gitlab.event().await?;
        match event.kind {
            EventKind::JobAssigned { .. } => assigned = Some(event.at),
            EventKind::TraceAppended { offset, length, .. } => arrivals.push((offset + length, event.at)),
            EventKind::JobFinished { state: JobState::Success, .. } => break,
            EventKind::JobFinished { .. } => return Err("the job failed".into()),
            _ => {}
        }
    }
    let (_, begun) = arrivals.first().ok_or("the log is empty")?;
    let head = begun.duration_since(assigned.ok_or("the job was not handed out")?)?.as_secs_f64() * 1e3;
    let late = prints(gitlab, id)?
        .into_iter()
        .map(|(end, printed)| {
            let (_, arrived) =
                arrivals.iter().find(|(to, _)| *to >= end).ok_or("something did not arrive")?;
            // Clocks of two processes: a microsecond before is at once.
            Ok(arrived.duration_since(printed).unwrap_or_default().as_secs_f64())
        })
        .collect::<Result<Vec<f64>, Error>>()?;
    if late.len() != count {
        return Err(format!("{} of {count} prints arrived", late.len()).into());
    }
    Ok((head, late))
}

/// Where each print ends in the log, and when it was printed.
fn prints(gitlab: &GitLab, id: JobId) -> Result<Vec<(u64, SystemTime)>, Error> {
    let trace = gitlab.handle().read_trace(id, 0);
    let mut found = Vec::new();
    let mut at = 0;
    for part in trace.split_inclusive(|byte| byte.is_ascii_whitespace()) {
        at += part.len();
        let text = std::str::from_utf8(part).unwrap_or_default().trim();
        if text.len() == 17 && text.as_bytes().get(10) == Some(&b'.') {
            found.push((at as u64, moment(text)?));
        }
    }
    Ok(found)
}
