//! What an executor says of itself.

use super::super::bench::{Bench, Outcome, ensure, show, stage};
use super::adoption::journaled;
use crate::executor::Shell;

pub(super) async fn capabilities_are_kept(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let info = provider.info();
    let (adoption, adopter) = (info.capabilities.adoption, provider.adopter().is_some());
    ensure!(adoption == adopter, "adoption is promised: {adoption}; there is an adopter: {adopter}");
    let replay = info.capabilities.replay;
    ensure!(replay || !adoption, "adoption is promised without replay, which it needs");
    Ok(())
}

pub(super) async fn features_are_there(bench: &Bench) -> Outcome {
    let features = bench.host.provider().await.info().features;
    // Environments have no calls for these yet; a promise to GitLab would be a button that does nothing.
    for (promised, name) in
        [(features.terminal, "a terminal"), (features.session, "a session"), (features.proxy, "a proxy")]
    {
        ensure!(!promised, "GitLab is promised {name}, which no environment has");
    }
    let (job, place) = bench.job().await?;
    let (promised, is) = (features.shared, place.shared);
    ensure!(promised == is, "GitLab is told that folders are shared: {promised}; the place says: {is}");
    job.finish().await
}

pub(super) async fn the_place_is_well_formed(bench: &Bench) -> Outcome {
    let (job, place) = bench.job().await?;
    for (name, path) in [("builds", &place.builds_dir), ("cache", &place.cache_dir)] {
        ensure!(path.starts_with('/'), "the {name} folder {path:?} is not absolute");
        ensure!(!path.ends_with('/'), "the {name} folder {path:?} ends with a slash");
    }
    ensure!(place.builds_dir != place.cache_dir, "builds and cache are the same folder");
    ensure!(!place.os.is_empty(), "the place does not say its operating system");
    let named = place.helper.first().is_none_or(|program| !program.is_empty());
    ensure!(named, "the helper program has an empty name");
    let script = format!("mkdir -p '{0}' '{1}'\ncd '{0}'\npwd\n", place.builds_dir, place.cache_dir);
    let printed = job.run(&stage(1), script).await?;
    ensure!(printed.end.is_success(), "its folders cannot be made: {}", show(&printed.stderr()));
    job.finish().await
}

pub(super) async fn the_shell_is_the_promised_one(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let info = provider.info();
    let job = bench.unprepared(&provider).await?;
    let place = job.prepare().await?;
    let program = place.shell.program();
    ensure!(info.shell == program, "GitLab is told {}, the place says {program}", info.shell);
    let printed = job.run(&stage(1), "echo \"${BASH_VERSION:-none}\"\n").await?;
    let is_bash = printed.stdout() != b"none\n";
    ensure!(is_bash || place.shell != Shell::Bash, "scripts for bash run in another shell");
    job.finish().await
}

pub(super) async fn the_handle_is_known_from_the_start(bench: &Bench) -> Outcome {
    let provider = bench.host.provider().await;
    let info = provider.info();
    let job = bench.unprepared(&provider).await?;
    let before = journaled(&job.environment.handle())?;
    ensure!(
        before.executor() == info.executor,
        "the handle is of {}, not {}",
        before.executor(),
        info.executor
    );
    job.prepare().await?;
    ensure!(job.environment.handle() == before, "preparing changed the handle");
    job.run(&stage(1), "echo text\n").await?.expect("text\n")?;
    ensure!(job.environment.handle() == before, "running a stage changed the handle");
    job.finish().await
}
