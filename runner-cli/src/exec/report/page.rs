//! The page.

use std::fmt::Write;
use std::time::SystemTime;

use super::log::html;
use super::{JobReport, Run, Tests};
use crate::exec::graph::{class, escaped, svg};
use crate::exec::ui::{Row, seconds, status};

/// What is shown of one log: its end, where the reason of a failure is.
const LONGEST_LOG: usize = 4 * 1024 * 1024;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--line:#d0d7de;--box:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--warn:#8a5a00;--faint:#59636e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#30363d;--box:#161b22;--good:#3fb950;--bad:#f85149;--warn:#d29922;--faint:#9198a1}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:80rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0;overflow-wrap:anywhere}\
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.faint{color:var(--faint)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}\
td.long{white-space:normal;overflow-wrap:anywhere;min-width:min(12rem,35vw)}\
td.time{width:30%;min-width:8rem;padding-right:0}td.time div{position:relative;height:.9rem;margin-top:.3rem}td.time i{position:absolute;height:100%;border-radius:2px;min-width:2px;background:currentColor}td.time i.wait{opacity:.25}\
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;background:var(--box)}summary{cursor:pointer;padding:.4rem .7rem;overflow-wrap:anywhere}details>p{padding:0 .7rem .6rem}a{color:inherit}";

/// Logs are dark in any light: what prints colours expects it. The sixteen colours are ones that can be read on it.
const LOG_STYLE: &str = "\
.log{scroll-margin-top:3.5rem;padding:.6rem 0;font:13px/1.45 ui-monospace,monospace;background:#0d1117;color:#e6edf3;border-radius:0 0 6px 6px;\
--black:#6e7681;--red:#ff7b72;--green:#3fb950;--yellow:#d29922;--blue:#58a6ff;--magenta:#bc8cff;--cyan:#39c5cf;--white:#c9d1d9;\
--bright-black:#8b949e;--bright-red:#ffa198;--bright-green:#56d364;--bright-yellow:#e3b341;--bright-blue:#79c0ff;--bright-magenta:#d2a8ff;--bright-cyan:#56d4dd;--bright-white:#fff}\
.log pre{margin:0;padding:0 .7rem;overflow-x:auto;font:inherit}.log details{border:0;border-radius:0;margin:0;background:none}.log summary{padding:0 .7rem}.log summary:hover{background:#161b22}\
.log time{float:right;color:#8b949e;margin-left:1rem}.log details details{margin-left:1rem}";

/// The whole page.
pub(crate) fn page(run: &Run) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}: {verdict}</title><style>{STYLE}\n{LOG_STYLE}</style></head><body><main>\n\
         <h1>{title}: <span class=\"{class}\">{verdict}</span></h1>\n<p class=\"faint\">{subject}<br>{begun}, {took}</p>\n",
        title = escaped(&run.title),
        verdict = escaped(&run.verdict),
        class = if run.good { "good" } else { "bad" },
        subject = escaped(&run.subject),
        begun = utc(run.begun),
        took = seconds(run.took),
    );
    let _ = writeln!(page, "{}{}</div>", scroll("graph"), svg(&run.graph));
    table(&mut page, run);
    failed_tests(&mut page, run);
    if !run.notes.is_empty() {
        page.push_str("<h2>Notes</h2>\n");
        for note in &run.notes {
            let _ = writeln!(page, "<p>{}</p>", escaped(note));
        }
    }
    page.push_str("<h2>Logs</h2>\n");
    for (index, job) in run.jobs.iter().enumerate() {
        log(&mut page, index, job);
    }
    page.push_str("</main></body></html>\n");
    page
}

