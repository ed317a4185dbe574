//! What the log of a job takes of memory, by what the system says of a process with many of them.

use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use runner_api::{JobUpdate, PatchResult, UpdateResult};
use runner_core::executor::{OutputFrame, OutputStream, StageKey};
use runner_core::log::{
    FilterSettings, FinalState, JobLog, LogStorage, MaskRules, Reply, SenderSettings, TraceApi, TraceSender,
};
use runner_core::time::SystemClock;

use crate::text;

/// The argument with which this program is such a process; then the number of jobs and the MiB of output of each.
pub(crate) const ARGUMENT: &str = "--jobs";

const FEW: usize = 1;
const MANY: usize = 17;

/// Jobs at full speed with log, spool in a file, and sender: peaks of processes with few and with many of them.
pub(crate) fn print() {
    println!("peak memory of a job's log and sender, all jobs at full speed at once");
    for mib in [4, 32] {
        let peak = |jobs: usize| {
            let arguments = [ARGUMENT.to_owned(), jobs.to_string(), mib.to_string()];
            let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap()
        };
        let (few, many) = (peak(FEW), peak(MANY));
        let each = (many - few) / (MANY - FEW) as f64;
        println!(
            "  {mib:>3} MiB of output: {each:.2} MiB a job ({few:.1} MiB with {FEW}, {many:.1} MiB with {MANY})"
        );
    }
}

/// The other process: prints its peak in MiB.
pub(crate) fn child(secrets: &[String], jobs: usize, mib: usize) {
    let folder = tempfile::tempdir().unwrap();
    let text = Bytes::from(text::build(secrets, 100, 1 << 20));
    // As many threads may wait for the disk as in the `runner` program: what they have freed is theirs to keep.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(16).build().unwrap();
    runtime.block_on(async {
        let running: Vec<_> = (0..jobs)
            .map(|job| {
                let rules = MaskRules::new(secrets.iter().map(String::as_str), [], true);
                let folder = folder.path().join(job.to_string());
                tokio::spawn(run(rules, folder, text.clone(), mib))
            })
            .collect();
        for job in running {
            job.await.unwrap();
        }
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{}", peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0);
}

async fn run(rules: MaskRules, folder: std::path::PathBuf, text: Bytes, mib: usize) {
    let settings = FilterSettings { rules, output_limit: u64::MAX, timestamps: true, sections: true };
    let storage = LogStorage::files(folder).await.unwrap();
    let (log, task) = JobLog::open(storage, settings, Arc::new(SystemClock)).await.unwrap();
    let (sender, sending) = TraceSender::new(Arc::new(Willing), &log, SenderSettings::default());
    tokio::spawn(task.run());
    tokio::spawn(sending.run());
    let stage = StageKey::new(0, "step_script", 1);
    let mut offset = 0;
    for _ in 0..mib {
        for at in (0..text.len()).step_by(64 << 10) {
            // A copy of its own, as what is read from a file is.
            let bytes = Bytes::copy_from_slice(&text[at..at + (64 << 10)]);
            let end = offset + bytes.len() as u64;
            let frame =
                OutputFrame { offset, end, time: SystemTime::now(), stream: OutputStream::Stdout, bytes };
            log.append(&stage, frame).await.unwrap();
            offset = end;
        }
    }
    log.finish().await.unwrap();
    sender.finish(FinalState::Success).await;
    log.remove().await.unwrap();
}

/// Takes everything.
#[derive(Debug)]
struct Willing;

#[async_trait]
impl TraceApi for Willing {
    async fn patch(&self, offset: u64, piece: Bytes, _debug: bool) -> Reply<PatchResult> {
        tokio::task::yield_now().await;
        Reply::new(PatchResult::Accepted { end: offset + piece.len() as u64 })
    }

    async fn update(&self, _update: &JobUpdate) -> Reply<UpdateResult> {
        Reply::new(UpdateResult::Succeeded)
    }
}
