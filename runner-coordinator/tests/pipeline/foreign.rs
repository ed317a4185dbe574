//! Includes of files that do not lie in the project, and what they include themselves.

use std::collections::BTreeMap;
use std::io;

use runner_coordinator::pipeline::{
    ChildInclude, ChildSource, Code, Config, Context, Foreign, Found, ProjectFiles, Span, compile,
    compile_child,
};

use crate::support::{ROOT, files, job, names, push, script, variable, variables};

/// The project's own files, and others by a name for each kind.
struct World {
    own: BTreeMap<String, String>,
    others: BTreeMap<&'static str, &'static str>,
}

impl ProjectFiles for World {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        Ok(self.own.get(path).cloned())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.own.keys().cloned().collect())
    }

    fn foreign(&self, wanted: &Foreign<'_>) -> io::Result<Option<Found>> {
        let (name, git_ref) = match wanted {
            Foreign::Project { project, git_ref, file } => {
                (format!("{project}@{}:{file}", git_ref.unwrap_or("HEAD")), None)
            }
            Foreign::Component { host, project, name, version } => {
                (format!("{host}/{project}/{name}@{version}"), Some("v1.2.3".to_owned()))
            }
            Foreign::Remote { url } => ((*url).to_owned(), None),
            Foreign::Template { name } => (format!("template {name}"), None),
            Foreign::Artifact { job, path } => (format!("{path} of {job}"), None),
            _ => return Ok(None),
        };
        match self.others.get(name.as_str()) {
            Some(&"unknown") => Ok(None),
            Some(text) => Ok(Some(Found { text: (*text).to_owned(), git_ref })),
            None => Err(io::Error::other(format!("{name} was not found"))),
        }
    }

    fn list_foreign(&self, project: &str, git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        if project != "g/p" {
            return Ok(None);
        }
        let prefix = format!("{project}@{}:", git_ref.unwrap_or("HEAD"));
        Ok(Some(
            self.others.keys().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect(),
        ))
    }
}

const OTHERS: [(&str, &str); 13] = [
    ("g/p@HEAD:f.yml", "include: [/sub/*.yml, {local: more.yml}]\nf: {script: f}"),
    ("g/p@HEAD:more.yml", "more: {script: more}"),
    ("g/p@HEAD:sub/a.yml", "sub-a: {script: a}"),
    ("g/p@HEAD:sub/b.yml", "sub-b: {script: b}"),
    ("g/p@v2:f.yml", "include: more.yml\nf2: {script: f}"),
    ("g/p@v2:more.yml", "more2: {script: more}"),
    ("https://example.org/r.yml", "remote: {script: remote}"),
    ("https://example.org/bad.yml", "include: local.yml\nremote: {script: remote}"),
    ("template Jobs/Build.gitlab-ci.yml", "build: {script: template}"),
    (
        "git.example.org/g/c/tool@~latest",
        "spec: {component: [name, version], inputs: {stage: {default: test}}}\n---\ninclude: /more.yml\n'tool $[[ component.name ]] $[[ component.version ]]': {stage: '$[[ inputs.stage ]]', script: x}",
    ),
    ("g/c@v1.2.3:more.yml", "component-more: {script: x}"),
    ("g/u@HEAD:f.yml", "unknown"),
    ("made/child.yml of generate", "made: {script: '$[[ inputs.x ]]'}"),
];

fn world(root: &str) -> World {
    let own = files(&[(ROOT, root), ("local.yml", "local: {script: local}")]).0;
    World { own, others: OTHERS.into_iter().collect() }
}

fn context() -> Context {
    Context::new(vec![
        variable("CI_SERVER_FQDN", "git.example.org"),
        variable("CI_PROJECT_PATH", "group/project"),
        variable("CI_COMMIT_SHA", "1234"),
        variable("CI_COMMIT_REF_NAME", "main"),
    ])
}

fn compiled(root: &str) -> Result<Config, String> {
    compile(ROOT, &world(root), &context()).map_err(|errors| errors.to_string())
}

fn jobs(root: &str) -> String {
    compiled(root).map_or_else(|error| error, |config| names(&config).join(" "))
}