fn table(page: &mut String, run: &Run) {
    // What no job has gets no column.
    let has = [
        run.jobs.iter().any(|job| job.tests.is_some()),
        run.jobs.iter().any(|job| job.row.coverage.is_some()),
        run.jobs.iter().any(|job| !job.artifacts.is_empty()),
    ];
    let mut columns = vec!["job", "stage", "status", "duration"];
    columns.extend(
        ["tests", "coverage", "artifacts"].into_iter().zip(has).filter_map(|(name, has)| has.then_some(name)),
    );
    columns.push("timeline");
    let _ = writeln!(page, "<h2>Jobs</h2>\n{}<table>{}", scroll("jobs"), head(&columns));
    for (index, job) in run.jobs.iter().enumerate() {
        let row = &job.row;
        let took = row.started.zip(row.finished).and_then(|(from, to)| to.duration_since(from).ok());
        let _ = write!(
            page,
            "<tr><td><a href=\"#job-{index}\">{}</a></td><td>{}</td><td class=\"{} long\">{}</td><td>{}</td>",
            escaped(&row.name),
            escaped(&row.stage),
            color(row),
            escaped(&status_of(row)),
            took.map(seconds).unwrap_or_default(),
        );
        let artifacts: Vec<String> = job
            .artifacts
            .iter()
            .map(|artifact| format!("{} {}", artifact.kind, size(artifact.size)))
            .collect();
        let cells = [
            job.tests.as_ref().map(counted).unwrap_or_default(),
            row.coverage.as_ref().map(|percent| escaped(&format!("{percent} %"))).unwrap_or_default(),
            escaped(&artifacts.join(", ")),
        ];
        for (cell, _) in cells.iter().zip(has).filter(|(_, has)| *has) {
            let _ = write!(page, "<td>{cell}</td>");
        }
        let _ = writeln!(page, "<td class=\"time {}\"><div>{}</div></td></tr>", color(row), bars(run, job));
    }
    page.push_str("</table></div>\n");
}

/// An area that scrolls by itself; with the keyboard as well.
fn scroll(name: &str) -> String {
    format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\">\n")
}

fn head(columns: &[&str]) -> String {
    let cells: String = columns.iter().map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
    format!("<tr>{cells}</tr>")
}

/// The status without the coverage, which has a column of its own.
fn status_of(row: &Row) -> String {
    status(&Row { coverage: None, ..row.clone() })
}

fn color(row: &Row) -> &'static str {
    class(row.status, row.allowed)
}

fn counted(tests: &Tests) -> String {
    match tests.failed.len() {
        0 => tests.total.to_string(),
        failed => format!("{}, <span class=\"bad\">{failed} failed</span>", tests.total),
    }
}

/// When the job waited and ran, within the run.
fn bars(run: &Run, job: &JobReport) -> String {
    let whole = run.took.as_secs_f64().max(0.001);
    let percent = |time: SystemTime| {
        (time.duration_since(run.begun).unwrap_or_default().as_secs_f64() / whole * 100.0).clamp(0.0, 100.0)
    };
    let (Some(queued), Some(started)) = (job.row.queued, job.row.started) else { return String::new() };
    let (queued, started) = (percent(queued), percent(started));
    let finished = job.row.finished.map_or(100.0, percent);
    format!(
        "<i class=\"wait\" style=\"left:{queued:.2}%;width:{:.2}%\"></i><i style=\"left:{started:.2}%;width:{:.2}%\"></i>",
        (started - queued).max(0.0),
        (finished - started).max(0.0),
    )
}

fn failed_tests(page: &mut String, run: &Run) {
    let jobs = run.jobs.iter().filter_map(|job| Some((job, job.tests.as_ref()?)));
    let failed: Vec<_> =
        jobs.flat_map(|(job, tests)| tests.failed.iter().map(move |test| (job, test))).collect();
    if failed.is_empty() {
        return;
    }
    let columns = ["job", "test", "message"];
    let _ = writeln!(page, "<h2>Failed tests</h2>\n{}<table>{}", scroll("failed tests"), head(&columns));
    for (job, test) in failed {
        let cells = [&job.row.name, &test.name, &test.message].map(|text| escaped(text));
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"long\">{}</td><td class=\"bad long\">{}</td></tr>",
            cells[0], cells[1], cells[2]
        );
    }
    page.push_str("</table></div>\n");
}

