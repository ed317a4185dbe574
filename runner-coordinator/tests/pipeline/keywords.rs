//! What the keywords of a job become.

use std::time::Duration;

use runner_coordinator::pipeline::{
    AllowFailure, ChildInclude, ChildSource, Code, EvaluateError, Forward, KeepWhen, Trigger, TriggerTarget,
    When, Work,
};

use crate::support::{config, job, names, push, variables};

#[test]
fn images_and_services() {
    let config = config(
        "a:\n  script: x\n  image: {name: i, entrypoint: [sh, -c], pull_policy: [always, never], docker: {platform: p, user: u}, kubernetes: {user: 1000}}\n\
        \n  services: [s, {name: t, alias: 'x, y', command: [c], variables: {V: 1}, pull_policy: never}]\n",
    );
    let a = job(&config, "a");
    let image = a.image.as_ref().unwrap();
    assert_eq!(image.entrypoint.as_deref(), Some(&["sh".to_owned(), "-c".to_owned()][..]));
    assert_eq!(image.pull_policy, ["always", "never"]);
    assert_eq!(image.docker_platform.as_deref(), Some("p"));
    assert_eq!(image.docker_user.as_deref(), Some("u"));
    assert_eq!(image.kubernetes_user.as_deref(), Some("1000"));
    let service = &a.services[1];
    assert_eq!((service.image.name.as_str(), service.alias.as_deref()), ("t", Some("x, y")));
    assert_eq!(service.command.as_deref(), Some(&["c".to_owned()][..]));
    assert_eq!((service.variables[0].key.as_str(), service.variables[0].value.as_str()), ("V", "1"));
    assert_eq!(service.image.pull_policy, ["never"]);
}