#[test]
fn local_files_of_another_project_are_read_there_at_its_ref() {
    assert_eq!(jobs("include: {project: g/p, file: f.yml}"), "sub-a(test) sub-b(test) more(test) f(test)");
    assert_eq!(jobs("include: {project: g/p, ref: v2, file: [/f.yml]}"), "more2(test) f2(test)");
}

#[test]
fn addresses_and_templates_have_no_project() {
    assert_eq!(jobs("include: https://example.org/r.yml"), "remote(test)");
    assert_eq!(jobs("include: {template: Jobs/Build.gitlab-ci.yml}"), "build(test)");
    assert_eq!(
        compiled("include: {remote: 'https://example.org/bad.yml'}").unwrap_err(),
        "https://example.org/bad.yml:1:10: Local file `local.yml` does not have project!"
    );
}

#[test]
fn components_know_their_name_and_version() {
    let config = compiled(
        "include: {component: $CI_SERVER_FQDN/g/c/tool@~latest, inputs: {stage: build}}\na: {script: x}",
    );
    assert_eq!(names(&config.unwrap()).join(" "), "tool tool v1.2.3(build) component-more(test) a(test)");
}

#[test]
fn integrity_is_checked() {
    let with = |hash: &str| {
        compiled(&format!("include: {{remote: 'https://example.org/r.yml', integrity: {hash}}}"))
    };
    // `printf 'remote: {script: remote}' | openssl dgst -sha256 -binary | base64`
    assert!(with("sha256-+GsWWGGzihgreHujr55CnrgKqDTE88YbJIEKZD6RCzU=").is_ok());
    let error = with("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").unwrap_err();
    assert!(error.contains("the content does not match its `integrity`"), "{error}");
    assert!(with("md5-x").unwrap_err().contains("include integrity should be sha256-"));
}

#[test]
fn what_cannot_be_had_is_refused_by_name_all_at_once() {
    let root = "include:\n  - {project: g/u, file: f.yml}\n  - {remote: 'https://example.org/none.yml'}\n  - {template: None.gitlab-ci.yml}\n  - {component: git.example.org/g/c/none@1}\na: {script: x}";
    let errors = compile(ROOT, &world(root), &context()).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            ".gitlab-ci.yml:2:6: include:project g/u, file f.yml: not available without a server",
            ".gitlab-ci.yml:3:6: include:remote https://example.org/none.yml: https://example.org/none.yml was not found",
            ".gitlab-ci.yml:4:6: include:template None.gitlab-ci.yml: template None.gitlab-ci.yml was not found",
            ".gitlab-ci.yml:5:6: include:component git.example.org/g/c/none@1: git.example.org/g/c/none@1 was not found",
        ]
    );
    let help: Vec<&str> = errors.iter().map(|error| error.help.as_deref().unwrap()).collect();
    assert!(help[0].contains("--project g/u=DIR") && help[3].contains("--project g/c=DIR"), "{help:?}");
    assert!(help[1].contains("--offline") && help[2].contains("--templates DIR"), "{help:?}");
    assert!(errors.iter().all(|error| error.code == Code::Include));
    let mut context = context();
    context.skip_missing_includes = true;
    let config = compile(ROOT, &world(root), &context).unwrap();
    assert_eq!(config.notes().iter().filter(|note| note.ends_with(": left out")).count(), 4);
}

#[test]
fn what_is_missing_may_have_been_in_any_include_that_was_left_out() {
    let root = "include: [{project: g/u, file: f.yml}, {template: None.gitlab-ci.yml}]\na: {extends: .x}\nb: {extends: .y}";
    let mut context = context();
    context.skip_missing_includes = true;
    let blamed = |text: &str| -> Vec<Option<String>> {
        let errors = compile(ROOT, &world(text), &context).unwrap_err();
        errors.iter().map(|error| error.help.clone()).collect()
    };
    let help = "perhaps because of one of the includes that were left out: .gitlab-ci.yml:1:12: include:project g/u, \
                file f.yml; .gitlab-ci.yml:1:41: include:template None.gitlab-ci.yml";
    assert_eq!(blamed(root), [Some(help.to_owned()), Some(help.to_owned())]);
    // What is wrong in itself is not the fault of an include.
    let root =
        "include: {template: None.gitlab-ci.yml}\na: {script: x, retry: 9}\nb: {script: x, needs: [c]}";
    let help = "perhaps because of an include that was left out: .gitlab-ci.yml:1:11: include:template None.gitlab-ci.yml";
    assert_eq!(blamed(root), [None, Some(help.to_owned())]);
}

