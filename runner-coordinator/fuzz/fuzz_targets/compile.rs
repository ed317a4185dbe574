//! The compiler on any text: several files of a project, each after a line that names it.
#![no_main]

use std::collections::BTreeMap;
use std::io;

use libfuzzer_sys::fuzz_target;
use runner_coordinator::pipeline::{
    Context, Facts, Foreign, Found, ProjectFiles, TriggerTarget, Variable, Work, compile, compile_child,
};

const ROOT: &str = ".gitlab-ci.yml";

/// What the text is cut into. Whatever does not lie in the project is found, and is one of the files.
struct Files(BTreeMap<String, String>);

impl Files {
    fn of(text: &str) -> Self {
        let mut parts = text.split("\n#file ");
        let mut files = BTreeMap::from([(ROOT.to_owned(), parts.next().unwrap_or_default().to_owned())]);
        for part in parts.take(10) {
            let (name, text) = part.split_once('\n').unwrap_or((part, ""));
            files.insert(name.trim().to_owned(), text.to_owned());
        }
        Self(files)
    }
}

impl ProjectFiles for Files {
    fn read(&self, path: &str) -> io::Result<Option<String>> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn foreign(&self, wanted: &Foreign<'_>) -> io::Result<Option<Found>> {
        let name = match wanted {
            Foreign::Project { file, .. } => file,
            Foreign::Component { name, .. } | Foreign::Template { name } => name,
            Foreign::Remote { url } => url,
            Foreign::Artifact { path, .. } => path,
            _ => return Ok(None),
        };
        Ok(self.0.get(*name).cloned().map(Found::from))
    }

    fn list_foreign(&self, _project: &str, _git_ref: Option<&str>) -> io::Result<Option<Vec<String>>> {
        self.list().map(Some)
    }
}

fn variable(key: &str, value: &str) -> Variable {
    Variable { key: key.to_owned(), value: value.to_owned(), raw: false }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let files = Files::of(&text);
    let mut context = Context::new(vec![
        variable("CI_PROJECT_PATH", "g/p"),
        variable("CI_SERVER_FQDN", "h"),
        variable("CI_COMMIT_SHA", "1"),
    ]);
    context.skip_missing_includes = data.len() % 2 == 0;
    match compile(ROOT, &files, &context) {
        Ok(config) => {
            let mut facts = Facts::push("main");
            facts.predefined = vec![variable("CI", "true"), variable("CI_COMMIT_BRANCH", "main")];
            for job in config.jobs() {
                assert!(config.stages().contains(&job.stage));
            }
            if let Some(job) = config.jobs().next() {
                assert!(!config.explain(&facts, &job.name).is_empty());
            }
            let Ok(pipeline) = config.evaluate(&facts) else { return };
            assert!(!pipeline.jobs.is_empty() && pipeline.jobs.len() <= config.jobs().count());
            for job in pipeline.jobs.iter().take(3) {
                if let Work::Trigger(trigger) = &job.work
                    && let TriggerTarget::Include(includes) = &trigger.target
                {
                    let _ = compile_child(includes, &job.span, &files, &context);
                }
            }
        }
        Err(errors) => {
            for error in errors.iter() {
                assert!(error.span.line >= 1 && error.span.column >= 1 && !error.message.is_empty());
                let _ = (format!("{error:#}"), error.code.as_str());
            }
        }
    }
});
