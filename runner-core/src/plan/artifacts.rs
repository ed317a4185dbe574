//! Artifacts: those of other jobs before the steps, the job's own after them.

use runner_api::payload::{ArtifactSpec, When};

use super::op::{Command, Condition, Op, Secret};
use super::stage::Body;
use super::steps::enter;
use super::whole::Context;
use crate::variables::{Variables, format_duration};

/// One download after the other; the first that fails fails the stage.
pub(super) fn download(context: &Context<'_>) -> Body {
    let dependencies: Vec<_> =
        context.inputs.job.dependencies.iter().filter(|dependency| dependency.has_artifacts()).collect();
    if dependencies.is_empty() {
        return Body::Ops(Vec::new());
    }
    let downloads = dependencies.iter().flat_map(|dependency| {
        let mut command = helper(context, "artifacts-downloader").args([
            "--url".to_owned(),
            server(context),
            "--id".to_owned(),
            dependency.id.to_string(),
        ]);
        // The official runner passes `--token` here, where every process of the machine can read it. The flag takes its
        // default from this variable.
        command.env.push(("CI_JOB_TOKEN".to_owned(), Secret::DependencyToken(dependency.id)));
        [
            Op::notice(format!("Downloading artifacts for {} ({})...", dependency.name, dependency.id)),
            Op::Run(command),
        ]
    });
    let downloads = downloads.collect();
    let mut ops = enter(context);
    ops.push(with_helper(context, "Artifacts downloading", downloads));
    Body::Ops(ops)
}

/// One upload for each entry that fits the outcome; the first that fails fails the stage.
pub(super) fn upload(context: &Context<'_>, success: bool) -> Body {
    let specs: Vec<_> = context
        .inputs
        .job
        .artifacts
        .iter()
        .filter(|spec| applies(spec.when.as_ref(), success))
        .filter(|spec| spec.untracked || !spec.paths.is_empty() || !spec.exclude.is_empty())
        .collect();
    if specs.is_empty() {
        return Body::Ops(Vec::new());
    }
    let mut ops = enter(context);
    for spec in specs {
        let upload = vec![Op::notice("Uploading artifacts..."), Op::Run(uploader(context, spec))];
        ops.push(with_helper(context, "Uploading artifacts", upload));
    }
    Body::Ops(ops)
}

/// Whether something with this `when` happens after such an outcome.
pub(super) fn applies(when: Option<&When>, success: bool) -> bool {
    match when {
        None | Some(When::OnSuccess) => success,
        Some(When::OnFailure) => !success,
        Some(When::Always) => true,
        // A value of tomorrow: whoever sent it knows better than to rely on an old runner.
        Some(_) => false,
    }
}

/// Whether the job asks for a provenance statement.
pub(super) fn wants_metadata(variables: &Variables) -> bool {
    variables
        .get("RUNNER_GENERATE_ARTIFACTS_METADATA")
        .is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"))
}

/// Where the helper finds GitLab.
fn server(context: &Context<'_>) -> String {
    context.inputs.runner.url.as_str().trim_end_matches('/').to_owned()
}

/// A call of the helper program.
pub(super) fn helper(context: &Context<'_>, name: &str) -> Command {
    Command::new(context.place.helper.iter().cloned()).args([name])
}

/// Does something only if the helper is there; a job without a helper goes on with a warning. It is not started to learn that.
pub(super) fn with_helper(context: &Context<'_>, what: &str, then: Vec<Op>) -> Op {
    let Some(program) = context.place.helper.first() else {
        return Op::warning(format!("{what} is not supported by this executor."));
    };
    Op::If {
        condition: Condition::IsProgram(program.clone()),
        then,
        otherwise: vec![Op::warning(format!(
            "Missing {}. {what} is disabled.",
            context.place.helper.join(" ")
        ))],
    }
}

fn uploader(context: &Context<'_>, spec: &ArtifactSpec) -> Command {
    let (job, settings) = (context.inputs.job, context.inputs.settings);
    let mut command = helper(context, "artifacts-uploader").args([
        "--url".to_owned(),
        server(context),
        "--id".to_owned(),
        job.id.to_string(),
        "--timeout".to_owned(),
        format_duration(settings.artifact_upload_timeout),
        "--response-header-timeout".to_owned(),
        format_duration(settings.artifact_response_timeout),
    ]);
    // As for downloads: the token goes beside the arguments, and a variable of the job with this name does not count.
    command.env.push(("CI_JOB_TOKEN".to_owned(), Secret::JobToken));
    for path in &spec.paths {
        command = command.args(["--path", path]);
    }
    for path in &spec.exclude {
        command = command.args(["--exclude", path]);
    }
    if spec.untracked {
        command = command.args(["--untracked"]);
    }
    let format = spec.artifact_format.as_ref().map_or("", |format| format.as_str());
    for (flag, value) in [
        ("--name", spec.name.as_str()),
        ("--expire-in", spec.expire_in.as_str()),
        ("--artifact-format", format),
        ("--artifact-type", spec.artifact_type.as_str()),
    ] {
        if !value.is_empty() {
            command = command.args([flag, value]);
        }
    }
    command
}