#[test]
fn retry_timeout_and_failures() {
    let config = config(
        "a: {script: x, retry: {max: 2, when: script_failure, exit_codes: [1, 2]}, timeout: 1h 30m, allow_failure: {exit_codes: [3, 4]}}\n\
         b: {script: x, when: manual, timeout: '3600'}\n\
         c: {script: x, when: manual, allow_failure: false}\n\
         d: {script: x, when: delayed, start_in: 5 minutes}",
    );
    let a = job(&config, "a");
    assert_eq!(
        (a.retry.max, a.retry.when.as_slice(), a.retry.exit_codes.as_slice()),
        (2, &["script_failure".to_owned()][..], &[1, 2][..])
    );
    assert_eq!(a.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(a.allow_failure, AllowFailure::ExitCodes(vec![3, 4]));
    let b = job(&config, "b");
    assert_eq!(
        (b.when, &b.allow_failure, b.timeout),
        (When::Manual, &AllowFailure::Yes, Some(Duration::from_secs(3600)))
    );
    assert_eq!(job(&config, "c").allow_failure, AllowFailure::No);
    let d = job(&config, "d");
    assert_eq!((d.when, d.start_in), (When::Delayed, Some(Duration::from_secs(300))));
}

#[test]
fn artifacts_and_caches() {
    let config = config(
        "a:\n  script: x\n  artifacts: {name: n, paths: [p], exclude: [e], untracked: true, when: always, expire_in: never, expose_as: report, access: none, reports: {junit: [a, b]}}\n\
        \n  cache: [{key: $K, paths: [c], policy: $P, when: on_failure, fallback_keys: [f], untracked: true, unprotect: true}, {paths: [d]}]\n",
    );
    let a = job(&config, "a");
    let artifacts = a.artifacts.as_ref().unwrap();
    assert_eq!(artifacts.name.as_deref(), Some("n"));
    assert_eq!(
        (artifacts.paths.as_slice(), artifacts.exclude.as_slice()),
        (&["p".to_owned()][..], &["e".to_owned()][..])
    );
    assert!(artifacts.untracked && artifacts.when == KeepWhen::Always);
    assert_eq!(artifacts.expire_in.as_deref(), Some("never"));
    assert_eq!(artifacts.reports[0].paths, ["a", "b"]);
    let cache = &a.cache[0];
    assert_eq!(
        (cache.policy.as_str(), cache.when, cache.fallback_keys.as_slice()),
        ("$P", KeepWhen::OnFailure, &["f".to_owned()][..])
    );
    assert!(cache.untracked && cache.unprotect);
    assert_eq!(a.cache[1].policy, "pull-push");
}

#[test]
fn other_keywords_are_carried() {
    let config = config(
        "a:\n  script: x\n  coverage: '/Total: (\\d+)%/'\n  resource_group: $G\n  interruptible: true\n  hooks: {pre_get_sources_script: [h]}\n  manual_confirmation: sure?\n  dependencies: []\n  environment: {name: review/$B, url: 'https://e', action: start, deployment_tier: testing, on_stop: s, auto_stop_in: 1 day}\ns: {script: x, environment: {name: review/$B, action: stop}}",
    );
    let a = job(&config, "a");
    assert_eq!(a.coverage.as_deref(), Some("Total: (\\d+)%"));
    assert_eq!(a.resource_group.as_deref(), Some("$G"));
    assert!(a.interruptible);
    assert_eq!(a.pre_get_sources_script, ["h"]);
    assert_eq!(a.manual_confirmation.as_deref(), Some("sure?"));
    assert_eq!(a.dependencies.as_deref(), Some(&[][..]));
    let environment = a.environment.as_ref().unwrap();
    assert_eq!(
        (environment.name.as_str(), environment.action.as_str(), environment.tier.as_deref()),
        ("review/$B", "start", Some("testing"))
    );
    assert_eq!(environment.on_stop.as_deref(), Some("s"));
}

#[test]
fn triggers() {
    let config = config(
        "a: {trigger: g/p}\n\
         b: {trigger: {project: g/q, branch: $B, strategy: depend}, variables: {X: 1}}\n\
         c: {trigger: {include: [one.yml, {local: two.yml}], strategy: mirror, forward: {pipeline_variables: true}}}",
    );
    let trigger = |name: &str| match &job(&config, name).work {
        Work::Trigger(trigger) => trigger.clone(),
        Work::Script { .. } => panic!("{name} is no trigger"),
    };
    let project = |project: &str, branch: Option<&str>| TriggerTarget::Project {
        project: project.to_owned(),
        branch: branch.map(str::to_owned),
    };
    assert_eq!(
        trigger("a"),
        Trigger { target: project("g/p", None), depend: false, forward: Forward::default() }
    );
    assert_eq!(
        trigger("b"),
        Trigger { target: project("g/q", Some("$B")), depend: true, forward: Forward::default() }
    );
    let files = ["one.yml", "two.yml"].map(ChildInclude::from).into();
    let forward = Forward { yaml_variables: true, pipeline_variables: true };
    assert_eq!(trigger("c"), Trigger { target: TriggerTarget::Include(files), depend: true, forward });
    assert_eq!(variables(job(&config, "b")), ["X=1"]);
}

#[test]
fn pages_publish_a_folder() {
    let config = config(
        "pages: {script: x, artifacts: {paths: [out]}}\n\
         site: {script: x, pages: {publish: html}}\n\
         old: {script: x, pages: true, publish: dist, artifacts: {paths: [dist]}}",
    );
    let paths = |name: &str| job(&config, name).artifacts.as_ref().unwrap().paths.join(",");
    assert_eq!(
        (paths("pages"), paths("site"), paths("old")),
        ("out,public".to_owned(), "html".to_owned(), "dist".to_owned())
    );
    let config = self::config("pages: {script: x, pages: false}");
    assert_eq!(job(&config, "pages").artifacts, None);
}

#[test]
fn keywords_without_effect_are_counted() {
    let config = config(
        "default: {tags: [t]}\na: {script: x, environment: e}\nb: {script: x, release: {tag_name: t, description: d}, needs: [{project: g/p, job: j, ref: main}]}",
    );
    assert_eq!(config.notes(), ["ignored: tags (2 jobs)", "ignored: environment (1 job)",]);
    let need = &job(&config, "b").foreign_needs[0];
    assert_eq!((need.project.as_deref(), need.git_ref.as_deref()), (Some("g/p"), Some("main")));
    assert_eq!((need.pipeline.as_deref(), need.job.as_str(), need.artifacts), (None, "j", true));
}

#[test]
fn keywords_that_cannot_be_honoured_are_refused_when_the_job_takes_part() {
    let text = "a: {script: x}\nb: {run: [{name: s, script: x}], rules: [{if: $B}]}";
    let config = config(text);
    assert_eq!(names(&config), ["a(test)", "b(test)"]);
    assert_eq!(config.evaluate(&push()).unwrap().jobs.len(), 1);
    let mut facts = push();
    facts.pipeline_variables.push(crate::support::variable("B", "1"));
    let Err(EvaluateError::Invalid(errors)) = config.evaluate(&facts) else { panic!("b was not refused") };
    assert_eq!(errors.to_string(), ".gitlab-ci.yml:2:5: jobs:b:run is not supported yet");
    assert_eq!(errors.iter().next().unwrap().code, Code::Unsupported);
    assert_eq!(config.unsupported("b").count(), 1);
}

#[test]
fn tokens_secrets_inputs_and_releases_are_carried() {
    let config = config(
        "default: {id_tokens: {T: {aud: [a, $B]}}}\n\
         a:\n  script: x\n  secrets: {S: {vault: v}, F: {vault: v, file: false}}\n  \
           inputs: {n: {type: number, default: 3}, s: {default: text}}\n  \
           release: {tag_name: $T, description: d, milestones: m, assets: {links: [{name: n, url: u}]}}\n\
         b: {script: x, id_tokens: {}}",
    );
    let a = job(&config, "a");
    assert_eq!((a.id_tokens[0].name.as_str(), a.id_tokens[0].audiences.join(",")), ("T", "a,$B".to_owned()));
    assert!(job(&config, "b").id_tokens.is_empty());
    let secrets: Vec<_> = a.secrets.iter().map(|secret| (secret.name.as_str(), secret.file)).collect();
    assert_eq!(secrets, [("S", true), ("F", false)]);
    let inputs: Vec<String> =
        a.inputs.iter().map(|input| format!("{} {} {}", input.name, input.kind, input.value)).collect();
    assert_eq!(inputs, ["n number 3", "s string \"text\""]);
    let release = a.release.as_ref().unwrap();
    assert_eq!(
        (release.tag_name.as_str(), release.milestones.join(","), release.links.len()),
        ("$T", "m".to_owned(), 1)
    );
    assert!(
        crate::support::error("a: {script: x, inputs: {n: {type: number, default: x}}}")
            .ends_with("1:52: jobs:a:inputs:n default is not a number")
    );
}

#[test]
fn the_first_failure_may_cancel_the_rest() {
    let cancels = |text: &str| crate::support::pipeline(text).cancel_on_failure;
    let job = "a: {script: x}";
    assert!(!cancels(job));
    assert!(cancels(&format!("workflow: {{auto_cancel: {{on_job_failure: all}}}}\n{job}")));
    let rule = "rules: [{when: always, auto_cancel: {on_job_failure: none}}]";
    assert!(!cancels(&format!("workflow: {{auto_cancel: {{on_job_failure: all}}, {rule}}}\n{job}")));
    assert!(cancels(&format!("workflow: {{{}}}\n{job}", rule.replace("none", "all"))));
}

#[test]
fn children_of_every_kind() {
    let config = config(
        "b: {script: x, stage: build}\n\
         a: {trigger: {include: [{artifact: g.yml, job: b}, {project: g/p, file: f.yml, ref: v1}, {template: T.gitlab-ci.yml}], inputs: {all: 1}}}\n\
         c: {trigger: {include: {local: c.yml, inputs: {i: [x]}}}}",
    );
    let includes = |name: &str| match &job(&config, name).work {
        Work::Trigger(Trigger { target: TriggerTarget::Include(includes), .. }) => includes.clone(),
        _ => panic!("{name} starts no child"),
    };
    let sources: Vec<ChildSource> = includes("a").into_iter().map(|child| child.source).collect();
    let project = ChildSource::Project {
        project: "g/p".to_owned(),
        files: vec!["f.yml".to_owned()],
        git_ref: Some("v1".to_owned()),
    };
    let artifact = ChildSource::Artifact { artifact: "g.yml".to_owned(), job: "b".to_owned() };
    assert_eq!(sources, [artifact, project, ChildSource::Template("T.gitlab-ci.yml".to_owned())]);
    assert!(includes("a").iter().all(|child| child.inputs["all"] == 1));
    assert_eq!(includes("c")[0].inputs["i"], serde_json::json!(["x"]));
    assert!(
        crate::support::error("a: {trigger: {include: [{artifact: g.yml}]}}")
            .ends_with("jobs:a:trigger:include config must specify the job where to fetch the artifact from")
    );
}

#[test]
fn an_instance_that_takes_part_is_refused_although_the_first_does_not() {
    let text = "a: {run: [], parallel: {matrix: [{A: [1, 2]}]}, rules: [{if: '$A == \"2\"'}]}";
    let error = config(text).evaluate(&push()).unwrap_err().to_string();
    assert_eq!(error, ".gitlab-ci.yml:1:5: jobs:a:run is not supported yet");
}

#[test]
fn other_things_that_are_refused_by_name() {
    let error = config("a: {run: [{name: s, script: x}]}").evaluate(&push()).unwrap_err().to_string();
    assert!(error.ends_with("jobs:a:run is not supported yet"), "{error}");
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warnings = |text: &str| config(text).warnings().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        warnings("a: {script: x, type: build, rules: [{if: '$A =~ \"b\"'}, {when: always}]}"),
        [
            ".gitlab-ci.yml:1:42: jobs:a:rules:rule if compares with a text by `=~`: it looks for the left side in it",
            ".gitlab-ci.yml:1:16: jobs:a `type` is the old name of `stage`",
            ".gitlab-ci.yml:1:56: jobs:a may allow multiple pipelines to run for a single action due to `rules:when` clause with no `workflow:rules`",
        ]
    );
    assert_eq!(names(&config("a: {script: x, type: build}")), ["a(build)"]);
    let silent =
        "a: {script: x, rules: [{if: $A =~ /b+/}, {when: never}]}\nb: {script: x, rules: [{if: $B}]}";
    assert!(warnings(silent).is_empty());
    assert!(warnings("workflow: {rules: [{if: $A}]}\na: {script: x, rules: [{when: always}]}").is_empty());
}

#[test]
fn a_job_that_mirrors_another_project_is_only_noted() {
    let config = config("a: {needs: {pipeline: g/other}}\nb: {script: x}");
    let Work::Trigger(trigger) = &job(&config, "a").work else { panic!("a is no trigger") };
    assert_eq!(trigger.target, TriggerTarget::Project { project: "g/other".to_owned(), branch: None });
}

#[test]
fn coverage_with_flags_is_taken_as_a_whole() {
    let config =
        config("a: {script: x, coverage: '/total (\\d+)/i'}\nb: {script: x, coverage: '/(?i)total (\\d+)/'}");
    assert_eq!(job(&config, "a").coverage.as_deref(), Some("/total (\\d+)/i"));
    assert_eq!(job(&config, "b").coverage.as_deref(), Some("(?i)total (\\d+)"));
    let warnings: Vec<String> = config.warnings().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("jobs:a:coverage has flags"), "{warnings:?}");
    let log = b"Total 7\ntotal 5\n";
    let of =
        |name: &str| runner_coordinator::run::coverage(job(&config, name).coverage.as_deref().unwrap(), log);
    assert_eq!((of("a"), of("b").as_deref()), (None, Some("5")));
}
