//! How fast output becomes a log, against `aho-corasick` alone scanning the same bytes for the same 20 secrets: in the way
//! that masking needs (leftmost matches, with its vector search) and as it is by default.
//!
//! Each way of going through the bytes is measured several times in turn and its best time counts: on a busy machine only
//! ratios of one run mean something. `cargo bench -p runner-core --bench log_masking`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use runner_core::executor::{OutputFrame, OutputStream, StageKey};
use runner_core::log::{Filter, FilterSettings, JobLog, LogStorage, MaskRules, Masker};
use runner_core::time::SystemClock;

const TOTAL: usize = 64 << 20;
const FRAME: usize = 16 << 10;
const LINE: usize = 100;
const ROUNDS: usize = 5;

type Way<'a> = (&'static str, Box<dyn Fn() + 'a>);

fn main() {
    let secrets: Vec<String> = (0..20).map(secret).collect();
    for (name, every) in [("no secret in it", usize::MAX), ("a secret in each 100th line", 100)] {
        let text = text(&secrets, every);
        println!("{} MiB, {name}", TOTAL >> 20);
        let ways = ways(&secrets, &text);
        let mut best = vec![Duration::MAX; ways.len()];
        for _ in 0..ROUNDS {
            for (way, best) in ways.iter().zip(&mut best) {
                let start = Instant::now();
                way.1();
                *best = start.elapsed().min(*best);
            }
        }
        for (way, time) in ways.iter().zip(&best) {
            let rate = TOTAL as f64 / time.as_secs_f64() / 1e6;
            let ratio = |baseline: usize| best[baseline].as_secs_f64() / time.as_secs_f64();
            println!("  {:<44}{rate:>8.0} MB/s{:>8.2}{:>8.2}", way.0, ratio(0), ratio(1));
        }
    }
}

fn ways<'a>(secrets: &'a [String], text: &'a [u8]) -> Vec<Way<'a>> {
    let rules = MaskRules::new(secrets.iter().map(String::as_str), [], true);
    let leftmost = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(secrets).unwrap();
    let default = AhoCorasick::new(secrets).unwrap();
    let settings = |timestamps| FilterSettings {
        rules: rules.clone(),
        output_limit: u64::MAX,
        timestamps,
        sections: true,
    };
    let (raw, stamped) = (settings(false), settings(true));
    let scan = move |finder: &AhoCorasick| {
        std::hint::black_box(text.chunks(FRAME).map(|frame| finder.find_iter(frame).count()).sum::<usize>());
    };
    let (raw_log, stamped_log) = (raw.clone(), stamped.clone());
    let (raw_lines, stamped_lines) = (raw.clone(), stamped.clone());
    vec![
        ("aho-corasick, leftmost", Box::new(move || scan(&leftmost))),
        ("aho-corasick, default", Box::new(move || scan(&default))),
        ("masker", Box::new(move || mask(&rules, text))),
        ("filter", Box::new(move || filter(&raw, text, FRAME))),
        ("filter, timestamps", Box::new(move || filter(&stamped, text, FRAME))),
        ("filter, a frame per line", Box::new(move || filter(&raw_lines, text, LINE))),
        ("filter, timestamps, a frame per line", Box::new(move || filter(&stamped_lines, text, LINE))),
        ("job log in a file", Box::new(move || job_log(&raw_log, text, FRAME))),
        ("job log in a file, timestamps", Box::new(move || job_log(&stamped_log, text, FRAME))),
        (
            "job log in a file, a frame per line",
            Box::new(move || job_log(&raw_log_lines(secrets), text, LINE)),
        ),
    ]
}

fn raw_log_lines(secrets: &[String]) -> FilterSettings {
    let rules = MaskRules::new(secrets.iter().map(String::as_str), [], true);
    FilterSettings { rules, output_limit: u64::MAX, timestamps: false, sections: true }
}

fn mask(rules: &MaskRules, text: &[u8]) {
    let mut masker = Masker::new(rules);
    let mut len = 0;
    for frame in text.chunks(FRAME) {
        masker.push(frame, &mut |bytes| len += bytes.len());
    }
    std::hint::black_box(len);
}

fn filter(settings: &FilterSettings, text: &[u8], size: usize) {
    let mut filter = Filter::new(settings.clone());
    let mut log = Vec::with_capacity(FRAME * 4);
    for frame in text.chunks(size) {
        filter.push(OutputStream::Stdout, SystemTime::UNIX_EPOCH, frame, &mut log);
        filter.end_frame(OutputStream::Stdout, &mut log);
        if log.len() >= FRAME {
            std::hint::black_box(&log);
            log.clear();
        }
    }
}

fn job_log(settings: &FilterSettings, text: &[u8], size: usize) {
    let folder = tempfile::tempdir().unwrap();
    let text = Bytes::copy_from_slice(text);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = LogStorage::files(folder.path()).await.unwrap();
        let (log, task) = JobLog::open(storage, settings.clone(), Arc::new(SystemClock)).await.unwrap();
        tokio::spawn(task.run());
        let stage = StageKey::new(0, "step_script", 1);
        let time = SystemTime::UNIX_EPOCH;
        let stream = OutputStream::Stdout;
        for offset in (0..text.len()).step_by(size) {
            let end = text.len().min(offset + size);
            let bytes = text.slice(offset..end);
            let frame = OutputFrame { offset: offset as u64, end: end as u64, time, stream, bytes };
            log.append(&stage, frame).await.unwrap();
        }
        log.finish().await.unwrap();
    });
}

/// Letters and digits, the same in each run.
fn random(seed: &mut u64) -> u8 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[(*seed >> 33) as usize % 62]
}

fn secret(i: u64) -> String {
    let mut seed = i.wrapping_mul(7919);
    (0..16 + i % 24).map(|_| char::from(random(&mut seed))).collect()
}

/// Lines of a build: words, paths, numbers and hashes.
fn text(secrets: &[String], every: usize) -> Vec<u8> {
    let words = [
        "Compiling",
        "warning:",
        "src/lib.rs:",
        "Downloaded",
        "unused variable",
        "in",
        "[INFO]",
        "/usr/bin/cc",
        "-O2",
    ];
    let mut text = Vec::with_capacity(TOTAL + LINE);
    let mut seed = 1;
    let mut line = 0;
    while text.len() < TOTAL {
        let end = text.len() + LINE - 1;
        line += 1;
        if line % every == 0 {
            text.extend_from_slice(secrets[line / every % secrets.len()].as_bytes());
        }
        while text.len() < end {
            let choice = usize::from(random(&mut seed));
            match choice % 4 {
                0 => text.extend((0..3 + choice % 13).map(|_| random(&mut seed))),
                1 => text.extend((0..8).map(|_| b"0123456789abcdef"[usize::from(random(&mut seed)) % 16])),
                _ => text.extend_from_slice(words[choice % words.len()].as_bytes()),
            }
            text.push(b' ');
        }
        text.truncate(end);
        text.push(b'\n');
    }
    text.truncate(TOTAL);
    text
}
