//! The page.

use std::fmt::Write;
use std::time::SystemTime;

use ansi_to_html::Converter;

use super::{JobReport, Run, Tests};
use crate::exec::graph::{class, escaped, svg};
use crate::exec::ui::{Lines, Row, clean, seconds, status};

/// What is shown of one log: its end, where the reason of a failure is.
const LONGEST_LOG: usize = 4 * 1024 * 1024;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--line:#d0d7de;--box:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;--faint:#59636e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#30363d;--box:#161b22;--good:#3fb950;--bad:#f85149;--warn:#d29922;--faint:#8d96a0}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.faint{color:var(--faint)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line);white-space:nowrap}\
td.time{width:40%}td.time div{position:relative;height:.9rem}td.time i{position:absolute;height:100%;border-radius:2px;min-width:2px;background:currentColor}td.time i.wait{opacity:.25}\
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;background:var(--box)}summary{cursor:pointer;padding:.4rem .7rem}details>div{padding:0 .7rem .6rem}\
pre{margin:0;padding:.6rem .7rem;overflow-x:auto;font:13px/1.45 ui-monospace,monospace;background:#0d1117;color:#e6edf3;border-radius:0 0 6px 6px}a{color:inherit}";

/// The whole page.
pub(crate) fn page(run: &Run) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}: {verdict}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}: <span class=\"{class}\">{verdict}</span></h1>\n<p class=\"faint\">{subject}<br>{begun}, {took}</p>\n",
        title = escaped(&run.title),
        verdict = escaped(&run.verdict),
        class = if run.good { "good" } else { "bad" },
        subject = escaped(&run.subject),
        begun = utc(run.begun),
        took = seconds(run.took),
    );
    let _ = write!(page, "<div class=\"scroll\">\n{}</div>\n", svg(&run.graph));
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
    page.push_str("</body></html>\n");
    page
}

fn table(page: &mut String, run: &Run) {
    page.push_str(
        "<h2>Jobs</h2>\n<div class=\"scroll\"><table><tr><th>job</th><th>stage</th><th>status</th><th>duration</th><th>tests</th>\
         <th>coverage</th><th>artifacts</th><th>timeline</th></tr>\n",
    );
    for (index, job) in run.jobs.iter().enumerate() {
        let row = &job.row;
        let took = row.started.zip(row.finished).and_then(|(from, to)| to.duration_since(from).ok());
        let tests = job.tests.as_ref().map(counted).unwrap_or_default();
        let artifacts: Vec<String> =
            job.artifacts.iter().map(|(kind, bytes)| format!("{kind} {}", size(*bytes))).collect();
        let coverage = row.coverage.as_ref().map(|percent| format!("{percent} %")).unwrap_or_default();
        let _ = writeln!(
            page,
            "<tr><td><a href=\"#job-{index}\">{}</a></td><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{tests}</td><td>{}</td>\
             <td>{}</td><td class=\"time {}\"><div>{}</div></td></tr>",
            escaped(&row.name),
            escaped(&row.stage),
            color(row),
            escaped(&status(row)),
            took.map(seconds).unwrap_or_default(),
            escaped(&coverage),
            escaped(&artifacts.join(", ")),
            color(row),
            bars(run, job),
        );
    }
    page.push_str("</table></div>\n");
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
    page.push_str("<h2>Failed tests</h2>\n<div class=\"scroll\"><table><tr><th>job</th><th>test</th><th>message</th></tr>\n");
    for (job, test) in failed {
        let cells = [&job.row.name, &test.name, &test.message].map(|text| escaped(text));
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"bad\">{}</td></tr>",
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
        "<details id=\"job-{index}\"{open}><summary>{} <span class=\"{}\">{}</span></summary>",
        escaped(&row.name),
        color(row),
        escaped(&status(row)),
    );
    let skipped = job.log.len().saturating_sub(LONGEST_LOG);
    if skipped > 0 {
        let _ = writeln!(
            page,
            "<div class=\"faint\">the first {} of the log are left out</div>",
            size(skipped as u64)
        );
    }
    if job.log.is_empty() {
        page.push_str("<div class=\"faint\">no log</div>\n");
    } else {
        let _ = writeln!(page, "<pre>{}</pre>", html(job.log.get(skipped..).unwrap_or_default()));
    }
    page.push_str("</details>\n");
}

/// A log with its colours.
fn html(log: &[u8]) -> String {
    let mut lines = Lines::default();
    let mut text = String::with_capacity(log.len());
    for line in lines.push(log).into_iter().chain(lines.finish()) {
        if let Some(line) = clean(&line, true) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    // Colours that cannot be read are no reason to hide the text.
    Converter::new().convert(&text).unwrap_or_else(|_| escaped(&text))
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
    use crate::exec::report::FailedTest;

    fn job(name: &str, status: Status, log: &[u8]) -> JobReport {
        JobReport {
            row: Row::sample(name, status, Some((0, 5, 10))),
            log: log.to_vec(),
            tests: None,
            artifacts: Vec::new(),
        }
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
        broken.artifacts = vec![("archive".to_owned(), 2048)];
        let page = page(&run(vec![broken, job("lint", Status::Success, b"")]));
        for part in [
            "<title>pipeline 7: failed</title>",
            "project &lt;x&gt;, main",
            "1970-01-01 00:00:00 UTC, 20.0 s",
            "<a href=\"#job-0\">unit: [&lt;a&gt;]</a>",
            "<details id=\"job-0\" open>",
            "<details id=\"job-1\"><summary>lint",
            "3, <span class=\"bad\">1 failed</span>",
            "<td class=\"bad\">1 &lt; 2</td>",
            "81.5 %",
            "archive 2.0 KiB",
            "red &lt;b&gt;</span>\nplain\n",
            "left:25.00%;width:25.00%",
            "a note &amp; more",
            "<div class=\"faint\">no log</div>",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(
            !page.contains("section_start") && !page.contains("src=") && !page.contains("href=\"http"),
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
