//! The small languages: one text as an expression, a pattern, globs, a duration, a variable that refers to others.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use runner_coordinator::pipeline::{Context, Facts, ProjectFiles, Variable, compile};
use runner_coordinator::run::coverage;

struct OneFile(String);

impl ProjectFiles for OneFile {
    fn read(&self, _path: &str) -> io::Result<Option<String>> {
        Ok(Some(self.0.clone()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(vec!["src/a.rs".to_owned(), "README.md".to_owned()])
    }
}

/// A text in double quotes as YAML and JSON know them.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let quoted = quoted(&text);
    for keyword in [
        format!("rules: [{{if: {quoted}}}]"),
        format!("rules: [{{changes: [{quoted}]}}, {{exists: [{quoted}]}}]"),
        format!("only: [{quoted}]"),
        format!("timeout: {quoted}"),
        format!("coverage: {quoted}"),
        format!("variables: {{A: {quoted}, B: $A$A, C: $B$B}}, rules: [{{if: $C == $A}}]"),
        format!("cache: {{key: {quoted}, paths: [x]}}"),
    ] {
        let files = OneFile(format!("a: {{script: x, {keyword}}}"));
        let Ok(config) = compile("f", &files, &Context::default()) else { continue };
        let mut facts = Facts::push("main");
        facts.predefined = vec![Variable { key: "P".to_owned(), value: text.to_string(), raw: false }];
        facts.changed_files = Some(vec!["src/a.rs".to_owned()]);
        let _ = (config.evaluate(&facts), config.explain(&facts, "a"));
    }
    let (expression, log) = text.split_once('\n').unwrap_or((&text, ""));
    let _ = coverage(expression, log.as_bytes());
});