#[test]
fn a_mistake_in_a_foreign_file_tells_the_way_to_it() {
    let mut world = world("include: {project: g/p, file: f.yml}");
    world.others.insert("g/p@HEAD:more.yml", "more: {script: more, need: []}");
    let errors = compile(ROOT, &world, &context()).unwrap_err();
    assert_eq!(
        format!("{errors:#}"),
        "g/p:more.yml:1:22: jobs:more config contains unknown keys: need\n  \
           1 | more: {script: more, need: []}\n    \
             |                      ^^^^\n    \
             = help: did you mean `needs`?\n    \
             = g/p:f.yml:1:24: `g/p:more.yml` is included here\n    \
             = .gitlab-ci.yml:1:11: `g/p:f.yml` is included here"
    );
}

#[test]
fn rules_look_for_files_of_other_projects() {
    let text = "a: {script: x, rules: [{exists: {paths: [sub/*], project: g/p}}]}\n\
                b: {script: x, rules: [{exists: {paths: [sub/*], project: g/p, ref: v2}}]}\n\
                c: {script: x, rules: [{exists: {paths: ['*'], project: g/x}}]}";
    let pipeline = compiled(text).unwrap().evaluate(&push()).unwrap();
    let names: Vec<&str> = pipeline.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["a"]);
    let notes = pipeline.notes.join("\n");
    assert!(
        notes.contains("rules:exists:project g/x: not available here") && !notes.contains("g/p"),
        "{notes}"
    );
}

#[test]
fn children_come_from_artifacts_with_inputs() {
    let child = |source| ChildInclude {
        source,
        inputs: [("x".to_owned(), serde_json::json!("told"))].into_iter().collect(),
        rules: None,
        integrity: None,
    };
    let source = ChildSource::Artifact { artifact: "made/child.yml".to_owned(), job: "generate".to_owned() };
    let place = Span { file: ROOT.into(), line: 3, column: 1 };
    let mut world = world("");
    let errors = compile_child(&[child(source.clone())], &place, &world, &context()).unwrap_err();
    assert!(errors.to_string().contains(".gitlab-ci.yml:3:1: unknown input arguments: x"), "{errors}");
    let text = "spec: {inputs: {x: }}\n---\ninclude: local.yml\nmade: {script: '$[[ inputs.x ]]', variables: {A: 1}}";
    world.others.insert("made/child.yml of generate", text);
    let config = compile_child(&[child(source)], &place, &world, &context()).unwrap();
    assert_eq!(script(job(&config, "made")), ["told"]);
    assert_eq!(variables(job(&config, "made")), ["A=1"]);
    assert_eq!(names(&config), ["local(test)", "made(test)"]);
    // In a file of the project there are no artifacts yet.
    let error = compiled("include: {artifact: made/child.yml, job: generate}\na: {script: x}").unwrap_err();
    assert!(error.contains("include:artifact made/child.yml of job generate: not available"), "{error}");
}

#[test]
fn rules_of_inputs_choose_options_and_defaults() {
    let header = "spec:\n  inputs:\n    size:\n      rules:\n        - {if: '$[[ inputs.where ]] == \"prod\"', options: [l, xl], default: l}\n        - {options: [s], default: s}\n    where: {default: test}\n---\na: {script: '$[[ inputs.size ]]'}";
    let with = |inputs: &[(&str, &str)]| {
        let mut context = context();
        context.inputs.extend(inputs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        compile(ROOT, &world(header), &context)
            .map(|config| script(job(&config, "a"))[0].clone())
            .map_err(|errors| errors.to_string())
    };
    assert_eq!(with(&[]).unwrap(), "s");
    assert_eq!(with(&[("where", "prod")]).unwrap(), "l");
    assert_eq!(with(&[("where", "prod"), ("size", "xl")]).unwrap(), "xl");
    let error = with(&[("size", "xl")]).unwrap_err();
    assert!(
        error.contains("`xl` cannot be used because it is not in the list of allowed options"),
        "{error}"
    );
    let error = with(&[("wher", "prod")]).unwrap_err();
    assert!(error.contains("unknown input arguments: wher"), "{error}");
}