fn log(page: &mut String, index: usize, job: &JobReport) {
    let row = &job.row;
    // What failed is open: it is what one came for.
    let open = if color(row) == "bad" { " open" } else { "" };
    let _ = writeln!(
        page,
        "<details{open}><summary>{} <span class=\"{}\">{}</span></summary>",
        escaped(&row.name),
        color(row),
        escaped(&status_of(row)),
    );
    let skipped = job.log.len().saturating_sub(LONGEST_LOG);
    if skipped > 0 {
        let _ = writeln!(
            page,
            "<p class=\"faint\">the first {} of the log are left out</p>",
            size(skipped as u64)
        );
    }
    // A link to what is inside opens what is around it.
    if job.log.is_empty() {
        let _ = writeln!(page, "<p class=\"faint\" id=\"job-{index}\">no log</p>");
    } else {
        let shown = job.log.get(skipped..).unwrap_or_default();
        let _ = writeln!(
            page,
            "<div class=\"log\" id=\"job-{index}\">\n{}</div>",
            html(shown, color(row) != "good")
        );
    }
    page.push_str("</details>\n");
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn utc(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.0}").replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runner_coordinator::run::Status;

    use super::*;
    use crate::exec::graph::Graph;
    use crate::exec::report::{Artifact, FailedTest};

    fn job(name: &str, status: Status, log: &[u8]) -> JobReport {
        JobReport { log: log.to_vec(), ..JobReport::new(Row::sample(name, status, Some((0, 5, 10)))) }
    }

    fn run(jobs: Vec<JobReport>) -> Run {
        Run {
            title: "pipeline 7".to_owned(),
            subject: "project <x>, main".to_owned(),
            verdict: "failed".to_owned(),
            good: false,
            begun: SystemTime::UNIX_EPOCH,
            took: Duration::from_secs(20),
            graph: Graph { columns: Vec::new() },
            jobs,
            notes: vec!["a note & more".to_owned()],
        }
    }

    #[test]
    fn a_page_tells_a_run() {
        let mut broken =
            job("unit: [<a>]", Status::Failed, b"section_start:1:x\r\x1b[0K\x1b[31mred <b>\x1b[0;m\nplain\n");
        let failed = FailedTest { name: "t".to_owned(), message: "1 < 2".to_owned() };
        broken.tests = Some(Tests { total: 3, skipped: 0, failed: vec![failed] });
        broken.row.coverage = Some("81.5".to_owned());
        broken.artifacts = vec![Artifact {
            kind: "archive".to_owned(),
            file: "artifacts.zip".to_owned(),
            size: 2048,
            files: None,
        }];
        let page = page(&run(vec![broken, job("lint", Status::Success, b"")]));
        for part in [
            "<title>pipeline 7: failed</title>",
            "project &lt;x&gt;, main",
            "1970-01-01 00:00:00 UTC, 20.0 s",
            "<a href=\"#job-0\">unit: [&lt;a&gt;]</a>",
            "<details open><summary>unit: [&lt;a&gt;] <span class=\"bad\">failed</span></summary>\n<div class=\"log\" id=\"job-0\">",
            "<details><summary>lint",
            "3, <span class=\"bad\">1 failed</span>",
            "<td class=\"bad long\">1 &lt; 2</td>",
            "<td class=\"bad long\">failed</td>",
            "81.5 %",
            "archive 2.0 KiB",
            "red &lt;b&gt;</span></summary>\n<pre>plain\n",
            "left:25.00%;width:25.00%",
            "a note &amp; more",
            "<p class=\"faint\" id=\"job-1\">no log</p>",
            "role=\"region\" aria-label=\"jobs\"",
            "<th scope=\"col\">job</th>",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(
            !page.contains("section_start") && !page.contains("src=") && !page.contains("href=\"http"),
            "{page}"
        );
    }

    #[test]
    fn columns_that_stay_empty_are_left_out() {
        let bare = page(&run(vec![job("a", Status::Success, b"")]));
        assert!(!bare.contains(">tests</th>") && !bare.contains(">coverage</th>"), "{bare}");
        let mut covered = job("b", Status::Success, b"");
        covered.row.coverage = Some("7".to_owned());
        let page = page(&run(vec![job("a", Status::Success, b""), covered]));
        assert!(
            page.contains(">duration</th><th scope=\"col\">coverage</th><th scope=\"col\">timeline</th>"),
            "{page}"
        );
        assert!(
            page.contains("<td>5.0 s</td><td></td><td class=\"time") && page.contains("<td>7 %</td>"),
            "{page}"
        );
    }

    #[test]
    fn of_a_long_log_the_end_is_shown() {
        let mut log = vec![b'x'; LONGEST_LOG];
        log.extend_from_slice(b"\nthe end\n");
        let page = page(&run(vec![job("a", Status::Failed, &log)]));
        assert!(page.contains("the first 9 B of the log are left out") && page.contains("the end\n"));
    }
}
